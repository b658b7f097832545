"""Markup in captions, prompts and file names stays text, in the figures to touch and in exported
notebooks."""

import html
from html.parser import HTMLParser

import nbformat
import numpy as np
import pytest
from nbconvert import HTMLExporter
from toy import loaded_model

from dalle_edu.explore import explorer
from dalle_edu.explore.explorer import Explorer
from dalle_edu.explore.figures import small_png

EVIL = [
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "' onmouseover='alert(1)",
    "{title}{0}",
    "&lt;b&gt;",
]


class Elements(HTMLParser):
    """Which elements a page has, with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def png():
    from PIL import Image

    return small_png(Image.fromarray(np.zeros((4, 4, 3), np.uint8)))


def page(text):
    return Explorer(title=text, alt=text, data={"caption": text, text: [text]}, script="root.id;", png=png())


@pytest.mark.parametrize("text", EVIL)
def test_markup_in_a_prompt_stays_text_in_every_page(text):
    plain = Elements(page("plain")._repr_html_()).found
    made = Elements(page(text)._repr_html_()).found
    assert [(tag, sorted(attributes)) for tag, attributes in made] == [(t, sorted(a)) for t, a in plain]
    assert any(attributes.get("alt") == text for _, attributes in made)
    assert html.escape(text) in page(text)._repr_html_()


@pytest.mark.parametrize("text", EVIL)
def test_a_drawing_of_markup_is_a_picture_with_text_beside_it(text):
    import dataclasses

    drawing = dataclasses.replace(loaded_model().draw("a red circle", samples=1), prompt=text)
    assert not hasattr(drawing, "_repr_html_")
    content, metadata = drawing._repr_png_()
    import base64

    output = nbformat.v4.new_output(
        "display_data", {"image/png": base64.b64encode(content).decode(), "text/plain": repr(drawing)},
        metadata={"image/png": metadata},
    )  # fmt: skip
    cell = nbformat.v4.new_code_cell("model.draw(...)", outputs=[output])
    page = HTMLExporter(template_name="lab").from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))[0]
    pictures = [attributes for tag, attributes in Elements(page).found if tag == "img"]
    assert len(pictures) == 1 and "onerror" not in pictures[0] and "onmouseover" not in pictures[0]
    assert not any("onload" in attributes for _, attributes in Elements(page).found)
    assert "alert(1)</script>" not in page


def test_the_explorers_of_the_book_build_their_html_in_one_place():
    """Every figure to touch is an `Explorer`; what it says in the browser is set as text, not as markup."""
    from pathlib import Path

    folder = Path(explorer.__file__).parent
    for path in [*folder.glob("*.py"), *folder.glob("*.js")]:
        text = path.read_text(encoding="utf-8")
        assert "_repr_html_" not in text or path.name in ("explorer.py", "__init__.py"), path.name
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert word not in text, f"{path.name} uses {word}"
