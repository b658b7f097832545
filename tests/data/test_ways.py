"""Several ways to say what a scene shows: true of the picture, different from one another."""

import re

import pytest

from dalle_edu.data import Scenes
from dalle_edu.data.mixture import mixture
from dalle_edu.data.scenes import FAMILIES
from dalle_edu.data.scenes.drawing import COLOURS, SHAPES
from dalle_edu.data.scenes.flat import Attributes, AttributesFamily, Objects, Thing
from dalle_edu.data.scenes.posed import VIEWPOINTS, Inside
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
    star = ways(Attributes(Thing("star", "green", "large")))
    assert {"a large green star", "a green star", "a big green star", "a star"} <= set(star)
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


def agrees(truth, text):
    """Whether a picture of one thing, or of a solid, may bear this caption: read word by word."""
    plainer = {"little": "small", "big": "large", "stripy": "striped", "spotted": "dotted"}
    said = {plainer.get(word, word) for word in re.findall("[a-z]+", text)}
    if isinstance(truth, Attributes):
        thing = truth.thing
        fields = ((thing.size, ("small", "large")), (thing.colour, COLOURS), (thing.shape, SHAPES))
        return all(value in said for value, values in fields if said & set(values))
    viewpoints = sorted({v for v in VIEWPOINTS if v in text.replace("seen ", "")}, key=len)
    return {truth.colour, truth.solid} <= said and (not viewpoints or truth.viewpoint == viewpoints[-1])


@pytest.mark.parametrize("family", ["attributes", "solids"])
def test_what_is_held_out_cannot_be_told_from_what_a_caption_leaves_unsaid(family):
    """Of all that a caption may mean, less than a fifth is held out, or it would say what never comes."""
    maker = FAMILIES[family]
    everything = list(maker.everything())
    trained = [truth for truth in everything if not maker.held_out(truth)]
    captions = {text for truth in trained for text in ways(truth)}
    most = 0
    for text in captions:
        held_out = [maker.held_out(truth) for truth in everything if agrees(truth, text)]
        assert sum(held_out) / len(held_out) < 1 / 5, text
        most = max(most, len(held_out))
    assert most >= 4  # sizes with textures, viewpoints: something is left unsaid all the same


def test_the_size_of_one_of_two_goes_unsaid_only_where_both_are_trained():
    """Small yellow squares are held out, so who reads "a yellow square" would know its size."""
    pair = Objects((Thing("square", "yellow", "large"), Thing("ring", "blue")), "to the left of")
    assert AttributesFamily().held_out(Attributes(Thing("square", "yellow", "small")))
    assert not any(re.search("(?<!large )(?<!big )yellow square", text) for text in ways(pair))


def test_in_training_one_picture_in_eight_may_leave_its_size_unsaid():
    data = mixture([{"kind": "scenes", "family": "attributes", "length": 64, "wordings": True}], 16)
    unsaid = [
        any(not re.search("small|large|little|big", text) for text in captions) for captions in data.captions
    ]
    assert 5 <= sum(unsaid) <= 8 and not any(unsaid[i] for i in range(64) if i % 8)
