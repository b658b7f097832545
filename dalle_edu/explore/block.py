"""The transformer's residual block, drawn (chapter 8): one stream, two branches that read it and add to it.

x <- x + attention(norm(x));  x <- x + mlp(norm(x))      Radford et al. 2019, section 2.3
"""

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

from dalle_edu.explore.figures import COLOURS

_INK = "#343a40"


def plot_residual_block(ax=None) -> None:
    """Draws a pre-norm block from left to right: the stream as a straight line, attention and network as
    branches that leave it, and the two places where they are added."""
    ax = ax or plt.gca()
    ax.annotate("", (10, 0), (0, 0), arrowprops={"arrowstyle": "-|>", "color": COLOURS[0], "lw": 3})
    ax.text(0.05, -0.28, "x, the residual stream:\nnothing on it but additions", color=COLOURS[0], va="top")
    parts = (("attention", "moves between\npositions"), ("network", "each position\nalone"))
    for left, (name, says) in zip((0.8, 5.4), parts, strict=True):
        _arrow(ax, (left, 0), (left, 1.05), "-")
        _arrow(ax, (left, 1.05), (left + 0.25, 1.05))
        _box(ax, left + 0.25, 1.1, "norm")
        _arrow(ax, (left + 1.35, 1.05), (left + 1.6, 1.05))
        _box(ax, left + 1.6, 1.5, name)
        ax.text(left + 2.35, 1.6, says, ha="center", va="bottom", fontsize=9, color=_INK)
        _arrow(ax, (left + 3.1, 1.05), (left + 3.6, 1.05), "-")
        _arrow(ax, (left + 3.6, 1.05), (left + 3.6, 0.2))
        ax.plot(left + 3.6, 0, marker="o", markersize=17, color="white", markeredgecolor=COLOURS[0], zorder=3)
        ax.text(left + 3.6, 0, "+", ha="center", va="center_baseline", fontsize=13, zorder=4)
    ax.set(xlim=(-0.1, 10.1), ylim=(-1.1, 2.4))
    ax.set_axis_off()


def _box(ax, left, width, name):
    shape = FancyBboxPatch((left, 0.75), width, 0.6, boxstyle="round,pad=0,rounding_size=0.12")
    shape.set(facecolor="#fff3d6" if name == "norm" else "#e3f0fa", edgecolor=_INK, zorder=2)
    ax.add_patch(shape)
    ax.text(left + width / 2, 1.05, name, ha="center", va="center", color=_INK, zorder=3)


def _arrow(ax, start, end, style="-|>"):
    ax.annotate(
        "",
        end,
        start,
        arrowprops={"arrowstyle": style, "color": _INK, "lw": 1.4, "shrinkA": 0, "shrinkB": 0},
    )
