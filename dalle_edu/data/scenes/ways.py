"""What a person might type for a picture of `Scenes`, beside the one sentence of its grammar.

A model that shall understand people must not learn one grammar: words are exchanged, left out, turned round.
Whatever is said stays true of the picture; what goes unsaid is free, and so must be free in training: where
all small yellow squares are held out, every "yellow square" is large, and the caption tells what is never
shown. So a word is left out only where less than a fifth of what that leaves open is held out (15 in 100 are
of all). And seldom (`dalle_edu.data.mixture`): a small transformer that heard sizes half of the time heeded
them less, with that rule or without it (`experiments/wordings.jsonl`).
"""

import itertools
from collections.abc import Iterable
from dataclasses import replace

from dalle_edu.data.scenes.dataset import FAMILIES
from dalle_edu.data.scenes.drawing import COLOURS
from dalle_edu.data.scenes.flat import MIRROR, NUMBERS, SIZES, Attributes, Objects, Thing, is_held_out
from dalle_edu.data.scenes.posed import VIEWPOINTS

MIRRORS = MIRROR | {b: a for a, b in MIRROR.items()}
SHORT = {"to the left of": "left of", "to the right of": "right of", "above": "over", "below": "under",
          "inside": "in"}  # fmt: skip
_OTHER = {
    "small": "little", "large": "big", "striped": "stripy", "dotted": "spotted",
    "seen from": "from", "cut open": "cut in half", "at noon": "at midday", "at sunset": "in the evening",
    "at night": "by night",
}  # fmt: skip


def a(words: str) -> str:
    """With its article."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def _short(thing: Thing, plural: bool = False) -> str:
    """Colour and shape alone."""
    return thing.words(plural).removeprefix(f"{thing.size} ")


def _open(held_out: Iterable[bool]) -> bool:
    """Whether training shows enough of what a caption leaves open for it to tell nothing about the rest."""
    answers = list(held_out)
    return sum(answers) < len(answers) / 5


def _any_size(thing: Thing) -> bool:
    """Whether its size may go unsaid."""
    return _open(is_held_out(replace(thing, size=size).key) for size in SIZES)


def ways(truth, short: bool = True) -> list[str]:
    """The caption of the grammar first, then others, in a fixed order, no two equal; last those that leave
    something unsaid, unless `short` is False."""
    family = FAMILIES[truth.family]
    first = family.caption(truth)
    said, less = [first], []
    if isinstance(truth, Attributes):
        thing = truth.thing
        said.append(first.removeprefix("a "))
        if thing.texture == "plain":
            said.append(f"a {thing.size} {thing.shape} that is {thing.colour}")
        if _any_size(thing):
            less += [a(_short(thing)), a(_short(replace(thing, texture="plain")))]
        if _open(is_held_out(Thing(thing.shape, c, s).key) for c, s in itertools.product(COLOURS, SIZES)):
            less.append(f"a {thing.shape}")
    elif isinstance(truth, Objects):
        said, less = _several(truth, first)
    elif truth.family == "solids":
        thing = a(f"{truth.colour} {truth.solid}")
        said.append(f"{truth.viewpoint}, {thing}")
        if _open(family.held_out(replace(truth, viewpoint=viewpoint)) for viewpoint in VIEWPOINTS):
            less.append(thing)
    elif truth.family == "inside":
        thing = f"{truth.colour} {truth.thing}"
        said += [a(thing), f"a whole {truth.thing} that is {truth.colour}"] if truth.state == "whole" else [
            f"a sliced {thing}", f"half {a(thing)}", f"the inside of {a(thing)}"
        ]  # fmt: skip
    else:
        thing = a(f"{truth.colour} {truth.thing}")
        said += [f"{truth.time}, {thing}", f"a picture of {thing} {truth.time}"]
    for texts in (said, less):
        for word, other in _OTHER.items():
            texts += [text.replace(word, other) for text in texts[:2] if word in text]
    return list(dict.fromkeys(said + less if short else said))


def _several(truth: Objects, first: str) -> tuple[list[str], list[str]]:
    """What says all, and what leaves sizes unsaid. Things that are counted or listed are all small."""
    things = truth.things
    if truth.relation:
        fixed = truth.relation == "inside"  # a small thing in a large one
        whole = [a(thing.words()) for thing in things]
        less = [a(_short(thing)) if fixed or _any_size(thing) else a(thing.words()) for thing in things]
        both = []
        for one, two in (whole, less):
            both.append([f"{one} {truth.relation} {two}", f"{one} {SHORT[truth.relation]} {two}"])
            if other := MIRRORS.get(truth.relation):
                both[-1] += [f"{two} {other} {one}", f"{two} {SHORT[other]} {one}"]
        return both[0], [] if whole == less else both[1]
    if len(set(things)) == 1:
        words, number = _short(things[0], plural=len(things) > 1), NUMBERS[len(things)]
        return [first, f"{number} {words}", f"{len(things)} {words}", f"{len(things)} small {words}"], []
    said = [first]
    for order in itertools.islice(itertools.permutations(things), 4):
        words = [a(_short(thing)) for thing in order]
        said.append(", ".join(words[:-1]) + " and " + words[-1])
    return said, []
