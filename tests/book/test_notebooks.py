"""What every stored notebook promises, read from its file; that a new run agrees is for nbval to say."""

import re
from functools import cache
from pathlib import Path

import nbformat
import pytest

BOOK = Path(__file__).parents[2] / "book"
CHAPTERS = sorted(BOOK.glob("[0-9]*.ipynb"))
SOLUTIONS = sorted((BOOK / "solutions").glob("*.ipynb"))
UNCOMPARED = re.compile(r"^\s*#\s*(NBVAL_IGNORE_OUTPUT|NBVAL_SKIP|PYTEST_VALIDATE_IGNORE_OUTPUT)", re.I)
MACHINE_PATHS = re.compile(r"(/home/|/Users/|/root/|/tmp/|/work/|/mnt/|[A-Z]:\\\\?Users|site-packages)")
NETWORK = re.compile(
    r"""<(?:script|img|iframe|link|video|audio|source)\b[^>]*(?:src|href)\s*=\s*["']?(?:https?:)?//"""
    r"""|\bfetch\(|XMLHttpRequest|@import|\bimport\(|url\(\s*["']?(?:https?:)?//"""
)

pytestmark = pytest.mark.parametrize("path", CHAPTERS + SOLUTIONS, ids=lambda path: path.stem)


@cache
def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code" and cell.source.strip()]


def outputs(path):
    return [(cell, output) for cell in code_cells(path) for output in cell.outputs]


def test_it_is_a_valid_notebook_for_plain_python(path):
    nbformat.validate(read(path))
    assert read(path).metadata.kernelspec.name == "python3"


def test_every_cell_was_run_in_order_from_a_fresh_kernel(path):
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_stored_output_is_an_error_that_nobody_meant(path):
    for cell, output in outputs(path):
        if output.output_type == "error":
            assert "raises-exception" in cell.metadata.get("tags", []), cell.source


def test_nothing_was_written_to_standard_error(path):
    for cell, output in outputs(path):
        assert output.get("name") != "stderr", f"{cell.source}\nwrote:\n{output.text}"


def test_every_picture_has_alternative_text(path):
    for cell, output in outputs(path):
        for kind in output.get("data", {}):
            if kind.startswith("image/"):
                alt = output.metadata.get(kind, {}).get("alt", "")
                assert len(alt) >= 15, f"say show(alt=...) in the cell:\n{cell.source}"
        for image in re.findall(r"<img\b[^>]*>", str(output.get("data", {}).get("text/html", ""))):
            assert re.search(r'\balt="[^"]{15,}"', image), (
                f"an <img> without alternative text:\n{cell.source}"
            )


def test_pictures_in_the_prose_have_alternative_text(path):
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            assert "![](" not in cell.source, cell.source


def test_at_most_one_cell_in_ten_is_not_compared(path):
    cells = code_cells(path)
    tags = {"nbval-ignore-output", "nbval-skip"}
    loose = [
        cell for cell in cells if tags & set(cell.metadata.get("tags", [])) or UNCOMPARED.search(cell.source)
    ]
    assert len(loose) <= len(cells) / 10, "\n---\n".join(cell.source for cell in loose)


def test_no_output_names_a_place_on_the_machine_that_ran_it(path):
    for cell, output in outputs(path):
        shown = str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
        html = re.sub(r"base64,[\w+/=]+", "", str(output.get("data", {}).get("text/html", "")))
        assert not MACHINE_PATHS.search(shown + html), cell.source


def test_no_output_asks_the_network_for_anything(path):
    for cell, output in outputs(path):
        assert not NETWORK.search(str(output.get("data", {}).get("text/html", ""))), cell.source


def test_nothing_in_it_changes_when_it_runs_again(path):
    for cell in read(path).cells:
        assert "execution" not in cell.metadata, "run it without timings: make notebook NAME=..."
    for cell, output in outputs(path):
        assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {}), cell.source


def test_it_is_small_enough_to_open_quickly(path):
    assert path.stat().st_size < 6_000_000
