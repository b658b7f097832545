"""What `Scenes` can show: ground truth, sentences, held-out combinations and layout of the two flat families.

A family is a small class: `random` draws a truth, `caption` says it, `held_out`
tells which split may show it, `paint` draws it, `everything` lists all truths.
The five abilities are those of DALL-E's announcement (OpenAI 2021).
"""

import hashlib
import itertools
import random
from dataclasses import dataclass

import numpy as np

from dalle_edu.data.scenes.drawing import COLOURS, GRID, SHAPES, TEXTURES, blank, stamp

SIZES = {"small": 5, "large": 9}  # side in sixteenths of the picture: 20 and 36 pixels of 64
OUTER = 12  # a large thing that holds another: 48 pixels of 64
HOLDERS = ("circle", "square", "triangle", "heart", "diamond")  # shapes with room inside for a small one
NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four"}
RELATIONS = ("to the left of", "to the right of", "above", "below", "inside")
MIRROR = {"to the right of": "to the left of", "below": "above"}


class Dice:
    """Choices from a named seed. Uses `random()` alone, whose sequence every version of Python keeps."""

    def __init__(self, name: str):
        self._random = random.Random(name).random

    def below(self, n: int) -> int:
        return int(self._random() * n)

    def pick(self, options):
        return options[self.below(len(options))]

    def sample(self, options, count: int) -> list:
        """`count` different options, in random order."""
        left = list(options)
        return [left.pop(self.below(len(left))) for _ in range(count)]


def is_held_out(key: str) -> bool:
    """Whether a combination belongs to the 15 in 100 that training never shows: a stable hash of its name.

    The number before the name was picked among 3,000 because it spreads the held-out triples of size,
    colour and shape evenly.
    """
    return int.from_bytes(hashlib.sha256(f"2898:{key}".encode()).digest()[:4], "big") % 100 < 15


@dataclass(frozen=True)
class Thing:
    """One shape: its four properties, each a word of the caption (a plain texture goes unsaid)."""

    shape: str
    colour: str
    size: str = "small"
    texture: str = "plain"

    def words(self, plural: bool = False) -> str:
        texture = "" if self.texture == "plain" else self.texture + " "
        shape = {"cross": "crosses"}.get(self.shape, self.shape + "s") if plural else self.shape
        return f"{self.size} {texture}{self.colour} {shape}"

    @property
    def key(self) -> str:
        return f"attributes:{self.size} {self.colour} {self.shape}"


@dataclass(frozen=True)
class Attributes:
    """Truth of the attributes family: one thing. "a large striped blue star"."""

    thing: Thing
    family = "attributes"

    def properties(self) -> dict:
        return {name: getattr(self.thing, name) for name in ("shape", "colour", "size", "texture")}


@dataclass(frozen=True)
class Objects:
    """Truth of the objects family: one to four things; `relation` is that of the first to the second."""

    things: tuple[Thing, ...]
    relation: str | None = None
    family = "objects"

    def properties(self) -> dict:
        things = self.things if self.relation else sorted(self.things, key=lambda thing: thing.words())
        names = ("shape", "colour", "size")
        found = {name: tuple(getattr(thing, name) for thing in things) for name in names}
        return {"count": len(self.things), **found, **({"relation": self.relation} if self.relation else {})}


class AttributesFamily:
    """One thing: 8 shapes, 8 colours, 2 sizes, 3 textures; held out are triples of size, colour and shape."""

    name = "attributes"

    def random(self, dice: Dice) -> Attributes:
        size, colour, shape = dice.pick(tuple(SIZES)), dice.pick(tuple(COLOURS)), dice.pick(SHAPES)
        return Attributes(Thing(shape, colour, size, dice.pick(("plain", "plain", "striped", "dotted"))))

    def held_out(self, truth: Attributes) -> bool:
        return is_held_out(truth.thing.key)

    def caption(self, truth: Attributes) -> str:
        return "a " + truth.thing.words()

    def everything(self):
        for size, texture, colour, shape in itertools.product(SIZES, TEXTURES, COLOURS, SHAPES):
            yield Attributes(Thing(shape, colour, size, texture))

    def paint(self, truth: Attributes, size: int, dice: Dice) -> np.ndarray:
        canvas, side = blank(size), SIZES[truth.thing.size]
        middle = (GRID - side) // 2
        row, column = (middle - 1 + dice.below(3) for _ in range(2))
        _stamp(canvas, truth.thing, row, column, side)
        return canvas


class ObjectsFamily:
    """One to four things: equal ones counted, two in a relation, or different ones in a list.

    Held out are: for counts, triples of number, colour and shape; for relations, triples of shape, relation
    and shape, each with its mirror image (a star left of a ring is a ring right of a star); for lists, sets
    of shapes. No thing has a size, colour and shape that the attributes family holds out.
    """

    name = "objects"

    def random(self, dice: Dice) -> Objects:
        kind = dice.below(100)
        if kind < 35:
            thing = Thing(dice.pick(SHAPES), dice.pick(tuple(COLOURS)))
            return Objects((thing,) * (1 + dice.below(4)))
        if kind < 85:
            relation = dice.pick(RELATIONS)
            if relation == "inside":
                colours = dice.sample(COLOURS, 2)
                inner, outer = dice.pick(SHAPES), dice.pick(HOLDERS)
                return Objects((Thing(inner, colours[0]), Thing(outer, colours[1], "large")), relation)
            sizes = dice.pick((("small", "small"), ("small", "large"), ("large", "small")))
            first, second = (Thing(dice.pick(SHAPES), dice.pick(tuple(COLOURS)), size) for size in sizes)
            return Objects((first, second), relation)
        count = 2 + dice.below(3)
        return Objects(tuple(Thing(shape, dice.pick(tuple(COLOURS))) for shape in dice.sample(SHAPES, count)))

    def held_out(self, truth: Objects) -> bool | None:
        """True or False; None for what no split may show: things that the attributes family holds out."""
        if any(is_held_out(thing.key) for thing in truth.things):
            return None
        shapes = [thing.shape for thing in truth.things]
        if truth.relation:
            if truth.relation in MIRROR:
                shapes.reverse()
            return is_held_out(
                f"objects:{shapes[0]} {MIRROR.get(truth.relation, truth.relation)} {shapes[1]}"
            )
        if len(set(truth.things)) == 1:
            return is_held_out(f"objects:{len(shapes)} {truth.things[0].colour} {shapes[0]}")
        return is_held_out("objects:" + " ".join(sorted(shapes)))

    def caption(self, truth: Objects) -> str:
        things = truth.things
        if truth.relation:
            return f"a {things[0].words()} {truth.relation} a {things[1].words()}"
        if len(set(things)) == 1:
            return f"{NUMBERS[len(things)]} {things[0].words(plural=len(things) > 1)}"
        words = ["a " + thing.words() for thing in things]
        return ", ".join(words[:-1]) + " and " + words[-1]

    def everything(self):
        """Every count and every relation; lists, of which there are millions, are left out."""
        for count, colour, shape in itertools.product(NUMBERS, COLOURS, SHAPES):
            yield Objects((Thing(shape, colour),) * count)
        for relation, a, b, colour_a, colour_b in itertools.product(
            RELATIONS, SHAPES, SHAPES, COLOURS, COLOURS
        ):
            if relation == "inside":
                if colour_a != colour_b and b in HOLDERS:
                    yield Objects((Thing(a, colour_a), Thing(b, colour_b, "large")), relation)
                continue
            for size_a, size_b in (("small", "small"), ("small", "large"), ("large", "small")):
                yield Objects((Thing(a, colour_a, size_a), Thing(b, colour_b, size_b)), relation)

    def paint(self, truth: Objects, size: int, dice: Dice) -> np.ndarray:
        canvas = blank(size)
        for thing, row, column, side in self._layout(truth, dice):
            _stamp(canvas, thing, row, column, side)
        return canvas

    def _layout(self, truth: Objects, dice: Dice):
        things = truth.things
        if truth.relation == "inside":
            row, column = 2 + dice.pick((-1, 0, 1)), 2 + dice.pick((-1, 0, 1))
            down = {"triangle": 6, "heart": 3}.get(things[1].shape, 3 + dice.below(2))
            yield things[1], row, column, OUTER
            yield things[0], row + down, column + 3 + dice.below(2), SIZES["small"]
        elif truth.relation:
            pair = things[::-1] if truth.relation in MIRROR else things
            first, second = (SIZES[thing.size] for thing in pair)
            gap = 1 + dice.below(2 if first + second + 2 <= GRID else 1)
            slack = GRID - first - second - gap
            start = min(max(slack // 2 - 1 + dice.below(3), 0), slack)
            for thing, side, along in ((pair[0], first, start), (pair[1], second, start + first + gap)):
                across = (GRID - side) // 2 + dice.below(2)
                if "the" in truth.relation:  # to the left of, to the right of
                    yield thing, across, along, side
                else:
                    yield thing, along, across, side
        else:
            for thing, cell in zip(things, dice.sample(range(4), len(things)), strict=True):
                row, column = (8 * part + 1 + dice.below(2) for part in divmod(cell, 2))
                yield thing, row, column, SIZES["small"]


def _stamp(canvas: np.ndarray, thing: Thing, row: int, column: int, side: int) -> None:
    stamp(canvas, thing.shape, thing.colour, thing.texture, row, column, side)
