"""The explorers of chapter 12 in a real browser: a matrix of cosines, and the best of N."""

import json
import math

import pytest
import torch

from dalle_edu.explore import best_of_explorer, similarity_explorer

GENERATOR = torch.Generator().manual_seed(0)
PICTURES = torch.rand(20, 3, 16, 16, generator=GENERATOR)
COSINES = torch.rand(6, 6, generator=GENERATOR)
SCORES = torch.rand(20, generator=GENERATOR)
CAPTIONS = [f"caption number {i}" for i in range(6)]


@pytest.fixture(params=[1000, 360], ids=["wide", "phone"])
def open_it(browser, tmp_path, request):
    def opened(explorer):
        path = tmp_path / "explorer.html"
        head = '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        path.write_text(head + explorer._repr_html_(), encoding="utf-8")
        browser.open(path.as_uri(), width=request.param)
        live = browser.value("document.querySelector('.dalle-explorer').dataset.live")
        assert live == "yes", browser.errors
        assert browser.value("document.documentElement.scrollWidth") <= request.param
        return browser

    return opened


def said(browser):
    return browser.value("document.querySelector('.says').textContent")


@pytest.mark.parametrize(("row", "column"), [(0, 0), (2, 5), (5, 1)])
def test_a_click_on_a_cell_tells_its_caption_cosine_place_and_share(open_it, row, column):
    browser = open_it(similarity_explorer(COSINES, PICTURES[:6], CAPTIONS, scale=3.0))
    unit, gap = 24, 31
    wide, high = gap + 6 * unit + 3, 6 * unit + 4
    browser.click("svg", (gap + (column + 0.5) * unit) / wide, (2 + (row + 0.5) * unit) / high)
    text, thousandths = said(browser), (COSINES * 1000).round() / 1000
    place = int((COSINES[row] > COSINES[row, column]).sum()) + 1
    share = 100 * float((3 * thousandths[row]).softmax(0)[column])
    assert f"Its own caption: “{CAPTIONS[row]}”" in text and f"This cell: “{CAPTIONS[column]}”" in text
    assert f"place {place} of 6" in text
    shown = float(text.split("gives it ")[1].split(" %")[0])
    assert math.isclose(shown, share, abs_tol=0.06 if share < 10 else 0.6)


def test_arrows_move_the_cell_and_home_finds_the_nearest_caption(open_it):
    browser = open_it(similarity_explorer(COSINES, PICTURES[:6], CAPTIONS))
    cell = lambda: browser.value("document.querySelector('svg').dataset.cell").split(",")  # noqa: E731
    browser.value("document.querySelector('svg').focus()")
    row, column = map(int, cell())
    browser.key("ArrowDown")
    assert cell() == [str(min(5, row + 1)), str(column)]
    browser.key("Home")
    nearest = int(COSINES[min(5, row + 1)].argmax())
    assert cell()[1] == str(nearest)
    browser.key("End")
    assert cell() == [str(min(5, row + 1))] * 2


def test_the_slider_shows_the_winner_of_the_first_n_and_counts_the_right_ones(open_it):
    right = [i % 3 == 0 for i in range(20)]
    browser = open_it(best_of_explorer("a red star", PICTURES, SCORES, right=right, n=5))
    for n in (5, 6, 7):
        winner = int(SCORES[:n].argmax())
        verdict = "right" if right[winner] else "wrong"
        assert said(browser).startswith(f"Best of {n}: sample {winner + 1}, similarity {SCORES[winner]:.2f}")
        assert f"the judge says: {verdict}. Right among these {n}: {sum(right[:n])}." in said(browser)
        faded = "[...document.querySelectorAll('[title^=sample]')].filter(t => t.style.opacity < 1).length"
        assert browser.value(faded) == 20 - n
        browser.value("document.querySelector('input[type=range]').focus()")
        browser.key("ArrowRight")
    assert json.loads(browser.value("JSON.stringify(document.querySelector('input').max)")) == "20"
