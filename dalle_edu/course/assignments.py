"""Assignments for nbgrader, made from the book's exercises: what students get, and what marks them.

A course folder, as nbgrader wants it:

    nbgrader_config.py          what nbgrader needs to know, with the limits for one cell
    source/NN-chapter/NN-chapter.ipynb    with answers and hidden tests: the teacher's
    release/NN-chapter/NN-chapter.ipynb   what students get (`nbgrader generate_assignment` makes the same)

Each exercise is three cells with ids that never change: the answer, the check that students may run as often
as they like, and a test that they do not see. The test judges the answer in a process of its own, with other
random inputs (`judge.py`).
"""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

from dalle_edu.course.exercises import POINTS, Chapter, Exercise
from dalle_edu.course.judge import SECONDS, Answer, judge, refused
from dalle_edu.errors import ReaderError
from dalle_edu.files import write_text

CONFIG = '''\
"""nbgrader's settings for this course. Run nbgrader in this folder: `nbgrader autograde 03-vq-vae`."""

from pathlib import Path

c = get_config()  # noqa: F821 (nbgrader gives it)

c.CourseDirectory.course_id = "dalle_edu"
c.CourseDirectory.root = str(Path(__file__).resolve().parent)

# A cell that takes longer is interrupted and gets no points; the others are marked all the same.
c.ExecutePreprocessor.timeout = {cell_seconds}
c.ExecutePreprocessor.interrupt_on_timeout = True
c.Autograde.autograde_preprocessors = [
    # Before anything is run: cells that would change a library, or the marking itself, are taken out.
    "dalle_edu.course.grader.TakeOutTampering",
    "nbgrader.preprocessors.Execute",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]

# The marking, and the kernels that it starts, get so much memory and no more (not on Windows).
try:
    import resource
except ImportError:
    pass
else:
    resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
'''
CELL_MEMORY = 12 * 2**30  # bytes of address space for a kernel: libraries take most of it without using it


def write_assignment(chapter: Chapter, course: Path, seconds: float = SECONDS) -> Path:
    """Writes the source notebook of one chapter below `course`, and returns it."""
    import nbformat

    book = nbformat.v4.new_notebook(metadata={"kernelspec": _KERNEL, "language_info": {"name": "python"}})
    book.cells = [_text(f"{chapter.slug}-title", _TITLE.format(c=chapter)), _setup(chapter)]
    for number, exercise in enumerate(chapter.exercises, 1):
        book.cells += _cells_of(chapter, exercise, number, seconds)
    path = Path(course) / "source" / chapter.slug / f"{chapter.slug}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, nbformat.writes(book) + "\n")
    return path


def write_course(chapters: list[Chapter], course: Path, seconds: float = SECONDS) -> None:
    """Writes the teacher's folder: settings and one assignment a chapter.

    The judge of an answer has `seconds`, a cell of a submission twice as many. Raises ReaderError where a
    course is already.
    """
    course = Path(course)
    if (course / "source").exists():
        raise ReaderError(f"{course} already holds a course: choose another folder, or move that one away.")
    course.mkdir(parents=True, exist_ok=True)
    settings = CONFIG.format(cell_seconds=round(2 * seconds), memory=CELL_MEMORY)
    write_text(course / "nbgrader_config.py", settings)
    for chapter in chapters:
        write_assignment(chapter, course, seconds)


def points(
    module: str, check: str, name: str, imports: str, executed: list[str], seconds: float = SECONDS
) -> float:
    """What a hidden test returns: the points of the answer `name` among the cells that were executed.

    Judged are the last cell that defines it, and before it those of the other answers (`my_...`), which it
    may use. Raises AssertionError, with the verdict, for an answer that is not right.
    """
    cells = {}
    for source in executed:
        for defined in _defined(source):
            if defined.startswith("my_"):
                cells.pop(defined, None)  # the last definition counts, in its place
                cells[defined] = source
    assert name in cells, f"There is no function {name}: was its cell run?"
    before = [source for defined, source in cells.items() if defined != name and not refused(source)]
    own = tuple(dict.fromkeys([*before, cells[name]]))
    verdict = judge(Answer(module, check, name, imports, own), seconds)
    assert verdict, verdict.message
    return float(POINTS)


def _defined(source: str) -> list[str]:
    try:
        return [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    except SyntaxError:
        return []


_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
_TITLE = """\
# Assignment: {c.title}

Write each function and run its check: it says what is right or wrong, as often as you like. Marks come from
tests that you do not see: they try your functions on other inputs, with PyTorch and Python alone. The text to
read is chapter {c.number} of the book. {c.points} points in all."""


def _setup(chapter: Chapter):
    lines = [chapter.imports]
    by_module: dict[str, list[str]] = {}
    for exercise in chapter.exercises:
        by_module.setdefault(exercise.module, []).append(exercise.check)
    for module, checks in by_module.items():
        lines.append(f"from dalle_edu.exercises.{module} import {', '.join(sorted(set(checks)))}")
    return _code(f"{chapter.slug}-setup", "\n".join(lines), locked=True)


def _cells_of(chapter: Chapter, exercise: Exercise, number: int, seconds: float) -> list:
    key = f"{chapter.slug}-{exercise.name.replace('_', '-')}"
    body = exercise.answer[exercise.answer.index(f"def {exercise.name}(") :]
    head, _, inner = body.partition(":\n")
    helpers = exercise.answer[: exercise.answer.index(f"def {exercise.name}(")].strip()
    if helpers:  # inside the answer, so that nothing of it is left when the answer is taken out
        inner = textwrap.indent(helpers, "    ") + "\n" + inner
    answer = f"{head}:\n    ### BEGIN SOLUTION\n{inner.rstrip()}\n    ### END SOLUTION"
    hidden = (
        f"# {POINTS} points\n### BEGIN HIDDEN TESTS\nfrom dalle_edu.course.assignments import points\n\n"
        f"points({exercise.module!r}, {exercise.check!r}, {exercise.name!r},\n"
        f"       {chapter.imports!r}, In, {seconds:g})\n"
        "### END HIDDEN TESTS"
    )
    text = re.sub(r"^\*\*\d+\.", f"**{number}.", exercise.text)
    return [
        _text(f"{key}-text", text),
        _code(f"{key}-answer", answer, solution=True),
        _code(f"{key}-check", f"{exercise.check}({exercise.name})", locked=True),
        _code(f"{key}-test", hidden, grade=True, locked=True, points=POINTS),
    ]


def _meta(key: str, **flags) -> dict:
    meta = dict.fromkeys(("grade", "solution", "locked", "task"), False)
    meta |= {"schema_version": 3, "grade_id": key}
    return {"nbgrader": meta | flags}


def _text(key: str, source: str):
    import nbformat

    return nbformat.v4.new_markdown_cell(source, id=_id(key), metadata=_meta(key, locked=True))


def _code(key: str, source: str, **flags):
    import nbformat

    return nbformat.v4.new_code_cell(source, id=_id(key), metadata=_meta(key, **flags))


def _id(key: str) -> str:
    return key[-64:].lstrip("-")  # the notebook format allows 64 characters
