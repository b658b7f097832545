"""The simplex of three categories (chapter 4): relaxed draws as points, and a temperature to slide.

y = softmax((logits + g) / temperature): a point of the triangle whose corners are the three one-hots.
Jang, Gu & Poole 2017, arXiv 1611.01144, figure 1; Maddison, Mnih & Teh 2017, arXiv 1611.00712, figure 2.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import COLOURS
from dalle_edu.gumbel import gumbel_noise

# Corners of an equilateral triangle of side 1, the first at the top.
_CORNERS = torch.tensor([[0.5, 3**0.5 / 2], [0.0, 0.0], [1.0, 0.0]])


def simplex_plot(points, labels=("A", "B", "C"), ax=None) -> None:
    """Draws `points` (N, 3), each row not negative with sum 1, in the triangle; `labels` name the corners."""
    points = torch.as_tensor(points).detach().float()
    if points.ndim != 2 or points.shape[1] != 3:
        raise ReaderError(f"A simplex in the plane has 3 categories: (N, 3), not {tuple(points.shape)}.")
    ax = ax or plt.gca()
    ax.fill(*_CORNERS.T, facecolor="none", edgecolor="black", linewidth=1)
    x, y = (points @ _CORNERS).T
    winner = points.argmax(1)
    for k, marker in enumerate("o^s"):
        chosen = winner == k
        ax.scatter(x[chosen], y[chosen], s=14, marker=marker, color=COLOURS[k], alpha=0.6, linewidths=0)
    for (x0, y0), label, up in zip(_CORNERS.tolist(), labels, (1, -1, -1), strict=True):
        ax.annotate(label, (x0, y0), (0, 6 * up), textcoords="offset points", ha="center",
                    va="bottom" if up > 0 else "top", fontsize=9)  # fmt: skip
    ax.set(aspect="equal", xlim=(-0.12, 1.12), ylim=(-0.16, 1.0))
    ax.set_axis_off()


def simplex_explorer(logits, labels=("A", "B", "C"), pictures=None, draws=200, seed=0) -> Explorer:
    """A triangle to touch: the same `draws` noises at every temperature, for `logits` of three categories.

    `pictures` (3, 3, H, W) in [0, 1], if given, are mixed by
    the ringed draw. The still picture shows temperature 1.
    """
    logits = torch.as_tensor(logits).detach().float()
    if logits.shape != (3,) or len(labels) != 3:
        raise ReaderError("The simplex explorer draws a triangle: give three logits and three labels.")
    if pictures is not None and len(pictures) != 3:
        raise ReaderError(f"Give three pictures, one a category, not {len(pictures)}.")
    noise = gumbel_noise(torch.empty(draws, 3), torch.Generator().manual_seed(seed))
    figure, axes = plt.subplots(1, 3, figsize=(7, 2.5))
    for ax, temperature in zip(axes, (4.0, 1.0, 0.25), strict=True):
        simplex_plot(((logits + noise) / temperature).softmax(1), labels, ax=ax)
        ax.set_title(f"temperature {temperature:g}", fontsize=10)
    data = {"logits": logits, "noise": noise, "labels": list(labels)}
    if pictures is not None:
        data["pictures"] = [picture_uri(picture) for picture in pictures]
    return Explorer(
        title="Slide the temperature: where do the relaxed draws go?",
        alt="A triangle with one category at each corner and a cloud of relaxed draws. At a high temperature "
        "the cloud shrinks to the centre, at a low one every draw sits in a corner.",
        data=data,
        script=Path(__file__).with_suffix(".js"),
        figure=figure,
        height=380,
    )
