"""A course folder: what students get holds no answer, and everything that a teacher needs is beside it."""

import json
import re

import nbformat
import pytest

from dalle_edu.course.exercises import read_book
from dalle_edu.course.make import exam, make_course, quiz_answers, without_answers
from dalle_edu.course.slides import WORDS, _lead, write_handout
from dalle_edu.errors import ReaderError
from dalle_edu.publish.book import chapters as notebooks_of
from dalle_edu.publish.book import folder


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return make_course(tmp_path_factory.mktemp("course") / "for students", solutions=True)


def test_students_get_no_answer_and_no_way_to_one(course):
    answers = [exercise.answer for chapter in read_book(folder()) for exercise in chapter.exercises]
    bodies = [answer.rstrip().splitlines()[-1].strip() for answer in answers]
    for path in [*course.glob("notebooks/*.ipynb"), *course.glob("assignments/*.ipynb")]:
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells)
        for word in ("<details>", "solutions/", "BEGIN SOLUTION", "HIDDEN"):
            assert word not in text, f"{word} in {path.name}"
        if path.parent.name == "assignments":
            code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
            assert not [body for body in bodies if len(body) > 25 and body in code]


def test_every_exercise_of_the_book_is_in_an_assignment_once_with_its_points(course):
    ids = {}
    for path in course.glob("assignments/*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            meta = cell.metadata.nbgrader
            assert meta.grade_id not in ids
            ids[meta.grade_id] = meta.get("points", 0)
    book = read_book(folder())
    assert sum(ids.values()) == sum(chapter.points for chapter in book)
    assert sum(key.endswith("-answer") for key in ids) == sum(len(chapter.exercises) for chapter in book)


def test_ids_do_not_change_from_one_making_to_the_next(course, tmp_path):
    again = make_course(tmp_path / "again")
    assert not (again / "teacher").exists()
    for path in course.glob("assignments/*.ipynb"):
        assert path.read_bytes() == (again / "assignments" / path.name).read_bytes()


def test_slides_of_each_chapter_need_no_network_and_say_what_each_figure_shows(course):
    pages = sorted(course.glob("slides/*.html"))
    assert len(pages) == len([path for path in notebooks_of(folder()) if path.parent == folder()])
    assert (course / "slides" / "reveal.js" / "dist" / "reveal.js").is_file()
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert 'src="http' not in text and 'href="http' not in text.split("<body>")[0]
        assert text.count("<section>") > 4
        assert 'alt=""' not in text


def test_a_slide_has_few_words_and_whole_sentences():
    text = "## Why\n\nOne idea. " + "Another sentence of seven words in all. " * 12 + "\n\n$$x = y$$"
    assert _lead("It is given as\n\n$$x = y$$\n\nWrong.") == ["It is given as (below). Wrong.", "$$x = y$$"]
    prose, equation = _lead(text)
    assert len(prose.split()) <= WORDS and prose.endswith(".")
    assert equation == "$$x = y$$"


def test_the_teacher_gets_the_exam_with_and_without_answers_and_all_quizzes(course):
    teacher = course / "teacher"
    questions = exam()
    assert len(questions) == 20
    plain = (teacher / "exam.md").read_text(encoding="utf-8")
    answered = (teacher / "exam-with-answers.md").read_text(encoding="utf-8")
    for question in questions:
        assert question["question"].strip() in plain and question["question"].strip() in answered
        assert " ".join(question["answer"].split()) in answered
        assert question["answer"][:40] not in plain
    for path in (course / "notebooks").glob("0[1-9]-*.ipynb"):
        original = next(p for p in notebooks_of(folder()) if p.name == path.name)
        assert quiz_answers(original).count("**Right. ") >= 3
    for name in ("project.md", "guide.md", "quiz-answers.md", "nbgrader_config.py", "solutions"):
        assert (teacher / name).exists()


def test_answers_and_ways_to_solutions_are_cut_out_of_a_text():
    text = (
        "Run the cell. Solutions: [here](solutions/03.ipynb).\n"
        "1. Why?\n   <details><summary>Answer</summary>Because.</details>\n2. How?"
    )
    assert without_answers(text) == "Run the cell.\n1. Why?\n2. How?"


def test_of_a_quiz_students_keep_the_options_and_the_teacher_the_reasons():
    text = (
        "**1.** Why?\n\n<details><summary>Because.</summary>Right. It is so.</details>\n"
        "<details><summary>By chance.</summary>No. It repeats.</details>"
    )
    assert without_answers(text) == "**1.** Why?\n\n- Because.\n- By chance."


def test_a_handout_is_a_pdf_with_a_page_for_each_slide(course, tmp_path):
    page = next(course.glob("slides/04-*.html"))
    target = write_handout(page, tmp_path / "handout.pdf")
    pdf = target.read_bytes()
    assert pdf.startswith(b"%PDF") and pdf.rstrip().endswith(b"%%EOF")
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    slides = page.read_text(encoding="utf-8").count("<section>")
    assert slides <= pages <= slides + 5  # a slide that is too full goes on


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ReaderError, match="is not empty"):
        make_course(tmp_path)
    assert json.dumps([path.name for path in tmp_path.iterdir()]) == '["thesis.txt"]'
