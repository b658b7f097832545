"""Several ways to say what a scene shows: true of the picture, different from one another."""

import re

import pytest

from dalle_edu.data import Scenes
from dalle_edu.data.mixture import mixture
from dalle_edu.data.scenes import FAMILIES
from dalle_edu.data.scenes.flat import Attributes, Objects, Thing
from dalle_edu.data.scenes.posed import Inside
from dalle_edu.data.scenes.ways import ways
from dalle_edu.errors import ReaderError


@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_way_is_the_grammars_and_there_are_others(family):
    scenes = Scenes(family, length=200, split="held_out")
    for i in range(200):
        said = ways(scenes.truth(i))
        assert said[0] == scenes.caption(i) and len(said) == len(set(said)) >= 2
        assert all(text == " ".join(text.split()) and not re.search(r"\ban? an? ", text) for text in said)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_way_uses_a_colour_or_a_kind_that_the_picture_does_not_show(family):
    scenes = Scenes(family, length=200)
    colours = ("red", "orange", "yellow", "green", "blue", "purple", "brown", "black")
    for i in range(200):
        first, *others = (set(re.findall(r"[a-z]+", text)) for text in ways(scenes.truth(i)))
        for other in others:
            assert other & set(colours) <= first


def test_what_a_person_types_is_among_them():
    star = ways(Attributes(Thing("star", "blue", "large")))
    assert {"a large blue star", "a blue star", "a big blue star", "a star"} <= set(star)
    pair = ways(Objects((Thing("star", "red"), Thing("ring", "blue", "large")), "to the left of"))
    assert {"a red star left of a blue ring", "a large blue ring to the right of a small red star"} <= set(
        pair
    )
    hearts = ways(Objects((Thing("heart", "green"),) * 3))
    assert {"three green hearts", "3 green hearts"} <= set(hearts)
    assert "half a green apple" in ways(Inside("apple", "green", "cut open"))
    mixed = ways(Objects((Thing("circle", "red"), Thing("ring", "blue"))))
    assert {"a red circle and a blue ring", "a blue ring and a red circle"} <= set(mixed)


def test_a_mixture_of_things_emoji_and_scenes_has_all_the_ways():
    sources = [
        {"kind": "things", "length": 5},
        {"kind": "scenes", "family": "solids", "length": 5, "wordings": True},
        {"kind": "emoji", "held_out": "combinations", "renderings": ["averaged", "small"], "copies": 1},
    ]
    data = mixture(sources, 16)
    emoji = len(data) - 10
    assert emoji % 2 == 0 and data.captions[10 : 10 + emoji // 2] == data.captions[10 + emoji // 2 :]
    assert all(len(captions) > 1 for captions in data.captions[:10])
    assert ["lion", "a lion"] in data.captions
    with pytest.raises(ReaderError, match="copies .* whole number from 0 on"):
        mixture([{"kind": "emoji", "copies": -1}], 16)
    with pytest.raises(ReaderError, match="no field 'wordings'"):
        mixture([{"kind": "emoji", "wordings": True}], 16)
