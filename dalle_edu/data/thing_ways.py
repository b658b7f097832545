"""What a person might type for a picture of `ThingScenes`."""

import itertools
from dataclasses import replace

from dalle_edu.data.scenes.flat import NUMBERS
from dalle_edu.data.scenes.ways import MIRRORS, SHORT, a

_SYNONYMS = {"small": ("small", "little", "tiny"), "large": ("large", "big", "huge")}


def ways(truth) -> list[str]:
    """The caption of a truth (`Things`) first, then other ways in which a person might ask for the same
    picture, in a fixed order; no two equal."""
    items, kind = truth.items, truth.kind
    if kind == "counts":
        words, number = items[0].words(many=True), NUMBERS[len(items)]
        said = [f"{number} {words}", f"{len(items)} {words}", f"a picture of {number} {words}"]
    elif kind == "relations":
        first, second = (a(item.words()) for item in items)
        other = MIRRORS[truth.relation]
        said = [f"{first} {truth.relation} {second}", f"{first} {SHORT[truth.relation]} {second}"]
        said += [f"{second} {other} {first}", f"{second} {SHORT[other]} {first}"]
    elif kind == "lists":
        said = []
        for order in itertools.islice(itertools.permutations(items), 6):
            words = [a(item.words()) for item in order]
            said.append(", ".join(words[:-1]) + " and " + words[-1])
    elif kind == "times":
        words = a(items[0].words())
        said = [f"{words} {truth.time}", f"{truth.time}, {words}", f"a picture of {words} {truth.time}"]
    else:
        words = items[0].words()
        said = [a(words), words, f"a picture of {a(words)}"]
        if items[0].colour:
            said.append(f"{a(replace(items[0], colour=None).words())} that is {items[0].colour}")
    for size, others in _SYNONYMS.items():
        said += [
            text.replace(f"{size} ", f"{other} ")
            for text in said[:2]
            if f"{size} " in text
            for other in others[1:]
        ]
    return list(dict.fromkeys(said))
