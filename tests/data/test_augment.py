"""CLIP's better wrong answers: batches of near misses, and copies that are spoilt where one can see it."""

import pytest
import torch

from dalle_edu.data.augment import VISIBLE, nearest_in_words, shifted, similar_batch, spoilt
from dalle_edu.data.mixture import Mixture


def g(seed=0):
    return torch.Generator().manual_seed(seed)


def data(captions=None):
    """Sixty pictures of three sources, of twenty each."""
    captions = captions or [[f"caption {i}"] for i in range(60)]
    sources = torch.arange(3).repeat_interleave(20)
    return Mixture(torch.zeros(60, 3, 4, 4, dtype=torch.uint8), captions, torch.ones(60), sources)


def test_the_share_together_is_of_one_source_and_each_source_has_its_turn():
    turns = set()
    for seed in range(30):
        indices, captions = similar_batch(data(), 16, 1.0, g(seed))
        assert len((indices // 20).unique()) == 1
        assert captions == [f"caption {i}" for i in indices]
        turns.add(int(indices[0]) // 20)
    assert turns == {0, 1, 2}
    alone = [len((similar_batch(data(), 16, 0.0, g(seed))[0] // 20).unique()) for seed in range(30)]
    assert min(alone) > 1


def test_pictures_of_which_nobody_says_the_source_are_all_of_one():
    plain = Mixture(torch.zeros(60, 3, 4, 4, dtype=torch.uint8), data().captions, torch.ones(60))
    indices, _ = similar_batch(plain, 40, 0.5, g())
    assert len((indices // 20).unique()) == 3  # as similar as any, so all may come


def test_half_together_means_half():
    counts = torch.zeros(3)
    for seed in range(300):
        indices, _ = similar_batch(data(), 8, 0.5, g(seed))
        count = torch.bincount(indices // 20, minlength=3)
        counts += count.sort(descending=True).values / count.sum()
    # Of eight, four of one source and four of any: the largest share is well above that of eight of any.
    mixed = torch.stack(
        [torch.bincount(torch.randint(3, (8,), generator=g(s)), minlength=3) for s in range(300)]
    )
    assert counts[0] / 300 > mixed.amax(1).float().mean() / 8 + 0.08


def test_no_picture_and_no_caption_comes_twice():
    same = [[f"caption {i % 10}"] for i in range(60)]
    for seed in range(20):
        indices, captions = similar_batch(data(same), 64, 0.5, g(seed))
        assert len(set(captions)) == len(captions) <= 10
        assert len(indices.unique()) == len(indices) == len(captions)


def test_a_source_that_is_seldom_drawn_is_seldom_together():
    some = data()
    some.weights = some.weights * torch.tensor([0.9, 0.1, 0.0])[some.sources]
    together = [int(similar_batch(some, 4, 1.0, g(seed))[0][0]) // 20 for seed in range(400)]
    assert together.count(0) / 400 == pytest.approx(0.9, abs=0.06) and together.count(2) == 0


def test_spoilt_copies_differ_inside_one_rectangle_of_whole_steps():
    # Of one colour each: only another picture in the rectangle shows, and all of the rectangle does.
    images = torch.arange(200.0).view(200, 1, 1, 1).expand(-1, 3, 16, 16) / 200
    copies, visible = spoilt(images, 4, g(1))
    different = (copies != images).any(1)  # (batch, 16, 16)
    cells = different.unfold(1, 4, 4).unfold(2, 4, 4).flatten(3)
    for some, whole in zip(cells.any(-1), cells.all(-1), strict=True):
        assert torch.equal(some, whole)
        rows, columns = some.any(1).nonzero(), some.any(0).nonzero()
        assert torch.equal(some, some.any(1)[:, None] & some.any(0))
        for lines in (rows, columns):
            assert not len(lines) or lines[-1] - lines[0] + 1 == len(lines)
    assert 20 < different.flatten(1).any(1).sum() < 67 + 20  # a third, but for rectangles without an inside
    assert torch.equal(visible, (copies - images).abs().mean((1, 2, 3)) > VISIBLE)


def test_what_stands_in_the_rectangle_is_another_picture_the_same_one_moved_or_nothing():
    places = torch.arange(256.0).view(16, 16) / 256  # a pixel tells where it was
    images = torch.stack([torch.stack((places, places * 0 + i / 100, places * 0)) for i in range(99)])
    images[:, 2, 1:-1, 1:-1] = 1.0  # the corners are darker
    copies, _ = spoilt(images, 4, g(2))
    kinds = {"another": 0, "moved": 0, "nothing": 0}
    for i, (image, copy) in enumerate(zip(images, copies, strict=True)):
        inside = (copy != image).any(0)
        if not inside.any():
            continue
        source = (copy[1][inside] * 100).round()
        if (source == (i - 1) % 99).all():
            kinds["another"] += 1
            assert torch.equal(copy[0][inside], image[0][inside])
        elif copy[0][inside].unique().numel() == 1 and (copy[2][inside] == 0).all():
            kinds["nothing"] += 1
        else:
            assert (source == i).all()
            kinds["moved"] += 1
    assert min(kinds.values()) > 10, kinds


def test_the_same_seed_spoils_alike():
    images = torch.rand(8, 3, 16, 16, generator=g())
    assert torch.equal(spoilt(images, 4, g(3))[0], spoilt(images, 4, g(3))[0])
    assert not torch.equal(spoilt(images, 4, g(3))[0], spoilt(images, 4, g(4))[0])


def test_shifted_pictures_are_moved_both_ways_and_repeat_their_edge():
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    images = torch.stack((rows, columns, rows + columns))[None].repeat(300, 1, 1, 1)
    moved = shifted(images, 2, torch.Generator().manual_seed(0))
    down, right = (images - moved)[:, 0, 8, 8], (images - moved)[:, 1, 8, 8]
    assert {(int(d), int(r)) for d, r in zip(down, right, strict=True)} == {
        (d, r) for d in range(-2, 3) for r in range(-2, 3)
    }
    for picture, d, r in zip(moved, down, right, strict=True):
        assert torch.equal(picture[0], (rows - d).clamp(0, 15)) and torch.equal(
            picture[1], (columns - r).clamp(0, 15)
        )
        assert torch.equal(picture[2], picture[0] + picture[1])  # the three channels stay together
    assert torch.equal(shifted(images, 0, torch.Generator()), images)


PEOPLE = [
    f"{who} {what}: {tone} skin tone"
    for what in ("juggling", "running", "shrugging", "bowing")
    for who in ("man", "woman")
    for tone in ("light", "medium", "dark")
]


def people():
    """Twenty-four people of one source, and as many shapes of another, with captions of their words."""
    captions = [[text] for text in PEOPLE] + [[f"man {i}: light skin tone"] for i in range(24)]
    sources = torch.arange(2).repeat_interleave(24)
    return Mixture(torch.zeros(48, 3, 4, 4, dtype=torch.uint8), captions, torch.ones(48), sources)


def test_the_nearest_in_words_are_those_that_share_most_of_them_with_a_caption_and_are_not_the_same():
    mixed, found = people(), []
    among = mixed.sources == 0
    for seed in range(40):
        near = nearest_in_words(mixed, torch.tensor([0, 5]), 3, among, g(seed))
        assert near.shape == (2, 3) and (near < 24).all()
        for row, index in zip(near.tolist(), (0, 5), strict=True):
            assert index not in row and len(set(row)) == 3
            own = set(PEOPLE[index].replace(":", "").split())
            shared = [len(own & set(PEOPLE[i].replace(":", "").split())) for i in range(24) if i != index]
            # all but one word: another tone, another person, another doing
            assert [len(own & set(PEOPLE[i].replace(":", "").split())) for i in row] == [max(shared)] * 3
            found += row
    assert len(set(found)) > 6  # of equally near ones each comes at some time


def test_neighbours_stand_beside_each_other_in_a_batch():
    for seed in range(20):
        _, captions = similar_batch(people(), 16, 1.0, g(seed), near=3)
        if captions[0] in PEOPLE:
            words = [set(caption.replace(":", "").split()) for caption in captions[:2]]
            assert len(words[0] & words[1]) == len(words[0]) - 1


def test_a_caption_without_words_and_a_source_of_one_picture_have_no_neighbours_and_do_no_harm():
    captions = [[""], ["a cat"], ["a dog"]]
    small = Mixture(torch.zeros(3, 3, 4, 4, dtype=torch.uint8), captions, torch.ones(3))
    assert small.words[0].shape == (3, 3) and small.words[1].tolist() == [0, 1, 2]
    for seed in range(10):
        indices, said = similar_batch(small, 8, 1.0, g(seed), near=5)
        assert sorted(set(said)) == sorted(said) and all(
            captions[i] == [s] for i, s in zip(indices, said, strict=True)
        )
    blank = Mixture(small.pictures, [[""]] * 3, torch.ones(3))
    assert len(similar_batch(blank, 4, 1.0, g(), near=2)[1]) == 1
