"""Learning rate over a training (chapters 9 and 10): a straight line up, then a cosine down.

The schedule is that of `dalle_edu.train.loop.learning_rate`; warm-up: Goyal et al. 2017, arXiv 1706.02677;
cosine: Loshchilov & Hutter 2017, arXiv 1608.03983.
"""

from pathlib import Path

import matplotlib.pyplot as plt

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer
from dalle_edu.explore.figures import COLOURS
from dalle_edu.train.loop import TrainingConfig, learning_rate


def schedule_explorer(config: TrainingConfig, at: float = 0.3) -> Explorer:
    """A figure to touch: change warm-up, peak and end of a schedule, and walk along it.

    `schedule_explorer(config)` opens on the schedule of a `TrainingConfig`, for example that of the shipped
    model, `at` a share of its steps. It says how much of the whole distance (the sum of the learning rates)
    is behind. Raises ReaderError for a share outside [0, 1].
    """
    if not 0 <= at <= 1:
        raise ReaderError(f"at is a share of the training, from 0 to 1; this is {at}.")
    data = {
        "steps": config.steps,
        "warmup": config.warmup,
        "peak": config.learning_rate,
        "end": config.final_learning_rate,
        "at": round(at * (config.steps - 1)),
    }
    figure, ax = plt.subplots(figsize=(7, 2.4))
    stride = max(1, config.steps // 400)
    steps = list(range(0, config.steps, stride))
    ax.plot(steps, [learning_rate(step, config) for step in steps], color=COLOURS[0])
    ax.set(xlabel="step", ylabel="learning rate")
    alt = (
        f"The learning rate over {config.steps:,} steps: a straight line up for "
        f"{config.warmup:,} steps, then a cosine from {config.learning_rate:g} down to "
        f"{config.final_learning_rate:g}. Live, each number can be changed."
    )
    script = Path(__file__).with_suffix(".js")
    return Explorer(title="The learning rate's way", alt=alt, data=data, script=script, figure=figure)
