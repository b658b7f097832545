"""Static figures: the book's look, pictures in a grid, and `show`, which gives every figure its text.

Importing this file sets the house style (white ground, 10-point type, the Okabe-Ito colours, each with a line
style of its own so that colour never speaks alone). The colours: Okabe & Ito 2008, "Color Universal Design".
"""

import io
import textwrap

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from PIL import Image

from dalle_edu.errors import ReaderError

# Blue, vermillion, green, purple, orange, sky blue, black, yellow: told apart with any kind of colour vision.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442"]
_LINES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)), "-", "--"]

_SCREEN_DPI = 96  # one inch of a figure on the reader's screen
_SHARPNESS = 2  # pixels stored for each pixel of the screen, for screens that can show them

HOUSE_STYLE = {
    "figure.figsize": (7, 3.2),
    "figure.dpi": _SCREEN_DPI,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=_LINES),
    "lines.linewidth": 1.8,
    "image.interpolation": "nearest",
    "image.cmap": "viridis",
}
matplotlib.rcParams.update(HOUSE_STYLE)


def figure_png(figure) -> bytes:
    """`figure` as the bytes of a PNG of two pixels a screen pixel, with no more colours than it needs."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_SCREEN_DPI * _SHARPNESS, bbox_inches="tight", pad_inches=0.06)
    return small_png(Image.open(buffer).convert("RGB"))


def small_png(picture: Image.Image) -> bytes:
    """`picture` as the bytes of a PNG, with a palette of 256 colours where nobody sees the difference."""
    few = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    error = np.abs(np.asarray(few.convert("RGB"), dtype=np.int16) - np.asarray(picture, dtype=np.int16)).max(
        axis=2
    )
    # Out of 255: at most one pixel in a thousand may be visibly off, and never by much.
    unseen = np.quantile(error, 0.999) <= 10 and error.max() <= 40
    buffer = io.BytesIO()
    (few if unseen else picture).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


_texts: dict[str, str] = {}


def figure_texts(**texts: str) -> None:
    """Gives the figures of a notebook their alternative texts; its cells then only say `show("name")`.

    A chapter calls this in one folded cell near its top. Raises `ReaderError` for a text that is empty.
    """
    for name, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise ReaderError(f"The text of the figure {name!r} is empty; say in a sentence what it shows.")
        _texts[name] = text.strip()


def show(name: str | None = None, *, alt: str | None = None) -> None:
    """Shows the current matplotlib figure with words for readers who do not see it, and closes it.

    The words are those that `figure_texts` knows under `name`; or `alt` itself; or, with neither, those that
    the plotting function left in `figure.alt`. Outside a notebook it opens a window where the backend can.
    Raises `ReaderError` without a figure or without words.
    """
    if not plt.get_fignums():
        raise ReaderError("There is no figure to show; draw one first, for example with plt.plot(...).")
    if name is not None and name not in _texts:
        known = ", ".join(sorted(_texts)) or "none"
        raise ReaderError(
            f"No text is known for the figure {name!r}; run figure_texts({name}=...) first. Known: {known}."
        )
    if name is not None:
        alt = _texts[name]
    elif alt is None:
        alt = getattr(plt.gcf(), "alt", None)
    if not isinstance(alt, str) or not alt.strip():
        raise ReaderError(
            'A figure needs its alternative text: show(alt="what the figure shows, in a sentence").'
        )
    figure = plt.gcf()
    try:
        from IPython import get_ipython

        in_notebook = get_ipython() is not None
    except ImportError:
        in_notebook = False
    if in_notebook:
        from IPython.display import display

        png = figure_png(figure)
        width, height = Image.open(io.BytesIO(png)).size
        size = {"width": width // _SHARPNESS, "height": height // _SHARPNESS}
        bundle = {"image/png": png, "text/plain": f"<Figure: {alt.strip()}>"}
        display(bundle, raw=True, metadata={"image/png": {"alt": alt.strip(), **size}})
    elif matplotlib.get_backend().lower() not in ("agg", "pdf", "svg", "ps", "template", "cairo"):
        plt.show()
    plt.close(figure)


def picture_array(images) -> np.ndarray:
    """`images` (N, 3 or 1, H, W), floats, tensor or array, as an array (N, H, W, 3) clipped to [0, 1]."""
    if hasattr(images, "detach"):
        images = images.detach().cpu()
        images = (images.float() if images.is_floating_point() else images).numpy()
    elif isinstance(images, (list, tuple)):
        images = np.stack([picture_array(image[None])[0].transpose(2, 0, 1) for image in images])
    pictures = np.asarray(images)
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3):
        raise ReaderError(
            f"Pictures must have the shape (number, 3, height, width); these have {tuple(pictures.shape)}."
        )
    if pictures.dtype.kind != "f":
        raise ReaderError(
            f"Pictures must be floats in [0, 1]; these are {pictures.dtype}: divide by 255 first."
        )
    pictures = np.broadcast_to(pictures, (len(pictures), 3, *pictures.shape[2:]))
    return np.clip(pictures.transpose(0, 2, 3, 1), 0, 1)


def picture_grid(images, captions=None, columns: int = 8, ax=None) -> None:
    """Draws `images` (N, 3, H, W) in [0, 1] row by row as one grid, `captions` (N strings) under them.

    Draws on `ax`, else on the current figure if it is still empty, else on a new one; pixels stay pixels.
    Returns None. Raises `ReaderError` for pictures of another shape or kind, or another number of captions.
    """
    pictures = picture_array(images)
    count, height, width, _ = pictures.shape
    if count == 0:
        raise ReaderError("There are no pictures to draw; picture_grid needs at least one.")
    if captions is not None and len(captions) != count:
        raise ReaderError(
            f"There are {count} pictures but {len(captions)} captions; give one caption a picture."
        )
    columns = min(columns, count)
    rows = -(-count // columns)
    gap = max(1, width // 16)
    total_width = columns * width + (columns - 1) * gap

    fresh = ax is None and not (plt.get_fignums() and not plt.gcf().axes)
    if ax is not None:
        inches = ax.figure.get_size_inches()[0] * ax.get_position().width
    else:
        inches = min(7.0, 1.75 * columns) if fresh else plt.gcf().get_size_inches()[0]
    points = 9
    wrapped, below = (
        [],
        [0] * rows,
    )  # the lines of each caption; the pixels of the grid that each row of them takes
    if captions is not None:
        letters = max(6, int(inches / columns / (0.55 * points / 72)))
        wrapped = [
            textwrap.wrap(str(text), letters, max_lines=4, placeholder="…") or [""] for text in captions
        ]
        line = (
            1.25 * points / 72 * total_width / inches
        )  # the height of a line of type, in pixels of the grid
        most = [max(map(len, wrapped[row * columns : (row + 1) * columns])) for row in range(rows)]
        below = [int((lines + 0.6) * line) for lines in most]
    tops = [row * (height + gap) + sum(below[:row]) for row in range(rows)]
    total_height = tops[-1] + height + below[-1]
    if ax is None:
        figure = (
            plt.figure(figsize=(inches, max(0.4, inches * total_height / total_width)))
            if fresh
            else plt.gcf()
        )
        ax = figure.add_subplot()

    canvas = np.ones((total_height, total_width, 3), dtype=np.float32)
    for index, picture in enumerate(pictures):
        top, left = tops[index // columns], index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = picture
        if wrapped:
            ax.text(left + width / 2, top + height + gap / 2, "\n".join(wrapped[index]), fontsize=points,
                    ha="center", va="top", linespacing=1.1)  # fmt: skip
    ax.imshow(canvas, interpolation="nearest")
    ax.set_axis_off()
