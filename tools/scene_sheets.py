"""Draws the contact sheets of the appendix on scenes: `python tools/scene_sheets.py`.

One PNG a family, in `book/_static/`: twelve training pictures, and in the last row four held-out ones.
"""

import textwrap
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from dalle_edu.data.scenes import FAMILIES, Scenes

FOLDER = Path(__file__).resolve().parents[1] / "book" / "_static"


def sheet(family: str, path: Path, columns: int = 4) -> None:
    """Writes the sheet of one family, twelve training pictures and four held-out ones, to `path`."""
    figure, axes = plt.subplots(4, columns, figsize=(7, 9.6))
    scenes = {split: Scenes(family, split=split, seed=136) for split in ("train", "held_out")}
    for place, ax in enumerate(axes.flat):
        split = "held_out" if place >= 3 * columns else "train"
        image, caption = scenes[split][place]
        ax.imshow(image.permute(1, 2, 0), interpolation="nearest")
        ax.set(xticks=[], yticks=[])
        ax.set_xlabel("\n".join(textwrap.wrap(caption, 24)), fontsize=9)
        for spine in ax.spines.values():
            spine.set(color="0.6", linestyle="--" if split == "held_out" else "-")
    figure.text(
        0.5, 0.995, "training; last row, dashed: held-out combinations", ha="center", va="top", fontsize=10
    )
    figure.subplots_adjust(left=0.02, right=0.98, top=0.96, bottom=0.11, wspace=0.1, hspace=0.42)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    for family in FAMILIES:
        sheet(family, FOLDER / f"scenes-{family}.png")
        print(FOLDER / f"scenes-{family}.png")
