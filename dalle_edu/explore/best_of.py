"""Best of N, to touch (chapter 12): a slider over N, the winner among the first N samples, all below it.

The samples stand in the order in which they were drawn, so that N = 1 is what one gets without a ranking.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import COLOURS, picture_grid

_COLUMNS = 16


def winners(scores) -> torch.Tensor:
    """Which of the first N samples has the highest score, for each N: (samples,) -> (samples,) int64."""
    scores, best = torch.as_tensor(scores), [0]
    for i in range(1, len(scores)):  # of equals the first, as `rank` has it
        best.append(i if scores[i] > scores[best[-1]] else best[-1])
    return torch.tensor(best)


def plot_best_of(scores, ax=None, label: str = "the best so far", mark: int | None = None) -> None:
    """Draws each sample's score and the best of the first N against N; `mark`: an N to point out."""
    scores = torch.as_tensor(scores).detach().cpu().float()
    ax = ax or plt.gca()
    n = torch.arange(1, len(scores) + 1)
    best = scores[winners(scores)]
    ax.plot(n, scores, linestyle="", marker=".", color="grey", markersize=4, label="one sample")
    ax.step(n, best, where="post", color=COLOURS[0], label=label)
    if mark is not None:
        ax.plot(mark, best[mark - 1], marker="o", color=COLOURS[1], markersize=8)
    ax.set(xlabel="samples drawn", ylabel="CLIP's similarity")


def best_of_explorer(prompt: str, images, scores, right=None, n: int = 8) -> Explorer:
    """A figure to touch: move N, and see which of the first N drawings CLIP puts first.

    images: (samples, 3, H, W) in [0, 1] in the order of drawing, with their scores (samples,). right: a
    judge's verdicts, one bool a sample, shown as ticks. n: the N chosen at first. Raises ReaderError for
    numbers of scores or verdicts that do not fit, and for more than 512 samples.
    """
    scores = torch.as_tensor(scores).detach().cpu().float()
    count = len(images)
    if not 1 <= count <= 512 or scores.shape != (count,) or not torch.isfinite(scores).all():
        raise ReaderError(f"Give 1 to 512 drawings and a score for each: {count} and {tuple(scores.shape)}.")
    if right is not None and len(right) != count:
        raise ReaderError(f"There are {count} drawings but {len(right)} verdicts; give one a drawing.")
    n = max(1, min(n, count))
    best = winners(scores)
    data = {
        "sheet": picture_uri(_sheet(images)),
        "columns": _COLUMNS,
        "rows": -(-count // _COLUMNS),
        # In thousandths: two processors agree on these almost always, on more digits not.
        "scores": (scores * 1000).round().long(),
        "best": best,
        "right": None if right is None else [bool(r) for r in right],
        "n": n,
    }
    figure, axes = plt.subplots(1, 2, figsize=(7, 2.6), width_ratios=[1, 2.4])
    picture_grid(images[best[n - 1]][None], ax=axes[0])
    axes[0].set_title(f"best of {n}")
    plot_best_of(scores, ax=axes[1], mark=n)
    alt = (
        f"“{prompt}”: the drawing that CLIP puts first among the first {n} of {count}, beside the best score "
        "so far against the number of drawings: stairs that rise steeply at first, then ever more rarely."
    )
    title = f"“{prompt}”: the best of N"
    return Explorer(
        title=title, alt=alt, data=data, script=Path(__file__).with_suffix(".js"), figure=figure, height=430
    )


def _sheet(images) -> torch.Tensor:
    """(n, 3, H, W) -> one picture of rows of 16, the last filled with white."""
    images = torch.as_tensor(images).detach().cpu().float()
    blank = torch.ones(-len(images) % _COLUMNS, *images.shape[1:])
    rows = torch.cat([images, blank]).unflatten(0, (-1, _COLUMNS))  # (rows, 16, 3, H, W)
    return rows.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)
