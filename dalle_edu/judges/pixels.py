"""Reading flat shapes back from a picture: find what is not white, split it by colour, name its shape.

Plain image analysis, and no knowledge of the model whose pictures it reads:
a pixel's colour is the line through white that passes nearest, a thing is a
connected region, its shape is the nearest of the generator's own drawings.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

from dalle_edu.data.scenes.drawing import COLOURS, SHAPES, TEXTURES, shape_coverage, texture_coverage
from dalle_edu.data.scenes.flat import OUTER, SIZES, Thing
from dalle_edu.errors import ReaderError

SIZE, UNIT = 64, 4  # pixels along a side of the picture, and along a sixteenth of it
INK = 0.2  # distance from white, of 1.73 at most, from which a pixel belongs to a thing
MAJORITY = 0.6  # share of a thing's ink, from which its colour is clear
POOR_FIT = 0.4  # squared difference to the best shape, relative to its area, from which the shape is unclear
_RGB = np.array(list(COLOURS.values()), dtype=np.float32) / 255


@dataclass(frozen=True)
class Found:
    """A thing as a picture shows it, and the middle of its box in sixteenths of the picture."""

    thing: Thing
    row: float
    column: float
    inside_of: int | None = None  # the place, in the list of what was found, of the thing that holds it


def as_array(image) -> np.ndarray:
    """(3, S, S) numbers in [0, 1], S a multiple of 64, averaged to (64, 64, 3); else ReaderError."""
    array = np.asarray(image, dtype=np.float32)
    if array.ndim != 3 or array.shape[0] != 3 or array.shape[1] != array.shape[2] or array.shape[1] % SIZE:
        raise ReaderError(
            f"A judge reads pictures of shape (3, S, S), S a multiple of {SIZE}, not {array.shape}."
        )
    part = array.shape[1] // SIZE
    return array.reshape(3, SIZE, part, SIZE, part).mean((2, 4)).transpose(1, 2, 0)


def regions(mask: np.ndarray) -> list[np.ndarray]:
    """The connected parts (4 neighbours) of a (height, width) mask, as masks, from the topmost down."""
    labels, count = ndimage.label(mask)
    return [labels == label for label in range(1, count + 1)]


def erode(mask: np.ndarray) -> np.ndarray:
    """The mask without its outermost pixels (8 neighbours)."""
    return ndimage.binary_erosion(mask, np.ones((3, 3)))


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of a mask's pixels; bottom and right are the first outside."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def colours_of(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each pixel's likeliest colour, (64, 64) index into COLOURS, and each colour's strength, (64, 64, 8).

    A pixel of a thing on white is white - strength * (white - colour), whether its edge is soft, its stripe
    pale or the picture blurred: the likeliest colour is the one whose line passes nearest.
    """
    ink, lines = 1 - picture, 1 - _RGB
    strength = np.clip(ink @ lines.T / (lines**2).sum(1), 0, 1)
    distance = ((ink[:, :, None] - strength[..., None] * lines) ** 2).sum(-1)
    return distance.argmin(-1), strength


@cache
def _templates(side: int, textures: tuple[str, ...]) -> tuple[list, np.ndarray]:
    """Every shape in every texture over a box of `side` sixteenths: names, strengths (count, pixels^2)."""
    pixels, names, maps = side * UNIT, [], []
    for texture in textures:
        paler = {"plain": 0, "striped": 2 / 3, "dotted": 1}[texture]
        pattern = texture_coverage("striped" if texture == "plain" else texture, pixels, UNIT) / 64
        for shape in SHAPES:
            names.append((shape, texture))
            maps.append(shape_coverage(shape, pixels) / 64 * (1 - paler * pattern))
    return names, np.stack(maps).reshape(len(maps), -1).astype(np.float32)


def best_shape(strength: np.ndarray, mask: np.ndarray, textures=("plain",)) -> tuple[str, str, int]:
    """Shape, texture and side (in sixteenths) of the drawing nearest to a strength map (64, 64) at a mask."""
    top, bottom, left, right = box(mask)
    side = min((*SIZES.values(), OUTER), key=lambda s: abs(s * UNIT - max(bottom - top, right - left)))
    names, templates = _templates(side, textures)
    pixels, reach = side * UNIT, UNIT - 1
    padded = np.pad(strength, pixels)
    row, column = (top + bottom - pixels) // 2 + pixels, (left + right - pixels) // 2 + pixels
    around = padded[row - reach : row + pixels + reach, column - reach : column + pixels + reach]
    windows = np.lib.stride_tricks.sliding_window_view(around, (pixels, pixels)).reshape(-1, pixels * pixels)
    energy = (templates**2).sum(1)
    misfit = ((windows**2).sum(1)[:, None] - 2 * windows @ templates.T + energy) / energy
    best = misfit.min(0).argmin()
    shape, texture = names[best]
    return (shape if misfit[:, best].min() < POOR_FIT else "unclear"), texture, side


def _found(strength, mask, colour: int | None, textures=("plain",), inside_of=None) -> Found:
    shape, texture, side = best_shape(strength, mask, textures)
    top, bottom, left, right = box(mask)
    name = "unclear" if colour is None else list(COLOURS)[colour]
    thing = Thing(shape, name, "small" if side == SIZES["small"] else "large", texture)
    return Found(thing, (top + bottom) / 2 / UNIT, (left + right) / 2 / UNIT, inside_of)


def find_things(image) -> list[Found]:
    """The plain things in a picture: connected regions split by colour; one enclosed by another is inside."""
    picture = as_array(image)
    likeliest, strength = colours_of(picture)
    things = []
    for region in regions(np.linalg.norm(1 - picture, axis=-1) > 2 * INK):
        if region.sum() < 2 * UNIT**2:
            continue  # a speck
        cores = {c: erode(region & (likeliest == c)).sum() for c in np.unique(likeliest[region])}
        present = [c for c, core in cores.items() if core >= UNIT**2] or [max(cores, key=cores.get)]
        # a softened border between two things has a third colour: it goes to the nearer of those present
        nearest = ((picture[:, :, None] - _RGB[present]) ** 2).sum(-1).argmin(-1)
        parts = [(c, p) for k, c in enumerate(present) for p in regions(region & (nearest == k))]
        parts = [part for part in parts if len(present) == 1 or erode(part[1]).sum() >= UNIT**2]
        parts.sort(key=lambda part: -part[1].sum())
        largest, outer = parts[0], len(things)
        held = [part for part in parts[1:] if _encloses(largest[1], part[1])]
        # what shows through the hole of a ring inside a square is the square, and no thing of its own
        held = [part for part in held if part[0] != largest[0]]
        beside = [part for part in parts[1:] if not _encloses(largest[1], part[1])]
        soft = region if held else largest[1] * (strength[..., largest[0]] if len(present) == 1 else 1)
        things.append(_found(soft.astype(np.float32), *largest[::-1]))
        things += [_found(mask.astype(np.float32), mask, colour, inside_of=outer) for colour, mask in held]
        things += [_found(mask.astype(np.float32), mask, colour) for colour, mask in beside]
    return things


def _encloses(outer: np.ndarray, inner: np.ndarray) -> bool:
    (top, bottom, left, right), (t, b, l, r) = box(outer), box(inner)
    return top < t and b < bottom and left < l and r < right


def find_textured(image) -> list[Found]:
    """As `find_things`, for striped and dotted things too: a connected region is one thing of one colour."""
    picture = as_array(image)
    likeliest, strength = colours_of(picture)
    ink, things = np.linalg.norm(1 - picture, axis=-1), []
    for region in regions(~erode(~(ink > INK))):  # grown by a pixel, so that dots do not cut a thing in two
        inked = region & (ink > INK)
        if inked.sum() >= 2 * UNIT**2:
            votes = np.bincount(likeliest[inked], weights=ink[inked] ** 2)
            colour = votes.argmax() if votes.max() >= MAJORITY * votes.sum() else None
            things.append(_found(strength[..., votes.argmax()] * region, inked, colour, TEXTURES))
    return things


def relation_holds(relation: str, first: Found, second: Found, things: list[Found]) -> bool:
    """Whether the first thing stands to the second as the relation says, clearly rather than aslant."""
    if relation == "inside":
        return first.inside_of is not None and things[first.inside_of] is second
    down, across = second.row - first.row, second.column - first.column
    along, aside = (across, down) if "the" in relation else (down, across)
    along = -along if relation in ("to the right of", "below") else along
    return first.inside_of is None and second.inside_of is None and along > abs(aside)
