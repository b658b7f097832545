"""The Gumbel race (chapter 4): logits plus noise, the
largest wins, and wins as often as its probability says.

k = argmax_i (logit_i + g_i), g_i = -ln(-ln u_i);  relaxed: softmax((logits + g) / temperature)
Jang, Gu & Poole 2017, arXiv 1611.01144; Maddison, Mnih & Teh 2017, arXiv 1611.00712.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer
from dalle_edu.explore.figures import COLOURS
from dalle_edu.gumbel import gumbel_noise


def gumbel_race_explorer(
    logits=(2.0, 1.0, 0.0, -1.0), labels=None, temperature: float = 1.0, draws: int = 300, seed: int = 0
) -> Explorer:
    """A figure to touch: run one race after another, or fifty at once, and count who wins.

    `gumbel_race_explorer()` needs nothing; `logits` (K,), 2 to 8 of them, with
    `labels`, one a category. The noise of all `draws` races is stored, so that the
    figure tells the same story to every reader. A slider turns the temperature of the
    relaxed draw. Raises ReaderError for other numbers of logits, labels or draws.
    """
    logits = torch.as_tensor(logits).detach().float()
    count = len(logits)
    labels = [f"code {k}" for k in range(count)] if labels is None else [str(label) for label in labels]
    if logits.ndim != 1 or not 2 <= count <= 8 or len(labels) != count or not 1 <= draws <= 1000:
        raise ReaderError(
            f"Give 2 to 8 logits, a label for each, and 1 to 1,000 draws; these are {tuple(logits.shape)} "
            f"logits, {len(labels)} labels, {draws} draws."
        )
    noise = gumbel_noise(torch.empty(draws, count), torch.Generator().manual_seed(seed))
    data = {"logits": logits, "noise": noise, "labels": labels, "temperature": temperature}
    wins = torch.bincount((logits + noise).argmax(1), minlength=count) / draws
    figure, ax = plt.subplots(figsize=(7, 2.4))
    places = torch.arange(count)
    ax.bar(places - 0.2, logits.softmax(0), width=0.4, color=COLOURS[0], label="softmax of the logits")
    ax.bar(places + 0.2, wins, width=0.4, color=COLOURS[4], hatch="//", label=f"wins in {draws} races")
    ax.set_xticks(places, labels)
    ax.legend()
    alt = (
        f"For {count} categories the softmax of their logits beside the share of {draws} races that each "
        "wins when Gumbel noise is added to its logit: nearly the same. Live, race by race."
    )
    script = Path(__file__).with_suffix(".js")
    return Explorer(title="The Gumbel race", alt=alt, data=data, script=script, figure=figure)
