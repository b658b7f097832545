"""The judge of drawn people: right on real pictures that it never saw, and not fooled by wrong ones."""

import pytest
import torch
import torch.nn.functional as F

from dalle_edu.data import EmojiPictures
from dalle_edu.data.emoji import GENDERS, HELD_OUT_COMBINATIONS, SKIN_TONES, combination
from dalle_edu.errors import ReaderError
from dalle_edu.judges.people import emoji_judge


@pytest.fixture(scope="module")
def judge():
    return emoji_judge(64)


@pytest.fixture(scope="module")
def people():
    """All real people with professions that the judge never saw: held out, validation and test."""
    pictures, captions = [], []
    for split in ("held_out", "validation", "test"):
        data = EmojiPictures(split=split)
        chosen = [i for i, caption in enumerate(data.captions) if combination(caption)]
        pictures.append(data.pictures[chosen])
        captions += [data.captions[i] for i in chosen]
    return torch.cat(pictures), captions


def blurred(pictures, width):
    bell = torch.exp(-(torch.arange(-3.0, 4.0) ** 2) / (2 * width**2))
    kernel = (bell[:, None] * bell / bell.sum() ** 2).expand(3, 1, 7, 7)
    return F.conv2d(F.pad(pictures, (3, 3, 3, 3), value=1.0), kernel, groups=3)


def noisy(pictures, amount):
    return (
        pictures + amount * torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))
    ).clamp(0, 1)


SPOILT = {
    "clean": lambda pictures: pictures,
    "shifted": lambda pictures: torch.roll(pictures, (2, -1), (2, 3)),
    "blurred": lambda pictures: blurred(pictures, 0.8),
    "noisy": lambda pictures: noisy(pictures, 0.1),
    "blurred, noisy and shifted": lambda pictures: noisy(blurred(pictures, 0.7), 0.05).roll((-1, 1), (2, 3)),
}


@pytest.mark.parametrize("how", SPOILT)
def test_it_reads_real_people_whose_combination_it_never_saw(judge, people, how):
    pictures, captions = people
    right = judge.right(SPOILT[how](pictures), captions)
    assert len(captions) >= len(HELD_OUT_COMBINATIONS) + 30
    for part in ("profession", "gender", "skin_tone", "all"):
        assert right[part].float().mean() >= 0.98, part


def test_it_catches_what_is_wrong_in_one_property(judge, people):
    pictures, captions = people
    asked = [combination(caption) for caption in captions]

    def caption(profession, gender, tone):
        person = profession if gender == "person" else f"{gender} {profession}"
        return f"{person}: {tone} skin tone"

    for step in range(1, 5):
        wrong = [caption(p, g, SKIN_TONES[(SKIN_TONES.index(t) + step) % 5]) for p, g, t in asked]
        right = judge.right(pictures, wrong)
        assert right["skin_tone"].float().mean() <= 0.02 and right["profession"].float().mean() >= 0.98
    wrong = [caption("cook" if p != "cook" else "pilot", g, t) for p, g, t in asked]
    assert judge.right(pictures, wrong)["profession"].float().mean() <= 0.02
    wrong = [caption(p, "woman" if g != "woman" else "man", t) for p, g, t in asked]
    right = judge.right(pictures, wrong)
    assert right["gender"].float().mean() <= 0.05 and not right["all"].any()


def test_man_and_person_count_as_one_only_where_they_are_drawn_alike(judge):
    assert ("cook", "man") in judge.alike and ("cook", "person") in judge.alike
    assert ("health worker", "man") not in judge.alike
    assert not any(gender == "woman" for _, gender in judge.alike)
    assert {gender for _, gender in judge.alike} < set(GENDERS)


def test_it_sees_nobody_in_other_pictures(judge):
    things = EmojiPictures(split="test")
    others = [i for i, caption in enumerate(things.captions) if not combination(caption)]
    nobody = [verdict is None for verdict in judge(things.pictures[others])]
    assert sum(nobody) >= 0.9 * len(others)
    assert judge(torch.full((1, 3, 64, 64), 0.5)) == judge(torch.ones(1, 3, 64, 64)) == [None]
    assert judge(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))) == [None, None]


def test_it_understands_prompts_in_a_persons_words_and_refuses_others(judge):
    picture = EmojiPictures(split="held_out").find("woman firefighter: light skin tone")[None]
    assert judge(picture) == [("firefighter", "woman", "light")]
    assert judge.right(picture, ["a woman firefighter with light skin"])["all"].all()
    with pytest.raises(ReaderError, match="'red apple' names no person"):
        judge.right(picture, ["red apple"])
    with pytest.raises(ReaderError, match=r"\(N, 3, 64, 64\)"):
        judge(torch.zeros(1, 3, 32, 32))
    assert judge.right(torch.zeros(0, 3, 64, 64), [])["all"].shape == (0,)
