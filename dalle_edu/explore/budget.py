"""Where a sharded transformer's memory goes, and what its steps wait for (chapter 14): layers, width, grid
and devices to touch.

The counts are those of `dalle_edu.machine.budget`, calculated again in the browser; a test compares both.
"""

from pathlib import Path

import matplotlib.pyplot as plt

from dalle_edu.configs import Config
from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer
from dalle_edu.explore.figures import COLOURS
from dalle_edu.machine.budget import Budget, budget

# Bytes of memory, FLOPs a second as reached (a quarter of the V100's 125e12 in 16 bits, two fifths of the
# H100's 989e12; NVIDIA's data sheets), bytes a second between devices. All three can be replaced.
CARDS = {
    "V100 of 16 GB": (16e9, 31e12, 12.5e9),
    "H100 of 80 GB": (80e9, 400e12, 50e9),
}
PARTS = ("weights", "gradients", "moments", "gathered", "kept")
WORDS = ("weights", "gradients", "Adam's two moments", "blocks gathered", "kept for backward")
HATCHES = ("", "//", "xx", "..", "\\\\")


def plot_budget(budgets: list[Budget], memory: float, ax=None) -> None:
    """Draws what one device holds as a stacked bar for each of `budgets`, against `memory` in bytes."""
    ax = ax or plt.gca()
    for row, b in enumerate(budgets):
        left = 0.0
        for part, words, colour, hatch in zip(PARTS, WORDS, COLOURS, HATCHES, strict=False):
            size = getattr(b, part) / 1e9
            label = words if row == 0 else None
            ax.barh(row, size, left=left, color=colour, hatch=hatch, edgecolor="white", label=label)
            left += size
    ax.axvline(memory / 1e9, color="black", linestyle=":")
    ax.set_yticks(range(len(budgets)), [f"{b.devices:,} devices" for b in budgets])
    ax.invert_yaxis()
    ax.set_xlabel("GB on each device")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.42), ncols=3)


def budget_explorer(
    config: Config, devices: int = 1024, cards: dict[str, tuple[float, float, float]] | None = None
) -> Explorer:
    """A figure to touch: choose layers, width, grid and devices; see what each device holds, how long it
    computes and sends, and which of the two a step waits for.

    `config` gives what is not moved: vocabularies, text length, kernel, and the batch, which all devices
    share. `cards`: name -> (bytes of memory, FLOPs a second, bytes a second between devices). Raises
    ReaderError where the grid is not square or there is no card.
    """
    cards = CARDS if cards is None else cards
    shape = config.dalle
    if shape.grid[0] != shape.grid[1] or not cards:
        raise ReaderError(
            f"The figure needs a square grid and a card at least; it got {shape.grid}, {cards}."
        )
    data = {
        "shape": {
            "depth": shape.depth, "width": shape.width, "grid": shape.grid[0], "kernel": shape.kernel,
            "text": shape.text_length, "words": shape.text_vocabulary, "codes": shape.image_vocabulary,
        },
        "devices": devices,
        "batch": config.training_of("dalle").batch_size,
        "cards": [[name, *numbers] for name, numbers in cards.items()],
    }  # fmt: skip
    memory, speed, network = next(iter(cards.values()))
    counts = sorted({max(1, devices // 16), max(1, devices // 4), devices})
    figure, ax = plt.subplots(figsize=(7, 2.8))
    plot_budget([budget(config, n, speed, network) for n in counts], memory, ax)
    alt = (
        "Stacked bars: what each device holds of weights, gradients, moments, gathered blocks and what is "
        f"kept for backward, for {', '.join(f'{n:,}' for n in counts)} devices, against a line for "
        "the device's memory. Live, with the seconds that a step computes and sends."
    )
    script = Path(__file__).with_suffix(".js")
    return Explorer(
        title="Where does memory go, and what does a step wait for?",
        alt=alt, data=data, script=script, figure=figure, digits=9,
    )  # fmt: skip
