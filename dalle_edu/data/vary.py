"""More pictures out of the pictures that there are: moved, mirrored, scaled (chapter 10).

A dVAE that has seen every emoji in one place and one size knows that place and that size: moved by a pixel,
its pictures came back two decibels worse. So it is shown squares at every alignment, and the transformer
copies that stand elsewhere. Ramesh et al. 2021, appendix A.2 and listing 1, crop and scale at random as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# Faces, animals, plants and food: nothing in their names would be wrong of their mirror image.
MIRRORABLE = (
    (0x1F600, 0x1F64F), (0x1F400, 0x1F43F), (0x1F980, 0x1F9AE), (0x1F330, 0x1F37F), (0x1F950, 0x1F96F),
)  # fmt: skip
SCALES = (0.7, 1.3)  # how much smaller or larger the dVAE may see a picture


def mirrorable(emoji: str) -> bool:
    """Whether the mirror image of an emoji deserves the same name: no arrow, flag, clock, hand or letter."""
    return any(low <= ord(emoji[0]) <= high for low, high in MIRRORABLE)


def moved_copies(pictures: Sequence[Tensor], emoji: Sequence[str], copies: int, step: int) -> Tensor:
    """`copies` more of each emoji: (copies * N, 3, size, size) uint8, all of them once, then all of them
    again, and so on, so that each time every emoji is there.

    `pictures`: the same N emoji in one or several renderings, (N, 3, size, size) uint8 each, white around the
    ink. Each copy is of a random one, mirrored in half of the cases where that is right, and moved by
    multiples of `step` pixels (0: by none), so far that no ink is cut off. The same on every call.
    """
    generator = torch.Generator().manual_seed(0)
    number, size = len(pictures[0]), pictures[0].shape[-1]
    right = torch.tensor([mirrorable(one) for one in emoji])
    out = []
    for _ in range(copies):
        which = torch.randint(len(pictures), (number,), generator=generator)
        copy = torch.stack(list(pictures))[which, torch.arange(number)]
        mirrored = right & (torch.rand(number, generator=generator) < 0.5)
        copy = torch.where(mirrored[:, None, None, None], copy.flip(-1), copy)
        if step:
            inked = (copy < 250).any(1)
            moves = []
            for side in (1, 2):  # rows, then columns
                line = inked.any(3 - side)
                before = line.int().argmax(1)
                after = line.flip(1).int().argmax(1)
                steps = before // step + after // step + 1
                chosen = (torch.rand(number, generator=generator) * steps).long()
                moves.append((chosen - before // step) * step)
            copy = moved(copy, torch.stack(moves, 1)[..., None])
        out.append(copy)
    return torch.cat(out) if out else pictures[0].new_empty(0, 3, size, size)


def varied_crops(images: Tensor, crop: int, generator: torch.Generator) -> Tensor:
    """Squares for the dVAE at every alignment and size: (batch, 3, size, size) -> (batch, 3, crop, crop).

    Half of the pictures are mirrored. One half of the batch keeps its size, the other is made smaller or
    larger, all by one factor of `SCALES`. Of each picture the most varied of four squares is taken, at any
    pixel (Ramesh et al. 2021, listing 1, crop and scale at random). With `crop` 0 the squares are as large as
    the pictures; where a picture is smaller than its square, its edge is repeated.
    """
    batch, _, size, _ = images.shape
    crop = crop or size
    mirrored = torch.rand(batch, generator=generator) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
    low, high = SCALES
    side = round(size * (low + (high - low) * float(torch.rand((), generator=generator))))
    scaled = F.interpolate(images[batch // 2 :], (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    parts = []
    for part in (images[: batch // 2], scaled):
        if len(part):
            border = max(
                4, crop - part.shape[-1]
            )  # so that every pixel is as often in the middle as at an edge
            part = F.pad(part, (border,) * 4, mode="replicate")
            parts.append(crop_filled(part, crop, 1, generator))
    return torch.cat(parts)


def crop_filled(
    images: Tensor, crop: int, multiple: int, generator: torch.Generator, tries: int = 4
) -> Tensor:
    """A square of `crop` pixels out of each picture, the most varied of a few
    random ones, so that steps are not spent on blank paper. Corners are
    multiples of `multiple`: (batch, 3, size, size) -> (batch, 3, crop, crop)."""
    batch, _, size, _ = images.shape
    if crop >= size:
        return images
    places = (size - crop) // multiple + 1
    corners = torch.randint(places, (batch, tries, 2), generator=generator) * multiple
    offset = torch.arange(crop)
    rows = (corners[..., 0, None] + offset)[:, :, None, :, None]
    columns = (corners[..., 1, None] + offset)[:, :, None, None, :]
    picture = torch.arange(batch)[:, None, None, None, None]
    candidates = images[
        picture, torch.arange(3)[:, None, None], rows, columns
    ]  # (batch, tries, 3, crop, crop)
    best = candidates.flatten(2).var(2).argmax(1)
    return candidates[torch.arange(batch), best]


def moved(images: Tensor, moves: Tensor) -> Tensor:
    """Each picture moved down and right by its `moves` (batch, 2, 1) in pixels, its edge repeated where it
    left: (batch, 3, size, size) -> the same."""
    batch, _, size, _ = images.shape
    rows, columns = (torch.arange(size) - moves).clamp(0, size - 1).unbind(1)
    picture, channel = torch.arange(batch)[:, None, None, None], torch.arange(3)[:, None, None]
    return images[picture, channel, rows[:, None, :, None], columns[:, None, None, :]]
