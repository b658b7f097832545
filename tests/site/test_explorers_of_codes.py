"""The explorers of chapters 3 and 5 in a real browser: what a mouse and a keyboard find in a codebook."""

import json

import pytest
import torch

from dalle_edu.dvae import DiscreteVAE, DiscreteVAEConfig
from dalle_edu.explore import codebook_explorer, rewrite_explorer

COLOUR = torch.rand(20, 3, generator=torch.Generator().manual_seed(0))
TOKENS = torch.randint(
    0, 15, (2, 4, 5), generator=torch.Generator().manual_seed(1)
)  # codes 15 to 19 are dead


def decode(tokens):
    return COLOUR[tokens].movedim(-1, 1).repeat_interleave(4, 2).repeat_interleave(4, 3)


@pytest.fixture(params=[1000, 360], ids=["wide", "phone"])
def codebook(browser, tmp_path, request):
    explorer = codebook_explorer(decode, decode(TOKENS), TOKENS, vocabulary=20, codebook=COLOUR)
    show(browser, tmp_path, explorer, request.param)
    return json.loads(explorer.json)


def show(browser, tmp_path, explorer, width=1000):
    path = tmp_path / "explorer.html"
    head = '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    path.write_text(head + explorer._repr_html_(), encoding="utf-8")
    browser.open(path.as_uri(), width=width)
    assert browser.value("document.querySelector('.dalle-explorer').dataset.live") == "yes", browser.errors


def said(browser):
    return browser.value("document.querySelector('[aria-live]').textContent")


def focus(browser, selector):
    browser.value(f"document.querySelector({json.dumps(selector)}).focus()")


def arrow(browser, side, times=1):
    browser.key(f"Arrow{side}", times)


# ---- chapter 3: the codebook

GALLERY, FIRST = "svg[aria-label^='the codes']", "svg[aria-label^='picture 1']"


def frames(browser, selector):
    """How many places are framed in this picture; each frame is two rectangles, light and dark."""
    return browser.value(f"document.querySelectorAll({json.dumps(selector + ' .mark')}).length") / 2


def test_it_says_how_often_the_chosen_code_occurs_and_frames_every_place(browser, codebook):
    start = codebook["start"]
    times = int((start == TOKENS).sum())
    assert said(browser).startswith(f"code {start}: {times} of 40 tokens; {times} times")
    assert frames(browser, FIRST) == int((TOKENS[0] == start).sum())
    assert frames(browser, GALLERY) == 1


@pytest.mark.parametrize(("row", "column"), [(0, 0), (2, 3), (3, 4)])
def test_a_click_into_a_picture_asks_for_the_code_that_sits_there(browser, codebook, row, column):
    browser.click(FIRST, (2 + 24 * (column + 0.5)) / (5 * 24 + 4), (2 + 24 * (row + 0.5)) / (4 * 24 + 4))
    assert said(browser).startswith(f"code {int(TOKENS[0, row, column])}: ")
    assert frames(browser, FIRST) == int((TOKENS[0] == TOKENS[0, row, column]).sum())


def test_arrow_keys_walk_through_the_codes_by_use_and_stop_at_the_end(browser, codebook):
    focus(browser, GALLERY)
    arrow(browser, "Left", 20)
    assert said(browser).startswith(f"code {codebook['order'][0]}: ")
    arrow(browser, "Right")
    assert said(browser).startswith(f"code {codebook['order'][1]}: ")
    arrow(browser, "Down", 3)  # rows of 16 and 4: the last code, which is dead
    assert said(browser).startswith(f"code {codebook['order'][19]}: 0 of 40 tokens; 0 times")
    assert frames(browser, FIRST) == 0


def test_arrow_keys_walk_over_a_picture(browser, codebook):
    focus(browser, FIRST)
    arrow(browser, "Right", 2)
    arrow(browser, "Down")
    assert said(browser).startswith(f"code {int(TOKENS[0, 1, 2])}: ")
    arrow(browser, "Right", 9)
    assert said(browser).startswith(f"code {int(TOKENS[0, 1, 4])}: ")


def test_the_neighbours_are_the_nearest_codes_and_can_be_chosen(browser, codebook):
    chosen = codebook["start"]
    labels = browser.value("[...document.querySelectorAll('.live button')].map(b => b.ariaLabel)")
    nearest = (COLOUR - COLOUR[chosen]).norm(dim=1).argsort()[:8]
    assert labels == [f"code {code}" for code in nearest.tolist()]
    focus(browser, f"button[aria-label='{labels[1]}']")
    browser.key("Enter")
    assert said(browser).startswith(f"{labels[1]}: ")
    assert browser.value("document.activeElement.tagName") == "BUTTON"  # the focus is kept


# ---- chapter 5: rewrite a token

CANVAS = "canvas[tabindex]"


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    config = DiscreteVAEConfig(
        image_size=16, vocabulary=32, patch_size=4, groups=1, hidden=8, decoder_input=8, patch_codebook=True
    )  # begins with a random patch for each code, so that any two codes look different
    return DiscreteVAE(config).eval()


@pytest.fixture(params=[1000, 360], ids=["wide", "phone"])
def rewriting(browser, tmp_path, request, vae):
    image = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1))
    explorer = rewrite_explorer(vae, image)
    show(browser, tmp_path, explorer, request.param)
    browser.wait_for(f"[...{drawn(None)}].some(v => v > 0)")
    return json.loads(explorer.json)


def drawn(inside):
    """JavaScript for the canvas's colours: all, or those of one token, `(row, column)`, without its frame."""
    where = "0, 0, c.width, c.height"
    if inside:
        row, column = inside
        where = f"{column} * c.width / 4 + 8, {row} * c.height / 4 + 8, c.width / 4 - 16, c.height / 4 - 16"
    return (
        f"(function (c) {{ return c.getContext('2d').getImageData({where}).data; }})"
        f"(document.querySelector({json.dumps(CANVAS)}))"
    )


def colours(browser, row, column):
    return browser.value(f"[...{drawn((row, column))}]")


BUTTONS = {"own": "the picture’s own", "next": "next most probable", "stranger": "any other code"}


def press(browser, word):
    """Presses the first button of this kind."""
    buttons = "[...document.querySelectorAll('.live button')]"
    index = browser.value(f"{buttons}.findIndex(b => b.textContent.startsWith('{BUTTONS[word]}'))")
    browser.click(f".live button:nth-child({index + 1})")


def test_another_code_changes_the_picture_and_the_own_code_brings_it_back(browser, rewriting):
    focus(browser, CANVAS)
    browser.click(CANVAS, 5 / 8, 5 / 8)
    before = colours(browser, 2, 2)
    place = 2 * 4 + 2
    press(browser, "stranger")
    assert f"code {rewriting['others'][place][rewriting['runnersUp']]}, a stranger" in said(browser)
    assert colours(browser, 2, 2) != before
    press(browser, "own")
    assert f"code {rewriting['tokens'][place]}, its own" in said(browser)
    assert colours(browser, 2, 2) == before


@pytest.mark.parametrize("word", ["own", "next", "stranger"])
def test_the_canvas_shows_what_the_decoder_draws(browser, rewriting, vae, word):
    browser.click(CANVAS, 7 / 8, 3 / 8)  # row 2, column 4
    press(browser, word)
    tokens = torch.tensor(rewriting["tokens"])
    others = rewriting["others"][7]
    tokens[7] = {"own": tokens[7], "next": others[0], "stranger": others[rewriting["runnersUp"]]}[word]
    picture = vae.decode(tokens.reshape(1, 4, 4))[0]
    shown = torch.tensor(browser.value(f"[...{drawn(None)}]")).reshape(256, 256, 4)[8::16, 8::16, :3] / 255
    error = (shown.permute(2, 0, 1) - picture).abs()  # not zero: the sheet may be stored with 256 colours
    assert error.mean() < 0.05 and error[:, 4:8, 12:].mean() < 0.05  # another code's patch: about 0.3


def test_a_click_and_the_arrow_keys_choose_a_token(browser, rewriting):
    browser.click(CANVAS, 1 / 8, 5 / 8)
    assert said(browser).startswith(f"Row 3, column 1: code {rewriting['tokens'][8]}, its own")
    arrow(browser, "Left")
    assert said(browser).startswith("Row 3, column 1")
    arrow(browser, "Right", 2)
    arrow(browser, "Up", 5)
    assert said(browser).startswith(f"Row 1, column 3: code {rewriting['tokens'][2]}, its own")


def test_it_opens_with_a_token_changed_and_the_buttons_say_which_code_is_on(browser, rewriting):
    pressed = "[...document.querySelectorAll('.live button')].map(b => b.getAttribute('aria-pressed'))"
    assert browser.value(pressed) == ["false"] * len(rewriting["others"][0]) + ["true"]
    press(browser, "own")
    assert browser.value(pressed) == ["true"] + ["false"] * len(rewriting["others"][0])
    press(browser, "next")
    assert browser.value(pressed)[:2] == ["false", "true"]
