"""How sure a rate is (chapter 13): right out of so many, its 95 % interval, and two models beside each other.

Wilson 1927; the intervals are those of `dalle_edu.evaluate.report.wilson`.
"""

from pathlib import Path

import matplotlib.pyplot as plt

from dalle_edu.errors import ReaderError
from dalle_edu.evaluate.report import wilson
from dalle_edu.explore.explorer import Explorer
from dalle_edu.explore.figures import COLOURS


def interval_explorer(right: int = 11, of: int = 16, rival: float = 0.5) -> Explorer:
    """A figure to touch: change how many captions were
    judged and how many were right, and see what can be said.

    `interval_explorer()` needs nothing; it opens on `right` out of `of` captions, up to 1,024, beside a
    `rival` rate, for example chance. It says from how many captions on the same rate would be clearly another
    than the rival's. Raises ReaderError for counts that cannot be.
    """
    if not 1 <= of <= 1024 or not 0 <= right <= of or not 0 <= rival <= 1:
        raise ReaderError(f"right out of of, 1 to 1,024, and a rival from 0 to 1: {right}, {of} and {rival}.")
    data = {"right": right, "of": of, "rival": rival}
    figure, ax = plt.subplots(figsize=(7, 2.2))
    sizes = [of * 2**k for k in range(5)]
    for row, count in enumerate(sizes):
        low, high = wilson(right / of * count, count)
        ax.plot([low, high], [row, row], color=COLOURS[0], linestyle="-")
        ax.plot(right / of, row, "o", color=COLOURS[0])
    ax.axvline(rival, color=COLOURS[1], linestyle="--")
    ax.set_yticks(range(len(sizes)), [f"{count:,} captions" for count in sizes])
    ax.set(xlim=(0, 1), xlabel="share right")
    alt = (
        f"The rate {right / of:.0%} with its 95 % interval for {sizes[0]} to {sizes[-1]:,} captions: "
        "four times as many captions make it half as wide. A dashed line marks the rival's rate."
    )
    script = Path(__file__).with_suffix(".js")
    return Explorer(title="How sure is that rate?", alt=alt, data=data, script=script, figure=figure)
