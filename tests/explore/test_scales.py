"""The figure of 16-bit gradients: what it says is lost is what rounding to float16 loses."""

import matplotlib.pyplot as plt
import pytest
import torch
from explore.javascript import node_test

from dalle_edu.dalle import Dalle, DalleConfig
from dalle_edu.errors import ReaderError
from dalle_edu.explore import branch_gradients, plot_lost, scale_explorer
from dalle_edu.explore.scales import LOWEST, best_scales, exponent_shares, lost

GENERATOR = torch.Generator().manual_seed(0)


def blocks():
    """Gradients of four blocks, each a thousand times smaller than the one before."""
    return [torch.randn(4000, generator=GENERATOR) * 1000.0 ** (1 - i) for i in range(4)]


@pytest.mark.parametrize("scale", [-10, 0, 13, 30])
def test_what_is_lost_is_what_float16_loses(scale):
    gradients = blocks()
    vanish, overflow = lost(exponent_shares(gradients), scale)
    for i, gradient in enumerate(gradients):
        rounded = (gradient.double() * 2.0**scale).half()
        assert vanish[i] == pytest.approx(float((rounded == 0).float().mean()), abs=1e-3)
        assert overflow[i] == pytest.approx(float(rounded.isinf().float().mean()), abs=1e-3)


def test_under_its_own_scale_no_block_overflows_and_under_twice_that_each_does():
    shares = exponent_shares(blocks())
    for row, scale in zip(shares, best_scales(shares).tolist(), strict=True):
        assert lost(row[None], scale)[1].item() == 0
        assert lost(row[None], scale + 1)[1].item() > 0


def test_gradients_of_branches_are_those_of_the_sums_and_can_be_changed_on_the_way():
    torch.manual_seed(0)
    model = Dalle(DalleConfig(20, 4, 15, (4, 4), width=16, depth=3, heads=2, kernel=3))
    batch = torch.randint(20, (2, 4)), torch.randint(15, (2, 16))
    seen, weights = branch_gradients(model, *batch)
    assert [len(numbers) for numbers in seen] == [2 * 2 * 20 * 16] * 3
    # What is added to the stream last is passed on by the block's sum to both branches.
    last = [numbers.view(2, 2, 20, 16)[0] for numbers in seen]
    bias = model.transformer.blocks[2].mlp[2].bias.grad
    torch.testing.assert_close(last[2].sum((0, 1)), bias, atol=1e-6, rtol=1e-4)
    _, halved = branch_gradients(model, *batch, lambda gradient, block: gradient / (2 if block == 2 else 1))
    torch.testing.assert_close(halved[2] * 2, weights[2])
    assert not model.transformer.blocks[0].mlp._forward_hooks


def test_zeros_are_not_counted_and_nothing_but_zeros_is_refused():
    shares = exponent_shares([torch.tensor([0.0, 4.0, -7.9, 0.5])])
    assert shares[0, 2 - LOWEST] == pytest.approx(2 / 3) and shares[0, -1 - LOWEST] == pytest.approx(1 / 3)
    with pytest.raises(ReaderError, match="block 2 are 0"):
        exponent_shares([torch.ones(2), torch.zeros(2)])


def test_the_browser_loses_what_the_module_says(tmp_path):
    shares = exponent_shares(blocks())
    cases = []
    for scale in (-10, 0, 13, 30):
        vanish, overflow = lost(shares, scale)
        cases.append({"scale": scale, "vanish": vanish, "overflow": overflow})
    node_test("scales", {"first": LOWEST, "limits": [-25, 16], "shares": shares, "cases": cases}, tmp_path)


def test_the_still_picture_shows_both_ways_and_its_words_the_worst_block():
    gradients = blocks()
    worst = torch.stack(lost(exponent_shares(gradients), 13)).sum(0).max()
    assert worst > 0.9 and f"up to {worst:.0%}" in scale_explorer(gradients, scale=13).alt
    plot_lost(exponent_shares(blocks()), None, ax=plt.figure().add_subplot())
    assert max(patch.get_height() for patch in plt.gca().patches) < 1  # per cent
    plt.close("all")
