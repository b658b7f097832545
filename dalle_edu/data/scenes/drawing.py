"""Drawing for `Scenes`: shapes as integer inequalities, 8 x 8 samples a pixel, blended in whole numbers.

Nothing here rounds a float or asks a font: the same call gives the same
bytes on every machine. Lengths are in units of one sixteenth of the picture
(4 pixels of 64): what is drawn lines up with a 16 x 16 grid of tokens.
"""

from functools import cache, lru_cache

import numpy as np

GRID = 16  # units along a side of the picture
SAMPLES = 8  # sub-pixels along a side of a pixel

COLOURS = {
    "red": (220, 35, 35),
    "orange": (250, 140, 20),
    "yellow": (250, 215, 30),
    "green": (45, 160, 60),
    "blue": (40, 90, 220),
    "purple": (150, 60, 190),
    "brown": (130, 80, 35),
    "black": (30, 30, 30),
}
SHAPES = ("circle", "square", "triangle", "star", "heart", "diamond", "cross", "ring")
TEXTURES = ("plain", "striped", "dotted")
WHITE = (255, 255, 255)

# A five-pointed star in thousandths of half its box; written out, so that no machine's sine matters.
_STAR = (
    *((0, -1000), (235, -324), (951, -309), (380, 124), (588, 809)),
    *((0, 400), (-588, 809), (-380, 124), (-951, -309), (-235, -324)),
)


def polygon(x: np.ndarray, y: np.ndarray, points) -> np.ndarray:
    """Which of the integer places (x, y) lie inside the polygon, by the even-odd rule; all whole numbers."""
    inside = np.zeros(np.broadcast(x, y).shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        crosses = (y0 > y) != (y1 > y)
        side = (x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)
        inside ^= crosses & ((side < 0) if y1 > y0 else (side > 0))
    return inside


def ellipse(x, y, centre_x: int, centre_y: int, radius_x: int, radius_y: int) -> np.ndarray:
    """Which of the integer places lie inside an upright ellipse."""
    return ((x - centre_x) * radius_y) ** 2 + ((y - centre_y) * radius_x) ** 2 <= (radius_x * radius_y) ** 2


def _inside(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which places are inside the shape; x and y run from -1000 to 1000 over its box, y downwards."""
    if shape == "circle":
        return ellipse(x, y, 0, 0, 1000, 1000)
    if shape == "square":
        return (abs(x) <= 930) & (abs(y) <= 930)
    if shape == "triangle":
        return polygon(x, y, ((0, -950), (1000, 900), (-1000, 900)))
    if shape == "star":
        return polygon(x, y * 10 // 11 - 90, _STAR)
    if shape == "heart":
        u, v = x * 115 // 1000, -(y * 118 // 1000) + 12  # (u2 + v2 - 1)^3 <= u2 v3, in hundredths
        return (u * u + v * v - 10_000) ** 3 <= u * u * v**3 * 100
    if shape == "diamond":
        return abs(x) + abs(y) <= 1000
    if shape == "cross":
        return np.minimum(abs(x), abs(y)) <= 320
    if shape == "ring":
        return ellipse(x, y, 0, 0, 1000, 1000) & ~ellipse(x, y, 0, 0, 560, 560)
    raise KeyError(shape)


def places(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Integer sub-pixel centres (x, y) over a box of height x width pixels, each from -1000 to 1000."""
    x = (2 * np.arange(width * SAMPLES, dtype=np.int64) + 1) * 1000 // (width * SAMPLES) - 1000
    y = (2 * np.arange(height * SAMPLES, dtype=np.int64) + 1) * 1000 // (height * SAMPLES) - 1000
    return x[None, :], y[:, None]


def coverage(mask: np.ndarray) -> np.ndarray:
    """Sub-pixels inside, per pixel: (height * 8, width * 8) bool -> (height, width) of 0..64."""
    height, width = mask.shape[0] // SAMPLES, mask.shape[1] // SAMPLES
    return mask.reshape(height, SAMPLES, width, SAMPLES).sum(axis=(1, 3)).astype(np.int32)


@cache
def shape_coverage(shape: str, pixels: int) -> np.ndarray:
    """A shape drawn over a box: coverage 0..64, (pixels, pixels) int32. Shared: do not write."""
    x, y = places(pixels, pixels)
    return coverage(np.broadcast_to(_inside(shape, x, y), (pixels * SAMPLES, pixels * SAMPLES)))


@cache
def texture_coverage(texture: str, pixels: int, unit: int) -> np.ndarray:
    """How much of each pixel the texture's second colour takes, 0..64; it sits on the lattice."""
    row, column = np.divmod(np.arange(pixels * pixels), pixels)
    row, column = (row // unit).reshape(pixels, pixels), (column // unit).reshape(pixels, pixels)
    if texture == "striped":
        return (row % 2 * 64).astype(np.int32)
    x, y = places(unit, unit)
    dot = np.tile(coverage(ellipse(x, y, 0, 0, 800, 800)), (pixels // unit, pixels // unit))
    return (dot * ((row + column) % 2)).astype(np.int32)


def blend(under: np.ndarray, colour, amount: np.ndarray) -> np.ndarray:
    """`colour` over `under`, amount of 64 parts of it; (height, width, 3) whole numbers, rounded."""
    amount = amount[..., None]
    return (amount * np.asarray(colour, dtype=np.int32) + (64 - amount) * under + 32) // 64


def pale(colour) -> tuple[int, int, int]:
    """The colour mixed with two parts of white: the second colour of stripes."""
    return tuple((value + 2 * 255) // 3 for value in colour)


@lru_cache(maxsize=4096)
def fill(colour: str, texture: str, pixels: int, unit: int) -> np.ndarray:
    """What a shape is filled with: (pixels, pixels, 3) int32. Shared: do not write."""
    flat = np.full((pixels, pixels, 3), COLOURS[colour], dtype=np.int32)
    if texture == "plain":
        return flat
    second = pale(COLOURS[colour]) if texture == "striped" else WHITE
    return blend(flat, second, texture_coverage(texture, pixels, unit))


def blank(size: int, colour=WHITE) -> np.ndarray:
    """An empty canvas, (size, size, 3) int32, white unless told."""
    return np.full((size, size, 3), colour, dtype=np.int32)


def stamp(
    canvas: np.ndarray, shape: str, colour: str, texture: str, row: int, column: int, side: int
) -> None:
    """Draws one shape onto the canvas; row, column and side in units of a sixteenth of the picture."""
    unit = canvas.shape[0] // GRID
    top, left, pixels = row * unit, column * unit, side * unit
    window = canvas[top : top + pixels, left : left + pixels]
    amount = shape_coverage(shape, pixels)
    window[:] = blend(window, fill(colour, texture, pixels, unit), amount)
