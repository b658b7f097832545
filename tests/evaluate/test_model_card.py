"""The card's tables of trials, from what the experiments stored."""

import json
from pathlib import Path

import model_card
import pytest

from dalle_edu.drawing import FOLDER
from dalle_edu.evaluate.report import rate


@pytest.mark.parametrize(
    ("table", "path", "said"),
    [
        (model_card.trials_table, model_card.TRIALS, lambda row: f"{row['image_loss']:.3f}"),
        (model_card.noise_table, model_card.NOISE, lambda row: f"{row['held_out_loss']:.3f}"),
    ],
)
def test_every_stored_trial_is_a_row_of_the_card(table, path, said):
    stored = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = table(path).strip().split("\n")[-len(stored) :]
    assert len(stored) > 1 and all(said(row) in line for row, line in zip(stored, rows, strict=True))
    card = (FOLDER / "picturebook" / "README.md").read_text(encoding="utf-8")
    assert all(line in card for line in rows)


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
