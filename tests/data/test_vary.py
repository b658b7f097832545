"""Moved, mirrored and scaled pictures: nothing is cut off or wrongly named, every alignment occurs."""

import torch

from dalle_edu.data import EmojiPictures
from dalle_edu.data.vary import crop_filled, mirrorable, moved_copies, varied_crops


def g(seed=0):
    return torch.Generator().manual_seed(seed)


def test_copies_keep_all_their_ink_and_stand_at_whole_steps():
    emoji = EmojiPictures(64, "test", rendering="small")
    pictures = (emoji.pictures * 255).round().to(torch.uint8)
    copies = moved_copies([pictures], emoji.emoji, copies=2, step=4)
    assert copies.shape == (2 * len(pictures), 3, 64, 64)
    ink = [(255 - some.int()).sum((1, 2, 3)) for some in (pictures, copies)]
    assert torch.equal(ink[0].repeat(2), ink[1])  # nothing left the picture
    tops = [(some < 250).any(1).any(2).int().argmax(1) for some in (pictures, copies)]
    moves = tops[1] - tops[0].repeat(2)
    assert (moves % 4 == 0).all() and len(moves.unique()) >= 4
    assert torch.equal(copies, moved_copies([pictures], emoji.emoji, copies=2, step=4))


def test_only_what_has_no_side_is_mirrored():
    assert all(map(mirrorable, "🐈🍎😀"))
    assert not any(map(mirrorable, ("➡️", "🇫🇷", "🕐", "👈", "🔤", "1️⃣")))
    emoji = EmojiPictures(64, "test")
    pictures = (emoji.pictures * 255).round().to(torch.uint8)
    for copy, picture, one in zip(
        moved_copies([pictures], emoji.emoji, 1, 0), pictures, emoji.emoji, strict=True
    ):
        assert torch.equal(copy, picture) or (mirrorable(one) and torch.equal(copy, picture.flip(-1)))


def test_without_copies_there_are_none():
    assert moved_copies([torch.zeros(3, 3, 8, 8, dtype=torch.uint8)], ["🐈"] * 3, 0, 4).shape == (0, 3, 8, 8)


def test_a_varied_crop_is_of_any_alignment_and_of_two_sizes():
    row, column = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    images = torch.stack((row / 64, column / 64, (row + column) / 128))[None].repeat(40, 1, 1, 1)
    offsets, slopes = set(), set()
    for seed in range(8):
        crops = varied_crops(images, 32, g(seed))
        assert crops.shape == (40, 3, 32, 32) and crops.min() >= 0 and crops.max() <= 1
        middle = crops[:20, 0, 12:20, 16]
        slopes |= {round(float(x), 3) for x in 64 * (crops[20:, 0, 18, 16] - crops[20:, 0, 14, 16]) / 4}
        inside = (middle.diff(dim=1) > 0.01).all(1)
        offsets |= {int(round(64 * float(x))) % 4 for x in crops[:20, 0, 16, 16][inside]}
        assert torch.allclose(crops.mean((2, 3))[:, 2], (crops.mean((2, 3))[:, :2]).mean(1), atol=1e-3)
    assert offsets == {0, 1, 2, 3}
    assert max(slopes) > 1.1 and min(x for x in slopes if x > 0.1) < 0.95  # smaller and larger
    assert torch.equal(varied_crops(images, 32, g(1)), varied_crops(images, 32, g(1)))


def test_half_of_the_varied_crops_are_mirrored():
    ramp = (torch.arange(64.0) / 64).expand(200, 3, 64, 64)
    rising = (varied_crops(ramp, 32, g())[:, 0, 16].diff(dim=1).mean(1) > 0).float().mean()
    assert 0.35 < rising < 0.65


def test_crops_of_whole_pictures_and_of_smaller_ones_have_the_size_asked_for():
    images = torch.rand(6, 3, 32, 32, generator=g())
    assert varied_crops(images, 0, g()).shape == (6, 3, 32, 32)
    assert varied_crops(images, 32, g(3)).shape == (6, 3, 32, 32)
    assert crop_filled(images, 16, 4, g()).shape == (6, 3, 16, 16)
