"""The card's tables of trials, from what the experiments stored."""

import json
import statistics
from pathlib import Path

import model_card

from dalle_edu.drawing import FOLDER
from dalle_edu.evaluate.report import rate

CARD = (FOLDER / "picturebook" / "README.md").read_text(encoding="utf-8")


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_stored_trial_of_noise_is_a_row_of_the_card():
    stored = rows_of(model_card.NOISE)
    rows = model_card.noise_table(model_card.NOISE).strip().split("\n")[-len(stored) :]
    assert len(stored) > 1
    assert all(f"{row['held_out_loss']:.3f}" in line for row, line in zip(stored, rows, strict=True))
    assert all(line in CARD for line in rows)


def test_a_trial_s_row_has_the_mean_of_its_seeds_and_their_lowest_and_highest():
    trials = {}
    for row in rows_of(model_card.TRIALS):
        trials.setdefault(row["trial"], []).append(row)
    lines = model_card.trials_table(model_card.TRIALS).strip().split("\n")[-len(trials) :]
    assert all(line in CARD for line in lines) and "no captions dropped" in trials
    seeds = [sorted(row["seed"] for row in rows) for rows in trials.values()]
    assert all(some == seeds[0] for some in seeds) and len(seeds[0]) > 1  # each with the same ones
    for (name, rows), line in zip(trials.items(), lines, strict=True):
        _, trial, parameters, pictures, mixed, *_ = (cell.strip() for cell in line.split("|"))
        losses = sorted(row["image_loss"] for row in rows)
        assert trial == name and parameters == f"{rows[0]['parameters']:,}"
        assert pictures == f"{statistics.mean(row['pictures'] for row in rows):,.0f}"
        assert mixed == f"{statistics.mean(losses):.3f} ({losses[0]:.3f} to {losses[-1]:.3f})"


def test_without_trials_there_is_no_table(tmp_path):
    assert model_card.trials_table(tmp_path / "none.jsonl") == ""


def test_the_readme_s_table_is_what_evaluate_wrote():
    figures = json.loads((FOLDER / "picturebook" / "evaluation.json").read_text(encoding="utf-8"))
    readme = (Path(model_card.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    share, low, high = figures["known"]["drawn"]
    assert f"| {share:.0%} ({100 * low:.0f}-{100 * high:.0f}) | |" in readme
    rows = {line.split("|")[1].strip(): line for line in readme.splitlines() if line.startswith("| ")}
    for name, family in figures["families"].items():
        told = f"| {rate(family['careful']['all'])} | {rate(family['best']['8']['right'])} |"
        assert rows[name].endswith(told)
