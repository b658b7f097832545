"""Which scores a sparse attention layer computes, needed or not: as a matrix, and to touch (chapter 8).

A processor is fast at whole blocks, so a form that works in blocks computes more than the mask asks for, and
far less than the dense matrix. The counts are those of `dalle_edu.sparse.work`.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from dalle_edu.errors import ReaderError, unknown_name
from dalle_edu.explore.explorer import Explorer
from dalle_edu.explore.figures import COLOURS
from dalle_edu.explore.masks import encode_mask
from dalle_edu.masks import attention_mask, mask_entries, picture_lags
from dalle_edu.sparse import _blocks, _tile, work

FORMS = {"dense": "dense, then masked", "gather": "gathered", "blocked": "in blocks"}
KINDS = ("row", "column", "conv")
NEEDED, IN_VAIN = COLOURS[0], "#F3C9A5"  # dark and light, so that grey prints tell them apart


def computed_pairs(
    kind: str, text_length: int, grid: tuple[int, int], kernel: int = 11, form: str = "blocked"
) -> Tensor:
    """Which scores `sparse_attention` computes in a form: (L, L) bool, [query, key], both in raster order.

    Raises ReaderError as `dalle_edu.sparse.work` does.
    """
    work(kind, text_length, grid, kernel, form)  # names what is wrong, if anything is
    mask = attention_mask(kind, text_length, grid, kernel)
    if form == "dense" or kind == "dense":
        return torch.ones_like(mask)
    mask[:text_length, :text_length] = True
    height, width = grid
    if form == "gather" or (kind == "conv" and width < kernel // 2):
        return mask
    place = torch.arange(height * width)
    row, column = place // width, place % width
    if kind == "row":
        behind = row[:, None] - row
        picture = (behind == 0) | (behind == 1)
    elif kind == "column":
        picture = column[:, None] == column
    else:
        half = kernel // 2
        rows, columns = _tile(height, width, half)
        corner = row // rows * rows * width + column // columns * columns  # of each query's tile
        near = torch.arange(-half, rows)[:, None] * width + torch.arange(-half, columns + half)
        keys = corner[:, None] + near.flatten()
        picture = torch.zeros(len(place), len(place) + 1, dtype=torch.bool)
        picture.scatter_(1, keys.where((keys >= 0) & (keys < len(place)), len(place)), True)
        picture = picture[:, :-1]
    mask[text_length:, text_length:] = picture
    return mask


def block_order(kind: str, text_length: int, grid: tuple[int, int]) -> Tensor:
    """The order of the stream in which the blocks of `kind` are whole: column by column for "column", else as
    it is. (L,) int64: what stands at each place."""
    picture = torch.arange(grid[0] * grid[1]).reshape(grid)
    picture = picture.T if kind == "column" else picture
    return torch.cat([torch.arange(text_length), picture.flatten() + text_length])


def plot_tiles(
    kind: str, text_length: int, grid: tuple[int, int], kernel: int = 11, form: str = "blocked", ax=None
) -> None:
    """Draws the matrix of scores: dark where needed, light where `form` computes in vain, white elsewhere.

    Queries downwards, keys to the right, in `block_order`. The title says which share was needed.
    """
    ax = ax or plt.gca()
    order = block_order(kind, text_length, grid)
    computed = computed_pairs(kind, text_length, grid, kernel, form)[order][:, order]
    needed = attention_mask(kind, text_length, grid, kernel)[order][:, order]
    picture = torch.ones(*needed.shape, 3)
    picture[computed] = torch.tensor(_rgb(IN_VAIN))
    picture[needed] = torch.tensor(_rgb(NEEDED))
    ax.imshow(picture.numpy(), interpolation="nearest")
    if text_length:
        ax.axhline(text_length - 0.5, color="black", linewidth=0.8, linestyle="-")
        ax.axvline(text_length - 0.5, color="black", linewidth=0.8, linestyle="-")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(True)
    scores = work(kind, text_length, grid, kernel, form).scores
    share = mask_entries(kind, text_length, grid, kernel) / scores
    ax.set_title(f"{kind}, {FORMS[form]}\n{scores:,} scores, {share:.0%} needed", fontsize=10)


def tile_explorer(
    sides=(8, 12, 16, 20, 24), text_length: int = 8, kernel: int = 11, largest: int = 64
) -> Explorer:
    """A figure to touch: the scores that each form computes for each kind of mask, as the picture grows.

    `sides` are those of the square grids to choose from; the curves beside the matrix go on to `largest`.
    Raises ReaderError for sides that are not rising whole numbers from 1 to 32 (a matrix of more cells than a
    screen has pixels shows nothing), or a `largest` below them.
    """
    sides = list(sides)
    whole = all(isinstance(side, int) and 1 <= side <= 32 for side in sides)
    if not sides or not whole or sides != sorted(set(sides)) or largest < sides[-1]:
        raise ReaderError(
            f"sides must be rising whole numbers from 1 to 32 and largest no less, not {sides} and {largest}."
        )
    curve = sorted({*sides, *range(sides[0], largest, 4), largest})
    entries = []
    for kind in KINDS:
        matrices, tiles = [], []
        for side in sides:
            grid = (side, side)
            order = block_order(kind, text_length, grid)
            needed = attention_mask(kind, text_length, grid, kernel)[order][:, order]
            computed = computed_pairs(kind, text_length, grid, kernel)[order][:, order]
            matrices.append({"needed": encode_mask(needed), "computed": encode_mask(computed)})
            tiles.append(_blocks(kind, grid, kernel) if side >= kernel // 2 else _singles(kind, grid, kernel))
        done = {
            form: [_counts(kind, text_length, (side, side), kernel, form) for side in curve] for form in FORMS
        }
        needed = [mask_entries(kind, text_length, (side, side), kernel) for side in curve]
        entries.append({"name": kind, "matrices": matrices, "tiles": tiles, "work": done, "needed": needed})
    data = {
        "kinds": entries,
        "forms": list(FORMS.items()),
        "sides": sides,
        "curve": curve,
        "text": text_length,
        "colours": [NEEDED, IN_VAIN],
    }
    figure, axes = plt.subplots(1, 3, figsize=(7, 2.9))
    middle = sides[len(sides) // 2 - (len(sides) > 4)]
    for kind, ax in zip(KINDS, axes, strict=True):
        plot_tiles(kind, text_length, (middle, middle), kernel, ax=ax)
    alt = (
        "The scores of one attention layer as a matrix, for row, column and conv masks, pictures of "
        f"{sides[0]} by {sides[0]} to {sides[-1]} by {sides[-1]} tokens: dark what is needed, light what "
        "is computed in vain, white what is left out. Beside it the scores against the picture's size."
    )
    return Explorer(
        title="Which scores are computed?",
        alt=alt,
        data=data,
        script=Path(__file__).with_suffix(".js"),
        figure=figure,
        height=420,
    )


def _singles(kind, grid, kernel):
    return grid[0] * grid[1], 1, len(picture_lags(kind, grid, kernel))


def _counts(kind, text_length, grid, kernel, form):
    counted = work(kind, text_length, grid, kernel, form)
    return [counted.scores, counted.keys]


def _rgb(colour: str) -> list[float]:
    if not colour.startswith("#"):
        raise unknown_name("colour", colour, COLOURS)
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
