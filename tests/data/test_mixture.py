"""Data from several sources: drawn by weight, with one of the ways to say it."""

import numpy as np
import pytest
import torch

from dalle_edu.data import Scenes
from dalle_edu.data.mixture import Mixture, mixture, parse_data
from dalle_edu.errors import ReaderError


def g(seed=0):
    return torch.Generator().manual_seed(seed)


def scenes(length=6, **more):
    return {"kind": "scenes", "family": "attributes", "length": length, **more}


def test_pictures_and_captions_are_those_of_the_source():
    data, source = mixture([scenes()], 16), Scenes("attributes", size=16, length=6)
    assert len(data) == 6 and data.pictures.dtype == torch.uint8
    for i in range(6):
        assert data.captions[i] == [source[i][1]]
        assert (data.images(torch.tensor([i]))[0] - source[i][0]).abs().max() <= 0.5 / 255 + 1e-6


def test_sources_are_drawn_by_their_weight_whatever_their_size():
    data = mixture([scenes(40, weight=1), scenes(10, seed=1, weight=3)], 16)
    drawn = data.draw(20_000, g())
    assert (drawn >= 40).float().mean().item() == pytest.approx(0.75, abs=0.015)
    counts = torch.bincount(drawn, minlength=50).double()
    expected = 20_000 * torch.cat((torch.full((40,), 0.25 / 40), torch.full((10,), 0.75 / 10)))
    assert ((counts - expected) ** 2 / expected).sum() < 49 + 5 * np.sqrt(2 * 49)


def test_a_picture_with_several_captions_shows_each_of_them_and_the_seed_decides():
    data = Mixture(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), [["a", "b", "c"], ["d"]], torch.ones(2))
    indices = torch.tensor([0, 1] * 200)
    first = data.draw_captions(indices, g())
    assert set(first[::2]) == {"a", "b", "c"} and set(first[1::2]) == {"d"}
    assert first == data.draw_captions(indices, g()) != data.draw_captions(indices, g(1))


def test_balanced_emoji_count_a_thing_in_six_skin_tones_less_than_six_things():
    data = mixture([{"kind": "emoji", "balance": True}], 16)
    weight = {ways[0]: w.item() for ways, w in zip(data.captions, data.weights, strict=True)}
    apple = weight[next(c for c in weight if "red apple" in c)]
    toned = [w for c, w in weight.items() if "waving hand" in c]
    assert len(toned) >= 4 and all(w < 0.6 * apple for w in toned)
    assert data.weights.sum().item() == pytest.approx(1, abs=1e-4)


def test_the_fingerprint_tells_data_apart():
    one = mixture([scenes()], 16)
    assert one.fingerprint() == mixture([scenes()], 16).fingerprint()
    others = [mixture([scenes(seed=1)], 16), mixture([scenes(7)], 16), mixture([scenes(), scenes()], 16)]
    others.append(Mixture(one.pictures, [["x"], *one.captions[1:]], one.weights))
    assert len({m.fingerprint() for m in [one, *others]}) == 5


@pytest.mark.parametrize("text, source", [
    ("emoji", {"kind": "emoji"}), ("scenes", {"kind": "scenes"}), ("scenes:objects", {"kind": "scenes",
     "family": "objects"}),
    ("folder:C:/my pictures", {"kind": "folder", "path": "C:/my pictures"}), ("shards:a-{0..3}.tar",
     {"kind": "shards", "path": "a-{0..3}.tar"}),
])  # fmt: skip
def test_what_the_command_line_says_becomes_a_source(text, source):
    assert parse_data(text) == source


@pytest.mark.parametrize("text", ["photos", "", "folder", "folder:", "shards:", ":x"])
def test_what_the_command_line_cannot_say_is_refused(text):
    with pytest.raises(ReaderError):
        parse_data(text)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({}, "kind of data named 'None'"),
        ({"kind": "video"}, "emoji, folder, scenes, shards"),
        ({"kind": "scenes", "famly": "objects"}, "no field 'famly'"),
        (scenes(weight=0), "above 0"),
        (scenes(weight="much"), "above 0"),
        ({"kind": "folder"}, "needs a path"),
        ({"kind": "folder", "path": "no such folder"}, "does not exist"),
        (scenes(length="many"), "whole number"),
        (scenes(0), "from 1 on"),
        ({"kind": "scenes", "family": "dreams"}, "dreams"),
    ],
)
def test_a_source_that_cannot_be_read_is_refused(source, sentence):
    with pytest.raises(ReaderError, match=sentence):
        mixture([source], 16)


def test_no_source_at_all_is_refused():
    with pytest.raises(ReaderError, match="names no data"):
        mixture([], 16)
