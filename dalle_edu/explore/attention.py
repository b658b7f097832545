"""What a model looks at: its attention weights for one stream of text and picture tokens (chapters 7 to 9).

Weights are what stands after the softmax, [query, key], each row summing to 1. A large weight says where a
layer read, not yet what it did with what it read.
"""

import base64
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import COLOURS
from dalle_edu.explore.masks import mark_predicted
from dalle_edu.masks import attention_mask

_LIMIT = 4_000_000  # characters; beyond it a notebook becomes slow to open


@torch.no_grad()
def attention_weights(dalle, text: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """The weights of every layer and head of a `Dalle` for one stream: (layers, heads, L, L), [query, key].

    text (1, text_length), image (1, height * width), as `Dalle.forward` takes them. Computed densely, under
    each layer's mask, from the model's own queries and keys. Raises ReaderError for a stream of another size.
    """
    config = dalle.config
    if text.shape != (1, config.text_length) or image.shape != (1, config.picture_length):
        raise ReaderError(
            f"One stream is wanted: text (1, {config.text_length}) and image (1, {config.picture_length}); "
            f"these are {tuple(text.shape)} and {tuple(image.shape)}."
        )
    x, maps = torch.cat((dalle.embed_text(text), dalle.embed_image(image)), dim=1), []
    for block in dalle.transformer.blocks:
        query, key, _ = block.attention.split(block.attention_norm(x))
        mask = attention_mask(block.attention.kind, config.text_length, config.grid, config.kernel).to(
            x.device
        )
        scores = query @ key.mT / query.shape[-1] ** 0.5
        maps.append(scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)[0])
        x = block(x)
    return torch.stack(maps)


def plot_attention(
    weights, query: int, text_length: int, grid: tuple[int, int], words=None, picture=None, axes=None
) -> None:
    """Draws one row of `weights` (L, L): bars for the text, squares whose area is the weight for the picture.

    A cross marks the query, a dashed "?" the patch that its state predicts, the next one. words: the text
    tokens as strings; empty ones (padding) are summed. picture: (3, H, W) in [0, 1], drawn faintly behind.
    axes: two axes; else the current figure is filled.
    """
    maps = _as_maps(weights, text_length, grid)
    row = maps.mean(axis=(0, 1))[query]
    left, right = axes if axes is not None else plt.gcf().subplots(1, 2, width_ratios=[1.2, 1])
    labels, bars = _text_bars(row, text_length, words)
    left.barh(range(len(bars)), bars, color=COLOURS[4], edgecolor="black", linewidth=0.6)
    left.set_yticks(range(len(labels)), labels)
    left.invert_yaxis()
    left.set_xlabel("share of the attention")
    height, width = grid
    if picture is not None:
        pixels = picture.detach().cpu().numpy() if isinstance(picture, torch.Tensor) else np.asarray(picture)
        right.imshow(0.4 * pixels.transpose(1, 2, 0) + 0.6, extent=(0, width, height, 0))
    part = row[text_length:]
    largest = max(part.max(), 1e-9)
    for position in np.flatnonzero(part > largest * 1e-3):
        side = 0.95 * (part[position] / largest) ** 0.5
        y, x = divmod(int(position), width)
        right.add_patch(plt.Rectangle((x + 0.5 - side / 2, y + 0.5 - side / 2), side, side, color=COLOURS[0]))
    if query >= text_length:
        y, x = divmod(query - text_length, width)
        right.plot(x + 0.5, y + 0.5, marker="x", color=COLOURS[1], markersize=9, markeredgewidth=3)
    if text_length <= query + 1 < text_length + height * width:
        mark_predicted(right, query + 1 - text_length, width)
    right.set_xlim(0, width)
    right.set_ylim(height, 0)
    right.set_aspect("equal")
    right.set_xticks([])
    right.set_yticks([])
    right.spines[:].set_visible(True)
    right.set_title(f"{part.sum():.0%} on the picture")


def attention_explorer(
    weights,
    grid: tuple[int, int],
    text_length: int,
    *,
    words: list[str] | None = None,
    picture=None,
    query: int | None = None,
    title: str = "What this token looked at",
) -> Explorer:
    """A figure to touch: point at a patch or a word, or use the arrow keys, and see where its attention went.

    weights: (layers, heads, L, L), or averaged: (layers, L, L) or (L, L); in [0, 1], [query, key],
        L = text_length + height * width. Kept in 8 bits, as 255 * sqrt(weight), so that small ones survive.
    words: `text_length` strings, one a text token; empty ones are padding and summed in one bar. picture: (3,
    H, W) in [0, 1], shown behind the grid. query: the position chosen at first. Raises ReaderError for shapes
    that do not fit, values outside [0, 1], or a figure beyond 4 MB (average the heads: `weights.mean(1)`).
    """
    maps = _as_maps(weights, text_length, grid)
    if words is not None and len(words) != text_length:
        raise ReaderError(
            f"There are {text_length} text tokens but {len(words)} words; give a string a token."
        )
    height, width = grid
    length = text_length + height * width
    query = text_length + height // 2 * width + width // 2 if query is None else query
    if not 0 <= query < length:
        raise ReaderError(f"query must be a position from 0 to {length - 1}, but it is {query}.")
    data = {
        "maps": [[_encode(head) for head in layer] for layer in maps],
        "words": [str(word) for word in words] if words is not None else _numbered(text_length),
        "grid": [height, width],
        "query": query,
    }
    if picture is not None:
        data["picture"] = picture_uri(picture)
    size = sum(len(text) for layer in data["maps"] for head in layer for text in head)
    if size > _LIMIT:
        raise ReaderError(
            f"{maps.shape[0]} layers of {maps.shape[1]} heads make a figure of {size / 1e6:.0f} MB, too much "
            "for a notebook; average the heads first: weights.mean(1)."
        )
    figure = plt.figure(figsize=(7, 3.4))
    plot_attention(maps[-1].mean(0), query, text_length, grid, words=words, picture=picture)
    alt = (
        f"How much attention one token pays to each of {text_length} text tokens, as bars, and to each token "
        f"of a picture of {height} by {width}, as squares; {maps.shape[0]} layers to choose from."
    )
    return Explorer(title=title, alt=alt, data=data, script=Path(__file__).with_suffix(".js"), figure=figure)


def _as_maps(weights, text_length: int, grid: tuple[int, int]) -> np.ndarray:
    """`weights` as (layers, heads, L, L) float32."""
    array = (
        weights.detach().float().cpu().numpy() if isinstance(weights, torch.Tensor) else np.asarray(weights)
    )
    length = text_length + grid[0] * grid[1]
    if array.ndim not in (2, 3, 4) or array.shape[-2:] != (length, length):
        raise ReaderError(
            f"Attention weights must be (layers, heads, {length}, {length}), (layers, {length}, {length}) or "
            f"({length}, {length}); these are {tuple(array.shape)}."
        )
    if not (array.min() >= 0 and array.max() <= 1 + 1e-3):
        raise ReaderError(
            "Attention weights must lie in [0, 1]: pass what the softmax returns, not the scores."
        )
    array = array[:, None] if array.ndim == 3 else array
    return array[None, None] if array.ndim == 2 else array


def _encode(weights: np.ndarray) -> list[str]:
    """One map as two base64 strings: a bit an entry, is it not zero; then a byte, 255 * sqrt, for those."""
    levels = np.round(255 * np.sqrt(weights.clip(0, 1))).astype(np.uint8).ravel()
    texts = np.packbits(levels > 0).tobytes(), levels[levels > 0].tobytes()
    return [base64.b64encode(text).decode() for text in texts]


def _numbered(text_length: int) -> list[str]:
    return [f"token {index + 1}" for index in range(text_length)]


def _text_bars(row: np.ndarray, text_length: int, words) -> tuple[list[str], list[float]]:
    words = _numbered(text_length) if words is None else list(words)
    labels = [word for word in words if word]
    bars = [float(value) for word, value in zip(words, row, strict=False) if word]
    if len(labels) < text_length:
        labels.append("(padding)")
        bars.append(float(row[:text_length].sum() - sum(bars)))
    return labels, bars
