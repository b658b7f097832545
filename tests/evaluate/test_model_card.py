"""The card's tables of trials, from what the experiments stored."""

import json

import model_card
import pytest

from dalle_edu.drawing import FOLDER


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
