"""The measurement of chapter 12 belongs to the shipped weights, and its script goes on where it stopped."""

import base64
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import dalle_edu
from dalle_edu.abilities import parse_caption
from dalle_edu.data.scenes import FAMILIES
from dalle_edu.errors import ReaderError

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "experiments" / "best_of_n.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("best_of_n", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stored():
    return json.loads((ROOT / "experiments" / "12-best-of-n.json").read_text(encoding="utf-8"))


def test_the_stored_drawings_are_those_of_the_shipped_weights(script, stored):
    assert stored["weights"] == script.weights_hash(dalle_edu.load("picturebook"))


def test_every_caption_was_held_out_and_comes_once(stored):
    truths = [parse_caption(one["caption"]) for one in stored["captions"]]
    assert all(FAMILIES[truth.family].held_out(truth) for truth in truths)
    assert len({one["caption"] for one in stored["captions"]}) == len(truths)
    assert {truth.family for truth in truths} == set(FAMILIES)


def test_the_stored_winners_are_the_best_of_the_first_n(stored):
    for one in stored["captions"]:
        assert len(one["scores"]) == len(one["right"]) == stored["samples"]
        for n, winner in one["winners"].items():
            # Scores are stored to four digits; of two that look alike either may have been the higher.
            assert winner["sample"] < int(n)
            assert one["scores"][winner["sample"]] == max(one["scores"][: int(n)])
            tokens = np.frombuffer(base64.b64decode(winner["tokens"]), "<u2")
            assert tokens.shape == (256,) and tokens.max() < 4096


def test_more_captions_begin_with_the_same_ones_in_turns(script):
    few, many = script.held_out_captions(2, 0), script.held_out_captions(3, 0)
    assert many[: len(few)] == few
    assert [family for family, _ in few] == list(script.FAMILIES) * 2


def test_tokens_that_were_drawn_are_not_drawn_again(script, tmp_path, monkeypatch):
    from toy import loaded_model

    model = loaded_model()
    first = script.drawn_tokens(model, "a large red circle", 5, 0, tmp_path)
    assert first.shape == (5, 16)
    monkeypatch.setattr(script, "sample_tokens", None)
    assert (script.drawn_tokens(model, "a large red circle", 5, 0, tmp_path) == first).all()
    with pytest.raises(TypeError):
        script.drawn_tokens(model, "a large red circle", 6, 0, tmp_path)


def test_a_file_is_continued_only_with_the_same_weights_and_dials(script, tmp_path):
    key = {"weights": "a", "samples": 64, "seed": 0, "temperature": 1.0}
    path = tmp_path / "file.json"
    assert script.read(path, key) == {**key, "captions": []}
    path.write_text(json.dumps({**key, "captions": [{"caption": "x"}]}), encoding="utf-8")
    assert script.read(path, key)["captions"] == [{"caption": "x"}]
    with pytest.raises(ReaderError, match="made with other weights, samples"):
        script.read(path, {**key, "weights": "b", "samples": 8})
