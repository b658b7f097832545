"""Judges: each reads a picture, says what it shows, and compares that with what the caption asked for.

A judge knows the drawings of `Scenes` and nothing of the model whose pictures it reads. Flat shapes are read
by `reading.py`; things with depth are compared with every drawing of their family. How often a judge is
right, on clean pictures and on spoilt ones, is measured in `experiments/judges.py`.
"""

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np

from dalle_edu.data.scenes import FAMILIES
from dalle_edu.data.scenes.context import CONTEXT_FAMILY, DAYLIGHT, FEET, GROUND, SHADOWS, Context
from dalle_edu.data.scenes.flat import RELATIONS, Attributes, Objects
from dalle_edu.data.scenes.wording import parse_caption
from dalle_edu.errors import ReaderError, unknown_name
from dalle_edu.judges.pixels import SIZE, UNIT, as_array, find_textured, find_things, relation_holds

UNLIKE = (
    0.2  # root mean square difference to the nearest drawing, over a box, from which nothing is recognised
)
SHADE = 9 / 16  # how much darker than the ground a shadow is


class AttributesJudge:
    """One thing, its shape, colour, size and texture."""

    family = "attributes"

    def read(self, image) -> Attributes | None:
        """What the picture shows; None if that is not exactly one thing."""
        things = find_textured(image)
        return Attributes(things[0].thing) if len(things) == 1 else None

    def score(self, image, caption: str) -> dict[str, bool]:
        """Property -> right or wrong; "all" also wants nothing else in the picture."""
        return _compare(_asked(caption, self.family), self.read(image))


class ObjectsJudge:
    """One to four plain things, counted, named, and placed as the caption says."""

    family = "objects"

    def read(self, image) -> Objects | None:
        """What the picture shows, two things with the relation between them; None if it is empty."""
        found = find_things(image)
        if not found:
            return None
        things = tuple(one.thing for one in found)
        if len(found) != 2:
            return Objects(things)
        if found[1].inside_of is not None:
            return Objects(things[::-1], "inside")
        holds = [relation for relation in RELATIONS if relation_holds(relation, *found, found)]
        return Objects(things, holds[0] if holds else None)

    def score(self, image, caption: str) -> dict[str, bool]:
        """Count, shape, colour and size as multisets; "all": the very things asked for, related as asked."""
        asked, found = _asked(caption, self.family), find_things(image)
        shown = [one.thing for one in found]
        score = {"count": len(shown) == len(asked.things)}
        for name in ("shape", "colour", "size"):
            here, there = (
                Counter(getattr(thing, name) for thing in things) for things in (shown, asked.things)
            )
            score[name] = here == there
        things = Counter(shown) == Counter(asked.things)
        if asked.relation:
            pairs = [(a, b) for a in found for b in found if a is not b]
            related = [pair for pair in pairs if relation_holds(asked.relation, *pair, found)]
            score["relation"] = any(_in_order((a.thing, b.thing), asked.things) for a, b in related)
            things = things and any((a.thing, b.thing) == asked.things for a, b in related)
        return {**score, "all": things}


@cache
def _library(family: str) -> tuple[list, np.ndarray, np.ndarray]:
    """Every drawing of a posed family, halved: [(truth, row, column)], (count, 32 * 32 * 3), squares."""
    maker, names, drawings = FAMILIES[family], [], []
    for truth in maker.everything():
        for light in DAYLIGHT[truth.time] if family == "context" else (None,):
            shown = replace(truth, light=light) if light else truth
            for row, column in maker.layouts(shown):
                names.append((shown, row, column))
                drawings.append(_halve(maker.paint_at(shown, SIZE, row, column).astype(np.float32) / 255))
    drawings = np.stack(drawings)
    energy = (drawings**2 * _weight(family)).sum((1, 2, 3))
    return names, drawings.reshape(len(names), -1), energy


def _weight(family: str) -> np.ndarray:
    """Which pixels count, (32, 1, 1): a shadow is read on its own, so its rows do not."""
    weight = np.ones((SIZE // 2, 1, 1), dtype=np.float32)
    if family == "context":
        weight[FEET * UNIT // 2 : (FEET + 1) * UNIT // 2] = 0
    return weight


def _halve(picture: np.ndarray) -> np.ndarray:
    """Means over 2 x 2 pixels, which noise and blur hardly change: (64, 64, 3) -> (32, 32, 3)."""
    return picture.reshape(SIZE // 2, 2, SIZE // 2, 2, 3).mean((1, 3))


class PosedJudge:
    """A thing, its colour and its pose: the nearest of all drawings of the family, if one is near enough."""

    side = 10  # of the thing's box, in sixteenths

    def __init__(self, family: str):
        self.family = family

    def nearest(self, image):
        """(truth, row, column) of the nearest drawing; None if even that is unlike the picture."""
        names, drawings, energy = _library(self.family)
        picture = _halve(as_array(image))
        best = (energy - 2 * drawings @ (picture * _weight(self.family)).reshape(-1)).argmin()
        truth, row, column = names[best]
        half = UNIT // 2
        difference = (picture - drawings[best].reshape(picture.shape)) ** 2
        if self.family == "context":  # light and shadow are read on their own
            difference = difference[
                row * half : (row + self.side) * half, column * half : (column + self.side) * half
            ]
        misfit = difference.sum() / (3 * (self.side * half) ** 2)
        return (truth, row, column) if misfit < UNLIKE**2 else None

    def read(self, image):
        """What the picture shows, or None."""
        nearest = self.nearest(image)
        return nearest and nearest[0]

    def score(self, image, caption: str) -> dict[str, bool]:
        """Property -> right or wrong, and "all"."""
        return _compare(_asked(caption, self.family), self.read(image))


class ContextJudge(PosedJudge):
    """As the others, and the shadow that no caption names: as long as the time wants, away from the light."""

    side = 8

    def read(self, image) -> Context | None:
        """What the picture shows; its `light` is "none" where neither sun nor moon is to be seen."""
        nearest = self.nearest(image)
        if nearest is None:
            return None
        truth, row, column = nearest
        picture = as_array(image) * 255
        dark = replace(truth, light="none")
        misfits = [
            ((picture - CONTEXT_FAMILY.paint_at(t, SIZE, row, column)) ** 2).sum() for t in (truth, dark)
        ]
        return truth if misfits[0] <= misfits[1] else dark

    def shadow(self, image) -> tuple[float, float] | None:
        """How far the shadow reaches left and right of the thing's middle, in sixteenths; None: no thing."""
        nearest = self.nearest(image)
        if nearest is None:
            return None
        truth, _, column = nearest
        strip = as_array(image)[FEET * UNIT + 1 : (FEET + 1) * UNIT - 1].mean(0) * 255  # (64, 3)
        ground = np.array(GROUND[truth.time])
        shaded = ((ground - strip) @ ground) / (ground @ ground) > SHADE / 2
        middle = (column + 4) * UNIT
        left, right = shaded[:middle][::-1], shaded[middle:]
        return tuple((len(part) if part.all() else part.argmin()) / UNIT for part in (left, right))

    def score(self, image, caption: str) -> dict[str, bool]:
        """The caption's three words, and "shadow": does it belong to the time asked and the light shown?"""
        asked, shown = _asked(caption, self.family), self.read(image)
        score = _compare(asked, shown)
        score["shadow"] = False
        if shown and shown.light in DAYLIGHT[asked.time]:
            near, far = SHADOWS["at noon"], SHADOWS[asked.time]
            wanted = (far, near) if shown.light == "right" else (near, far)
            score["shadow"] = all(abs(a - b) <= 1 for a, b in zip(self.shadow(image), wanted, strict=True))
        score["all"] = score["all"] and score["shadow"]
        return score


_JUDGES = {
    "attributes": AttributesJudge(),
    "objects": ObjectsJudge(),
    "solids": PosedJudge("solids"),
    "inside": PosedJudge("inside"),
    "context": ContextJudge("context"),
}


def judge(family: str):
    """The judge of a family of scenes; it has `read(image)` and `score(image, caption)`."""
    if family not in _JUDGES:
        raise unknown_name("family of scenes", family, _JUDGES)
    return _JUDGES[family]


def score(image, caption: str) -> dict[str, bool]:
    """Property -> right or wrong, by the judge of the caption's family; ReaderError outside the grammar."""
    return judge(parse_caption(caption).family).score(image, caption)


def _asked(caption: str, family: str):
    truth = parse_caption(caption)
    if truth.family != family:
        raise ReaderError(f"{caption!r} belongs to the family {truth.family!r}; this judge reads {family!r}.")
    return truth


def _in_order(shown, asked) -> bool:
    """Whether two things fit those asked for at least as well in this order as the other way round."""

    def alike(a, b) -> int:
        return sum(getattr(a, name) == getattr(b, name) for name in ("shape", "colour", "size"))

    return sum(map(alike, shown, asked)) >= sum(map(alike, shown[::-1], asked))


def _compare(asked, shown) -> dict[str, bool]:
    properties = asked.properties()
    found = shown.properties() if shown else {}
    result = {name: found.get(name) == value for name, value in properties.items()}
    return {**result, "all": all(result.values())}
