"""The context family of `Scenes`: the same thing at noon, at sunset and at night, with the shadow it casts.

The caption says the time and never the shadow: its length follows from the time, its side from where the
picture has put the sun or the moon. A picture is right only if its own light and its own shadow agree.
"""

from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from dalle_edu.data.scenes.drawing import GRID, WHITE, blank, blend, coverage, ellipse, places, polygon
from dalle_edu.data.scenes.flat import Dice
from dalle_edu.data.scenes.posed import BROWN, CREAM, DARK, HUES, PosedFamily, paint_layers

LANDMARKS = ("house", "tree", "tower", "tent", "mushroom", "car")
TIMES = ("at noon", "at sunset", "at night")
DAYLIGHT = {"at noon": ("overhead",), "at sunset": ("left", "right"), "at night": ("left", "right")}
SHADOWS = {"at noon": 2.5, "at sunset": 7, "at night": 4.5}  # reach from the thing's middle, in sixteenths

SKY = {"at noon": (180, 220, 250), "at sunset": (250, 190, 120), "at night": (25, 30, 75)}
GROUND = {"at noon": (150, 205, 110), "at sunset": (165, 135, 80), "at night": (45, 65, 70)}
LAMP = {"at noon": (255, 225, 60), "at sunset": (235, 80, 40), "at night": (245, 240, 205)}
HORIZON, FEET = 11, 12  # rows, in sixteenths: where the ground begins, where things stand


@dataclass(frozen=True)
class Context:
    """Truth of the context family: "a red house at sunset". The caption names neither light nor shadow."""

    thing: str
    colour: str
    time: str
    light: str | None = None  # the sun or the moon: overhead, left, right; "none": not there; None: unsaid
    family = "context"

    def properties(self) -> dict:
        return {"thing": self.thing, "colour": self.colour, "time": self.time}


def _landmark(thing: str, _: str, x, y):
    """Layers of a thing that stands on the ground, at y = 1000, about 1,000 wide."""
    if thing == "house":
        roof = polygon(x, y, ((0, -750), (700, 0), (-700, 0)))
        return [((abs(x) <= 520) & (y >= 0), "base"), (roof, "dark"), ((abs(x) <= 140) & (y >= 450), "deep")]
    if thing == "tree":
        return [((abs(x) <= 125) & (y >= 200), BROWN), (ellipse(x, y, 0, -250, 640, 640), "base")]
    if thing == "tower":
        top = (abs(x) <= 500) & (y >= -950) & (y < -600) & ((y >= -750) | (abs(abs(x) - 250) > 125))
        return [
            ((abs(x) <= 370) & (y >= -600), "base"),
            (top, "base"),
            ((abs(x) <= 120) & (abs(y + 150) <= 200), "deep"),
        ]
    if thing == "tent":
        door = polygon(x, y, ((0, 150), (220, 1000), (-220, 1000)))
        return [(polygon(x, y, ((0, -300), (750, 1000), (-750, 1000))), "base"), (door, "deep")]
    if thing == "mushroom":
        spots = [(ellipse(x, y, dx, dy, 120, 120), WHITE) for dx, dy in ((-330, 0), (0, -350), (330, 0))]
        return [
            ((abs(x) <= 200) & (y >= 150), CREAM),
            (ellipse(x, y, 0, 250, 700, 850) & (y <= 250), "base"),
            *spots,
        ]
    wheels = [(ellipse(x, y, dx, 790, 200, 200), DARK) for dx in (-380, 380)]
    cabin = polygon(x, y, ((-300, -50), (250, -50), (450, 400), (-450, 400)))
    return [(cabin, "light"), ((abs(x) <= 750) & (y >= 350) & (y <= 800), "base"), *wheels]


class ContextFamily(PosedFamily):
    """Things in a landscape; beside the caption's words a truth has its light's side, drawn at random."""

    def random(self, dice: Dice) -> Context:
        kind, colour, time = dice.pick(self.kinds), dice.pick(HUES), dice.pick(self.poses)
        return Context(kind, colour, time, dice.pick(DAYLIGHT[time]))

    def layouts(self, truth) -> list[tuple[int, int]]:
        return [(FEET - 8, column) for column in (3, 4, 5)]

    def paint_at(
        self, truth: Context, size: int, row: int, column: int, shadow: float | None = None
    ) -> np.ndarray:
        """As in the other families; `shadow`: its reach in sixteenths, left negative, if not the true one."""
        light = truth.light or DAYLIGHT[truth.time][0]
        canvas, unit = blank(size, SKY[truth.time]), size // GRID
        if light != "none":
            _paint_lamp(canvas, truth.time, light, column + 4)
        canvas[HORIZON * unit :] = GROUND[truth.time]
        _paint_shadow(
            canvas, truth.time, column + 4, shadow_reach(truth.time, light) if shadow is None else shadow
        )
        tint = partial(lit, time=truth.time)
        paint_layers(canvas, self.draw, truth.thing, truth.time, truth.colour, row, column, 8, tint)
        return canvas


def shadow_reach(time: str, light: str) -> float:
    """How far the shadow reaches from the thing's middle, in sixteenths: negative to the left."""
    return SHADOWS[time] * (-1 if light == "right" else 1)


def lit(colour, time: str) -> tuple[int, int, int]:
    """A colour in the light of a time of day, mixed in sixteenths."""
    parts, light = {"at noon": (16, WHITE), "at sunset": (13, (255, 140, 60)), "at night": (9, (25, 30, 75))}[
        time
    ]
    return tuple((parts * a + (16 - parts) * b + 8) // 16 for a, b in zip(colour, light, strict=True))


@cache
def _lamp(time: str, pixels: int) -> np.ndarray:
    """The sun, or at night the moon: coverage 0..64, (pixels, pixels)."""
    x, y = places(pixels, pixels)
    disc = ellipse(x, y, 0, 0, 800, 800)
    return coverage(disc & ~ellipse(x, y, 380, -150, 650, 650) if time == "at night" else disc)


def _paint_lamp(canvas: np.ndarray, time: str, light: str, middle: int) -> None:
    unit = canvas.shape[0] // GRID
    row = {"at noon": 0, "at sunset": HORIZON - 2, "at night": 1}[time]
    column = {"overhead": middle - 2, "left": 0, "right": GRID - 4}[light]
    window = canvas[row * unit : (row + 4) * unit, column * unit : (column + 4) * unit]
    window[:] = blend(window, LAMP[time], _lamp(time, 4 * unit))


def _paint_shadow(canvas: np.ndarray, time: str, middle: int, reach: float) -> None:
    """One sixteenth high, on the ground under the thing's feet, from just behind them to `reach`."""
    unit = canvas.shape[0] // GRID
    x = 2 * np.arange(canvas.shape[1]) + 1 - 2 * middle * unit  # in half pixels from the thing's middle
    far, near = 2 * reach * unit, -SHADOWS["at noon"] * 2 * unit * (1 if reach > 0 else -1)
    under = (x > min(far, near)) & (x < max(far, near))
    rows = canvas[FEET * unit : (FEET + 1) * unit]
    rows[:, under] = np.asarray(GROUND[time], dtype=np.int32) * 7 // 16


CONTEXT_FAMILY = ContextFamily(
    "context", Context, LANDMARKS, TIMES, lambda thing, colour, time: f"{colour} {thing} {time}", _landmark
)
