"""The judge of things: right on clean pictures, not fooled by one error, blind to nothing asked for."""

from dataclasses import replace

import pytest
import torch

from dalle_edu.data import ThingScenes
from dalle_edu.data.scenes.flat import Dice
from dalle_edu.data.things import KINDS, Item, Things, paint, ways
from dalle_edu.errors import ReaderError
from dalle_edu.judges.boxes import Box, boxes, cut_all, ink
from dalle_edu.judges.things import parse_things, same_colour, things_judge, wrong_things

NUMBER = 24


@pytest.mark.parametrize("kind", KINDS)
def test_it_reads_clean_pictures_catches_single_errors_and_accepts_no_other(kind):
    scenes, judge = ThingScenes(kind, length=NUMBER, seed=3, split="test"), things_judge()
    right = caught = others = 0
    for i in range(NUMBER):
        (image, caption), truth = scenes[i], scenes.truth(i)
        right += judge.score(image, caption)["all"]
        caught += not judge.score(wrong_things(truth, Dice(f"wrong {i}"))[1], caption)["all"]
        others += judge.score(scenes[(7 * i + 1) % NUMBER][0], caption)["all"]
    assert right >= 0.97 * NUMBER and caught >= 0.95 * NUMBER and others <= 0.05 * NUMBER


@pytest.mark.parametrize("kind", KINDS)
def test_captions_are_read_back_as_their_truth(kind):
    scenes = ThingScenes(kind, length=200, seed=1)
    for i in range(200):
        assert parse_things(scenes.ways(i)[0]) == replace(scenes.truth(i), light=None)


def test_what_it_says_is_wrong_is_what_is_wrong():
    judge = things_judge()

    def verdict(shown: Things, asked: Things) -> dict[str, bool]:
        image = torch.from_numpy(paint(shown, 64, Dice("one")).transpose(2, 0, 1).copy())
        return judge.score(image, ways(asked)[0])

    cats = Things((Item("cat"),) * 2)
    assert verdict(Things((Item("cat"),) * 3), cats) == {
        "thing": False,
        "count": False,
        "colour": False,
        "all": False,
    }
    blue = Things((Item("cat", "blue"),))
    assert verdict(Things((Item("cat", "green"),)), blue) == {"thing": True, "colour": False, "all": False}
    assert verdict(Things((Item("cat"),)), blue)["colour"] is False
    pair = Things((Item("dog"), Item("apple")), "above")
    swapped = verdict(replace(pair, relation="below"), pair)
    assert swapped["thing"] and swapped["colour"] and not swapped["relation"]
    night = Things((Item("cat"),), time="at night")
    assert verdict(replace(night, time="at noon"), night)["time"] is False
    assert verdict(Things((Item("cat"),)), night)["time"] is False


def test_an_orange_cat_is_a_cat_in_its_own_colours_and_a_blue_one_is_not():
    assert same_colour("cat", None, "orange") and not same_colour("cat", None, "blue")


def test_boxes_go_around_things_and_take_specks_along():
    picture = torch.ones(3, 32, 32)
    picture[:, 4:12, 4:12] = 0
    picture[:, 20:30, 18:22] = 0
    assert boxes(ink(picture)) == [Box(4, 12, 4, 12), Box(20, 30, 18, 22)]
    picture[:, 5:8, 15:17] = 0  # six pixels, three away from the first
    assert boxes(ink(picture))[0] == Box(4, 12, 4, 17)
    assert boxes(ink(torch.ones(3, 32, 32))) == []


def test_cut_pictures_do_not_depend_on_place_and_hardly_on_size():
    def square(top, left, side):
        picture = torch.ones(1, 3, 64, 64)
        picture[:, 0, top : top + side, left : left + side] = 0
        picture[:, :, top + side // 4 : top + side // 2, left : left + side // 2] = 0.3
        return cut_all(picture)

    here = square(4, 8, 24)
    assert torch.equal(here, square(30, 11, 24))
    assert (here - square(2, 2, 48)).abs().mean() < 0.02
    assert (here - cut_all(torch.ones(1, 3, 64, 64))).abs().mean() > 0.2


def test_other_sizes_and_other_sentences_are_refused():
    with pytest.raises(ReaderError, match=r"\(3, 64, 64\)"):
        things_judge().read(torch.ones(3, 32, 32))
    with pytest.raises(ReaderError, match="'a blue gnu' names no things"):
        parse_things("a blue gnu")
