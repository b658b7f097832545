"""The tables of a model's card that come from experiments, each of the file that one of them stored."""

import json
from pathlib import Path

from after_weights import rows as stored_rows

from dalle_edu.evaluate.report import rate

TRIALS = """
## Trials of the transformer's recipe

Each changes one thing of the configuration, began with random weights and had the steps of {least} to {most}
seconds on one core (`experiments/recipe_trials.py`), with {seeds} seeds: first weights and batches. Then
measured, in nats an image token, on pictures of the validation split, as the mixture weighs its sources, on
emoji alone, and on combinations that training never shows (the mean over families): the mean of the seeds, in
brackets the lowest and the highest. It says how fast a recipe begins, not where it ends.

| trial | parameters | pictures seen | mixture | emoji | held out |
|---|---|---|---|---|---|
"""

NOISE = """
Noise in what the transformer sees of a picture (`experiments/token_noise.py`, whose first lines have the
command): a smaller one, 64 wide and 4 deep, on attributes and solids alone, equal data and 800 steps for each
noise. Of 128 drawings of each kind, the share that is right in every property: the mean of the seeds, in
brackets the lowest and the highest.

| noise | attributes, trained | attributes, held out | solids, trained | solids, held out |
|---|---|---|---|---|
"""

ELSEWHERE = """What `Scenes` holds out may stand among the emoji in scenes of the first phase, with another
drawing of the thing (`experiments/shown_elsewhere.py`):

"""


def of_one(rows: list[dict], key: str) -> dict[str, list[dict]]:
    """Rows by their `key`, in the order in which its values come first."""
    found: dict[str, list[dict]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found


def spread(values: list[float], form: str) -> str:
    """The mean of some seeds' values, and in brackets the lowest and the highest."""
    return f"{sum(values) / len(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def trials_table(path: Path) -> str:
    """What `experiments/recipe_trials.py` stored, as a section of the card; "" where there is no file."""
    rows = stored_rows(path)
    if not rows:
        return ""
    trials = of_one(rows, "trial")
    seconds = [row["seconds"] for row in rows]
    head = TRIALS.format(least=min(seconds), most=max(seconds), seeds=len(rows) // len(trials))
    lines = []
    for name, some in trials.items():
        held_out = [sum(row["held_out"].values()) / len(row["held_out"]) for row in some]
        losses = [[row["image_loss"] for row in some], [row["emoji"] for row in some], held_out]
        cells = [name, f"{some[0]['parameters']:,}", f"{some[0]['pictures']:,}"]
        lines.append(f"| {' | '.join([*cells, *(spread(values, '.3f') for values in losses)])} |")
    return head + "\n".join(lines) + "\n"


def noise_table(path: Path) -> str:
    """What `experiments/token_noise.py` stored, as lines of the card; "" where there is no file."""
    noises = of_one(stored_rows(path), "noise")
    if not noises:
        return ""
    kinds = [(family, split) for family in ("attributes", "solids") for split in ("validation", "held_out")]
    lines = []
    for noise, rows in noises.items():
        cells = [spread([row[split][family]["all"] for row in rows], ".0%") for family, split in kinds]
        lines.append(f"| {noise:g} | {' | '.join(cells)} |")
    return NOISE + "\n".join(lines) + "\n"


def shown_elsewhere(path: Path) -> str:
    """What `experiments/shown_elsewhere.py` stored: the held-out captions that training showed after all."""
    lines = []
    for name, row in json.loads(path.read_text(encoding="utf-8")).items():
        if row["shown"]:
            lines.append(
                f"- {name}: {len(row['shown'])} of {row['different']} different captions; careful "
                f"{rate(row['right'])} are right, without these captions {rate(row['right_of_others'])}."
            )
    return ELSEWHERE + "\n".join(lines) + "\n"
