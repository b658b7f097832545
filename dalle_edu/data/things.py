"""Scenes in which emoji are the things: in a colour, counted, side by side, at a time of day (chapter 13).

    A THING                     "a small blue cat"
    NUMBER THINGs               "three dogs", "two red umbrellas"
    A THING RELATION A THING    "a small dog to the left of an apple"
    A THING, A THING and A THING
    A THING TIME                "a cat at night"

Picture i is a function of (kind, split, seed, i), made on demand, its ground truth kept. Held out are pairs
of thing and colour, of number and thing, of thing and time, and triples of thing, relation and thing; every
word of them is trained elsewhere. Drawings: OpenMoji, CC BY-SA 4.0.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from dalle_edu.data.scenes import FAMILIES, captions
from dalle_edu.data.scenes.context import (
    DAYLIGHT,
    FEET,
    GROUND,
    HORIZON,
    SKY,
    TIMES,
    _paint_lamp,
    _paint_shadow,
    lit,
    shadow_reach,
)  # fmt: skip
from dalle_edu.data.scenes.drawing import GRID, blank
from dalle_edu.data.scenes.flat import Dice, is_held_out
from dalle_edu.data.scenes.ways import MIRRORS
from dalle_edu.data.splits import SPLITS
from dalle_edu.data.sprites import COLOURS, THINGS, plural, sprite
from dalle_edu.data.thing_ways import ways
from dalle_edu.errors import ReaderError, unknown_name

KINDS = ("colours", "counts", "relations", "lists", "times")
RELATIONS = ("to the left of", "above", "to the right of", "below")
# In sixteenths of the picture, and few of them in all: each size of a thing is a drawing of its own to learn.
SIDES = {"small": 5, None: 8, "large": 11}  # of one thing alone
BESIDE = {"small": 5, None: 6, "large": 8}  # of one beside another
CELL = 6  # of one among several
STANDING = 8  # of one at a time of day


@dataclass(frozen=True)
class Item:
    """One thing; what goes unsaid is None: its own colours, any size."""

    thing: str
    colour: str | None = None
    size: str | None = None

    def words(self, many: bool = False) -> str:
        parts = (self.size, self.colour, plural(self.thing) if many else self.thing)
        return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class Things:
    """What a picture shows: equal items are counted, two may stand in a `relation`, one may stand at a
    `time`; `light` is the side of the sun or the moon, which no caption names."""

    items: tuple[Item, ...]
    relation: str | None = None
    time: str | None = None
    light: str | None = None
    family = "things"

    @property
    def kind(self) -> str:
        if self.time:
            return "times"
        if self.relation:
            return "relations"
        if len(self.items) == 1:
            return "colours"
        return "counts" if len(set(self.items)) == 1 else "lists"

    def combinations(self) -> set[str]:
        """The combinations that it shows, each of which may be held out."""
        found = {f"{item.colour} {item.thing}" for item in self.items if item.colour}
        if self.kind == "counts":
            found.add(f"{len(self.items)} {self.items[0].thing}")
        if self.time:
            found.add(f"{self.items[0].thing} {self.time}")
        if self.relation:
            first, second = (item.thing for item in self.items)
            mirrored = self.relation in ("to the right of", "below")
            relation = MIRRORS[self.relation] if mirrored else self.relation
            first, second = (second, first) if mirrored else (first, second)
            found.add(f"{first} {relation} {second}")
        return found


@cache
def _held_out_pairs() -> frozenset[str]:
    """One colour of every thing; of every second one a number; of the others a time. So each thing is trained
    in seven colours of eight, and in two numbers and two times at least."""
    out = set()
    for noun in THINGS:
        dice = Dice(f"things held out: {noun}")
        out.add(f"{dice.pick(COLOURS)} {noun}")
        number, time = 2 + dice.below(3), dice.pick(TIMES)
        out.add(f"{number} {noun}" if dice.below(2) else f"{noun} {time}")
    return frozenset(out)


def is_triple_held_out(key: str) -> bool:
    """Whether a thing, a relation and a thing are among the 15 in 100 triples that training never shows."""
    return (" to the left of " in key or " above " in key) and is_held_out(f"things:{key}")


@cache
def _held_out_scenes() -> frozenset[str]:
    """The captions that the families of `Scenes` keep from training."""
    return frozenset(text for family in FAMILIES for text in captions(family, "held_out"))


def is_held_out_scene(truth: Things) -> bool:
    """Whether `Scenes` holds out a caption of it: "a red car at night" may be a scene of either."""
    return not _held_out_scenes().isdisjoint(ways(truth))


def held_out(truth: Things) -> bool | None:
    """True where the combination that makes its kind is held out, False where nothing is; None for what no
    split shows: a truth with another held-out combination in it. Plain things are never held out."""
    out = {key for key in truth.combinations() if key in _held_out_pairs() or is_triple_held_out(key)}
    if not out:
        return False
    colours = {f"{item.colour} {item.thing}" for item in truth.items}
    own = out - colours if truth.kind != "colours" else out
    return True if own == out and len(truth.combinations() - colours) == (truth.kind != "colours") else None


def random_truth(kind: str, dice: Dice) -> Things:
    """One of a kind: half of all things are in their own colours, half in one of eight."""

    def item(size: str | None = None, thing: str | None = None, colour: str | None = None) -> Item:
        if colour is None and dice.below(2):
            colour = dice.pick(COLOURS)
        return Item(thing or dice.pick(_NOUNS), colour, size)

    if kind == "colours":
        return Things((item(dice.pick((None, None, "small", "large"))),))
    if kind == "counts":
        return Things((item(),) * (2 + dice.below(3)))
    if kind == "relations":
        sizes = dice.pick(((None, None), (None, None), ("small", None), (None, "small"), ("small", "large"),
                           ("large", "small")))  # fmt: skip
        first, second = dice.sample(_NOUNS, 2)
        return Things((item(sizes[0], first), item(sizes[1], second)), dice.pick(RELATIONS))
    if kind == "lists":
        return Things(tuple(item(thing=noun) for noun in dice.sample(_NOUNS, 2 + dice.below(3))))
    time = dice.pick(TIMES)
    return Things((item(),), time=time, light=dice.pick(DAYLIGHT[time]))


_NOUNS = tuple(THINGS)


class ThingScenes(torch.utils.data.Dataset):
    """Item i is (image (3, size, size) float32 in [0, 1], caption); `truth(i)` what
    it shows; `ways(i)` all its captions. `kind` is one of `KINDS`, or "all" mixed;
    splits as in `Scenes`, but no list is held out. With `apart` no split but "held_out"
    shows what `Scenes` holds out, so that a model may be trained on both. Raises
    ReaderError for an unknown kind or split, for a size that is no multiple of 16,
    and for a negative length."""

    def __init__(
        self,
        kind: str = "all",
        size: int = 64,
        seed: int = 0,
        length: int = 10_000,
        split: str = "train",
        apart: bool = False,
    ):
        if kind not in (*KINDS, "all"):
            raise unknown_name("kind of things", kind, [*KINDS, "all"])
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
        if size < 16 or size % 16:
            raise ReaderError(f"Things are drawn at a multiple of 16 pixels, not {size}; 64 is usual.")
        if length < 0:
            raise ReaderError(f"The length must not be negative, and {length} is.")
        self.kind, self.size, self.seed, self.length, self.split = kind, size, seed, length, split
        self.apart = apart and split != "held_out"

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, str]:
        truth, dice = self._draw(index)
        picture = np.ascontiguousarray(paint(truth, self.size, dice).transpose(2, 0, 1))
        return torch.from_numpy(picture), ways(truth)[0]

    def truth(self, index: int) -> Things:
        """What picture `index` shows."""
        return self._draw(index)[0]

    def ways(self, index: int) -> list[str]:
        """Every caption of picture `index`."""
        return ways(self.truth(index))

    def _draw(self, index: int) -> tuple[Things, Dice]:
        if not -self.length <= index < self.length:
            raise IndexError(f"picture {index} of {self.length}")
        dice = Dice(f"things/{self.kind}/{self.split}/{self.seed}/{index % self.length}")
        kinds = [kind for kind in KINDS if self.split != "held_out" or kind != "lists"]
        kind = dice.pick(kinds) if self.kind == "all" else self.kind
        if kind == "lists" and self.split == "held_out":
            raise ReaderError("No list of things is held out: ask for another kind, or another split.")
        while True:
            truth = random_truth(kind, dice)
            wanted = held_out(truth) is (self.split == "held_out")
            if wanted and not (self.apart and is_held_out_scene(truth)):
                return truth, dice


def paint(truth: Things, size: int, dice: Dice) -> np.ndarray:
    """The picture, (size, size, 3) float32 in [0, 1]; the dice choose sizes and places that go unsaid."""
    unit = size // GRID
    if truth.time:
        ground, column = landscape(truth, size, middle := 7 + dice.below(3)), middle - STANDING // 2
        canvas = ground.astype(np.float32) / 255
        item = truth.items[0]
        _place(canvas, item, (FEET - STANDING) * unit, column * unit, STANDING * unit, truth.time)
        return canvas
    canvas = np.ones((size, size, 3), dtype=np.float32)
    for item, row, column, side in layout(truth, dice):
        _place(canvas, item, row * unit, column * unit, side * unit)
    return canvas


def layout(truth: Things, dice: Dice):
    """Yields (item, row, column, side) in sixteenths of the picture, at least one of them between two."""
    items = truth.items
    if len(items) == 1:
        side = SIDES[items[0].size]
        yield items[0], *((GRID - side) // 2 - 2 + dice.below(5) for _ in range(2)), side
    elif truth.relation:
        pair = items[::-1] if truth.relation in ("to the right of", "below") else items
        first, second = (BESIDE[item.size] for item in pair)
        gap = 1 + dice.below(2 if first + second + 2 <= GRID else 1)
        start = dice.below(GRID - first - second - gap + 1)
        for item, side, along in ((pair[0], first, start), (pair[1], second, start + first + gap)):
            across = min(max((GRID - side) // 2 - 1 + dice.below(3), 0), GRID - side)
            yield item, *((across, along) if "the" in truth.relation else (along, across)), side
    else:
        for item, cell in zip(items, dice.sample(range(4), len(items)), strict=True):
            row, column = (8 * part + 1 + dice.below(2) for part in divmod(cell, 2))
            yield item, row, column, CELL


def landscape(truth: Things, size: int, middle: int) -> np.ndarray:
    """Sky, sun or moon, ground and shadow of a truth with a time, (size, size, 3) int32; `middle`: the
    column, in sixteenths, under which the thing stands."""
    unit, light = size // GRID, truth.light or DAYLIGHT[truth.time][0]
    canvas = blank(size, SKY[truth.time])
    _paint_lamp(canvas, truth.time, light, middle)
    canvas[HORIZON * unit :] = GROUND[truth.time]
    _paint_shadow(canvas, truth.time, middle, shadow_reach(truth.time, light))
    return canvas


def _place(canvas: np.ndarray, item: Item, top: int, left: int, pixels: int, time: str | None = None) -> None:
    """A thing in the middle of its box; at a time of day on its lower edge, in that light."""
    one = sprite(item.thing, item.colour, pixels)
    ink, (height, width) = one.ink, one.cover.shape[:2]
    if time:
        white, black = (np.array(lit((value,) * 3, time)) / 255 for value in (255, 0))
        ink = ink * (white - black).astype(np.float32) + one.cover * black.astype(np.float32)
    top += pixels - height if time else (pixels - height) // 2
    left += (pixels - width) // 2
    window = canvas[top : top + height, left : left + width]
    window[:] = ink + (1 - one.cover) * window
