"""Sentences of the scenes' grammar back into ground truth: `caption` of `scenes.py`, read the other way."""

import re

from dalle_edu.data.scenes.context import LANDMARKS, TIMES, Context
from dalle_edu.data.scenes.drawing import COLOURS, SHAPES
from dalle_edu.data.scenes.flat import HOLDERS, NUMBERS, RELATIONS, SIZES, Attributes, Objects, Thing
from dalle_edu.data.scenes.posed import FRUITS, HUES, SOLIDS, VIEWPOINTS, Inside, Solid
from dalle_edu.errors import ReaderError


def _one_of(name: str, words) -> str:
    """A named group that matches one of the words, the longest that fits."""
    return f"(?P<{name}>{'|'.join(sorted(words, key=len, reverse=True))})"


_HUE = _one_of("colour", HUES)
_THING = re.compile(
    f"an? {_one_of('size', SIZES)} (?:{_one_of('texture', ('striped', 'dotted'))} )?"
    f"{_one_of('colour', COLOURS)} {_one_of('shape', SHAPES)}"
)
_COUNT = re.compile(
    f"{_one_of('number', NUMBERS.values())} small {_one_of('colour', COLOURS)} "
    f"{_one_of('shape', SHAPES)}(?:e?s)?"
)
_SOLID = re.compile(f"an? {_HUE} {_one_of('solid', SOLIDS)} seen {_one_of('viewpoint', VIEWPOINTS)}")
_WHOLE = re.compile(f"an? (?P<state>whole) {_HUE} {_one_of('thing', FRUITS)}")
_CUT = re.compile(f"an? {_HUE} {_one_of('thing', FRUITS)} (?P<state>cut open)")
_CONTEXT = re.compile(f"an? {_HUE} {_one_of('thing', LANDMARKS)} {_one_of('time', TIMES)}")


def parse_caption(caption: str) -> Attributes | Objects | Solid | Inside | Context:
    """The ground truth that a caption of the grammar asks
    for; case, spaces and a final full stop do not matter.

    Raises ReaderError for a sentence outside the grammar (`Scenes.grammar` prints it).
    """
    text = " ".join(caption.lower().split()).rstrip(".")
    for pattern, truth in ((_SOLID, Solid), (_WHOLE, Inside), (_CUT, Inside), (_CONTEXT, Context)):
        if match := pattern.fullmatch(text):
            return truth(**match.groupdict())
    if match := _COUNT.fullmatch(text):
        number = next(n for n, word in NUMBERS.items() if word == match["number"])
        return _possible(Objects((Thing(match["shape"], match["colour"]),) * number), caption)
    if match := _THING.fullmatch(text):
        return Attributes(_thing(match))
    for relation in RELATIONS:
        first, found, second = text.partition(f" {relation} ")
        if found and (a := _THING.fullmatch(first)) and (b := _THING.fullmatch(second)):
            return _possible(Objects((_thing(a), _thing(b)), relation), caption)
    matches = [_THING.fullmatch(part) for part in re.split(", | and ", text)]
    if len(matches) > 1 and all(matches):
        return _possible(Objects(tuple(_thing(match) for match in matches)), caption)
    raise ReaderError(
        f"{caption!r} is not a sentence of the scenes' grammar; one that is: 'a small red circle above a "
        "large blue square'. print(Scenes.grammar) shows them all."
    )


def _thing(match: re.Match) -> Thing:
    return Thing(match["shape"], match["colour"], match["size"], match["texture"] or "plain")


def _possible(truth: Objects, caption: str) -> Objects:
    """The truth itself, or a ReaderError that says why no picture of the family can show it."""
    things, relation = truth.things, truth.relation
    sizes = [thing.size for thing in things]
    if any(thing.texture != "plain" for thing in things):
        problem = "things of the objects family are plain"
    elif relation == "inside":
        fits = (
            sizes == ["small", "large"]
            and things[1].shape in HOLDERS
            and things[0].colour != things[1].colour
        )
        problem = (
            None if fits else f"inside takes a small thing in a large {', '.join(HOLDERS)} of another colour"
        )
    elif relation:
        problem = "two large things do not fit beside each other" if sizes == ["large", "large"] else None
    elif len(set(things)) > 1 or len(things) == 1:
        fits = (
            len(things) <= 4
            and "large" not in sizes
            and len({thing.shape for thing in things}) == len(things)
        )
        problem = (
            None
            if fits or len(set(things)) == 1
            else "a list has two to four small things of different shapes"
        )
    else:
        problem = None
    if problem:
        raise ReaderError(f"{caption!r} cannot be drawn: {problem}.")
    return truth
