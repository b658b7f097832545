"""The figures of chapters 9 and 10 to touch carry their losses and refuse what does not fit."""

import json
import re

import matplotlib.pyplot as plt
import pytest
import torch

from dalle_edu.dalle import Dalle, DalleConfig
from dalle_edu.errors import ReaderError
from dalle_edu.explore import (
    plot_scaling,
    plot_token_losses,
    scaling_explorer,
    token_loss_explorer,
    token_losses,
)


def held(explorer):
    html = explorer._repr_html_()
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "")
    return json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.S).group(1))


def small_dalle():
    torch.manual_seed(0)
    return Dalle(DalleConfig(20, 5, 12, (3, 4), width=16, depth=2, heads=2, kernel=3)).eval()


def test_the_mean_over_the_places_is_the_models_own_picture_loss():
    model = small_dalle()
    text, tokens = torch.randint(20, (3, 5)), torch.randint(12, (3, 12))
    nats = token_losses(model, text, tokens)
    assert nats.shape == (3, 3, 4)
    assert torch.allclose(nats.mean(), model.loss(text, tokens)["image"], atol=1e-5)


def test_a_token_costs_the_same_whatever_is_drawn_after_it():
    model = small_dalle()
    text, tokens = torch.randint(20, (1, 5)), torch.randint(12, (1, 12))
    other = tokens.clone()
    other[:, 7:] = (other[:, 7:] + 1) % 12
    one, two = (token_losses(model, text, t).flatten() for t in (tokens, other))
    assert torch.allclose(one[:7], two[:7], atol=1e-5) and not torch.allclose(one[7:], two[7:], atol=1e-3)


def test_the_losses_travel_in_hundredths_of_a_nat():
    nats = {"one": torch.rand(2, 3, 4) * 7, "other": torch.rand(2, 3, 4)}
    data = held(token_loss_explorer(["a", "b <i>"], torch.rand(2, 3, 6, 8), nats))
    assert data["models"] == ["one", "other"] and data["grid"] == [3, 4] and len(data["pictures"]) == 2
    for found, value in zip(data["nats"], nats.values(), strict=True):
        assert torch.allclose(torch.tensor(found) / 100, value.flatten(1), atol=0.0051)


def test_captions_pictures_and_losses_must_go_together():
    with pytest.raises(ReaderError, match="2 captions, 1 pictures"):
        token_loss_explorer(["a", "b"], torch.rand(1, 3, 6, 8), {"one": torch.rand(2, 3, 4)})


def test_a_dearer_token_has_the_larger_circle():
    plot_token_losses(torch.tensor([[0.0, 1.5], [6.0, 60.0]]), ax=plt.figure().add_subplot())
    assert [patch.radius for patch in plt.gca().patches] == pytest.approx([0, 0.25, 0.5, 0.5])
    plt.close("all")


def curves():
    return [
        {"width": width, "points": [{"step": k, "flops": k * width, "image": 5 / (k + 1)} for k in range(4)]}
        for width in (8, 16)
    ]


def test_the_scaling_figure_has_a_line_a_size_and_leaves_out_what_cost_nothing():
    plot_scaling(curves(), ax=plt.figure().add_subplot())
    lines = [line for line in plt.gca().get_lines() if not line.get_label().startswith("_")]
    assert [line.get_label() for line in lines] == ["width 8", "width 16"]
    assert list(lines[1].get_xdata()) == [16, 32, 48] and list(lines[1].get_ydata()) == [5 / 2, 5 / 3, 5 / 4]
    assert lines[0].get_linestyle() != lines[1].get_linestyle()
    assert lines[0].get_marker() != lines[1].get_marker()
    plt.close("all")


def test_the_scaling_explorer_has_a_picture_for_each_size_point_and_prompt():
    pictures = torch.rand(2, 4, 3, 3, 4, 4)
    explorer = scaling_explorer(curves(), ["a", "b", "c"], pictures)
    data = held(explorer)
    assert data["steps"] == [[0, 1, 2, 3]] * 2 and data["flops"][1] == [0, 16, 32, 48]
    assert [len(row) for size in data["pictures"] for row in size] == [3] * 8
    assert explorer.id == scaling_explorer(curves(), ["a", "b", "c"], pictures).id
    with pytest.raises(ReaderError, match="2 prompts"):
        scaling_explorer(curves(), ["a", "b"], pictures)
