"""What a grid of tokens costs (chapter 5): bits a picture,
how far that is below the pixels, and what attention pays.

bits = height * width * log2(vocabulary);  pairs of a dense layer = (text + height * width)^2
Ramesh et al. 2021, section 2: 256 x 256 pixels as 32 x 32 tokens of 8,192, "a factor of 192".
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer
from dalle_edu.explore.figures import COLOURS


def rate_explorer(
    image_size: int = 256, text_length: int = 256, grid: int = 32, vocabulary: int = 8192
) -> Explorer:
    """A figure to touch: choose the grid's side and the codebook's size, and see what a picture costs.

    `rate_explorer()` opens on the paper's numbers; `rate_explorer(64, 24, 16,
    1024)` on those of the shipped model. Sides and vocabularies are powers of
    two. Raises ReaderError for others, and for a grid finer than the picture.
    """
    numbers = (image_size, grid, vocabulary)
    if any(n < 1 or n & (n - 1) for n in numbers) or grid > image_size or text_length < 0:
        raise ReaderError(
            f"image_size, grid and vocabulary must be powers of two, the grid no finer than the picture; "
            f"these are {image_size}, {grid} and {vocabulary}."
        )
    data = {"size": image_size, "text": text_length, "grid": grid, "vocabulary": vocabulary}
    sides = 2 ** torch.arange(2, image_size.bit_length())
    figure, ax = plt.subplots(figsize=(7, 2.6))
    for bits, style in ((9, ":"), (13, "-")):
        ax.loglog(sides, sides**2 * bits / 8, style, color=COLOURS[0], label=f"{2**bits:,} codes")
    ax.axhline(3 * image_size**2, color="black", linestyle="--", label="the pixels themselves")
    ax.set(xlabel="side of the grid", ylabel="bytes a picture")
    ax.legend()
    alt = (
        f"Bytes a picture of {image_size} by {image_size} pixels against the side of its token grid: "
        "a steep line, four times more for twice the side, far below the bytes of the pixels. "
        "Live, with the cost of attention."
    )
    script = Path(__file__).with_suffix(".js")
    return Explorer(title="How fine a grid?", alt=alt, data=data, script=script, figure=figure)
