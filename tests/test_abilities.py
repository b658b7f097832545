"""Judges: right on what the generator draws, through a dVAE's blur and noise, and not to be fooled."""

import importlib.util
from pathlib import Path

import pytest
import torch

from dalle_edu.abilities import judge, parse_caption, score
from dalle_edu.data import Scenes
from dalle_edu.data.scenes import FAMILIES, caption
from dalle_edu.data.scenes.context import Context
from dalle_edu.data.scenes.flat import Attributes, Dice, Objects, Thing
from dalle_edu.data.scenes.posed import Inside, Solid
from dalle_edu.errors import ReaderError

_spec = importlib.util.spec_from_file_location(
    "judges", Path(__file__).resolve().parents[1] / "experiments" / "judges.py"
)
judges = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(judges)

families = pytest.mark.parametrize("family", list(FAMILIES))


def draw(text: str, seed: int = 0) -> torch.Tensor:
    truth = parse_caption(text)
    canvas = FAMILIES[truth.family].paint(truth, 64, Dice(f"test/{seed}"))
    return torch.from_numpy(canvas).permute(2, 0, 1).float() / 255


@families
def test_a_judge_reads_clean_and_blurred_pictures_and_catches_what_is_wrong(family):
    results = judges.measure(family, pictures=60, seed=1)
    assert all(total == 60 for _, total in results.values())
    assert results["clean"][0] >= 59
    assert results["0.5 px, 0.03"][0] >= 58
    assert results["0.8 px, 0.045"][0] >= 57
    assert results["one wrong"][0] >= 58


@families
def test_a_model_that_ignores_the_words_is_at_chance(family):
    scenes, judged = Scenes(family, length=60, split="test", seed=4), judge(family)
    always = scenes[0][0]  # the best such a model can do is to draw one good picture, whatever is asked
    right = sum(judged.score(always, scenes.caption(i))["all"] for i in range(1, 60))
    assert right <= 4


@families
def test_what_a_judge_reads_equals_the_truth(family):
    scenes, judged = Scenes(family, length=25, seed=9), judge(family)
    for i in range(25):
        read, truth = judged.read(scenes[i][0]), scenes.truth(i)
        if family == "objects" and truth.relation is None:
            assert sorted(map(str, read.things)) == sorted(map(str, truth.things))
        elif family == "objects":
            assert read.relation and set(read.things) == set(truth.things)
        else:
            assert read == truth


@families
def test_blank_pictures_and_noise_show_nothing(family):
    generator, text = torch.Generator().manual_seed(0), Scenes(family).caption(0)
    for image in (torch.ones(3, 64, 64), torch.zeros(3, 64, 64), torch.rand(3, 64, 64, generator=generator)):
        assert not judge(family).score(image, text)["all"]
    assert judge(family).read(torch.ones(3, 64, 64)) is None


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("a large striped blue star", Attributes(Thing("star", "blue", "large", "striped"))),
        ("A small red circle.", Attributes(Thing("circle", "red", "small"))),
        ("three small green hearts", Objects((Thing("heart", "green"),) * 3)),
        ("two small yellow crosses", Objects((Thing("cross", "yellow"),) * 2)),
        (
            "a small red circle above a large blue square",
            Objects((Thing("circle", "red"), Thing("square", "blue", "large")), "above"),
        ),
        (
            "a small red circle, a small blue ring and a small black star",
            Objects((Thing("circle", "red"), Thing("ring", "blue"), Thing("star", "black"))),
        ),
        ("a red cube seen from above", Solid("cube", "red", "from above")),
        ("an orange cone seen from above at an angle", Solid("cone", "orange", "from above at an angle")),
        ("a whole green apple", Inside("apple", "green", "whole")),
        ("an orange egg cut open", Inside("egg", "orange", "cut open")),
        ("a red house at sunset", Context("house", "red", "at sunset")),
    ],
)
def test_sentences_of_the_grammar_are_understood(text, truth):
    assert parse_caption(text) == truth
    assert parse_caption(caption(truth)) == truth


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a red apple",
        "a small pink circle",
        "five small red circles",
        "a large red circle above a large blue square",
        "a small red star inside a large blue star",
        "a small red star inside a large red circle",
        "a small striped red star above a small blue circle",
        "a small red star and a small blue star",
        "a brown cube seen from above",
    ],
)
def test_other_sentences_are_refused_with_a_reason(text):
    with pytest.raises(ReaderError, match="grammar|drawn"):
        parse_caption(text)


def test_a_swap_of_colours_is_caught_although_every_word_is_in_the_picture():
    result = score(
        draw("a small blue circle above a small red square"), "a small red circle above a small blue square"
    )
    assert result == {
        "count": True, "shape": True, "colour": True, "size": True, "relation": True, "all": False
    }  # fmt: skip


def test_the_same_two_things_the_other_way_round_are_caught():
    left = "a small red circle to the left of a small blue square"
    right = "a small red circle to the right of a small blue square"
    assert score(draw(left), left)["all"] and score(draw(right), right)["all"]
    assert not score(draw(left), right)["relation"] and not score(draw(right), left)["all"]
    assert score(draw("a small blue square to the right of a small red circle"), left)["all"]


def test_inside_is_not_beside_and_a_ring_shows_what_is_behind_it():
    inside = "a small purple ring inside a large blue heart"
    assert score(draw(inside), inside)["all"]
    beside = draw("a small purple ring above a large blue heart")
    assert score(beside, inside) == {
        "count": True, "shape": True, "colour": True, "size": True, "relation": False, "all": False
    }  # fmt: skip


def test_a_second_thing_spoils_a_picture_of_one():
    image = draw("a small red circle")
    image[:, 48:60, 2:14] = torch.tensor([0.2, 0.6, 0.2])[:, None, None]
    assert not score(image, "a small red circle")["all"]


def test_a_thing_of_two_colours_has_no_clear_colour():
    image = draw("a large red square")
    red = (image[0] > 0.8) & (image[1] < 0.3)
    red[:, :31] = False
    image[:, red] = torch.tensor([0.16, 0.35, 0.86])[:, None]
    assert not score(image, "a large red square")["colour"]
    assert not score(image, "a large blue square")["colour"]


def test_a_shadow_on_the_wrong_side_and_a_missing_sun_are_caught():
    family, truth = FAMILIES["context"], Context("house", "red", "at sunset", "left")
    text = "a red house at sunset"

    def picture(truth, **options):
        return torch.from_numpy(family.paint_at(truth, 64, 4, 4, **options)).permute(2, 0, 1) / 255

    assert score(picture(truth), text)["all"]
    for image in (
        picture(truth, shadow=-7),
        picture(truth, shadow=2.5),
        picture(Context("house", "red", "at sunset", "none")),
    ):
        result = score(image, text)
        assert result["thing"] and result["colour"] and result["time"] and not result["shadow"]


def test_a_judge_takes_pictures_at_double_size_and_refuses_odd_ones():
    image, text = Scenes("solids", size=128)[3]
    assert score(image, text)["all"]
    with pytest.raises(ReaderError, match="multiple of 64"):
        score(torch.zeros(3, 60, 60), text)
    with pytest.raises(ReaderError, match="belongs to the family 'solids'"):
        judge("inside").score(image, text)
    with pytest.raises(ReaderError, match="attributes"):
        judge("colours")


def test_wilsons_interval_agrees_with_the_published_example():
    for right, total, low, high in (
        (81, 263, 0.2553, 0.3662),
        (0, 20, 0.0, 0.1611),
    ):  # Newcombe 1998, table I
        found = judges.wilson(right, total)
        assert abs(found[0] - low) < 1e-4 and abs(found[1] - high) < 1e-4
