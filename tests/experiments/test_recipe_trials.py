"""Trials of a recipe: each has the steps that fit its seconds, by speeds that are measured once."""

import json

import pytest
import recipe_trials
import torch
from recipe_trials import TRIALS, known_speeds, with_share

from dalle_edu.data.mixture import mixture


def test_speeds_are_measured_once_and_kept(tmp_path):
    path, asked = tmp_path / "trials.speeds.json", []

    def measure(name):
        asked.append(name)
        return 0.25 * len(asked)

    assert known_speeds(path, ["one", "two"], measure) == {"one": 0.25, "two": 0.5}
    assert known_speeds(path, ["two", "three", "one"], measure) == {"one": 0.25, "two": 0.5, "three": 0.75}
    assert asked == ["one", "two", "three"]
    assert json.loads(path.read_text(encoding="utf-8"))["seconds"]["two"] == 0.5


def test_what_was_measured_before_a_stop_is_kept(tmp_path):
    path = tmp_path / "trials.speeds.json"

    def stopped(name):
        if name == "two":
            raise KeyboardInterrupt
        return 1.0

    with pytest.raises(KeyboardInterrupt):
        known_speeds(path, ["one", "two"], stopped)
    assert json.loads(path.read_text(encoding="utf-8"))["seconds"] == {"one": 1.0}


def test_a_share_of_emoji_is_that_share_of_what_is_drawn():
    sources = [
        {"kind": "emoji", "weight": 0.25},
        {"kind": "scenes", "family": "inside", "length": 30, "weight": 0.45},
        {"kind": "scenes", "family": "context", "length": 30, "weight": 0.3},
    ]
    data = mixture(sources, 16)
    emoji = data.sources == 0
    for share in (0.4, 0.6):
        weights = with_share(data, emoji, share).weights
        assert torch.isclose(weights[emoji].sum() / weights.sum(), torch.tensor(share))
        inside, context = (weights[data.sources == source].sum() for source in (1, 2))
        assert torch.isclose(inside / context, torch.tensor(1.5))
    assert with_share(data, emoji, None) is data


def test_every_trial_but_the_first_changes_something():
    changes = [
        len(trial.shape) + len(trial.training) + len(trial.recipe) + (trial.emoji is not None)
        for trial in TRIALS.values()
    ]
    assert changes[0] == 0 and all(changes[1:])


def test_a_finished_trial_is_known_by_its_name_and_seed(tmp_path):
    out = tmp_path / "trials.jsonl"
    assert recipe_trials.stored(out) == set()
    out.write_text('{"trial": "a", "seed": 1}\n{"trial": "b", "seed": 0}\n', encoding="utf-8")
    assert recipe_trials.stored(out) == {("a", 1), ("b", 0)}
