"""Two families of `Scenes` with depth: solids seen from a named viewpoint, things whole and cut open.

Each picture is a few layers painted over one another, every layer an area with a colour, or with a shade of
the thing's own colour. Light falls from above and from the left, so each viewpoint has its shades.
"""

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np

from dalle_edu.data.scenes.drawing import (
    COLOURS,
    GRID,
    SAMPLES,
    WHITE,
    blank,
    blend,
    coverage,
    ellipse,
    places,
    polygon,
)
from dalle_edu.data.scenes.flat import Dice, is_held_out

HUES = ("red", "orange", "yellow", "green", "blue", "purple")
SOLIDS = ("cube", "cylinder", "cone", "sphere", "pyramid")
VIEWPOINTS = ("from the side", "from above", "from above at an angle", "from below at an angle")
FRUITS = ("apple", "avocado", "egg", "watermelon", "lemon", "coconut")
STATES = ("whole", "cut open")
BROWN, CREAM, DARK = (120, 75, 35), (255, 244, 205), (35, 30, 30)


@dataclass(frozen=True)
class Solid:
    """Truth of the solids family: "a red cube seen from above at an angle"."""

    solid: str
    colour: str
    viewpoint: str
    family = "solids"

    def properties(self) -> dict:
        return {"solid": self.solid, "colour": self.colour, "viewpoint": self.viewpoint}


@dataclass(frozen=True)
class Inside:
    """Truth of the inside family: "a whole green apple", "a green apple cut open"."""

    thing: str
    colour: str
    state: str
    family = "inside"

    def properties(self) -> dict:
        return {"thing": self.thing, "colour": self.colour, "state": self.state}


def shade(colour, name: str) -> tuple[int, int, int]:
    """The colour as a face of a solid shows it: "light", "base", "dark" or "deep"."""
    parts, target = {"light": (9, 255), "base": (16, 0), "dark": (10, 0), "deep": (6, 0)}[name]
    return tuple((parts * value + (16 - parts) * target + 8) // 16 for value in colour)


def _solid(solid: str, view: str, x, y):
    """Layers (area, shade) of a solid; x and y from -1000 to 1000, y downwards."""
    below, angled = view.startswith("from below"), view.endswith("angle")
    if solid == "cube":
        if not angled:
            return [((abs(x) <= 800) & (abs(y) <= 800), "light" if view == "from above" else "base")]
        up = -y if below else y
        lid = polygon(x, up, ((0, -1000), (900, -550), (0, -100), (-900, -550)))
        left = polygon(x, up, ((-900, -550), (0, -100), (0, 1000), (-900, 550)))
        right = polygon(x, up, ((900, -550), (0, -100), (0, 1000), (900, 550)))
        return [(lid, "deep" if below else "light"), (left, "base"), (right, "dark")]
    if solid == "sphere":
        ball = ellipse(x, y, 0, 0, 900, 900)
        if view == "from below at an angle":
            return [(ball, "base"), (ball & ellipse(x, y, 0, 450, 900, 900), "deep")]
        drop, spot, radius = {
            "from the side": (500, -620, 230),
            "from above": (0, 0, 420),
            "from above at an angle": (160, -350, 340),
        }[view]
        lit = ellipse(x, y, 0, -drop, 900, 900) if drop else ball
        return [(ball, "dark"), (ball & lit, "base"), (ellipse(x, y, 0, spot, radius, radius), "light")]
    if solid == "pyramid":
        if view == "from the side":
            return [(polygon(x, y, ((0, -850), (900, 800), (-900, 800))), "base")]
        if view == "from above":
            square = (abs(x) <= 850) & (abs(y) <= 850)
            return [(square, "base"), (square & (-y > abs(x)), "light"), (square & (y > abs(x)), "dark")]
        near, far = (0, 100) if below else (0, 850), (0, 900)
        left = polygon(x, y, ((0, -950), near, (-900, 450)))
        right = polygon(x, y, ((0, -950), (900, 450), near))
        base = [(polygon(x, y, ((-900, 450), near, (900, 450), far)), "deep")] if below else []
        return [(left, "base"), (right, "dark"), *base]
    cone = solid == "cone"
    if view == "from above":
        disc = ellipse(x, y, 0, 0, 850, 850)
        return (
            [(disc, "base"), (disc & (x > 0), "dark"), (ellipse(x, y, 0, 0, 160, 160), "light")]
            if cone
            else [(disc, "light")]
        )
    rim = (0, 600, 750, 300)
    if cone:
        body = polygon(x, y, ((0, -950), (750, 600), (-750, 600)))
        across, edge = x * 1550, 250 * (y + 950)
    else:
        body = (abs(x) <= 750) & (abs(y) <= (600 if angled else 800))
        across, edge = x, 250
    if angled:
        body = body | ellipse(x, y, *rim) | (ellipse(x, y, 0, -600, 750, 300) & (not cone))
    bands = [(body, "base"), (body & (across < -edge), "light"), (body & (across > edge), "dark")]
    if below:
        bands.append((ellipse(x, y, *rim), "deep"))
    elif angled and not cone:
        bands = [
            (body, "dark"),
            (body & (across < edge), "base"),
            (ellipse(x, y, 0, -600, 750, 300), "light"),
        ]
    return bands


def _skin(thing: str, x, y, out: int = 1000):
    """The outline of a fruit, drawn `out` thousandths as large about its own middle."""
    x, y = x * 1000 // out, y * 1000 // out
    if thing == "apple":
        lobes = ellipse(x, y, -330, 50, 570, 750) | ellipse(x, y, 330, 50, 570, 750)
        return lobes & ~ellipse(x, y, 0, -800, 260, 300)
    if thing == "avocado":
        neck = polygon(x, y, ((-330, -600), (330, -600), (690, 200), (-690, 200)))
        return ellipse(x, y, 0, 280, 720, 700) | ellipse(x, y, 0, -580, 350, 400) | neck
    if thing == "egg":
        return (ellipse(x, y, 0, 150, 720, 800) & (y >= 150)) | (ellipse(x, y, 0, 150, 720, 1100) & (y < 150))
    if thing == "watermelon":
        return ellipse(x, y, 0, 0, 980, 780)
    if thing == "lemon":
        tips = polygon(x, y, ((-1000, 0), (-600, -420), (600, -420), (1000, 0), (600, 420), (-600, 420)))
        return ellipse(x, y, 0, 0, 800, 640) | tips
    return ellipse(x, y, 0, 0, 850, 850)


def _fruit(thing: str, state: str, x, y):
    """Layers (area, colour or shade) of a fruit, whole or cut open; the skin keeps the thing's colour."""
    skin = (_skin(thing, x, y), "base")
    stem = ((abs(x) <= 70) & (y > -950) & (y < -450), BROWN)
    if state == "whole":
        details = {
            "apple": [stem, (ellipse(x, y, 330, -780, 260, 130), (60, 140, 50))],
            "avocado": [(ellipse(x, y, -250, 150, 120, 260), "light")],
            "egg": [(ellipse(x, y, -260, -250, 160, 240), "light")],
            "watermelon": [
                (skin[0] & (abs(abs(x) - 520) <= 110), "dark"),
                (skin[0] & (abs(x) <= 110), "dark"),
            ],
            "lemon": [(ellipse(x, y, -250, -230, 260, 110), "light")],
            "coconut": [
                (ellipse(x, y, dx, dy, 130, 130), DARK) for dx, dy in ((-260, -250), (260, -250), (0, 200))
            ],
        }[thing]
        return [skin, *details]
    flesh = _skin(thing, x, y, 800)
    seeds = [
        (ellipse(x, y, dx, dy, 75, 120), DARK)
        for dx, dy in ((-450, -80), (0, -260), (450, -80), (-230, 220), (230, 220))
    ]
    spokes = (abs(x) <= 70) | (abs(x - y) <= 90) | (abs(x + y) <= 90)
    inner = {
        "apple": [
            (flesh, CREAM),
            (ellipse(x, y, -170, 100, 110, 200), BROWN),
            (ellipse(x, y, 170, 100, 110, 200), BROWN),
            stem,
        ],
        "avocado": [(flesh, (215, 230, 120)), (ellipse(x, y, 0, 300, 380, 380), BROWN)],
        "egg": [(flesh, WHITE), (ellipse(x, y, 0, 200, 370, 370), (250, 190, 30))],
        "watermelon": [(flesh, (240, 245, 215)), (_skin(thing, x, y, 680), (240, 85, 95)), *seeds],
        "lemon": [(flesh, (255, 240, 120)), (flesh & spokes, WHITE)],
        "coconut": [(flesh, WHITE), (ellipse(x, y, 0, 0, 400, 400), (190, 200, 205))],
    }[thing]
    return [skin, *inner]


@cache
def layers(draw, kind: str, pose: str, pixels: int) -> list:
    """The layers of one drawing over a square box: [(coverage (pixels, pixels), colour or shade)]."""
    x, y = places(pixels, pixels)
    whole = (pixels * SAMPLES, pixels * SAMPLES)
    return [(coverage(np.broadcast_to(area, whole)), paint) for area, paint in draw(kind, pose, x, y)]


def paint_layers(canvas, draw, kind, pose, colour, row, column, side, light=lambda colour: colour) -> None:
    """Paints the layers of a drawing onto the canvas; row, column and side in sixteenths of the picture.

    `light` changes each colour before it is painted, as the time of day does.
    """
    unit = canvas.shape[0] // GRID
    top, left, pixels = row * unit, column * unit, side * unit
    window = canvas[top : top + pixels, left : left + pixels]
    for amount, paint in layers(draw, kind, pose, pixels):
        window[:] = blend(
            window, light(shade(COLOURS[colour], paint) if isinstance(paint, str) else paint), amount
        )


class PosedFamily:
    """A kind of thing, in a colour, in a pose; held out are triples of these."""

    def __init__(self, name: str, truth_class, kinds, poses, sentence, draw):
        self.name, self.truth_class, self.kinds, self.poses = name, truth_class, kinds, poses
        self.sentence, self.draw = sentence, draw

    def everything(self):
        for kind, colour, pose in itertools.product(self.kinds, HUES, self.poses):
            yield self.truth_class(kind, colour, pose)

    def random(self, dice: Dice):
        return self.truth_class(dice.pick(self.kinds), dice.pick(HUES), dice.pick(self.poses))

    def held_out(self, truth) -> bool:
        return is_held_out(f"{self.name}:{' '.join(truth.properties().values())}")

    def caption(self, truth) -> str:
        text = self.sentence(*truth.properties().values())
        return ("an " if text[0] in "aeiou" else "a ") + text

    def layouts(self, truth) -> list[tuple[int, int]]:
        """Every (row, column), in sixteenths, at which `paint` may put the thing's box."""
        return [(row, column) for row in (2, 3, 4) for column in (2, 3, 4)]

    def paint(self, truth, size: int, dice: Dice) -> np.ndarray:
        return self.paint_at(truth, size, *dice.pick(self.layouts(truth)))

    def paint_at(self, truth, size: int, row: int, column: int) -> np.ndarray:
        """The picture with the thing's box at a given place: (size, size, 3) int32."""
        kind, colour, pose = truth.properties().values()
        canvas = blank(size)
        paint_layers(canvas, self.draw, kind, pose, colour, row, column, 10)
        return canvas


SOLIDS_FAMILY = PosedFamily(
    "solids", Solid, SOLIDS, VIEWPOINTS, lambda solid, colour, view: f"{colour} {solid} seen {view}", _solid
)
INSIDE_FAMILY = PosedFamily(
    "inside",
    Inside,
    FRUITS,
    STATES,
    lambda thing, colour, state: (
        f"whole {colour} {thing}" if state == "whole" else f"{colour} {thing} {state}"
    ),
    _fruit,
)
