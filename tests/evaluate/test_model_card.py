"""The card's tables of trials, from what the experiments stored."""

import json
import statistics
from pathlib import Path

import card_tables
import model_card

from dalle_edu.drawing import FOLDER
from dalle_edu.evaluate.report import rate

CARD = (FOLDER / "picturebook" / "README.md").read_text(encoding="utf-8")


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_noise_has_the_mean_of_its_seeds_and_their_lowest_and_highest():
    lines = card_tables.noise_table(model_card.NOISE).strip().split("\n")[-3:]
    assert all(line in CARD for line in lines)
    for noise, line in zip((0, 0.2, 0.8), lines, strict=True):
        rows = [row for row in rows_of(model_card.NOISE) if row["noise"] == noise]
        shares = sorted(row["held_out"]["solids"]["all"] for row in rows)
        assert len({row["seed"] for row in rows}) == len(rows) == 3
        mean = statistics.mean(shares)
        assert line.startswith(f"| {noise:g} |")
        assert line.endswith(f"| {mean:.0%} ({shares[0]:.0%} to {shares[-1]:.0%}) |")


def test_a_trial_s_row_has_the_mean_of_its_seeds_and_their_lowest_and_highest():
    trials = {}
    for row in rows_of(model_card.TRIALS):
        trials.setdefault(row["trial"], []).append(row)
    lines = card_tables.trials_table(model_card.TRIALS).strip().split("\n")[-len(trials) :]
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
    for table in (card_tables.trials_table, card_tables.noise_table):
        assert table(tmp_path / "none.jsonl") == ""


def test_the_readme_s_table_is_what_evaluate_wrote():
    figures = json.loads((FOLDER / "picturebook" / "evaluation.json").read_text(encoding="utf-8"))
    readme = (Path(model_card.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    share, low, high = figures["known"]["drawn"]
    assert f"| {share:.0%} ({100 * low:.0f}-{100 * high:.0f}) | |" in readme
    rows = {line.split("|")[1].strip(): line for line in readme.splitlines() if line.startswith("| ")}
    for name, family in figures["families"].items():
        told = f"| {rate(family['careful']['all'])} | {rate(family['best']['8']['right'])} |"
        assert rows[name].endswith(told)
