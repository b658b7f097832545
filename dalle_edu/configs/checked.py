"""Configurations that look at themselves when they are built, so that a wrong field is one sentence before
anything is trained or written.

`@checked("dalle")` makes a class a frozen dataclass whose fields pydantic checks, strictly: true is no
number, "3" is not 3. What the sentence says is expected stands beside each type. What no type can say, sizes
that must fit each other, a class checks in `__post_init__`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple, get_type_hints

import pydantic
from pydantic import Field, Strict
from pydantic.dataclasses import dataclass as pydantic_dataclass

from dalle_edu.errors import ReaderError, brief

MOST = 10**9


class Expected(NamedTuple):
    """What a field must be, as a sentence says it."""

    text: str


def one_of(*names: str):
    """The type of a field that is one of `names`."""
    return Annotated[Literal[names], Expected(" or ".join(map(repr, names)))]


Count = Annotated[int, Field(ge=1, le=MOST), Expected("a whole number from 1 on")]
Whole = Annotated[int, Field(ge=0, le=MOST), Expected("a whole number from 0 on")]
Positive = Annotated[float, Field(gt=0), Expected("a number above 0")]
NotNegative = Annotated[float, Field(ge=0), Expected("a number from 0 on")]
Share = Annotated[float, Field(ge=0, le=1), Expected("a share, from 0 to 1")]
Decay = Annotated[float, Field(ge=0, lt=1), Expected("a number from 0 up to 1, and below 1")]
Switch = Annotated[bool, Expected("true or false")]
Text = Annotated[str, Field(min_length=1), Expected("a text in quotes")]
Grid = Annotated[
    tuple[Annotated[int, Field(ge=1, le=MOST)], Annotated[int, Field(ge=1, le=MOST)]],
    Strict(False),
    Expected("two whole numbers from 1 on, [height, width]"),
]


def whole(least: int, most: int = MOST):
    """The type of a whole number from `least` to `most`."""
    to = "on" if most == MOST else f"to {most}"
    return Annotated[int, Field(ge=least, le=most), Expected(f"a whole number from {least} {to}")]


def names(*known: str):
    """The type of a field that is a list of any of the names `known`."""
    return Annotated[
        tuple[Literal[known], ...],
        Strict(False),
        Expected(f"a list of {', '.join(map(repr, known[:-1]))} and {known[-1]!r}"),
    ]


def checked(section: str) -> Callable[[type], type]:
    """Makes a class a frozen dataclass that raises ReaderError for the first wrong field, when it is built.

    `section`: where its fields stand in a configuration file, "dalle.training" for [dalle.training].
    """

    def decorate(cls: type) -> type:
        strict = pydantic.ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
        made = pydantic_dataclass(cls, frozen=True, config=strict)
        build = made.__init__

        def __init__(self, *values, **named):
            try:
                build(self, *values, **named)
            except pydantic.ValidationError as error:
                raise _sentence(made, error) from None

        made.__init__ = __init__
        made.SECTION = section
        return made

    return decorate


def _sentence(cls: type, error: pydantic.ValidationError) -> ReaderError:
    """The first thing that is wrong, as one sentence."""
    section, fields = cls.SECTION, [field.name for field in dataclasses.fields(cls)]
    found = error.errors(include_url=False)
    missing = [str(one["loc"][0]) for one in found if one["type"].startswith("missing")]
    first = found[0]
    raised = first.get("ctx", {}).get("error")
    if isinstance(raised, ReaderError):  # what __post_init__ says is a sentence already
        return raised
    if missing:
        lacking = [fields[int(name)] if name.isdecimal() else name for name in missing]
        return ReaderError(f"[{section}] lacks {', '.join(lacking)}.")
    place = first["loc"][0]
    if first["type"].startswith("unexpected"):
        return ReaderError(
            f"[{section}] has no field {str(place)!r}; its fields are {', '.join(sorted(fields))}."
        )
    name = fields[place] if isinstance(place, int) else str(place)
    hints = get_type_hints(cls, include_extras=True)
    expected = [part.text for part in _metadata(hints[name]) if isinstance(part, Expected)]
    value = first["input"]
    if len(first["loc"]) > 1:  # an item of a list: the sentence is about all of it
        return ReaderError(f"{name} in [{section}] holds {brief(value)}; it must be {expected[0]}.")
    return ReaderError(f"{name} in [{section}] is {brief(value)}; it must be {expected[0]}.")


def _metadata(hint) -> list:
    own = list(getattr(hint, "__metadata__", ()))
    for part in getattr(hint, "__args__", ()):
        own += _metadata(part)
    return own
