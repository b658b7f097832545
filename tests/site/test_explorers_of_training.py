"""The figures of chapters 9 and 10 to touch, in a browser and by keyboard: their numbers are those given."""

import math

import torch

from dalle_edu.explore import scaling_explorer, token_loss_explorer

SAYS = "document.querySelector('.says').textContent"


def test_walking_over_the_places_reads_out_what_each_token_cost(show):
    nats = torch.tensor([[[0.1, 0.2, 3.0], [0.0, 0.5, 4.0]]])
    browser = show(token_loss_explorer(["a"], torch.rand(1, 3, 4, 6), {"counts": nats + 1, "model": nats}))
    assert "Row 1, column 2: 4.00 nats" in browser.value(SAYS)  # it opens on the dearest
    browser.value("document.querySelector('svg[tabindex]').focus()")
    browser.key("Home")
    assert "Row 0, column 0: 0.10 nats" in browser.value(SAYS)
    browser.key("ArrowDown")
    browser.key("ArrowRight")
    probability = round(100 * math.exp(-0.5))
    assert f"Row 1, column 1: 0.50 nats; the model gave this code a probability of {probability} %" in (
        browser.value(SAYS)
    )
    assert "So far 4 of the picture’s 8 nats" in browser.value(SAYS)
    browser.key("PageDown")
    assert "Row 1, column 2: 4.00 nats" in browser.value(SAYS)
    browser.key("PageDown")
    assert "Row 0, column 2: 3.00 nats" in browser.value(SAYS)
    browser.value(
        "(function () { var s = document.querySelectorAll('select')[1]; s.value = 0;"
        "s.dispatchEvent(new Event('change')); })()"
    )
    assert "Row 0, column 2: 4.00 nats" in browser.value(SAYS)


def test_the_slider_moves_along_the_arithmetic_and_names_the_best_size(show):
    losses = {8: (6.0, 2.0, 1.5), 16: (6.0, 3.0, 1.0)}
    sizes = [
        {
            "width": width,
            "points": [{"step": 10 * k, "flops": k * 10**12, "image": loss} for k, loss in enumerate(row)],
        }
        for width, row in losses.items()
    ]
    browser = show(scaling_explorer(sizes, ["a", "b"], torch.rand(2, 3, 2, 3, 4, 4)))
    assert "width 16 predicts best" in browser.value(SAYS)
    sources = "[...document.querySelectorAll('.live img')].map(e => e.src).join()"
    after = browser.value(sources)
    browser.value("document.querySelector('input[type=range]').focus()")
    browser.key("ArrowLeft")
    assert "width 8 predicts best" in browser.value(SAYS)
    assert browser.value(sources) != after
    browser.key("ArrowLeft")
    assert "Before training" in browser.value(SAYS)
