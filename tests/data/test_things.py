"""Emoji as things in scenes: recoloured, counted, related, at times of day; combinations held out."""

import re
from collections import defaultdict

import numpy as np
import pytest
import torch

from dalle_edu.data import ThingScenes
from dalle_edu.data.emoji import EmojiPictures
from dalle_edu.data.scenes import FAMILIES, captions
from dalle_edu.data.scenes.flat import Dice
from dalle_edu.data.sprites import COLOURS, THINGS, sprite
from dalle_edu.data.things import KINDS, MIRRORS, Item, Things, held_out, layout, paint, random_truth, ways
from dalle_edu.errors import ReaderError

kinds = pytest.mark.parametrize("kind", KINDS)


def test_a_thing_in_its_own_colours_is_the_drawing_that_the_font_gives():
    """Against Pillow's own colour drawing of the same emoji: layers, order, colours."""

    def cut(picture: np.ndarray) -> torch.Tensor:
        inked = picture.min(2) < 0.9
        rows, columns = np.flatnonzero(inked.any(1)), np.flatnonzero(inked.any(0))
        box = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(box).permute(2, 0, 1), 6)

    emoji = EmojiPictures(64, "all")
    for noun in ("cat", "apple", "umbrella", "house", "robot", "car"):
        one = sprite(noun, None, 60)
        drawn, font = cut(one.ink + (1 - one.cover)), cut(emoji.find(THINGS[noun]).permute(1, 2, 0).numpy())
        assert (drawn - font).abs().mean() < 0.04, noun


def test_another_colour_changes_what_names_the_colour_and_not_the_lines():
    own, blue = sprite("cat", None, 48), sprite("cat", "blue", 48)
    main = own.main > 0.98
    assert main.sum() > 100 and np.allclose(own.cover, blue.cover)
    assert blue.ink[main][:, 2].min() > blue.ink[main][:, 0].max()  # blue, and not a little
    lines = (own.ink.max(2) < 0.05) & (own.cover[..., 0] > 0.98)
    assert lines.sum() > 20 and np.abs(own.ink[lines] - blue.ink[lines]).max() < 0.05


def test_every_thing_can_be_told_in_every_colour():
    for noun in THINGS:
        pictures = [sprite(noun, colour, 32) for colour in COLOURS]
        main = pictures[0].main > 0.5
        assert main.sum() >= 25, noun  # at 32 pixels a patch of colour that one can see
        means = np.stack([one.ink[main].mean(0) for one in pictures])
        apart = np.linalg.norm(means[:, None] - means, axis=2) + np.eye(len(COLOURS))
        assert apart.min() > 0.1, noun


@kinds
def test_pictures_are_in_the_unit_range_and_the_same_each_time(kind):
    scenes = ThingScenes(kind, length=6, seed=4)
    for i in range(6):
        image, caption = scenes[i]
        assert image.shape == (3, 64, 64) and image.dtype == torch.float32
        assert image.min() >= 0 and image.max() <= 1 + 1e-6
        assert caption == scenes.ways(i)[0] and torch.equal(image, scenes[i][0])
        assert scenes.truth(i).kind == kind


@kinds
def test_no_training_picture_shows_a_held_out_combination(kind):
    train = [ThingScenes(kind, length=400).truth(i) for i in range(400)]
    assert not any(held_out(truth) for truth in train)
    if kind == "lists":
        with pytest.raises(ReaderError, match="No list"):
            ThingScenes(kind, length=1, split="held_out").truth(0)
        return
    shown = [ThingScenes(kind, length=400, split="held_out").truth(i) for i in range(400)]
    assert all(held_out(truth) for truth in shown)
    everywhere = set().union(*(truth.combinations() for truth in train))
    for truth in shown:  # the one combination that is held out is in no training picture, whatever its kind
        assert truth.combinations() - everywhere


def test_apart_from_scenes_training_shows_no_caption_that_a_scene_holds_out():
    scenes = {text for family in FAMILIES for text in captions(family, "held_out")}
    shown = {}
    for apart in (False, True):
        things = ThingScenes("times", length=3000, apart=apart)
        said = [set(things.ways(i)) for i in range(3000)]
        shown[apart] = said
        assert any(scenes & texts for texts in said) is not apart
    changed = [i for i in range(3000) if shown[False][i] != shown[True][i]]
    assert changed == [i for i in range(3000) if scenes & shown[False][i]]  # all others stay as they are
    unseen = ThingScenes("times", length=50, split="held_out", apart=True)
    assert all(held_out(unseen.truth(i)) for i in range(50))


def test_every_word_of_a_held_out_caption_is_trained():
    trained = [ThingScenes(kind, length=2000) for kind in KINDS]
    words = {word.strip(",") for scenes in trained for i in range(2000) for word in scenes.ways(i)[0].split()}
    for kind in set(KINDS) - {"lists"}:
        scenes = ThingScenes(kind, length=200, split="held_out")
        for i in range(200):
            assert set(re.findall(r"[\w-]+", scenes.ways(i)[0])) <= words


def test_about_one_combination_in_seven_is_held_out_and_a_relation_goes_with_its_mirror_image():
    counts = defaultdict(int)
    for i in range(2000):
        counts[held_out(random_truth("relations", Dice(str(i))))] += 1
    assert 0.08 < counts[True] / 2000 < 0.2
    for i in range(300):
        truth = random_truth("relations", Dice(str(i)))
        mirrored = Things(truth.items[::-1], MIRRORS[truth.relation])
        assert truth.combinations() == mirrored.combinations() and held_out(truth) is held_out(mirrored)


@kinds
def test_all_ways_to_say_it_are_different_and_ways_of_different_truths_too(kind):
    for i in range(100):
        said = ways(random_truth(kind, Dice(f"ways {i}")))
        assert len(said) == len(set(said)) >= 2
        assert all(text == " ".join(text.split()) for text in said)
    cats = Things((Item("cat"), Item("cat"), Item("cat")))
    assert ways(cats) == ["three cats", "3 cats", "a picture of three cats"]
    dog = Things((Item("dog", size="small"), Item("apple", "red")), "to the left of")
    assert "a small dog left of a red apple" in ways(
        dog
    ) and "a red apple to the right of a small dog" in ways(dog)
    assert ways(Things((Item("cat"),), time="at night"))[0] == "a cat at night"
    assert "a little blue cat" in ways(Things((Item("cat", "blue", "small"),)))


def test_things_do_not_touch_and_stand_as_the_relation_says():
    for kind in ("counts", "relations", "lists"):
        for i in range(200):
            truth = random_truth(kind, Dice(f"layout {i}"))
            places = list(layout(truth, Dice(f"dice {i}")))
            assert len(places) == len(truth.items)
            taken = np.zeros((18, 18), dtype=int)
            for _, row, column, side in places:
                assert row >= 0 and row + side <= 16 and column >= 0 and column + side <= 16
                taken[row : row + side + 1, column : column + side + 1] += 1  # and a gap to the next
            assert taken.max() == 1
            if truth.relation:
                where = {id(item): (row + side / 2, column + side / 2) for item, row, column, side in places}
                (y, x), (v, u) = (where[id(item)] for item in truth.items)
                holds = {"to the left of": x < u, "to the right of": x > u, "above": y < v, "below": y > v}
                assert holds[truth.relation]


def test_larger_things_have_more_ink():
    ink = [
        (1 - paint(Things((Item("cat", None, size),)), 64, Dice("one"))).sum()
        for size in ("small", None, "large")
    ]
    assert ink[0] < ink[1] < ink[2]


def test_what_cannot_be_gets_a_clear_sentence():
    with pytest.raises(ReaderError, match="no kind of things named 'numbers'"):
        ThingScenes("numbers")
    with pytest.raises(ReaderError, match="no split named"):
        ThingScenes(split="training")
    with pytest.raises(ReaderError, match="multiple of 16"):
        ThingScenes(size=60)
    with pytest.raises(ReaderError, match="must not be negative"):
        ThingScenes(length=-1)
    with pytest.raises(ReaderError, match="no thing named 'gnu'"):
        sprite("gnu", None, 32)
    with pytest.raises(ReaderError, match="no colour of things named 'ochre'"):
        sprite("cat", "ochre", 32)
