"""The explorer of computed scores in a real browser: keys change the picture, and what is said is counted."""

import pytest

from dalle_edu.explore import tile_explorer
from dalle_edu.masks import mask_entries
from dalle_edu.sparse import work

SAYS = "document.querySelector('.says').textContent"
DARK = """(function () {
    var c = document.querySelector('canvas.tiles'), dark = 0, light = 0;
    var p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
    for (var i = 0; i < p.length; i += 4) { if (p[i] < 100) dark++; else if (p[i + 2] < 250) light++; }
    return [dark, light];
})()"""


@pytest.fixture
def open_explorer(browser, tmp_path):
    path = tmp_path / "page.html"
    page = tile_explorer(sides=(8, 12), text_length=4, largest=16)._repr_html_()
    path.write_text(f'<!doctype html><meta charset="utf-8"><body>{page}', encoding="utf-8")
    browser.open(path.as_uri())
    return browser


def test_it_says_and_draws_what_the_library_counts(open_explorer):
    kind, grid = "row", (12, 12)
    counted, needed = work(kind, 4, grid).scores, mask_entries(kind, 4, grid)
    assert f"needs {needed:,} scores" in open_explorer.value(SAYS)
    assert f"{counted:,} are computed" in open_explorer.value(SAYS)
    dark, light = open_explorer.value(DARK)
    assert dark == needed
    assert dark + light == counted - 12 * 12  # the first row's keys above the picture do not exist


def test_the_keyboard_reaches_form_and_size(open_explorer):
    open_explorer.key("Tab", 2)
    open_explorer.key("ArrowUp", 1)  # from "in blocks" to "gathered"
    assert "No score is wasted" in open_explorer.value(SAYS)
    open_explorer.key("Tab", 1)
    open_explorer.key("ArrowLeft", 1)
    assert "8 x 8" in open_explorer.value(SAYS)
    assert open_explorer.value(DARK)[0] == mask_entries("row", 4, (8, 8))
