"""Attention masks to look at (chapter 7): as a matrix, as keys on the picture's grid, and to touch.

Every function takes any boolean mask, [query, key], True: may look, of a stream of
text tokens and then picture tokens in raster order; `dalle_edu.masks.attention_mask`
makes those of the paper (Ramesh et al. 2021, figure 11).
"""

import base64
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer
from dalle_edu.explore.figures import COLOURS

REGIONS = {"text to text": COLOURS[5], "picture to text": COLOURS[4], "picture to picture": COLOURS[0]}


def plot_mask(
    mask, text_length: int = 0, ax=None, title: str | None = None, query: int | None = None
) -> None:
    """Draws `mask` (L, L) bool as a matrix: queries downwards, keys to the right, the `query` framed."""
    mask = _as_mask(mask)
    length = len(mask)
    ax = ax or plt.gca()
    # With more cells than pixels, few cells would fade to nothing: a pixel is coloured if
    # any of its cells is True.
    pixel = -(-length // 400)
    shown = np.zeros((-(-length // pixel) * pixel,) * 2, dtype=bool)
    shown[:length, :length] = mask
    shown = shown.reshape(len(shown) // pixel, pixel, -1, pixel).any(axis=(1, 3))
    picture = np.ones((*shown.shape, 3))
    for (rows, columns), colour in _regions(len(shown), text_length // pixel):
        picture[rows, columns][shown[rows, columns]] = _rgb(colour)
    edge = len(shown) * pixel - 0.5
    ax.imshow(picture, interpolation="nearest", extent=(-0.5, edge, edge, -0.5))
    ax.locator_params(nbins=6, integer=True)
    if length <= 48:
        ax.set_xticks(np.arange(-0.5, length), minor=True)
        ax.set_yticks(np.arange(-0.5, length), minor=True)
        ax.grid(which="minor", color="#ced4da", linewidth=0.5)
        ax.tick_params(which="minor", length=0)
    if 0 < text_length < length:
        ax.axhline(text_length - 0.5, color="black", linewidth=1, linestyle="-")
        ax.axvline(text_length - 0.5, color="black", linewidth=1, linestyle="-")
    if query is not None:
        ax.add_patch(
            plt.Rectangle((-0.5, query - 0.5), length, 1, fill=False, edgecolor=COLOURS[1], linewidth=2)
        )
    ax.set_xlabel("key")
    ax.set_ylabel("query")
    ax.set_title(title)
    ax.spines[:].set_visible(True)


def plot_keys(
    mask, query: int, text_length: int, grid: tuple[int, int], ax=None, title: str | None = None
) -> None:
    """Draws what one query reads: the picture's `grid`, with the text as squares above it.

    Filled with a dot: a key that it reads. Crossed: the query. Dashed, with "?": the patch that its state
    predicts, the next one. Grey: earlier, not read. Hatched: its future.
    """
    mask = _as_mask(mask, text_length, grid)
    height, width = grid
    if not 0 <= query < len(mask):
        raise ReaderError(f"query must be a position from 0 to {len(mask) - 1}, but it is {query}.")
    ax = ax or plt.gca()
    text_rows = -(-text_length // width)
    if max(width, height) > 20:
        _paint_keys(ax, mask[query], query, text_length, grid, text_rows)
        ax.set_title(title)
        return
    for position in range(len(mask)):
        if position < text_length:
            row, column = position // width - text_rows - 0.5, position % width
        else:
            row, column = divmod(position - text_length, width)
        future = position > query
        face = COLOURS[0] if mask[query, position] else "white" if future else "#dee2e6"
        if position == query:
            face = COLOURS[1]
        ax.add_patch(
            plt.Rectangle((column, row), 1, 1, facecolor=face, edgecolor="#868e96", linewidth=0.6,
                          hatch="///" if future and not mask[query, position] else None)
        )  # fmt: skip
        mark = "x" if position == query else "." if mask[query, position] else None
        if mark:
            ax.plot(column + 0.5, row + 0.5, marker=mark, color="white", linestyle="", markersize=6)
    predicted = query + 1 - text_length
    if 0 <= predicted < height * width:
        mark_predicted(ax, predicted, width)
    ax.set_xlim(-0.1, width + 0.1)
    ax.set_ylim(height + 0.1, -text_rows - 0.6)
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_title(title)


def mark_predicted(ax, place: int, width: int) -> None:
    """Marks the patch at `place` of a grid of unit squares as the one that is predicted: dashed, with "?"."""
    row, column = divmod(place, width)
    ax.add_patch(
        plt.Rectangle((column + 0.06, row + 0.06), 0.88, 0.88, facecolor="white", edgecolor=COLOURS[1],
                      linewidth=1.8, linestyle="--", zorder=3)
    )  # fmt: skip
    ax.text(column + 0.5, row + 0.5, "?", color=COLOURS[1], ha="center", va="center", weight="bold", zorder=4)


def _paint_keys(ax, reads, query, text_length, grid, text_rows) -> None:
    """`plot_keys` for pictures of many tokens: plain colours, and a cross at the query."""
    height, width = grid
    cells = np.ones((text_rows * width + width + height * width, 3))
    at = np.arange(len(reads))
    at[text_length:] += (text_rows + 1) * width - text_length  # one empty row between text and picture
    cells[at[:query]] = _rgb("#dee2e6")
    cells[at[reads]] = _rgb(COLOURS[0])
    ax.imshow(cells.reshape(-1, width, 3), interpolation="nearest")
    ax.plot(
        at[query] % width, at[query] // width, marker="x", color=COLOURS[1], markersize=7, markeredgewidth=2
    )
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(True)


def mask_explorer(
    masks,
    grid: tuple[int, int],
    text_length: int,
    *,
    layers: list[str] | None = None,
    query: int | None = None,
    title: str = "Who may look at whom",
) -> Explorer:
    """A figure to touch: point at a query, or move it with the arrow keys, and see its keys.

    masks: one mask (L, L) bool, or several as {name: mask} or as a list (named "layer 1", "layer 2", ...),
        with L = text_length + height * width. Any mask may be passed in, also one that looks into the future.
    layers: the names of the masks that the layers of a model use, first layer first; then the reader can walk
        through the layers and see which tokens can reach the query through all layers up to the chosen one. A
        list of masks is its own list of layers.
    query: the position that is chosen at first; the middle of the picture if None. Raises ReaderError for a
    mask that is not boolean or does not fit `grid` and `text_length`, or for a layer whose mask is not there.
    """
    if isinstance(masks, (list, tuple)):
        masks = {f"layer {index + 1}": mask for index, mask in enumerate(masks)}
        layers = list(masks) if layers is None else layers
    elif not isinstance(masks, dict):
        masks = {"mask": masks}
    if not masks:
        raise ReaderError("There is no mask to explore; pass one mask, or several as {name: mask}.")
    masks = {str(name): _as_mask(mask, text_length, grid) for name, mask in masks.items()}
    names = list(masks)
    for layer in layers or []:
        if layer not in names:
            raise ReaderError(f"A layer uses the mask {layer!r}, but the masks are: {', '.join(names)}.")
    height, width = grid
    length = text_length + height * width
    query = text_length + height // 2 * width + width // 2 if query is None else query
    if not 0 <= query < length:
        raise ReaderError(f"query must be a position from 0 to {length - 1}, but it is {query}.")
    data = {
        "masks": [{"name": name, **encode_mask(mask)} for name, mask in masks.items()],
        "layers": [names.index(layer) for layer in layers or []],
        "grid": [height, width],
        "text": text_length,
        "query": query,
        "colours": [*REGIONS.values(), COLOURS[1]],
    }
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.6))
    first = masks[layers[0] if layers else names[0]]
    plot_mask(first, text_length, ax=left, query=query, title=layers[0] if layers else names[0])
    plot_keys(first, query, text_length, grid, ax=right, title="what the framed query reads")
    alt = (
        f"An attention mask of {text_length} text tokens and a picture of {height} by {width} tokens, as a "
        f"matrix and as the keys of one query on the picture. Masks to choose from: {', '.join(names)}."
    )
    return Explorer(title=title, alt=alt, data=data, script=Path(__file__).with_suffix(".js"), figure=figure)


def encode_mask(mask) -> dict:
    """A boolean matrix in few characters: {"runs": [...]} or {"bits": base64}, whichever is shorter.

    Most masks repeat: a row is the row above it moved by one. So `runs` are the lengths of the runs, False
    first, of the matrix XOR itself moved one down and one to the right, row after row.
    """
    mask = _as_mask(mask)
    moved = np.zeros_like(mask)
    moved[1:, 1:] = mask[:-1, :-1]
    changes = (mask ^ moved).ravel()
    edges = np.flatnonzero(np.diff(changes.astype(np.int8), prepend=0)).tolist()
    runs = np.diff([0, *edges, changes.size]).tolist()
    if len(runs) * 3 < mask.size / 6:
        return {"runs": runs}
    return {"bits": base64.b64encode(np.packbits(mask.ravel()).tobytes()).decode()}


def _as_mask(mask, text_length: int | None = None, grid: tuple[int, int] | None = None) -> np.ndarray:
    array = mask.detach().cpu().numpy() if isinstance(mask, torch.Tensor) else np.asarray(mask)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not array.size or array.dtype != np.bool_:
        raise ReaderError(
            "A mask must be a square matrix of booleans, [query, key]; "
            f"this one is {array.dtype} {tuple(array.shape)}."
        )
    if grid is not None and len(array) != text_length + grid[0] * grid[1]:
        raise ReaderError(
            f"The mask has {len(array)} positions, but {text_length} text tokens and a grid of "
            f"{grid[0]} x {grid[1]} make {text_length + grid[0] * grid[1]}."
        )
    return array


def _regions(length: int, text_length: int):
    text, picture = slice(0, text_length), slice(text_length, length)
    yield (text, slice(0, length)), REGIONS["text to text"]
    yield (picture, text), REGIONS["picture to text"]
    yield (picture, picture), REGIONS["picture to picture"]


def _rgb(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
