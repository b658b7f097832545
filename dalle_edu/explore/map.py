"""The whole of DALL·E in one line of boxes, with the reader's place in it: for each chapter's head."""

import matplotlib.pyplot as plt
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

from dalle_edu.errors import ReaderError
from dalle_edu.explore.figures import COLOURS

# Each station of the way from a caption to a picture, and the chapters that build it.
STATIONS = {
    "text tokens": (6,),
    "sparse transformer": (7, 8, 9, 10, 14),
    "image tokens": (11,),
    "decoder of the dVAE": (1, 2, 3, 4, 5),
    "pictures": (13,),
    "CLIP": (12,),
}
# The second line: where the decoder comes from.
STEPS = {
    1: ("autoencoder", "a bottleneck"),
    2: ("VAE", "a known density"),
    3: ("VQ-VAE", "a finite codebook"),
    4: ("Gumbel-softmax", "a gradient to choose"),
    5: ("discrete VAE", "tokens and back"),
}
LAST = max(number for numbers in STATIONS.values() for number in numbers)

_INK, _SOFT, _HERE = "#1a1a1a", "#495057", COLOURS[1]
_TOKENS = [["17", "17", "3", "17"], ["17", "8", "9", "17"], ["44", "45", "46", "17"], ["17", "52", "", ""]]


def plot_map(chapter: int) -> None:
    """Draws the way from a caption to ranked pictures and marks what `chapter` (0 to 14) builds.

    Always a figure of its own; `show()` after it needs no text, for the figure brings one. Returns None.
    Raises `ReaderError` for a chapter that the book does not have.
    """
    if chapter not in range(LAST + 1):
        raise ReaderError(f"The book has the chapters 0 to {LAST}; there is no chapter {chapter!r}.")
    here = [name for name, numbers in STATIONS.items() if chapter in numbers] or list(STATIONS)
    figure = plt.figure(figsize=(8, 2.75), layout="none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 900), ylim=(309, 0))
    ax.set_axis_off()

    _words(ax, 70, 75, "“a red\napple”")
    for top, word in zip((36, 56, 76, 96), ("a", "red", "apple", "·"), strict=True):
        _box(ax, 146, top, 62, 18, "#fff3d6", "#E69F00", word, marked="text tokens" in here)
    _box(ax, 252, 36, 150, 78, "#e3f0fa", "#0072B2", "sparse\ntransformer",
         marked="sparse transformer" in here)  # fmt: skip
    for row, line in enumerate(_TOKENS):
        for column, token in enumerate(line):
            _box(ax, 441 + 23 * column, 32 + 22 * row, 21, 20, "#eef1f4" if token else "white", "#868e96",
                 token, size=7.5, marked="image tokens" in here, dashed=not token)  # fmt: skip
    _box(ax, 572, 36, 116, 78, "#e2f5ee", "#009E73", "decoder\nof the dVAE",
         marked="decoder of the dVAE" in here)  # fmt: skip
    for top, colour in ((36, "#cc7777"), (78, "#D55E00")):
        _box(ax, 730, top, 38, 38, "white", "#868e96", marked="pictures" in here)
        for side in (-4.6, 4.6):
            ax.add_patch(Circle((749 + side, top + 22), 9, color=colour, lw=0, zorder=3))
        ax.plot([749, 753], [top + 15, top + 5], color="#5c4033", lw=1.6, ls="-", zorder=4)
    _box(ax, 806, 36, 80, 78, "#f8e8f1", "#CC79A7", "CLIP\nranks\nthem", marked="CLIP" in here)
    for start, end in ((108, 140), (212, 246), (406, 436), (534, 566), (692, 724), (772, 800)):
        _arrow(ax, start, end, 75)
    centres = dict(zip(STATIONS, (177, 327, 485, 630, 749, 846), strict=True))
    for name, numbers in STATIONS.items():
        if name in ("text tokens", "image tokens", "pictures"):
            _words(ax, centres[name], 131, name, size=9)
        mine = chapter in numbers
        _words(ax, centres[name], 150, _chapters(numbers), size=9, colour=_HERE if mine else _SOFT, bold=mine)

    ax.plot([20, 880], [172, 172], color="#dee2e6", lw=1.2, ls="-")
    _words(ax, 20, 192, "Where the decoder comes from: five chapters, each adds one idea", colour=_SOFT,
           align="left")  # fmt: skip
    for number, (name, idea) in STEPS.items():
        left = 20 + 175 * (number - 1)
        last = number == max(STEPS)
        _box(ax, left, 208, 155, 60, "#e2f5ee" if last else "#f8f9fa", "#009E73" if last else "#868e96",
             f"{number} · {name}", marked=number == chapter, second=idea)  # fmt: skip
        if not last:
            _arrow(ax, left + 157, left + 173, 238)
    if chapter in STEPS:
        _words(ax, 20 + 175 * (chapter - 1) + 77, 290, "▲ you are here", colour=_HERE, bold=True)
    elif chapter:
        _words(ax, centres[here[0]], 18, "▼ you are here", colour=_HERE, bold=True)
    figure.alt = map_text(chapter)


def map_text(chapter: int) -> str:
    """The words that go with `plot_map(chapter)`, for readers who do not see it."""
    way = f"The way of a caption through DALL·E: {', '.join(STATIONS)}."
    if chapter in STEPS:
        name, idea = STEPS[chapter]
        return (
            f"{way} Below it, five steps lead to the decoder; this chapter is step {chapter}, {name}: {idea}."
        )
    here = [name for name, numbers in STATIONS.items() if chapter in numbers]
    return f"{way} " + (f"This chapter builds: {here[0]}." if here else "This chapter walks all of it.")


def _chapters(numbers) -> str:
    """(6,) as "chapter 6", (7, 8, 9, 10, 14) as "chapters 7 to 10, 14"."""
    runs = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    text = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
    return f"chapter{'s' if len(numbers) > 1 else ''} {text}"


def _words(ax, x, y, text, size=9.5, colour=_INK, bold=False, align="center"):
    weight = "bold" if bold else "normal"
    ax.text(x, y, text, fontsize=size, color=colour, weight=weight, ha=align, va="center", zorder=5,
            linespacing=1.3)  # fmt: skip


def _box(ax, x, y, width, height, fill, edge, text="", size=9.5, marked=False, dashed=False, second=None):
    """A box with centred words; `marked` draws it in the colour and weight that mean "you are here"."""
    small = min(width, height) < 30
    shape = (
        Rectangle((x, y), width, height)
        if small
        else FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=8", mutation_aspect=1)
    )
    shape.set(facecolor=fill, edgecolor=_HERE if marked else edge, linewidth=2.6 if marked else 1.2,
              linestyle="--" if dashed else "-")  # fmt: skip
    ax.add_patch(shape)
    if second is None:
        _words(ax, x + width / 2, y + height / 2, text, size=size, bold=marked and not small)
    else:
        _words(ax, x + width / 2, y + 0.33 * height, text, size=8.8, bold=True)
        _words(ax, x + width / 2, y + 0.69 * height, second, size=9)


def _arrow(ax, start, end, y):
    ax.annotate("", (end, y), (start, y), arrowprops={"arrowstyle": "-|>", "color": _SOFT, "lw": 1.4})
