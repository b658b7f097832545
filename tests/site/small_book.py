"""A book with one chapter, which the tests of the site and of the printed book build."""

import base64
import shutil
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from dalle_edu.explore import Explorer
from dalle_edu.explore.figures import small_png

BOOK = Path(__file__).parents[2] / "book"


def a_chapter():
    """A chapter with an equation, a figure, a figure to touch, and a folded answer."""
    png = small_png(Image.new("RGB", (40, 20), "white"))
    explorer = Explorer(
        title="Touch", alt="A still.", data=[1], png=png, script="kit.el('button', {}, root, 'b');"
    )
    picture = new_output(
        "display_data",
        data={"image/png": base64.b64encode(png).decode(), "text/plain": "<Figure>"},
        metadata={"image/png": {"alt": "The alternative text of a figure.", "width": 20, "height": 10}},
    )
    touch = new_output(
        "display_data", data={"text/html": explorer._repr_html_(), "text/plain": repr(explorer)}
    )
    cells = [
        new_markdown_cell(
            "# A chapter\n\nThe bound is $\\ln p(x) \\ge \\mathcal{L}$, see (Kingma & Welling 2014)."
        ),
        new_code_cell("1 + 1", execution_count=1, outputs=[picture]),
        new_code_cell("touch", execution_count=2, outputs=[touch]),
        new_markdown_cell("<details><summary>Answer</summary>\n\nIt is *two*.\n\n</details>"),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def write_small_book(folder, *rooms):
    """The book's pages with one chapter only; `rooms` are folders of pages that it has besides."""
    for name in ("conf.py", "index.md", "installation.md"):
        shutil.copy(BOOK / name, folder)
    for name in ("appendix", "_static", *rooms):
        shutil.copytree(BOOK / name, folder / name)
    nbformat.write(a_chapter(), folder / "01-autoencoders.ipynb")
