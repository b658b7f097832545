"""Every explorer by finger, without a loud film, with less movement, and under axe's eyes, light and dark."""

import json

import pytest
import torch
from toy import loaded_model

from dalle_edu.configs import read_config
from dalle_edu.explore import (
    best_of_explorer,
    budget_explorer,
    dials_explorer,
    film_explorer,
    latent_explorer,
    mask_explorer,
    scale_explorer,
    similarity_explorer,
    simplex_explorer,
    tile_explorer,
    token_loss_explorer,
)
from dalle_edu.masks import attention_mask

GENERATOR = torch.Generator().manual_seed(0)
PICTURES = torch.rand(6, 3, 8, 8, generator=GENERATOR)
NATS = torch.tensor([[[0.1, 0.2, 3.0], [0.0, 0.5, 4.0]]])
CODES = torch.randn(6, 2, generator=GENERATOR)


def decode(latents):
    colour = torch.stack([latents[:, 0], latents[:, 1], 0 * latents[:, 0]], dim=1) / 5 + 0.5
    return colour[:, :, None, None].expand(-1, -1, 8, 8)


MAKE = {
    "film": lambda: film_explorer(loaded_model(), "a red circle", torch.arange(16)),
    "dials": lambda: dials_explorer(loaded_model(), "a red circle", torch.arange(16), [3, 9]),
    "latent": lambda: latent_explorer(decode, CODES, PICTURES, kinds=["a", "b"] * 3, steps=5),
    "masks": lambda: mask_explorer(attention_mask("row", 6, (4, 4)), (4, 4), 6),
    "similarity": lambda: similarity_explorer(torch.eye(6), PICTURES, [f"caption {i}" for i in range(6)]),
    "simplex": lambda: simplex_explorer([1.0, 0.5, 0.0]),
    "tiles": lambda: tile_explorer(sides=(8, 12), text_length=4, largest=16),
    "token losses": lambda: token_loss_explorer(["a"], PICTURES[:1], {"model": NATS}),
    "budget": lambda: budget_explorer(read_config("paper-12b")),
    "scales": lambda: scale_explorer([torch.rand(50, generator=GENERATOR) * 2.0**-k for k in (0, 9, 30)]),
    "best of": lambda: best_of_explorer("a star", PICTURES, torch.rand(6, generator=GENERATOR), n=3),
}


@pytest.fixture
def show(browser, tmp_path):
    def opened(name, dark=False, **settings):
        path = tmp_path / "page.html"
        theme = ' data-theme="dark"' if dark else ""
        head = f'<!doctype html><html lang="en"{theme}><meta charset="utf-8"><title>An explorer</title>'
        head += '<meta name="viewport" content="width=device-width">'
        body = f"<body><main><h1>An explorer</h1>{MAKE[name]()._repr_html_()}</main>"
        path.write_text(head + body, encoding="utf-8")
        browser.open(path.as_uri(), dark=dark, **settings)
        assert browser.errors == []
        return browser

    return opened


def said(browser):
    return browser.value("document.querySelector('.says').textContent")


@pytest.mark.parametrize("name", MAKE)
def test_axe_finds_nothing_serious_in_the_light_and_in_the_dark(show, name):
    for dark in (False, True):
        browser = show(name, dark=dark, width=390)
        assert not [fault["id"] for fault in browser.serious_faults(".dalle-explorer")]
        assert browser.value("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize(
    ("name", "selector", "place", "words"),
    [
        ("masks", ".board:not(.matrix)", (0.25, 0.97), "row 4, column 2"),
        ("token losses", "svg[tabindex]", (0.5, 0.25), "Row 0, column 1: 0.20 nats"),
        ("similarity", "svg[tabindex]", (0.95, 0.1), "caption 5"),
        ("latent", "[role=application]", (0.99, 0.01), "(2.50, 2.50)"),
    ],
)
def test_a_tap_chooses_and_a_finger_that_moves_up_scrolls_the_page(show, name, selector, place, words):
    browser = show(name, width=390)
    assert browser.value(f"getComputedStyle(document.querySelector('{selector}')).touchAction") == "pan-y"
    browser.tap(selector, *place)
    assert words in said(browser)


def test_a_film_plays_in_silence_and_speaks_when_it_stands(show):
    browser = show("film")
    live = "document.querySelector('.says').getAttribute('aria-live')"
    shown = "Number(document.querySelector('input[type=range]').value)"
    assert browser.value(live) == "polite"
    before = browser.value(shown)
    browser.page.get_by_role("button", name="Play").click()
    assert browser.value(live) == "off"
    browser.wait_for(f"{shown} > {before}")
    # Paused, or at its end, it speaks again.
    browser.wait_for("document.querySelector('.says').getAttribute('aria-live') === 'polite'")
    assert "All 16 tokens are drawn" in said(browser)


def test_for_readers_who_want_less_movement_the_film_goes_slowly(show):
    browser = show("film", reduced_motion="reduce")
    shown = "Number(document.querySelector('input[type=range]').value)"
    before = browser.value(shown)
    browser.page.get_by_role("button", name="Play").click()
    browser.page.wait_for_timeout(400)
    assert browser.value(shown) == before
    browser.wait_for(f"{shown} == {before} + 1")


def test_the_film_opens_on_a_hesitation_and_goes_to_the_next_one(show):
    browser = show("film")
    data = json.loads(browser.value("document.querySelector('script.data').textContent"))
    at = browser.value("Number(document.querySelector('input[type=range]').value)")
    firsts = [share[0] for share in data["share"]]
    assert firsts[at] == min(firsts[len(firsts) // 4 :])
    browser.page.get_by_role("button", name="Next hesitation").click()
    behind = [place % 16 for place in range(at + 1, at + 17) if firsts[place % 16] < 500]
    assert browser.value("Number(document.querySelector('input[type=range]').value)") == behind[0]


def test_the_dials_open_at_the_place_with_the_highest_entropy(show):
    browser = show("dials")
    data = json.loads(browser.value("document.querySelector('script.data').textContent"))
    bits = torch.distributions.Categorical(logits=torch.tensor(data["logits"]) / 100).entropy()
    assert data["start"] == int(bits.argmax())
    assert f"Entropy: {float(bits.max() / torch.log(torch.tensor(2.0))):.2f} bits" in said(browser)
