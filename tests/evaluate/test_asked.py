"""What is asked of which model, and that the judges know real pictures of it from others."""

import json
from types import SimpleNamespace

import pytest
from toy import loaded_model

from dalle_edu.configs import read_config
from dalle_edu.data.things import held_out as never_trained
from dalle_edu.evaluate.asked import FAMILIES, THINGS, count_right, emoji_way, families_of, held_out, verdicts
from dalle_edu.evaluate.figures import family, reconstruction
from dalle_edu.evaluate.report import table
from dalle_edu.judges.things import parse_things


def model(name):
    return SimpleNamespace(config=read_config(name))


def test_things_are_asked_only_of_who_was_trained_on_some_and_emoji_as_they_were_held_out():
    assert families_of(model("picturebook")) == (*FAMILIES, *THINGS)
    assert emoji_way(model("picturebook")) == "combinations"
    assert families_of(loaded_model()) == FAMILIES
    assert emoji_way(loaded_model()) == "names"  # trained on no emoji at all


@pytest.mark.parametrize("name", THINGS)
def test_the_captions_of_things_were_never_trained_and_a_real_picture_is_told_from_another(name):
    pictures, captions = held_out(name, 64, 12, seed=0)
    assert pictures.shape == (12, 3, 64, 64) and len(set(captions)) > 8
    assert all(never_trained(parse_things(caption)) for caption in captions)
    assert {parse_things(caption).kind for caption in captions} == {THINGS[name]}
    right = [verdict["all"] for verdict in verdicts(name, pictures, captions)]
    wrong = [verdict["all"] for verdict in verdicts(name, pictures.roll(1, 0), captions)]
    assert sum(right) >= 11 and sum(wrong) <= 1


@pytest.mark.parametrize("name", (*FAMILIES, *THINGS))
def test_what_every_judge_says_can_be_written_as_json(name):
    """An evaluation takes minutes, and is written at its end: numpy's bool would lose all of it."""
    pictures, captions = held_out(name, 64, 4, seed=0)
    said = verdicts(name, pictures, captions)
    assert json.loads(json.dumps(said)) == said
    counts = count_right(said)
    assert json.loads(json.dumps(counts)) == counts and counts["all"][1] == 4


def test_a_family_of_things_has_all_figures_and_stands_in_the_table():
    row = family(loaded_model(), "things: counts", 2, 0, {2: None})
    assert row["single"]["count"][1] == row["best"]["2"]["captions"] == 2
    figures = {"reconstruction": reconstruction(loaded_model(), 4), "samples": 2, "seed": 0, "threads": 1}
    figures["families"] = {"things: counts": row}
    lines = table(figures).splitlines()
    assert sum(line.startswith("things: counts ") for line in lines) == 3
    assert any(line.startswith("things: counts: count") for line in lines)
