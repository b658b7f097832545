"""Loss curves, smoothed so that a trend can be seen, with the raw values behind them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from dalle_edu.explore.figures import COLOURS
from dalle_edu.files import read_history

_STYLES = ("-", "--", "-.", ":")


def plot_history(
    history: Path | str | Iterable[Mapping], keys: Iterable[str] = ("loss",), smooth: float = 0.9, ax=None
) -> None:
    """Draws columns `keys` of a training's history, a list of dicts or a `history.jsonl`.

    `smooth` in [0, 1): how much of the running mean is kept at each row. Returns None.
    """
    rows = read_history(Path(history)) if isinstance(history, (str, Path)) else list(history)
    ax = ax or plt.gca()
    for key, colour, style in zip(keys, COLOURS, _STYLES, strict=False):
        rows_with = [row for row in rows if key in row]
        steps, values = (
            [row["step"] for row in rows_with],
            np.array([row[key] for row in rows_with], dtype=float),
        )
        ax.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
        ax.plot(steps, _running_mean(values, smooth), color=colour, linestyle=style, label=key)
    ax.set_xlabel("step")
    ax.legend()


def _running_mean(values: np.ndarray, keep: float) -> np.ndarray:
    """Exponential mean, corrected for its start (Kingma & Ba 2015, section 3)."""
    mean, out = 0.0, []
    for n, value in enumerate(values, start=1):
        mean = keep * mean + (1 - keep) * value
        out.append(mean / (1 - keep**n))
    return np.array(out)
