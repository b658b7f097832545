"""The judge of things in scenes: which, in which colour, how many, how large, where, and when?

It knows the font's drawings and nothing of the model whose pictures it reads. On white, a thing is a piece of
ink: its box, brought to one size, is compared with every thing in every colour. In a landscape it is compared
where it can stand, in that light.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from dalle_edu.data.scenes.context import DAYLIGHT, FEET, SKY, TIMES
from dalle_edu.data.scenes.flat import NUMBERS, Dice
from dalle_edu.data.sprites import COLOURS, THINGS, plural, sprite
from dalle_edu.data.things import (
    BESIDE,
    MIRRORS,
    RELATIONS,
    SIDES,
    STANDING,
    Item,
    Things,
    _place,
    landscape,
    paint,
)  # fmt: skip
from dalle_edu.errors import ReaderError
from dalle_edu.judges.boxes import boxes, cut, ink

SIZE, UNIT, SIDE = 64, 4, 16  # of a picture, of its sixteenth, and of what is compared, in pixels
DRAWN = (20, 28, 42)  # sizes, in pixels, in which the drawings to compare with are made
UNLIKE = 0.2  # root mean square difference to the nearest drawing, from which nothing is recognised
SAME = 0.12  # distance of two main colours, of 1.73 at most, below which a person would call them one


@dataclass(frozen=True)
class Seen:
    """One thing as a picture shows it; `colour` is None for its own colours; `side` in pixels."""

    thing: str
    colour: str | None
    side: int
    middle: tuple[float, float]


def parse_things(caption: str) -> Things:
    """The truth of a caption as `ThingScenes` gives it, the first of its ways; else ReaderError."""
    text = " ".join(caption.lower().split()).rstrip(".")
    for time in TIMES:
        if text.endswith(f" {time}") and (item := _item(text.removesuffix(f" {time}"))):
            return Things((item,), time=time)
    for relation in RELATIONS:
        first, found, second = text.partition(f" {relation} ")
        if found and (one := _item(first)) and (other := _item(second)):
            return Things((one, other), relation)
    for number, word in NUMBERS.items():
        if (
            number > 1
            and text.startswith(f"{word} ")
            and (item := _item(text.removeprefix(f"{word} "), True))
        ):
            return Things((item,) * number)
    items = [_item(part) for part in re.split(", | and ", text)]
    if all(items):
        return Things(tuple(items))
    raise ReaderError(f"{caption!r} names no things in the words of ThingScenes, as 'a small blue cat' does.")


def _item(text: str, many: bool = False) -> Item | None:
    match = (_MANY if many else _ONE).fullmatch(text)
    if not match:
        return None
    noun = _SINGULAR[match["thing"]] if many else match["thing"]
    return Item(noun, match["colour"], match["size"])


_SINGULAR = {plural(noun): noun for noun in THINGS}
_WORDS = "(?:(?P<size>small|large) )?(?:(?P<colour>{}) )?(?P<thing>{})"
_ONE = re.compile("an? " + _WORDS.format("|".join(COLOURS), "|".join(sorted(THINGS, key=len, reverse=True))))
_MANY = re.compile(_WORDS.format("|".join(COLOURS), "|".join(sorted(_SINGULAR, key=len, reverse=True))))


@cache
def _library() -> tuple[list[tuple[str, str | None]], Tensor]:
    """Every thing in every colour and a few sizes on white: names, (count, 3 * SIDE * SIDE)."""
    names, cuts = [], []
    for noun in THINGS:
        for colour in (None, *COLOURS):
            for pixels in DRAWN:
                canvas = np.ones((SIZE, SIZE, 3), np.float32)
                _place(canvas, Item(noun, colour), 8, 8, pixels)
                picture = torch.from_numpy(canvas.transpose(2, 0, 1))
                found = boxes(ink(picture))
                box = found[0]
                for other in found[1:]:
                    box = box.around(other)
                names.append((noun, colour))
                cuts.append(cut(picture, box, SIDE).flatten())
    return names, torch.stack(cuts)


@cache
def _in_light(time: str) -> tuple[list[tuple[str, str | None, int]], Tensor]:
    """Every thing in every colour where it can stand at a time: (thing, colour, left), (count, numbers)."""
    names, windows = [], []
    for middle in (7, 8, 9):
        ground = landscape(Things((Item("cat"),), time=time, light=DAYLIGHT[time][0]), SIZE, middle)
        for noun in THINGS:
            for colour in (None, *COLOURS):
                canvas = ground.astype(np.float32) / 255
                left = (middle - STANDING // 2) * UNIT
                _place(canvas, Item(noun, colour), (FEET - STANDING) * UNIT, left, STANDING * UNIT, time)
                names.append((noun, colour, left))
                windows.append(
                    _halved(canvas[(FEET - STANDING) * UNIT : FEET * UNIT, left : left + STANDING * UNIT])
                )
    return names, torch.from_numpy(np.stack(windows))


def _halved(window: np.ndarray) -> np.ndarray:
    height, width, _ = window.shape
    return window.reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3)).reshape(-1)


@cache
def same_colour(noun: str, colour: str | None, other: str | None) -> bool:
    """Whether a thing in one colour and in another look alike, as an orange cat and a cat do."""
    one, two = (sprite(noun, each, 46) for each in (colour, other))
    return float(np.linalg.norm(_main(one) - _main(two))) < SAME


def _main(one) -> np.ndarray:
    where = one.main > 0.9
    return one.ink[where].mean(0)


class ThingsJudge:
    """`read(image)`: what is seen, a list of `Seen` and the time; `score(image, caption)`: is it as asked?"""

    family = "things"

    def read(self, image) -> tuple[list[Seen], str | None]:
        """`image` (3, 64, 64) in [0, 1]; else ReaderError."""
        picture = torch.as_tensor(image, dtype=torch.float32)
        if picture.shape != (3, SIZE, SIZE):
            raise ReaderError(
                f"This judge reads pictures of shape (3, {SIZE}, {SIZE}), not {tuple(picture.shape)}."
            )
        time = self._time(picture)
        if time:
            return self._standing(picture, time), time
        names, library = _library()
        seen = []
        for box in boxes(ink(picture)):
            misfit = (library - cut(picture, box, SIDE).flatten()).square().mean(1)
            best = int(misfit.argmin())
            noun, colour = names[best] if misfit[best] < UNLIKE**2 else ("unclear", None)
            seen.append(Seen(noun, colour, box.side, box.middle))
        return seen, None

    def score(self, image, caption: str | Things) -> dict[str, bool]:
        """Property -> right, each by itself, and "all": nothing else is there, each thing as asked."""
        asked = parse_things(caption) if isinstance(caption, str) else caption
        seen, time = self.read(image)
        items = asked.items
        right = {"thing": sorted(s.thing for s in seen) == sorted(item.thing for item in items)}
        if len(items) > 1:
            right["count"] = len(seen) == len(items)
        pairs = self._match(seen, items, asked.relation)
        right["colour"] = len(pairs) == len(items) and all(
            s.thing == item.thing and same_colour(item.thing, s.colour, item.colour) for s, item in pairs
        )
        if any(item.size for item in items):
            right["size"] = len(pairs) == len(items) and all(
                _fits(s.side, i.size, len(items)) for s, i in pairs
            )
        if asked.relation:
            right["relation"] = len(pairs) == 2 and _holds(asked.relation, *(s.middle for s, _ in pairs))
        if asked.time or time:
            right["time"] = time == asked.time
        return {**right, "all": all(right.values())}

    def _time(self, picture: Tensor) -> str | None:
        """By the colour of the upper edge, which is sky, or white."""
        parts = (picture[:, :2], picture[:, :40, :2], picture[:, :40, -2:])
        edge = torch.cat([part.flatten(1) for part in parts], 1)
        colour = edge.median(1).values
        skies = {None: (255, 255, 255)} | SKY
        return min(skies, key=lambda time: float((colour - torch.tensor(skies[time]) / 255).square().sum()))

    def _standing(self, picture: Tensor, time: str) -> list[Seen]:
        names, library = _in_light(time)
        canvas, best = picture.permute(1, 2, 0).numpy(), (UNLIKE**2, None)
        for left in {left for _, _, left in names}:
            places = [i for i, name in enumerate(names) if name[2] == left]
            for down, across in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)):
                top, side = (FEET - STANDING) * UNIT + down, STANDING * UNIT
                window = _halved(canvas[top : top + side, left + across : left + across + side])
                misfit = (library[places] - torch.from_numpy(np.ascontiguousarray(window))).square().mean(1)
                if misfit.min() < best[0]:
                    best = float(misfit.min()), names[places[int(misfit.argmin())]]
        if best[1] is None:
            return []
        noun, colour, left = best[1]
        return [
            Seen(noun, colour, STANDING * UNIT, ((FEET - STANDING / 2) * UNIT, left + STANDING * UNIT / 2))
        ]

    def _match(self, seen: list[Seen], items: tuple[Item, ...], relation: str | None):
        """Each item with what is likeliest meant by it: the same thing, if possible in the same colour."""
        left, pairs = list(seen), []
        for item in items:
            if not left:
                return []
            likeness = [
                (
                    s.thing == item.thing,
                    s.thing == item.thing and same_colour(item.thing, s.colour, item.colour),
                )
                for s in left
            ]
            best = max(range(len(left)), key=likeness.__getitem__)
            pairs.append((left.pop(best), item))
        return pairs if not left else []


def _fits(side: int, size: str | None, count: int) -> bool:
    """Whether a longer side of so many pixels may be called small or large; alone and among others."""
    if size is None:
        return True
    sides = SIDES if count == 1 else BESIDE
    edge = UNIT * (sides[None] + sides[size]) / 2
    return side < edge if size == "small" else side > edge


def _holds(relation: str, first: tuple[float, float], second: tuple[float, float]) -> bool:
    down, across = second[0] - first[0], second[1] - first[1]
    along, aside = (across, down) if "the" in relation else (down, across)
    # Middles are numpy's numbers, and so is what they compare to, which JSON does not take.
    return bool((-along if relation in ("to the right of", "below") else along) > abs(aside))


@cache
def things_judge() -> ThingsJudge:
    """The judge, made once; its first use draws all things in all colours, which takes seconds."""
    return ThingsJudge()


def wrong_things(truth: Things, dice: Dice) -> tuple[str, Tensor]:
    """A picture that differs from `truth` in one property: (the property, image (3, 64, 64))."""
    items, place = truth.items, dice.below(len(truth.items))
    one = items[place]
    others = [noun for noun in THINGS if noun not in {item.thing for item in items}]

    def with_one(item: Item) -> Things:
        equal = truth.kind == "counts"
        return replace(
            truth, items=tuple(item if i == place or equal else other for i, other in enumerate(items))
        )

    colours = [c for c in COLOURS if not same_colour(one.thing, c, one.colour)]
    wrong = [("thing", with_one(replace(one, thing=dice.pick(others))))]
    wrong.append(("colour", with_one(replace(one, colour=dice.pick(colours)))))
    if truth.kind == "counts":
        number = dice.pick([n for n in (2, 3, 4) if n != len(items)])
        wrong.append(("count", replace(truth, items=(one,) * number)))
    if truth.relation:
        wrong.append(("relation", replace(truth, relation=MIRRORS[truth.relation])))
    if truth.time:
        time = dice.pick([t for t in TIMES if t != truth.time])
        wrong.append(("time", replace(truth, time=time, light=dice.pick(DAYLIGHT[time]))))
    if len(items) == 1 and one.size:
        other = {"small": "large", "large": "small"}[one.size]
        wrong.append(("size", with_one(replace(one, size=other))))
    name, shown = dice.pick(wrong)
    picture = paint(shown, SIZE, dice).transpose(2, 0, 1)
    return name, torch.from_numpy(np.ascontiguousarray(picture))
