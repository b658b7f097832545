"""A latent plane to look at (chapters 1 and 2): as dots, as a map of decoded pictures, and to touch.

Every function takes the reader's own `decode`, latents (n, 2) -> pictures (n, 3, H, W), and codes (N, 2).
"""

import base64
import io
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from PIL import Image

from dalle_edu.autoencoder import latent_grid
from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer
from dalle_edu.explore.figures import COLOURS, picture_array, small_png

MARKERS = ["o", "s", "^", "D", "P", "X", "v", "*"]
_LETTERS = "●■▲◆✚✖▼★"  # the same signs in a page's text


def plot_codes(codes, kinds=None, ax=None, legend: bool = True) -> None:
    """Draws codes (N, 2) as dots; `kinds` (N names) gives each kind its colour and its marker."""
    codes = _as_codes(codes)
    kinds = ["picture"] * len(codes) if kinds is None else list(kinds)
    if len(kinds) != len(codes):
        raise ReaderError(f"There are {len(codes)} codes but {len(kinds)} kinds; give one kind a code.")
    ax = ax or plt.gca()
    names = list(dict.fromkeys(kinds))  # in the order in which they first come
    for number, name in enumerate(names):
        chosen = torch.tensor([kind == name for kind in kinds])
        ax.scatter(
            *codes[chosen].T, s=9, alpha=0.55, linewidths=0, label=name,
            color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)],
        )  # fmt: skip
    if legend and len(names) > 1:
        ax.legend(markerscale=2)
    ax.set_xlabel("first latent number")
    ax.set_ylabel("second latent number")


def plot_latent_map(decode, low=(-2.5, -2.5), high=(2.5, 2.5), steps: int = 12, ax=None) -> None:
    """Draws what `decode` makes of a grid of points of the plane, each picture where its point lies."""
    frames = picture_array(_frames(decode, low, high, steps))
    count, height, width, _ = frames.shape
    sheet = frames.reshape(steps, steps, height, width, 3).swapaxes(1, 2).reshape(steps * height, -1, 3)
    ax = ax or plt.gca()
    half = [(high[axis] - low[axis]) / (steps - 1) / 2 for axis in (0, 1)]
    ax.imshow(sheet, extent=(low[0] - half[0], high[0] + half[0], low[1] - half[1], high[1] + half[1]))
    ax.set_xlabel("first latent number")
    ax.set_ylabel("second latent number")


def latent_explorer(
    decode, codes, pictures, *, kinds=None, low=(-2.5, -2.5), high=(2.5, 2.5), steps: int = 17, start=None,
    title: str = "Drag the point through the latent plane",
) -> Explorer:  # fmt: skip
    """A figure to touch: drag a point through the plane, or move it with the arrow keys, and see its picture.

    decode: (n, 2) -> (n, 3, H, W). codes (N, 2) and pictures (N, 3, H, W): what the dots are; beside each
    decoded picture stands the picture whose code lies nearest. low, high: the corners of the plane. steps:
    points along each side, all decoded beforehand, so that it works where no Python runs. start: (column,
    row) from the lower left at which it begins; the middle if None.
    """
    codes = _as_codes(codes)
    if len(pictures) != len(codes):
        raise ReaderError(f"There are {len(codes)} codes but {len(pictures)} pictures; give one to each.")
    points = latent_grid(low, high, steps)
    frames = _frames(decode, low, high, steps)
    nearest = pictures[torch.cdist(points, codes).argmin(dim=1)]
    column, row = start or (steps // 2, steps // 2)
    if not (0 <= column < steps and 0 <= row < steps):
        raise ReaderError(f"start must be (column, row), each from 0 to {steps - 1}, but it is {start}.")
    data = {
        "low": list(low),
        "high": list(high),
        "steps": steps,
        "size": frames.shape[-1],
        "at": [column, row],
        "decoded": _sheet(frames, steps),
        "nearest": _sheet(nearest, steps),
        "dots": _dots(codes, kinds, low, high),
        "kinds": [
            {
                "name": str(name),
                "colour": COLOURS[number % len(COLOURS)],
                "marker": _LETTERS[number % len(_LETTERS)],
            }
            for number, name in enumerate(dict.fromkeys(kinds or []))
        ],
    }
    chosen = (steps - 1 - row) * steps + column
    figure, axes = plt.subplots(1, 3, figsize=(7, 3), width_ratios=(2, 1, 1))
    plot_codes(codes, kinds, ax=axes[0], legend=False)
    axes[0].plot(*points[chosen], marker="P", markersize=13, color="black", markeredgecolor="white")
    axes[0].set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    for ax, image, text in zip(axes[1:], (frames, nearest), ("decoded", "nearest picture"), strict=True):
        ax.imshow(picture_array(image[chosen][None])[0])
        ax.set_title(text)
        ax.set_axis_off()
    alt = (
        "A plane of latent codes as dots, with a point to drag. Beside it the picture that the decoder makes "
        "of the point, and the picture whose code lies nearest to it."
    )
    return Explorer(title=title, alt=alt, data=data, script=Path(__file__).with_suffix(".js"), figure=figure)


def _as_codes(codes):
    codes = torch.as_tensor(codes).detach().float()
    if codes.ndim != 2 or codes.shape[1] != 2:
        raise ReaderError(f"A plane needs codes of shape (number, 2); these have {tuple(codes.shape)}.")
    return codes


@torch.no_grad()
def _frames(decode, low, high, steps):
    """The decoded grid in 32 shades a colour: nobody sees the difference, and the PNG is a third as large."""
    return (decode(latent_grid(low, high, steps)).clamp(0, 1) * 31).round() / 31


def _sheet(frames, steps: int) -> str:
    """All frames in one PNG, row by row from the top, as a `data:` address."""
    pixels = picture_array(frames)
    _, height, width, _ = pixels.shape
    sheet = pixels.reshape(steps, steps, height, width, 3).swapaxes(1, 2).reshape(steps * height, -1, 3)
    return _uri(small_png(Image.fromarray((sheet * 255).round().astype("uint8"))))


def _dots(codes, kinds, low, high) -> str:
    """The dots alone, edge to edge, as a `data:` address: the ground on which the point is dragged."""
    with plt.rc_context({"figure.constrained_layout.use": False}):
        figure = plt.figure(figsize=(3.2, 3.2))
        ax = figure.add_axes((0, 0, 1, 1))
        plot_codes(codes, kinds, ax=ax, legend=False)
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        ax.set_axis_off()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=192)
        plt.close(figure)
    return _uri(small_png(Image.open(buffer).convert("RGB")))


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
