"""Scenes: the same pictures everywhere, honest splits, sentences that say what the picture shows."""

import hashlib
import subprocess
import sys
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dalle_edu.abilities import parse_caption
from dalle_edu.data import Scenes
from dalle_edu.data.scenes import FAMILIES, caption, captions
from dalle_edu.data.scenes.flat import Dice
from dalle_edu.errors import ReaderError

families = pytest.mark.parametrize("family", list(FAMILIES))


def fingerprint(family: str, count: int = 50) -> str:
    scenes, digest = Scenes(family, length=count), hashlib.sha256()
    for image, text in (scenes[i] for i in range(count)):
        digest.update((image * 255).round().byte().numpy().tobytes() + text.encode())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("attributes", "773a9b6ccc0cfe59"),
        ("objects", "3bbe498c1609c02e"),
        ("solids", "27eaf50f1eb68f1d"),
        ("inside", "85a5b79d5bc1db37"),
        ("context", "cefb4a3b22397ca4"),
    ],
)
def test_the_same_seed_draws_the_same_bytes_on_every_machine(family, expected):
    assert fingerprint(family) == expected


def test_another_process_draws_the_same_picture():
    code = (
        "from dalle_edu.data import Scenes; x, text = Scenes('all', seed=3)[17]; print(float(x.sum()), text)"
    )
    image, text = Scenes("all", seed=3)[17]
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert there.strip() == f"{float(image.sum())} {text}"


@families
def test_pictures_are_float32_in_the_unit_range_and_captions_say_their_truth(family):
    scenes = Scenes(family, length=20)
    for i in range(20):
        image, text = scenes[i]
        assert image.shape == (3, 64, 64) and image.dtype == torch.float32
        assert image.min() >= 0 and image.max() <= 1
        assert text == caption(scenes.truth(i)) == scenes.caption(i)


@families
def test_a_caption_reads_back_as_the_truth_it_was_made_from(family):
    scenes = Scenes(family, length=300, seed=2)
    for i in range(300):
        assert parse_caption(scenes.caption(i)).properties() == scenes.truth(i).properties()


@families
def test_no_training_picture_shows_a_held_out_combination(family):
    maker = FAMILIES[family]
    train, held_out = (Scenes(family, length=1000, split=split) for split in ("train", "held_out"))
    assert not any(maker.held_out(train.truth(i)) for i in range(1000))
    assert all(maker.held_out(held_out.truth(i)) for i in range(1000))
    assert {train.caption(i) for i in range(1000)}.isdisjoint(held_out.caption(i) for i in range(1000))


def test_no_thing_among_several_objects_is_one_that_the_attributes_family_holds_out():
    never = set(captions("attributes", "held_out"))
    for split in ("train", "held_out"):
        scenes = Scenes("objects", length=1000, split=split)
        for i in range(1000):
            assert never.isdisjoint("a " + thing.words() for thing in scenes.truth(i).things)


@families
def test_every_single_word_is_trained_and_a_tenth_to_a_fifth_of_combinations_is_held_out(family):
    trained, held_out = captions(family, "train"), captions(family, "held_out")
    words = set(" ".join(captions(family)).split())
    assert words == set(" ".join(trained).split())
    assert 0.1 < len(held_out) / (len(trained) + len(held_out)) < 0.2


@pytest.mark.parametrize("family", ["solids", "inside", "context"])
def test_every_thing_is_trained_in_every_pose_in_at_least_three_colours(family):
    maker, seen = FAMILIES[family], {}
    for truth in maker.everything():
        thing, colour, pose = truth.properties().values()
        seen.setdefault((thing, pose), set()).update([] if maker.held_out(truth) else [colour])
    assert min(map(len, seen.values())) >= 3


def test_a_held_out_triple_is_new_only_as_a_triple_except_for_the_green_ring():
    trained = [text.split()[1:] for text in captions("attributes", "train") if len(text.split()) == 4]
    pairs = {frozenset(pair) for a, b, c in trained for pair in ((a, b), (a, c), (b, c))}
    asked = [text.split()[1:] for text in captions("attributes", "held_out") if len(text.split()) == 4]
    wanted = {frozenset(pair) for a, b, c in asked for pair in ((a, b), (a, c), (b, c))}
    assert wanted - pairs == {frozenset(("green", "ring"))}  # green and ring are trained, never together


def test_captions_of_a_finite_family_are_all_different_and_all_drawn():
    scenes = Scenes("inside", length=1500)
    assert {scenes.caption(i) for i in range(1500)} == set(captions("inside", "train"))
    for family in FAMILIES:
        assert len(captions(family)) == len(set(captions(family)))


def test_other_splits_and_seeds_draw_other_pictures():
    drawn = [
        Scenes("objects", seed=s, split=p).caption(5) for s in (0, 1) for p in ("train", "validation", "test")
    ]
    assert len(set(drawn)) > 4


@given(size=st.integers(1, 8), index=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_a_picture_at_any_size_is_the_same_drawing(size, index):
    small, large = (Scenes("objects", size=s, length=100)[index] for s in (64, 16 * size))
    assert small[1] == large[1]
    means = [image.mean(dim=(1, 2)) for image, _ in (small, large)]
    assert torch.allclose(means[0], means[1], atol=0.02)


def test_all_mixes_the_families():
    scenes = Scenes("all", length=200)
    assert {scenes.truth(i).family for i in range(200)} == set(FAMILIES)


def test_negative_places_count_from_the_end_and_places_outside_raise_index_error():
    scenes = Scenes("inside", length=3)
    assert scenes[-1][1] == scenes[2][1]
    with pytest.raises(IndexError):
        scenes[3]
    assert len(list(scenes)) == 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"family": "triangles"}, "attributes"),
        ({"split": "trian"}, "held_out"),
        ({"size": 60}, "multiple of 16"),
        ({"length": -1}, "negative"),
    ],
)
def test_a_mistake_is_answered_with_what_was_expected(wrong, message):
    with pytest.raises(ReaderError, match=message):
        Scenes(**wrong)


def test_a_shadow_lies_away_from_the_light():
    maker, scenes = FAMILIES["context"], Scenes("context", length=60)
    for i in range(60):
        truth = scenes.truth(i)
        if truth.light in ("left", "right"):
            row = maker.paint_at(truth, 64, *maker.layouts(truth)[1])[50].sum(-1)  # through the shadow
            dark = (row < row.max() * 0.7).nonzero()[0].mean()
            assert (dark > 32) == (truth.light == "left")


def test_dice_are_fair_and_samples_do_not_repeat():
    dice = Dice("fair")
    counts = torch.bincount(torch.tensor([dice.below(4) for _ in range(4000)]))
    assert counts.min() > 900
    assert sorted(dice.sample("abcd", 4)) == list("abcd")


def test_a_picture_is_drawn_in_a_few_milliseconds_at_most():
    scenes = Scenes("all", length=300)
    scenes[0]
    began = time.process_time()
    for i in range(300):
        scenes[i]
    assert (time.process_time() - began) / 300 < 0.005
