"""What a person might type for a picture of `Scenes`, beside the one sentence of its grammar.

A model that shall understand people must not learn one grammar: words are exchanged, left out, turned round.
Whatever is said stays true of the picture; what goes unsaid is free.
"""

import itertools
from dataclasses import replace

from dalle_edu.data.scenes.dataset import FAMILIES
from dalle_edu.data.scenes.flat import MIRROR, NUMBERS, Attributes, Objects, Thing

_MIRRORS = MIRROR | {b: a for a, b in MIRROR.items()}
_SHORT = {"to the left of": "left of", "to the right of": "right of", "above": "over", "below": "under",
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


def ways(truth) -> list[str]:
    """The caption of the grammar first, then others, in a fixed order, no two equal."""
    first = FAMILIES[truth.family].caption(truth)
    said = [first]
    if isinstance(truth, Attributes):
        plain = replace(truth.thing, texture="plain")
        said += [a(_short(truth.thing)), first.removeprefix("a "), a(_short(plain)), f"a {truth.thing.shape}"]
        if truth.thing.texture == "plain":
            said.append(f"a {truth.thing.size} {truth.thing.shape} that is {truth.thing.colour}")
    elif isinstance(truth, Objects):
        said += _several(truth)
    elif truth.family == "solids":
        said += [
            a(f"{truth.colour} {truth.solid}"),
            f"{truth.viewpoint}, {a(f'{truth.colour} {truth.solid}')}",
        ]
    elif truth.family == "inside":
        thing = f"{truth.colour} {truth.thing}"
        said += [a(thing), f"a whole {truth.thing} that is {truth.colour}"] if truth.state == "whole" else [
            f"a sliced {thing}", f"half {a(thing)}", f"the inside of {a(thing)}"
        ]  # fmt: skip
    else:
        thing = a(f"{truth.colour} {truth.thing}")
        said += [f"{truth.time}, {thing}", f"a picture of {thing} {truth.time}"]
    for word, other in _OTHER.items():
        said += [text.replace(word, other) for text in said[:2] if word in text]
    return list(dict.fromkeys(said))


def _several(truth: Objects) -> list[str]:
    things = truth.things
    if truth.relation:
        first, second = (a(_short(thing)) for thing in things)
        said = [f"{first} {truth.relation} {second}", f"{first} {_SHORT[truth.relation]} {second}"]
        if other := _MIRRORS.get(truth.relation):
            whole = [f"a {thing.words()}" for thing in things]
            said += [f"{whole[1]} {other} {whole[0]}", f"{second} {_SHORT[other]} {first}"]
        return said
    if len(set(things)) == 1:
        words, number = _short(things[0], plural=len(things) > 1), NUMBERS[len(things)]
        return [f"{number} {words}", f"{len(things)} {words}", f"{len(things)} small {words}"]
    said = []
    for order in itertools.islice(itertools.permutations(things), 4):
        words = [a(_short(thing)) for thing in order]
        said.append(", ".join(words[:-1]) + " and " + words[-1])
    return said
