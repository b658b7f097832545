"""What a reader meets on a page: short lines and texts, measured numbers, figures to touch, one notation."""

import ast
import re
from functools import cache
from pathlib import Path

import nbformat
import pytest

BOOK = Path(__file__).parents[2] / "book"
CHAPTERS = sorted(BOOK.glob("[0-9]*.ipynb"))
SOLUTIONS = sorted((BOOK / "solutions").glob("*.ipynb"))
WIDTH, WORDS, EXPLORERS = 100, 250, 2


@cache
def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def parsed(cell):
    return ast.parse(re.sub(r"(?m)^(\s*)[%!]", r"\1#", cell.source))  # magics are no Python


def is_exercise(cell):
    """A cell for the reader's answer, or a solution with its check: both say whether the answer is right."""
    return "NotImplementedError" in cell.source or re.search(r"\bcheck_\w+\(", cell.source) is not None


def printed(cell):
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.text
        elif "image/png" not in output.get("data", {}) and "text/html" not in output.get("data", {}):
            yield output.get("data", {}).get("text/plain", "")


every_notebook = pytest.mark.parametrize(
    "path", CHAPTERS + SOLUTIONS, ids=lambda path: f"{path.parent.name}-{path.stem}"
)
every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


@every_notebook
def test_no_line_of_code_is_wider_than_a_page(path):
    wide = [line for cell in code_cells(path) for line in cell.source.splitlines() if len(line) > WIDTH]
    assert not wide, "\n".join(wide)


@every_notebook
def test_no_text_cell_is_longer_than_one_breath(path):
    texts = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
    long = [f"{len(text.split())} words: {text[:80]}" for text in texts if len(text.split()) > WORDS]
    assert not long, "\n".join(long)


@every_notebook
def test_no_tuple_stands_for_several_statements(path):
    for cell in code_cells(path):
        for node in ast.walk(parsed(cell)):
            # A tuple at the end of a cell shows its values; one that calls things only hides lines.
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Tuple):
                calls = any(isinstance(part, ast.Call) for part in node.value.elts)
                assert not calls, ast.unparse(node)


@every_notebook
def test_cells_show_measured_values_and_no_verdicts(path):
    for cell in code_cells(path):
        if not is_exercise(cell):
            for text in printed(cell):
                assert not re.search(r"\b(True|False)\b", text), f"{cell.source}\nprinted:\n{text}"


@every_notebook
def test_texts_of_figures_stand_out_of_the_way_of_code(path):
    for cell in code_cells(path):
        assert not re.search(r"\bshow\(\s*alt=", cell.source), cell.source
        if "figure_texts(" in cell.source:
            assert cell.metadata.get("jupyter", {}).get("source_hidden"), "fold the cell with figure_texts"
            assert "remove-input" in cell.metadata.get("tags", []), "give it the tag remove-input"


@every_notebook
def test_every_figure_is_described_in_a_sentence(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                assert len(output.metadata.get("image/png", {}).get("alt", "").split()) >= 4, cell.source
            for image in re.findall(r"<img\b[^>]*>", str(data.get("text/html", ""))):
                assert re.search(r'\balt="[^"]{15,}"', image), cell.source


@every_chapter
def test_a_chapter_from_the_first_on_has_two_figures_to_touch(path):
    if path.stem.startswith("00"):
        return
    pages = [
        str(output.get("data", {}).get("text/html", ""))
        for cell in code_cells(path)
        for output in cell.outputs
    ]
    touched = sum("dalle-explorer" in page for page in pages)
    assert touched >= EXPLORERS, f"{touched} figures to touch"


@every_chapter
def test_a_chapter_opens_with_the_readers_place_in_the_whole(path):
    head = "\n".join(cell.source for cell in read(path).cells[:8])
    assert f"plot_map({int(path.stem[:2])})" in head, "plot_map(n) and show() near the chapter's head"


@every_notebook
def test_logarithms_and_divergences_are_written_as_on_the_notation_page(path):
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"\\log(?!_)", cell.source), f"the natural logarithm is ln:\n{cell.source}"
            assert not re.search(r"D_\{?(KL|\\mathrm)", cell.source), f"write KL(q || p):\n{cell.source}"
