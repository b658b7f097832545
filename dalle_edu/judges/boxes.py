"""Ink and the boxes around it: what a picture shows, wherever and however large it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

INK = 0.15  # how far a pixel's darkest channel lies below white, from which it is ink
SPECK = 24  # pixels; a smaller piece belongs to the thing next to it


@dataclass(frozen=True)
class Box:
    """A piece of ink: rows top .. bottom - 1, columns left .. right - 1."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def side(self) -> int:
        """Its longer side in pixels."""
        return max(self.bottom - self.top, self.right - self.left)

    @property
    def middle(self) -> tuple[float, float]:
        return (self.top + self.bottom) / 2, (self.left + self.right) / 2

    def around(self, other: Box) -> Box:
        """The box that holds both."""
        return Box(
            min(self.top, other.top), max(self.bottom, other.bottom),
            min(self.left, other.left), max(self.right, other.right),
        )  # fmt: skip


def ink(picture: Tensor) -> np.ndarray:
    """Where (3, H, W) is not white: (H, W) bool."""
    return (picture.min(0).values < 1 - INK).numpy()


def whole_box(mask: np.ndarray) -> Box | None:
    """The box around all ink; None where there is none."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Box(rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) if len(rows) else None


def boxes(mask: np.ndarray) -> list[Box]:
    """A box around each thing: ink that hangs together across a gap of two pixels; specks go along."""
    labels, _ = ndimage.label(ndimage.binary_dilation(mask, np.ones((3, 3))), np.ones((3, 3)))
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        own = mask[rows, columns] & (labels[rows, columns] == number)
        box = whole_box(own)
        top, left = rows.start, columns.start
        found.append(
            (int(own.sum()), Box(top + box.top, top + box.bottom, left + box.left, left + box.right))
        )
    things = [box for area, box in found if area >= SPECK]
    for area, box in found:
        if area < SPECK and things:
            nearest = min(range(len(things)), key=lambda i: _gap(things[i], box))
            if _gap(things[nearest], box) <= 4:
                things[nearest] = things[nearest].around(box)
    return things


def _gap(one: Box, other: Box) -> int:
    down = max(one.top - other.bottom, other.top - one.bottom, 0)
    across = max(one.left - other.right, other.left - one.right, 0)
    return max(down, across)


def cut(picture: Tensor, box: Box | None, side: int) -> Tensor:
    """What a box holds, in the middle of a white square, brought to `side` pixels: (3, side, side). A picture
    without ink gives a white square."""
    if box is None:
        return torch.ones(3, side, side)
    inside = picture[:, box.top : box.bottom, box.left : box.right]
    height, width = inside.shape[1:]
    down, across = box.side - height, box.side - width
    square = F.pad(inside, (across // 2, across - across // 2, down // 2, down - down // 2), value=1.0)
    return F.interpolate(square[None], (side, side), mode="bilinear", antialias=True)[0].clamp(0, 1)


def cut_all(pictures: Tensor, side: int = 24) -> Tensor:
    """Each picture's ink, wherever and however large it is: (N, 3, H, W) -> (N, 3 * side * side)."""
    return torch.stack([cut(one, whole_box(ink(one)), side).flatten() for one in pictures])
