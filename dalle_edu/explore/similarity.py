"""The matrix of cosines between pictures and captions (chapter 12): as a figure, and to touch.

Rows are pictures, columns captions, as in `pictures @ texts.T`; a framed cell is a picture with its own
caption, a dot marks the caption that is nearest to the picture of its row, a cross one that is not its own.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import COLOURS


def plot_similarity(similarities, own=None, ax=None, title: str | None = None, colorbar: bool = True) -> None:
    """Draws cosines (pictures, captions), dark where high, with each row's own and nearest caption marked.

    `own` (pictures,): which caption is each picture's; by default the diagonal of a square. Returns None.
    Raises ReaderError for other shapes.
    """
    values, own = _checked(similarities, own)
    ax = ax or plt.gca()
    shown = ax.imshow(values, cmap="Blues", vmin=min(0.0, float(values.min())), vmax=1)
    nearest = values.argmax(1)
    for row in range(len(values)):
        if own is not None:
            box = {"facecolor": "none", "edgecolor": "black", "linewidth": 1}
            ax.add_patch(plt.Rectangle((int(own[row]) - 0.5, row - 0.5), 1, 1, **box))
        right = own is None or nearest[row] == own[row]
        style = {"color": COLOURS[4 if right else 1], "markeredgecolor": "white", "markeredgewidth": 0.5}
        ax.plot(int(nearest[row]), row, marker="o" if right else "X", markersize=5, linestyle="", **style)
    ax.set(xlabel="captions", ylabel="pictures", xticks=[], yticks=[])
    if title:
        ax.set_title(title)
    if colorbar:
        ax.figure.colorbar(shown, ax=ax, shrink=0.8, label="cosine")


def _checked(similarities, own):
    values = torch.as_tensor(similarities).detach().cpu().float()
    if values.ndim != 2 or not values.numel() or not torch.isfinite(values).all():
        raise ReaderError(
            f"Similarities must be a matrix of numbers (pictures, captions); this is {tuple(values.shape)}."
        )
    if own is None and values.shape[0] == values.shape[1]:
        own = torch.arange(len(values))
    if own is not None:
        own = torch.as_tensor(own)
        if own.shape != values.shape[:1] or not 0 <= int(own.min()) <= int(own.max()) < values.shape[1]:
            raise ReaderError("own must name a caption for each picture, from 0 on: one column a row.")
    return values, own


def similarity_explorer(
    similarities, images, captions, scale: float = 1 / 0.07, own=None, title="Pictures and captions"
) -> Explorer:
    """A figure to touch: point at a cell, or use the arrow keys, and see picture, caption and cosine.

    similarities: (pictures, captions) cosines. images: (pictures, 3, H, W) in [0, 1]. captions: one text a
    column. scale: what the cosines are multiplied with before the softmax, CLIP's exp(t). own: (pictures,),
    the column of each picture's own caption; by default the diagonal of a square. Raises ReaderError for
    other numbers of pictures or captions.
    """
    values, own = _checked(similarities, own)
    if (len(images), len(captions)) != tuple(values.shape):
        raise ReaderError(
            f"A matrix of {values.shape[0]} pictures and {values.shape[1]} captions needs as many of each; "
            f"given are {len(images)} and {len(captions)}."
        )
    start = 0
    if own is not None:  # where there is something to see: a picture whose nearest caption is not its own
        wrong = (values.argmax(1) != own).nonzero().flatten()
        start = int(wrong[0]) if len(wrong) else 0
    data = {
        # In thousandths: two processors agree on these almost always, on more digits not.
        "cosines": (values * 1000).round().long(),
        "pictures": [picture_uri(image) for image in images],
        "captions": [str(caption) for caption in captions],
        "own": own,
        "scale": round(float(scale), 2),
        "start": [start, int(values[start].argmax())],
    }
    figure = plt.figure(figsize=(6, 4.6))
    plot_similarity(values, own, ax=figure.add_subplot())
    alt = (
        f"A matrix of cosines of {len(images)} pictures, the rows, with {len(captions)} captions, the "
        "columns; dark cells are high. A picture's own caption is framed, the nearest has a dot or a cross."
    )
    return Explorer(
        title=title, alt=alt, data=data, script=Path(__file__).with_suffix(".js"), figure=figure, height=420
    )
