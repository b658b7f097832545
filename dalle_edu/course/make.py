"""`dalle-edu course OUT`: a folder for students, and with `--solutions` one more for their teacher.

OUT/README.md            what lies where
OUT/notebooks/           the chapters, with the answers to quizzes taken out
OUT/assignments/         one notebook a chapter, to write in and to hand in
OUT/slides/              one page a chapter
OUT/teacher/             with --solutions only: nbgrader's course, solutions, exam, project, quiz answers
"""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from dalle_edu.course.assignments import write_course
from dalle_edu.course.exercises import Chapter, read_book
from dalle_edu.course.slides import write_handout, write_slides
from dalle_edu.errors import ReaderError
from dalle_edu.files import making, write_text
from dalle_edu.publish.book import chapters as notebooks_of
from dalle_edu.publish.book import folder as book_folder

HERE = Path(__file__).parent
# An option of a quiz question: what one may answer, and, folded, why it is right or not.
OPTION = re.compile(r"<details><summary>(?!Answers?<)(.*?)</summary>(.*?)</details>", re.S)
ANSWER = re.compile(r"[ \t]*<details>.*?</details>[ \t]*\n?", re.S)
# A sentence, a link or a path that leads to a solution.
SOLUTION = re.compile(r"\[[^\]]*\]\([^)]*solutions/[^)]*\)|`[^`]*solutions/[^`]*`")

README = """\
# {title}

- `notebooks/`: the chapters to read and run, {chapters} of them.
- `assignments/`: what you hand in, {exercises} exercises in {sheets} notebooks, {points} points in all.
- `slides/`: open a page in any browser; arrow keys turn it, `S` shows the speaker's notes.

Set up once, as the page "Installation" of the book says; nothing is fetched after that.

Text and code: MIT. Emoji pictures: OpenMoji, CC BY-SA 4.0; drawings of the model and its weights, too.
"""


def make_course(
    out: Path,
    solutions: bool = False,
    handouts: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Writes the course into `out`, whole or not at all, and returns it. `say` is told each step, in a line.

    With `handouts`, slides are printed into PDFs as well, by a Chromium or Chrome of this machine.

    Raises ReaderError where `out` is not empty or cannot be written, or the chapters, a package or the
    browser are missing.
    """
    out, book = Path(out), book_folder()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ReaderError(f"{out} is not empty: name a new folder for the course.")
    needed = ("nbgrader", "sphinx_revealjs", *(["playwright"] if handouts else []))
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise ReaderError(f'A course needs {" and ".join(missing)}. Run: pip install -e ".[course]"')
    with making(out) as folder:
        _make(folder, book, solutions, handouts, say)
    if solutions:
        say(f"{out / 'teacher'}: for the teacher alone")
    return out


def _make(out: Path, book: Path, solutions: bool, handouts: bool, say: Callable[[str], None]) -> None:
    chapters = read_book(book)
    files = [path for path in notebooks_of(book) if path.parent == book]
    (out / "notebooks").mkdir()
    (out / "assignments").mkdir()
    for path in files:
        write_text(out / "notebooks" / path.name, student_notebook(path))
    skip = shutil.ignore_patterns("mathjax", "*.py", "__*", ".ipynb_checkpoints")
    shutil.copytree(book / "_static", out / "notebooks" / "_static", ignore=skip)
    shutil.copytree(book.parent / "experiments", out / "experiments", ignore=skip)
    say(f"{len(files)} notebooks for students")
    teacher = out / "teacher"
    write_course(chapters, teacher)
    for chapter in chapters:
        release(teacher / "source" / chapter.slug / f"{chapter.slug}.ipynb", out / "assignments")
    say(f"{len(chapters)} assignments, {sum(chapter.points for chapter in chapters)} points")
    for path in files:
        page = write_slides(path, out / "slides")
        if handouts:
            write_handout(page, page.with_suffix(".pdf"))
    say(f"{len(files)} sets of slides")
    if solutions:
        _for_the_teacher(chapters, files, book, teacher)
    else:
        shutil.rmtree(teacher)
    write_text(out / "README.md", README.format(
        title="DALL·E 1, from an autoencoder", chapters=len(files), sheets=len(chapters),
        exercises=sum(len(chapter.exercises) for chapter in chapters),
        points=sum(chapter.points for chapter in chapters),
    ))  # fmt: skip


def student_notebook(path: Path) -> str:
    """A chapter as JSON text, without folded answers and without what leads to a solution."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = without_answers(cell.source)
    return nbformat.writes(notebook) + "\n"


def without_answers(text: str) -> str:
    """Markdown without `<details>` answers, and without sentences that lead to a solution. Of an option of a
    quiz the option stays, as an item of a list, and the reason goes."""
    lines = ANSWER.sub("", OPTION.sub(r"- \1", text)).split("\n")
    kept = []
    for line in lines:
        sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z*`\[])", line)
        kept.append(" ".join(part for part in sentences if not SOLUTION.search(part)))
    return "\n".join(kept)


def release(source: Path, folder: Path) -> Path:
    """What students get of an assignment: nbgrader's own steps take out answers and hidden tests."""
    import nbformat
    from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

    notebook, resources = nbformat.read(source, as_version=4), {}
    for step in (ClearSolutions(), ClearHiddenTests()):
        step.code_stub = {"python": "raise NotImplementedError"} if hasattr(step, "code_stub") else None
        notebook, resources = step.preprocess(notebook, resources)
    target = Path(folder) / source.name
    write_text(target, nbformat.writes(notebook) + "\n")
    return target


def quiz_answers(path: Path) -> str:
    """The quiz of a chapter with its answers, as Markdown, for the teacher."""
    import nbformat

    cells = nbformat.read(path, as_version=4).cells
    quiz = [cell.source for cell in cells if cell.cell_type == "markdown" and "<details>" in cell.source]
    text = OPTION.sub(r"- \1 **\2**", "\n\n".join(quiz))
    text = re.sub(r"</?(details|summary)>", " ", text)
    return re.sub(r"^#+ ", "### ", text, flags=re.M)


def exam() -> list[dict[str, str]]:
    """The questions of the exam: each has a "chapter", a "question", an "answer" and "points"."""
    return tomllib.loads((HERE / "exam.toml").read_text(encoding="utf-8"))["question"]


def _for_the_teacher(chapters: list[Chapter], files: list[Path], book: Path, teacher: Path) -> None:
    shutil.copytree(
        book / "solutions", teacher / "solutions", ignore=shutil.ignore_patterns(".ipynb_checkpoints")
    )
    questions = exam()
    for name, answers in (("exam.md", False), ("exam-with-answers.md", True)):
        total = sum(int(q["points"]) for q in questions)
        lines = [
            f"# Exam: DALL·E 1 from the ground up\n\n{len(questions)} questions, {total} points, two hours.\n"
        ]
        for number, q in enumerate(questions, 1):
            lines.append(f"**{number}.** ({q['points']} points) {q['question'].strip()}\n")
            if answers:
                lines.append(f"> {' '.join(q['answer'].split())} (chapter {q['chapter']})\n")
        write_text(teacher / name, "\n".join(lines))
    shutil.copyfile(HERE / "project.md", teacher / "project.md")
    shutil.copyfile(book / "appendix" / "instructors-guide.md", teacher / "guide.md")
    quizzes = [f"## {path.stem}\n\n{quiz_answers(path)}" for path in files]
    write_text(teacher / "quiz-answers.md", "# Quizzes with answers\n\n" + "\n\n".join(quizzes) + "\n")
