"""The exercises of a chapter, read out of its notebook, and their answers, read out of the solutions.

An exercise is a code cell that defines `my_something`, raises NotImplementedError in it, and ends in
`check_something(my_something)`. Its words stand in the text cell before. Its answer is the definition of
the same name in the notebook of solutions.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dalle_edu.errors import ReaderError

POINTS = 3  # for each exercise; all are of about the same length


@dataclass(frozen=True)
class Exercise:
    """One exercise: `text` and `stub` for students, `answer` for the teacher, and how it is judged."""

    name: str  # of the function to write, "my_row_mask"
    module: str  # of dalle_edu.exercises, "masks"
    check: str  # a function of that module, "check_row_mask"
    text: str
    stub: str
    answer: str


@dataclass(frozen=True)
class Chapter:
    """A chapter as a course sees it: its notebook, its exercises, and what their answers may import."""

    number: str  # "07"
    slug: str  # "07-attention-masks"
    title: str
    imports: str
    exercises: tuple[Exercise, ...]

    @cached_property
    def points(self) -> int:
        """What a full set of right answers is worth."""
        return POINTS * len(self.exercises)


def read_chapter(notebook: Path, solutions: Path) -> Chapter:
    """Reads one chapter. Raises ReaderError where an exercise has no words, no check or no answer."""
    cells, answers = _cells(notebook), _cells(solutions) if solutions.is_file() else []
    imports, found = _imports(answers), []
    module = ""
    for place, (kind, source) in enumerate(cells):
        if kind != "code" or "NotImplementedError" not in source:
            continue
        tree = ast.parse(source)
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dalle_edu.exercises"):
                inside = node.module.removeprefix("dalle_edu.exercises").lstrip(".")
                module = inside or node.names[0].name
        stub = next((node for node in tree.body if isinstance(node, ast.FunctionDef)), None)
        check = re.findall(r"^(?:\w+\.)?(check_\w+)\((\w+)\)", source, re.M)
        if stub is None or not check or check[-1][1] != stub.name or not module:
            raise ReaderError(
                f"{notebook.name}: the exercise in cell {place} must define one function, raise "
                "NotImplementedError in it, and end in its check, check_name(my_name)."
            )
        answer = _answer(answers, stub.name)
        if answer is None:
            raise ReaderError(f"{solutions.name} has no answer {stub.name} to cell {place} of the chapter.")
        text = _statement(cells, place)
        found.append(
            Exercise(stub.name, module, check[-1][0], text, ast.get_source_segment(source, stub), answer)
        )
    lines = [line for kind, source in cells if kind == "markdown" for line in source.splitlines()]
    title = next(line for line in lines if line.startswith("# ")).removeprefix("# ")
    return Chapter(notebook.name[:2], notebook.stem, title, imports, tuple(found))


def read_book(book: Path) -> list[Chapter]:
    """All chapters of the book that have exercises, in reading order."""
    notebooks = sorted(book.glob("[0-9]*.ipynb"))
    chapters = [read_chapter(path, book / "solutions" / path.name) for path in notebooks]
    return [chapter for chapter in chapters if chapter.exercises]


def _cells(path: Path) -> list[tuple[str, str]]:
    import nbformat

    cells = nbformat.read(path, as_version=4).cells
    return [(cell.cell_type, cell.source) for cell in cells]


def _statement(cells: list[tuple[str, str]], place: int) -> str:
    """The words of the exercise: from its number, in bold, to the end of the nearest text cell before it."""
    before = next((source for kind, source in reversed(cells[:place]) if kind == "markdown"), "")
    start = [match.start() for match in re.finditer(r"^\*\*\d+\.", before, re.M)]
    return before[start[-1] :].strip() if start else before.strip()


def _imports(cells: list[tuple[str, str]]) -> str:
    """What the answers import, without this package: an exercise is written with PyTorch and Python alone."""
    nodes = [node for kind, source in cells if kind == "code" for node in ast.parse(source).body]
    lines = [ast.unparse(node) for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    own = [line for line in lines if "dalle_edu" not in line and "matplotlib" not in line]
    return "\n".join(dict.fromkeys(["import math", "import torch", *own]))


def _answer(cells: list[tuple[str, str]], name: str) -> str | None:
    """The definition of `name`, with what its cell defines before it and it needs, or None."""
    for kind, source in cells:
        if kind != "code" or f"def {name}(" not in source:
            continue
        body = ast.parse(source).body
        kept = [node for node in body if isinstance(node, (ast.FunctionDef, ast.Assign))]
        last = next(i for i, node in enumerate(kept) if getattr(node, "name", "") == name)
        needed = [node for node in kept[:last] if not _is_answer(node)] + [kept[last]]
        return "\n\n\n".join(ast.get_source_segment(source, node) for node in needed)
    return None


def _is_answer(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("my_")
