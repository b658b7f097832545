"""Single things that training showed: real ones are found again wherever they stand, and others are not."""

import pytest
import torch
from toy import loaded_model

from dalle_edu.evaluate.alignment import alignment
from dalle_edu.evaluate.known import interval, is_own, known, single_things
from dalle_edu.judges.boxes import cut_all


@pytest.fixture(scope="module")
def things():
    return single_things(64)


def test_single_things_are_trained_and_one_each(things):
    assert 1000 < len(things) < 1600 and len(things.pictures) == len(things.captions)
    assert {"red apple", "cat", "automobile"} <= set(things.captions)
    assert not any("skin tone" in caption or caption.startswith("flag: ") for caption in things.captions)


def test_a_real_picture_is_its_own_wherever_it_stands_and_in_another_rendering_and_no_other(things):
    library = cut_all(things.pictures)
    some = list(range(0, len(things), 40))
    moved = things.pictures[some].roll((2, -1), (2, 3))
    assert all(is_own(moved, some, library))
    half = torch.nn.functional.interpolate(things.pictures[some], (48, 48), mode="bilinear", antialias=True)
    smaller = torch.nn.functional.pad(half, (10, 6, 3, 13), value=1.0)
    assert sum(is_own(smaller, some, library)) >= 0.9 * len(some)
    assert sum(is_own(things.pictures[some].roll(1, 0), some, library)) <= 0.05 * len(some)
    assert not any(is_own(torch.ones(len(some), 3, 64, 64), some, library))


def test_the_interval_is_that_of_captions_and_narrows_with_their_number():
    low, high = interval([0.0, 1.0] * 50)
    assert low == pytest.approx(0.4, abs=0.02) and high == pytest.approx(0.6, abs=0.02)  # 0.5 +- 1.96 * 0.05
    wide = interval([0.0, 1.0] * 8)
    assert wide[1] - wide[0] > 2 * (high - low)
    assert interval([1.0] * 9) == pytest.approx((0.70, 1.0), abs=0.01)  # Wilson: 1 / (1 + 1.96**2 / 9)


def test_what_is_known_is_measured_for_every_seed_and_the_same_again():
    found = known(loaded_model(), captions=6, seeds=(0, 1))
    assert found["captions"] == 6 and found["seeds"] == [0, 1]
    assert 0 <= found["drawn"][1] <= found["drawn"][0] <= found["drawn"][2] <= 1
    assert len(found["wrong"]) <= 6 and found == known(loaded_model(), captions=6, seeds=(0, 1))


def test_a_dvae_is_measured_at_every_shift_and_in_every_rendering():
    found = alignment(loaded_model(), count=6)
    assert list(found["shifts"]) == ["0", "1", "2", "3"] and len(found["renderings"]) == 7
    assert found["renderings"]["averaged"] == found["shifts"]["0"]
