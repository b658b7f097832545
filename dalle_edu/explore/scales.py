"""Gradients in 16 bits (chapter 14): which vanish or overflow, under one scale or one for each block.

float16 holds 2^-24 ... 65,504: smaller numbers become 0, larger ones infinite. Ramesh et al. 2021, section
2.4 and appendix D, give every residual block a scale of its own.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

from dalle_edu.dalle import Dalle
from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer
from dalle_edu.explore.figures import COLOURS

LOWEST, HIGHEST = -100, 40  # exponents of two that are told apart; beyond them nothing can be saved or lost
SMALL, LARGE = -25, 16  # what is below 2^SMALL rounds to 0, what reaches 2^LARGE is infinite


def branch_gradients(
    model: Dalle, text: Tensor, image: Tensor, change: Callable[[Tensor, int], Tensor] | None = None
) -> tuple[list[Tensor], list[Tensor]]:
    """What comes into each block's two branches on the way back, (numbers,), and the gradient of each block's
    last weight, (width, 4 * width), for the loss of `text` and `image`.

    `change(gradient, block)`, blocks counted from 0, gives what goes on in the gradient's place.
    """
    seen: list[list[Tensor]] = [[] for _ in model.transformer.blocks]

    def listen(block: int, module: nn.Module, inputs: tuple, output: Tensor) -> None:
        def back(gradient: Tensor) -> Tensor:
            seen[block].append(gradient.flatten())
            return gradient if change is None else change(gradient, block)

        output.register_hook(back)

    handles = [
        branch.register_forward_hook(partial(listen, number))
        for number, block in enumerate(model.transformer.blocks)
        for branch in (block.attention, block.mlp)
    ]
    model.zero_grad()
    model.loss(text, image)["loss"].backward()
    for handle in handles:
        handle.remove()
    weights = [block.mlp[2].weight.grad.clone() for block in model.transformer.blocks]
    return [torch.cat(both) for both in seen], weights


def exponent_shares(gradients: list[Tensor]) -> Tensor:
    """How a block's numbers share out over powers of two: (blocks, HIGHEST - LOWEST), rows that add up to 1.

    Entry e of a row is the share of numbers in [2^(LOWEST + e), 2^(LOWEST + e + 1)). Zeros are not counted.
    Raises ReaderError where a block has nothing but zeros.
    """
    rows = []
    for number, gradient in enumerate(gradients, start=1):
        sizes = gradient.detach().abs().flatten().double()
        sizes = sizes[sizes > 0]
        if not len(sizes):
            raise ReaderError(f"All gradients of block {number} are 0: there is nothing to scale.")
        exponents = torch.frexp(sizes).exponent - 1  # 2^e <= size < 2^(e + 1)
        places = (exponents.long() - LOWEST).clamp(0, HIGHEST - LOWEST - 1)
        counts = torch.bincount(places, minlength=HIGHEST - LOWEST)
        rows.append(counts / len(sizes))
    return torch.stack(rows)


def lost(shares: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """The shares that vanish and that overflow, each (blocks,), once all is multiplied by 2^scale."""
    exponents = torch.arange(LOWEST, HIGHEST) + scale
    return shares[:, exponents < SMALL].sum(1), shares[:, exponents >= LARGE].sum(1)


def best_scales(shares: Tensor) -> Tensor:
    """For each block the largest power of two under which nothing overflows: (blocks,) int64 exponents."""
    exponents = torch.arange(LOWEST, HIGHEST)
    largest = torch.stack([exponents[row > 0].max() for row in shares])
    return LARGE - 1 - largest


def plot_lost(shares: Tensor, scale: int | None, ax=None) -> None:
    """Draws for each block the per cent that vanish (up) and overflow (hatched, on top), under one scale
    2^scale for all, or (None) under each block's own."""
    ax = ax or plt.gca()
    scales = best_scales(shares).tolist() if scale is None else [scale] * len(shares)
    both = [lost(row[None], own) for row, own in zip(shares, scales, strict=True)]
    small, large = ((torch.cat(some) * 100).tolist() for some in zip(*both, strict=True))
    blocks = range(1, len(shares) + 1)
    ax.bar(blocks, small, width=1, color=COLOURS[0], label="vanish")
    ax.bar(blocks, large, width=1, bottom=small, color=COLOURS[1], hatch="//", label="overflow")
    ax.set(ylim=(0, 100), xlabel="block", ylabel="% lost")
    ax.set_title("a scale for each block" if scale is None else f"all times 2^{scale}")
    ax.legend(loc="upper left")


def scale_explorer(gradients: list[Tensor], scale: int = 13) -> Explorer:
    """A figure to touch: move the scale, or give each block its own, and see what 16 bits lose of each.

    gradients: one tensor a block, first block first. Raises ReaderError where a block has only zeros.
    """
    shares = exponent_shares(gradients)
    used = (shares > 0).any(0).nonzero().flatten()
    low, high = int(used.min()), int(used.max()) + 1
    data = {
        "first": LOWEST + low,
        "shares": shares[:, low:high],
        "own": best_scales(shares),
        "scale": scale,
        "limits": [SMALL, LARGE],
    }
    figure, axes = plt.subplots(1, 2, figsize=(7, 2.6))
    plot_lost(shares, scale, axes[0])
    plot_lost(shares, None, axes[1])
    worst = float(torch.stack(lost(shares, scale)).sum(0).max())
    alt = (
        f"For each of {len(shares)} blocks, the share of gradients that 16 bits lose. Under one scale, "
        f"2 to the {scale}, up to {worst:.0%} of a block's vanish or overflow; with a scale for each "
        "block few do. Live, the scale can be moved."
    )
    script = Path(__file__).with_suffix(".js")
    title = "One scale for all blocks, or one for each?"
    return Explorer(title=title, alt=alt, data=data, script=script, figure=figure, digits=3)
