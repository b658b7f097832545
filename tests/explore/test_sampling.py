"""The figures of chapter 11: one step in slow motion, and the dials; their numbers are the model's own."""

import json
import math
import re

import matplotlib.pyplot as plt
import pytest
import torch
from toy import loaded_model

from dalle_edu.errors import ReaderError
from dalle_edu.explore import (
    dials_explorer,
    next_token_step,
    plot_candidates,
    plot_dials,
    plot_logits,
    plot_one_step,
)
from dalle_edu.sampling import adjust_logits

PROMPT = "a red circle"


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    plt.close("all")


def test_one_step_gives_the_logits_of_the_model_and_the_state_of_every_layer():
    model = loaded_model()
    step = next_token_step(model, PROMPT, [5, 7])
    with torch.inference_mode():
        wanted = model.dalle(model.encode_text(PROMPT), torch.tensor([[5, 7]]))[1][0, -1]
    assert torch.allclose(step.logits, wanted, atol=1e-6)
    assert step.states.shape == (4, 16)  # three layers, and what goes in
    embedded = model.dalle.embed_image(torch.tensor([[5, 7]]))[0, -1]
    assert torch.allclose(step.states[0], embedded)
    assert len(step.pieces) + step.padding == 16 and "".join(step.pieces).strip() == PROMPT


@pytest.mark.parametrize(
    "tokens, words", [([], "0 image tokens"), ([1] * 16, "1 to 15"), ([32], "0 to 31"), ([-1], "0 to 31")]
)
def test_tokens_that_cannot_be_are_refused(tokens, words):
    with pytest.raises(ReaderError, match=words):
        next_token_step(loaded_model(), PROMPT, tokens)


def test_the_figure_of_one_step_names_its_pieces_its_token_and_what_is_drawn():
    model = loaded_model()
    step = next_token_step(model, PROMPT, [7])
    drawn = int(step.logits.argmin())  # not among the most probable, and shown all the same
    plot_one_step(model, step, drawn=drawn)
    texts = [text.get_text() for ax in plt.gcf().axes for text in ax.texts]
    assert "7" in texts and all((piece.strip() or "␣") in texts for piece in step.pieces)
    assert sum("drawn" in text for text in texts) == 1
    assert f"{step.padding} × pad" in texts


def test_candidates_are_the_most_probable_in_order_with_their_shares():
    model = loaded_model()
    shares = torch.randn(32, generator=torch.Generator().manual_seed(0)).softmax(0)
    figure, ax = plt.subplots()
    assert plot_candidates(model, shares, 4, ax=ax) is None
    top = shares.topk(4)
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(top.values.tolist())
    assert [label.get_text().strip() for label in ax.get_yticklabels()] == [str(int(i)) for i in top.indices]


def test_the_skyline_names_the_highest_code():
    logits = torch.zeros(20)
    logits[13] = 2
    figure, ax = plt.subplots()
    assert plot_logits(logits, ax=ax) is None
    assert [text.get_text().strip() for text in ax.texts] == ["13"]


def test_dials_are_drawn_before_and_after():
    logits = torch.randn(30, generator=torch.Generator().manual_seed(1))
    figure, ax = plt.subplots()
    assert plot_dials(logits, temperature=0.5, top_k=6, codes=10, ax=ax) is None
    order = logits.sort(descending=True).indices[:10]
    filled, outlined = ax.containers
    wanted = adjust_logits(logits, 0.5, 6).softmax(-1)[order]
    assert [bar.get_height() for bar in filled] == pytest.approx(wanted.tolist())
    assert [bar.get_height() for bar in outlined] == pytest.approx(logits.softmax(-1)[order].tolist())
    assert len(ax.lines[0].get_xdata()) == 4  # crossed out: four of the ten
    with pytest.raises(ReaderError, match="temperature"):
        plot_dials(logits, temperature=0)


def dials(places=(0, 9)):
    model = loaded_model()
    tokens = torch.arange(16) % 32
    return model, tokens, dials_explorer(model, PROMPT, tokens, list(places))


def stored(explorer):
    text = re.search(r'class="data">(.*?)</script>', explorer._repr_html_(), re.S).group(1)
    return json.loads(text)


def test_the_dials_hold_the_models_own_logits_at_each_place():
    model, tokens, explorer = dials()
    data = stored(explorer)
    with torch.inference_mode():
        logits = model.dalle(model.encode_text(PROMPT), tokens[None])[1][0]
    for row, place in zip(data["logits"], data["places"], strict=True):
        found = (torch.tensor(row) / 100).softmax(0)
        assert torch.allclose(found, logits[place].softmax(0), atol=0.006)
        assert max(row) == 0 and len(row) == 32
    assert len(data["frames"]) == 2 and dials()[2]._repr_html_() == explorer._repr_html_()


@pytest.mark.parametrize(
    "length, places, words", [(9, [0], "16 tokens"), (16, [], "at least one"), (16, [16], "0 to 15")]
)
def test_the_dials_refuse_what_does_not_fit(length, places, words):
    with pytest.raises(ReaderError, match=words):
        dials_explorer(loaded_model(), PROMPT, torch.zeros(length, dtype=torch.int64), places)


def test_entropy_in_the_dials_would_be_at_most_that_of_all_codes():
    _, _, explorer = dials()
    row = (torch.tensor(stored(explorer)["logits"][0]) / 100).softmax(0)
    assert 0 <= float(-(row * row.log2()).sum()) <= math.log2(32) + 1e-6
