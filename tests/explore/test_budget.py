"""The budget to touch counts as `dalle_edu.machine.budget` does, and refuses what it cannot draw."""

import dataclasses
import json
import re

import matplotlib.pyplot as plt
import pytest
from explore.javascript import node_test

from dalle_edu.configs import read_config
from dalle_edu.errors import ReaderError
from dalle_edu.explore import budget_explorer, plot_budget
from dalle_edu.explore.budget import CARDS, PARTS
from dalle_edu.machine.budget import budget
from dalle_edu.scale import dalle_parts

PAPER = read_config("paper-12b")


def shaped(depth, width, grid, kernel=11):
    """The paper's configuration with a transformer of another shape."""
    shape = dataclasses.replace(
        PAPER.dalle, depth=depth, width=width, heads=1, grid=(grid, grid), kernel=kernel, kinds=()
    )
    changed = dataclasses.replace(PAPER)
    object.__setattr__(changed, "dalle", shape)  # its dVAE, which is not asked, has another grid
    return changed


def held(explorer):
    html = explorer._repr_html_()
    return json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.S).group(1))


def test_the_browser_counts_what_the_module_counts(tmp_path):
    cases = []
    shapes = [
        (64, 3968, 32),
        (1, 64, 4),
        (2, 128, 8),
        (3, 1024, 16),
        (24, 2048, 64),
        (40, 320, 96),
        (7, 64, 4),
    ]
    for depth, width, grid in shapes:
        for devices, (_, speed, network) in zip((1, 8, 1024), [*CARDS.values(), (1, 1e12, 1e9)], strict=True):
            config = shaped(depth, width, grid)
            b, rows = budget(config, devices, speed, network), dalle_parts(config.dalle)
            data = held(budget_explorer(config, devices))
            wanted = {
                name: getattr(b, name) for name in (*PARTS, "parameters", "computing", "sending", "pictures")
            }
            flops = sum(row.flops for row in rows)
            cases.append(
                data
                | {"speed": speed, "network": network, "wanted": wanted, "flops": flops, "binds": b.binds}
            )
    node_test("budget", {"budgets": cases}, tmp_path)


def test_the_still_picture_stacks_what_the_budget_has():
    budgets = [budget(PAPER, n) for n in (8, 64)]
    plot_budget(budgets, 16e9, ax=plt.figure().add_subplot())
    widths = [patch.get_width() for patch in plt.gca().patches]
    assert widths[: len(PARTS)] == pytest.approx([getattr(budgets[0], part) / 1e9 for part in PARTS])
    assert sum(widths) == pytest.approx(sum(b.bytes for b in budgets) / 1e9)
    plt.close("all")


def test_a_grid_that_is_not_square_and_no_card_are_refused():
    config = dataclasses.replace(PAPER)
    object.__setattr__(config, "dalle", dataclasses.replace(PAPER.dalle, grid=(16, 32)))
    with pytest.raises(ReaderError, match="square grid"):
        budget_explorer(config)
    with pytest.raises(ReaderError, match="a card at least"):
        budget_explorer(PAPER, cards={})
