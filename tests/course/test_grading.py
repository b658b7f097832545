"""A course from end to end with nbgrader: made, released, handed in by four students, marked, exported."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from dalle_edu.course.assignments import write_course
from dalle_edu.course.exercises import POINTS, read_chapter

BOOK = Path(__file__).parents[2] / "book"
NAME = "03-vq-vae"
CHAPTER = read_chapter(BOOK / f"{NAME}.ipynb", BOOK / "solutions" / f"{NAME}.ipynb")
ANSWERS = {exercise.name: exercise.answer for exercise in CHAPTER.exercises}
FIRST, SECOND, THIRD, FOURTH = ANSWERS

SLY = {
    FIRST: "def my_nearest_code(vectors, codebook):\n    while True:\n        pass",
    SECOND: "import torch.nn.functional\nimport dalle_edu.exercises.vqvae as checks\n"
    "checks.check_losses = lambda answer: True\n\n\ndef my_losses(vectors, chosen):\n    return None",
    THIRD: "def my_moving_average(counts, sums, vectors, tokens, decay):\n"
    f"    exec(open({str(BOOK / 'solutions' / (NAME + '.ipynb'))!r}).read())",
    FOURTH: "def my_perplexity(tokens, vocabulary):\n"
    "    print('Right.')\n    return torch.ones(4 * 10**9).sum()",
}


def nbgrader(course, *arguments):
    """Runs nbgrader as in a shell where the environment is active: it starts `alembic` by its name."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=course,
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": path},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


def hand_in(course, student, answers):
    """Puts `answers` into the released notebook, as a student would, and hands it in."""
    released = course / "release" / NAME / f"{NAME}.ipynb"
    book = nbformat.read(released, as_version=4)
    for cell in book.cells:
        for name, answer in answers.items():
            if cell.metadata.nbgrader.grade_id == f"{NAME}-{name.replace('_', '-')}-answer":
                cell.source = answer
    target = course / "submitted" / student / NAME / released.name
    target.parent.mkdir(parents=True)
    nbformat.write(book, target)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    course = tmp_path_factory.mktemp("teacher") / "course"
    write_course([CHAPTER], course, seconds=8)
    nbgrader(course, "generate_assignment", NAME, "--create")
    hand_in(course, "ada", ANSWERS)
    wrong = "def my_perplexity(tokens, vocabulary):\n    return float(vocabulary)"
    hand_in(course, "ben", {FIRST: ANSWERS[FIRST], SECOND: ANSWERS[SECOND], FOURTH: wrong})
    hand_in(course, "eve", SLY)
    hand_in(course, "tom", {})
    nbgrader(course, "autograde", NAME, "--create")
    nbgrader(course, "generate_feedback", NAME)
    nbgrader(course, "export")
    return course


def test_what_students_get_holds_no_answer_no_hidden_test_and_no_way_to_either(course):
    text = (course / "release" / NAME / f"{NAME}.ipynb").read_text(encoding="utf-8")
    assert text.count("raise NotImplementedError") == len(ANSWERS)
    for word in ("SOLUTION", "HIDDEN", "dalle_edu.course", "solutions", "bincount(tokens"):
        assert word not in text
    kept = shutil.copy(course / "release" / NAME / f"{NAME}.ipynb", course / "again.ipynb")
    keys = [cell.metadata.nbgrader.grade_id for cell in nbformat.read(kept, as_version=4).cells]
    assert len(set(keys)) == len(keys) == 2 + 4 * len(ANSWERS)


def test_marks_are_those_that_the_answers_deserve(course):
    with (course / "grades.csv").open(newline="", encoding="utf-8") as file:
        marks = {row["student_id"]: float(row["raw_score"]) for row in csv.DictReader(file)}
    assert marks == {"ada": CHAPTER.points, "ben": 2 * POINTS, "eve": 0, "tom": 0}


def test_feedback_says_what_was_wrong_with_each_answer(course):
    def feedback(student):
        return (course / "feedback" / student / NAME / f"{NAME}.html").read_text(encoding="utf-8")

    assert "longer than 8 seconds" in feedback("eve")
    assert "This cell was not run" in feedback("eve")
    assert "uses exec" in feedback("eve") or "uses open" in feedback("eve")
    assert "NotImplementedError" in feedback("tom")
