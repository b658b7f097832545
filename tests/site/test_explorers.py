"""Explorers in a real browser: they come alive without a network, obey the keyboard, and fit a phone."""

import json
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from dalle_edu.explore import Explorer
from dalle_edu.explore.figures import small_png

BOOK = Path(__file__).parents[2] / "book"
FOCUSABLE = "a[href], button, select, input, textarea, summary, [tabindex]"
COUNTER = """
var out = kit.el('p', {class: 'count'}, root);
function count(v) { out.textContent = data.word + v; }
kit.slider(root, {label: 'How many', min: 0, max: 5, value: 2, change: count});
kit.choice(root, {label: 'Which', options: ['one', 'two'], change: function (i) { root.chosen = i; }});
"""


def page(tmp_path, *fragments, theme=""):
    path = tmp_path / "page.html"
    head = f'<!doctype html><html{theme}><meta charset="utf-8">'
    head += '<meta name="viewport" content="width=device-width">'
    path.write_text(head + "<body>" + "\n".join(fragments), encoding="utf-8")
    return path.as_uri()


def counter(**changes):
    png = small_png(Image.new("RGB", (1300, 40), "white"))
    given = {"title": "A counter", "alt": "Counts.", "data": {"word": "now "}, "script": COUNTER, "png": png}
    return Explorer(**(given | changes))._repr_html_()


def test_an_explorer_comes_alive_and_hides_its_still_picture(browser, tmp_path):
    browser.open(page(tmp_path, counter()))
    assert browser.value("document.querySelector('.dalle-explorer').dataset.live") == "yes"
    assert browser.value("document.querySelector('.still').offsetHeight") == 0
    assert browser.value("document.querySelector('.count').textContent") == "now 2"
    assert browser.errors == []


def test_the_same_explorer_shown_twice_lives_twice(browser, tmp_path):
    browser.open(page(tmp_path, counter(), counter()))
    assert browser.value("document.querySelectorAll('[data-live=yes] .count').length") == 2


def test_an_explorer_inserted_later_as_jupyterlab_does_comes_alive(browser, tmp_path):
    browser.open(page(tmp_path, "<div id=host></div>"))
    browser.value(f"""
        (function () {{
          var host = document.createElement('div');
          host.innerHTML = {json.dumps(counter())};
          host.querySelectorAll('script').forEach(function (old) {{
            var fresh = document.createElement('script');
            for (var a of old.attributes) fresh.setAttribute(a.name, a.value);
            fresh.textContent = old.textContent;
            old.replaceWith(fresh);
          }});
          document.getElementById('host').append(host);
        }})()""")
    assert browser.value("document.querySelectorAll('[data-live=yes] .count').length") == 1


def test_an_explorer_obeys_the_keyboard(browser, tmp_path):
    browser.open(page(tmp_path, counter()))
    browser.key("Tab")
    assert browser.value("document.activeElement.type") == "range"
    browser.key("ArrowRight")
    browser.key("ArrowRight")
    assert browser.value("document.querySelector('.count').textContent") == "now 4"
    assert browser.value("document.activeElement.getAttribute('aria-valuetext')") == "4"


def test_a_broken_explorer_keeps_its_still_picture(browser, tmp_path):
    browser.open(page(tmp_path, counter(script="throw new Error('broken');")))
    assert browser.value("document.querySelector('.still img').offsetHeight") > 0
    assert browser.value("document.querySelectorAll('.live').length") == 0
    assert "broken" in browser.errors[0]


def test_text_that_looks_like_markup_stays_text(browser, tmp_path):
    bad = "</script><script>document.title='taken'</script>"
    browser.open(page(tmp_path, counter(data={"word": bad}, title=bad, alt=bad)))
    assert browser.value("document.title") != "taken"
    assert browser.value("document.querySelector('.count').textContent") == bad + "2"


@pytest.mark.parametrize("theme", ["", ' data-theme="dark"'])
def test_words_stand_out_from_their_ground_in_the_light_and_in_the_dark(browser, tmp_path, theme):
    browser.open(page(tmp_path, counter(), theme=theme))
    ink, paper = (
        browser.value(f"getComputedStyle(document.querySelector('.dalle-explorer')).{name}")
        for name in ("color", "backgroundColor")
    )
    assert contrast(ink, paper) > 7


def contrast(one, other):
    """The contrast ratio of two CSS colours, as WCAG 2.1 defines it."""

    def luminance(colour):
        parts = [int(part) / 255 for part in colour[4:-1].split(",")]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def stored_explorers(path):
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            html = output.get("data", {}).get("text/html", "")
            if "data-explorer" in html:
                yield html


CHAPTERS = sorted(BOOK.glob("[0-9]*.ipynb")) + sorted((BOOK / "solutions").glob("*.ipynb"))
WITH_EXPLORERS = [path for path in CHAPTERS if any(stored_explorers(path))]


@pytest.mark.parametrize("width", [1000, 360])
@pytest.mark.parametrize("path", WITH_EXPLORERS, ids=lambda path: path.stem)
def test_every_explorer_of_the_book_lives_offline_and_can_be_reached_by_keyboard(
    browser, tmp_path, path, width
):
    explorers = list(stored_explorers(path))
    browser.open(page(tmp_path, *explorers), width=width)
    assert browser.value("document.querySelectorAll('[data-live=yes]').length") == len(explorers), (
        browser.errors
    )
    assert browser.errors == []
    assert not [
        address for address in browser.requests if not address.startswith(("file:", "data:", "blob:"))
    ]
    reachable = (
        f"[...document.querySelectorAll('.live')].every(e => e.querySelector({json.dumps(FOCUSABLE)}))"
    )
    assert browser.value(reachable)
    assert browser.value("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"
