"""A term of the text lights up its part of a figure: by mouse, keyboard and finger."""

import re
from pathlib import Path

import nbformat
import pytest
import torch

from dalle_edu.explore.six_words import word_attention_explorer

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
WORDS = ["a", "red", "cup"]


def term(part, words):
    return f"<span class='term' data-lights='{part}'>{words}</span>"


@pytest.fixture
def page(tmp_path):
    """A paragraph before a figure to touch, and another figure of the same kind after it."""
    figures = [
        word_attention_explorer(WORDS, torch.eye(3), scale * torch.eye(3), torch.eye(3))._repr_html_()
        for scale in (1, 2)
    ]
    text = f"<p>The {term('query', 'query')}, its {term('weights', 'weights')}, "
    text += f"the {term('nothing', 'unknown')} <a href='#'>link</a>.</p>"
    style = (BOOK / "_static" / "book.css").read_text(encoding="utf-8")
    script = (BOOK / "_static" / "terms.js").read_text(encoding="utf-8")
    path = tmp_path / "page.html"
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Terms</title>'
    head += f'<meta name="viewport" content="width=device-width"><style>{style}</style>'
    filling = "<p style='height:1500px'></p>"
    path.write_text(
        f"{head}<script>{script}</script><body>{text}{''.join(figures)}{filling}", encoding="utf-8"
    )
    return path.as_uri()


def lit(browser):
    """For each figure, what is lit in it."""
    return browser.value(
        "[...document.querySelectorAll('.dalle-explorer')].map((figure) =>"
        " [...figure.querySelectorAll('.lit')].map((part) => part.dataset.part))"
    )


def test_while_the_mouse_is_over_a_term_its_part_of_the_next_figure_is_lit(browser, page):
    browser.open(page)
    assert lit(browser) == [[], []]
    browser.page.get_by_role("button", name="weights").hover()
    assert lit(browser) == [["weights"] * 3, []]
    outline = "getComputedStyle(document.querySelector('.lit')).outlineStyle"
    assert browser.value(outline) == "double"  # a frame, and not a colour
    browser.page.get_by_role("button", name="query").hover()
    assert lit(browser) == [["query"], []]
    assert browser.value("document.querySelector('.lit').textContent") == "cup"
    assert browser.value(outline) == "double"  # though the word that reads has a frame already
    browser.page.mouse.move(5, 700)
    assert lit(browser) == [[], []]


def test_the_keyboards_focus_lights_as_the_mouse_does(browser, page):
    browser.open(page)
    browser.key("Tab")
    assert lit(browser) == [["query"], []]
    browser.key("Tab")
    assert lit(browser) == [["weights"] * 3, []]
    browser.key("Tab")
    assert lit(browser) == [[], []]
    # A term that no figure of the page shows is a word: the focus went past it.
    assert browser.value("document.activeElement.textContent") == "link"


def test_the_focus_keeps_a_part_lit_that_the_mouse_has_left(browser, page):
    browser.open(page)
    browser.key("Tab")
    browser.page.get_by_role("button", name="query").hover()
    browser.page.mouse.move(5, 700)
    assert lit(browser) == [["query"], []]


def test_a_tap_lights_and_brings_a_part_that_is_out_of_sight(browser, page):
    browser.open(page, width=390, height=300, touch=True)
    seen = "document.querySelector('.lit').getBoundingClientRect()"
    browser.tap(".term[data-lights=weights]")
    browser.wait_for("document.querySelector('.lit')")
    assert lit(browser) == [["weights"] * 3, []]
    assert browser.value(f"{seen}.top") >= 0 and browser.value(f"{seen}.bottom") <= 300


def test_the_keyboards_focus_brings_a_part_that_is_out_of_sight(browser, page):
    browser.open(page, width=390, height=300)
    browser.value("document.querySelector('.dalle-explorer').style.marginTop = '900px'")
    browser.key("Tab")
    browser.key("Tab")
    assert lit(browser) == [["weights"] * 3, []]
    box = "document.querySelector('.lit').getBoundingClientRect()"
    assert browser.value(f"{box}.top") >= 0 and browser.value(f"{box}.bottom") <= 300


def test_every_term_of_the_book_names_a_part_of_a_figure():
    texts = [page.read_text(encoding="utf-8") for page in BOOK.glob("*.md")]
    for path in [*BOOK.glob("[0-9]*.ipynb"), *(BOOK / "solutions").glob("*.ipynb")]:
        cells = nbformat.read(path, as_version=4).cells
        texts += [cell.source for cell in cells if cell.cell_type == "markdown"]
    terms = {name for text in texts for name in re.findall(r"\]\(#part-([\w-]+)\)", text)}
    figures = [*(ROOT / "dalle_edu" / "explore").glob("*.js"), BOOK / "_static" / "map.svg"]
    sources = "".join(path.read_text(encoding="utf-8") for path in figures)
    lists = re.findall(r"PARTS = \[([^\]]*)\]", sources)
    parts = set(re.findall(r"(?:data-part=|'data-part': |dataset\.part = )[\"']([\w-]+)[\"']", sources))
    parts |= set(re.findall(r"'([\w-]+)'", "".join(lists))) | {"query"}
    assert terms and terms <= parts, terms - parts
