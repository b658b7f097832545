"""Schematic figures of the first chapters: autoencoder, convolution, the terms of the ELBO, residual block.

Each makes a figure of its own and leaves its words in `figure.alt`, so that `show()` needs none. Convolutions
after Dumoulin & Visin 2016, arXiv 1603.07285; the ELBO after Kingma & Welling 2014, arXiv 1312.6114, equation
3; the block after openai/DALL-E, encoder.py and decoder.py.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.patches import Polygon, Rectangle

from dalle_edu.errors import ReaderError
from dalle_edu.explore.figures import COLOURS

INK, SOFT = "#1a1a1a", "#495057"
BLUE, RED, GREEN, GREY = "#e3f0fa", "#fbe6d9", "#e2f5ee", "#f1f3f5"


def plot_autoencoder(pixels: int = 3072, latent_size: int = 32) -> None:
    """Picture, encoder, latent, decoder, reconstruction, with how many numbers there are at each place."""
    figure, ax = _sheet(700, 190)
    _picture(ax, 20, 60, "picture $x$", f"{pixels:,} numbers")
    _trapezium(ax, 140, 40, 120, 100, BLUE, COLOURS[0], "encoder\n$f$", narrows=True)
    for row in range(4):
        _box(ax, 310, 54 + 18 * row, 26, 18, RED, COLOURS[1])
    _words(ax, 323, 150, "code $z$")
    _words(ax, 323, 170, f"{latent_size:,} numbers", SOFT)
    _trapezium(ax, 390, 40, 120, 100, GREEN, COLOURS[2], "decoder\n$g$", narrows=False)
    _picture(ax, 560, 60, r"reconstruction $\hat x$", f"{pixels:,} numbers")
    for start, end in ((92, 136), (264, 306), (340, 386), (514, 556)):
        _arrow(ax, (start, 90), (end, 90))
    ax.annotate("", (590, 50), (50, 50), arrowprops={"arrowstyle": "<|-|>", "color": COLOURS[1], "lw": 1.4,
                "connectionstyle": "arc3,rad=-0.16", "linestyle": "--"})  # fmt: skip
    _words(ax, 323, 28, "loss: how far are they apart?", COLOURS[1])
    figure.alt = (
        f"A picture of {pixels:,} numbers enters the encoder, which narrows to a code of {latent_size:,} "
        "numbers; the decoder widens it to a reconstruction; a dashed arrow compares it with the picture."
    )


def plot_elbo() -> None:
    """The way of a picture through a VAE, and the two places at which the terms of the bound are measured."""
    figure, ax = _sheet(760, 300)
    _picture(ax, 10, 60, "picture $x$")
    _trapezium(ax, 110, 40, 100, 100, BLUE, COLOURS[0], "encoder", narrows=True)
    _box(ax, 250, 45, 60, 34, RED, COLOURS[1], "mean $m$")
    _box(ax, 250, 101, 60, 34, RED, COLOURS[1], "spread $s$")
    _box(ax, 360, 72, 110, 36, "white", COLOURS[1], r"$z = m + s\,\varepsilon$")
    _words(ax, 415, 20, r"noise $\varepsilon$ from $\mathcal{N}(0, 1)$", SOFT)
    _trapezium(ax, 510, 40, 100, 100, GREEN, COLOURS[2], "decoder", narrows=False)
    _picture(ax, 660, 60, r"mean of $p(x \mid z)$")
    ways = [[(82, 90), (106, 90)], [(214, 80), (246, 66)], [(214, 100), (246, 116)], [(314, 62), (356, 82)]]
    ways += [[(314, 118), (356, 98)], [(474, 90), (506, 90)], [(614, 90), (656, 90)], [(415, 30), (415, 68)]]
    for start, end in ways:
        _arrow(ax, start, end)
    _box(
        ax,
        180,
        205,
        220,
        62,
        "#fff3d6",
        "#E69F00",
        "term 2, the price\n" r"$\mathrm{KL}(q(z\mid x)\,\Vert\,p(z))$",
    )
    _box(ax, 470, 205, 220, 62, "#fff3d6", "#E69F00", "term 1, the quality\n" r"$\ln p(x\mid z)$")
    _arrow(ax, (280, 139), (285, 201), "--")
    _arrow(ax, (690, 152), (620, 201), "--")
    ax.annotate("", (466, 245), (40, 152), arrowprops={"arrowstyle": "-|>", "color": SOFT, "lw": 1.4,
                "ls": "--", "connectionstyle": "angle,angleA=0,angleB=90,rad=8"})  # fmt: skip
    _words(ax, 380, 288, "ELBO = term 1, averaged over the noise, minus term 2", INK)
    figure.alt = (
        "The encoder turns a picture into a mean and a spread; noise times the spread plus the mean is z; "
        "the decoder turns z into a picture. Term 2, the KL, is measured at mean and spread; term 1, the "
        "log-likelihood, compares the decoder's picture with the original."
    )


def plot_dvae_block(gain: float = 1 / 64, channels: int = 64) -> None:
    """The block of DALL·E's dVAE: the input, plus a little of what four convolutions make of it."""
    figure, ax = _sheet(760, 240)
    small = channels // 4
    _box(ax, 15, 150, 90, 44, GREY, SOFT, f"$x$\n{channels} channels")
    steps = [(f"{channels} → {small}", "3 × 3"), (f"{small} → {small}", "3 × 3")]
    steps += [(f"{small} → {small}", "3 × 3"), (f"{small} → {channels}", "1 × 1")]
    for number, (widths, kernel) in enumerate(steps):
        left = 145 + 108 * number
        _box(ax, left, 35, 92, 56, BLUE, COLOURS[0], f"ReLU\nconv {kernel}\n{widths}")
        if number:
            _arrow(ax, (left - 14, 63), (left - 2, 63))
    _box(ax, 585, 42, 70, 42, RED, COLOURS[1], f"× 1/{round(1 / gain)}")
    _arrow(ax, (563, 63), (582, 63))
    ax.annotate("", (142, 63), (60, 147), arrowprops={"arrowstyle": "-|>", "color": SOFT, "lw": 1.4,
                "connectionstyle": "angle,angleA=0,angleB=90,rad=8"})  # fmt: skip
    _box(ax, 600, 152, 40, 40, GREEN, COLOURS[2], "+")
    _arrow(ax, (620, 87), (620, 149))
    _arrow(ax, (108, 172), (597, 172))
    _words(ax, 350, 192, "identity (a 1 × 1 convolution where the channels change)", SOFT)
    _box(ax, 680, 150, 66, 44, GREY, SOFT, "output")
    _arrow(ax, (643, 172), (677, 172))
    _words(ax, 400, 16, "residual path: what the block wants to change", SOFT)
    figure.alt = (
        f"A residual block: the input of {channels} channels goes straight on to a plus sign; beside it runs "
        f"a path of four ReLU and convolution steps with {small} channels inside, multiplied by "
        f"1/{round(1 / gain)} and added."
    )


def plot_convolution(
    image, kernel, stride: int = 1, padding: int = 1, at=(1, 1), transposed: bool = False
) -> None:
    """One step of a convolution with its numbers: the window of the input, the kernel, and the output number.

    `image` (H, W) and `kernel` (k, k), small whole numbers; `at`: (row, column) of the output number that is
    explained or, when `transposed`, of the input number whose copy of the kernel is marked in the output.
    Raises `ReaderError` for a place that is not there.
    """
    image, kernel = torch.as_tensor(image).float(), torch.as_tensor(kernel).float()
    side = kernel.shape[0]
    operate = F.conv_transpose2d if transposed else F.conv2d
    output = operate(image[None, None], kernel[None, None], stride=stride, padding=padding)[0, 0]
    chosen = image if transposed else output
    if not (0 <= at[0] < chosen.shape[0] and 0 <= at[1] < chosen.shape[1]):
        raise ReaderError(f"The place {tuple(at)} lies outside {tuple(chosen.shape)}.")
    corner = (at[0] * stride - padding, at[1] * stride - padding)  # of the window, in the larger of the two
    unit, gap = min(32, 224 // max(*image.shape, *output.shape)), 60
    wide = [unit * values.shape[1] for values in (image, kernel, output)]
    lefts = [30, 30 + wide[0] + gap, 30 + wide[0] + wide[1] + 2 * gap]
    tall = unit * max(image.shape[0], output.shape[0], side)
    figure, ax = _sheet(max(560, lefts[2] + wide[2] + 30), tall + 110)
    titles = [f"{name}, {values.shape[0]} × {values.shape[1]}" for name, values in
              (("input", image), ("kernel", kernel), ("output", output))]  # fmt: skip
    one, many = (*at, 1), (*corner, side)
    _numbers(ax, image, lefts[0], 40, unit, titles[0], one if transposed else many)
    _numbers(ax, kernel, lefts[1], 40, unit, titles[1], fill=BLUE)
    _numbers(ax, output, lefts[2], 40, unit, titles[2], many if transposed else one)
    _words(ax, lefts[1] - gap / 2, 40 + unit * side / 2, "×", INK)
    _words(ax, lefts[2] - gap / 2, 40 + unit * side / 2, "add" if transposed else "sum", INK)
    kind = "transposed convolution" if transposed else "convolution"
    task = (
        "one input number times the kernel\nis added into a window of the output"
        if transposed
        else "a window of the input times the kernel,\nnumber by number, adds up to one output number"
    )
    _words(ax, ax.get_xlim()[1] / 2, tall + 80, f"{kind}, stride {stride}: {task}", SOFT)
    task = task.replace("\n", " ")
    figure.alt = f"A {kind} with stride {stride}, drawn with its numbers: {task}. Both are framed."


def _sheet(width, height):
    figure = plt.figure(figsize=(width / 95, height / 95), layout="none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    ax.set_axis_off()
    return figure, ax


def _words(ax, x, y, text, colour=INK, size=9.5):
    ax.text(x, y, text, fontsize=size, color=colour, ha="center", va="center", zorder=5, linespacing=1.35)


def _box(ax, x, y, width, height, fill, edge, text=""):
    ax.add_patch(Rectangle((x, y), width, height, facecolor=fill, edgecolor=edge, linewidth=1.3))
    _words(ax, x + width / 2, y + height / 2, text)


def _trapezium(ax, x, y, width, height, fill, edge, text, narrows):
    tall, short = (0, height), (0.3 * height, 0.7 * height)
    left, right = (tall, short) if narrows else (short, tall)
    corners = [(x, y + left[0]), (x + width, y + right[0]), (x + width, y + right[1]), (x, y + left[1])]
    ax.add_patch(Polygon(corners, facecolor=fill, edgecolor=edge, linewidth=1.3))
    _words(ax, x + width / 2, y + height / 2, text)


def _arrow(ax, start, end, style="-"):
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": SOFT, "lw": 1.4, "ls": style})


def _picture(ax, x, y, name, below=""):
    """A small drawing, so that one sees at a glance where pictures are."""
    _box(ax, x, y, 68, 68, "white", SOFT)
    ax.add_patch(plt.Circle((x + 34, y + 38), 20, color="#D55E00", zorder=3))
    ax.plot([x + 34, x + 40], [y + 20, y + 8], color="#5c4033", lw=2, ls="-", zorder=4)
    _words(ax, x + 34, y + 82, name)
    _words(ax, x + 34, y + 102, below, SOFT)


def _numbers(ax, values, x, y, unit, title, window=None, fill="white"):
    for row, line in enumerate(values.tolist()):
        for column, value in enumerate(line):
            inside = window is not None and all(
                start <= place < start + window[2]
                for place, start in zip((row, column), window[:2], strict=True)
            )
            place = (x + unit * column, y + unit * row)
            cell = Rectangle(
                place, unit, unit, lw=0.6, edgecolor="#adb5bd", facecolor=RED if inside else fill
            )
            ax.add_patch(cell)
            ax.text(x + unit * (column + 0.5), y + unit * (row + 0.5), f"{value:g}", fontsize=9, ha="center",
                    va="center")  # fmt: skip
    if window is not None:
        frame = Rectangle((x + unit * window[1], y + unit * window[0]), unit * window[2], unit * window[2],
                          facecolor="none", edgecolor=COLOURS[1], linewidth=2.2, zorder=4)  # fmt: skip
        ax.add_patch(frame)
    _words(ax, x + unit * values.shape[1] / 2, y - 16, title, SOFT)
