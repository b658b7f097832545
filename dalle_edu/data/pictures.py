"""One picture file becomes one square: which kinds are read, and how each mode of Pillow becomes 8 bits.

Files come from everywhere. What is read is a short list of formats, none of which runs another program
(Pillow hands EPS to Ghostscript, so EPS is not on it), and whatever a reader of Pillow raises on a damaged
file becomes one sentence with the file's name.
"""

from __future__ import annotations

import contextlib
import re
import threading
import warnings
from collections.abc import Callable
from functools import cache

import numpy as np
import torch

from dalle_edu.errors import ReaderError

FORMATS = {  # Pillow's names, and how the names of such files end
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "QOI": (".qoi",),
    "ICO": (".ico",),
}
SUFFIXES = tuple(suffix for suffixes in FORMATS.values() for suffix in suffixes)
# Pictures too, but not read: said, with counts, where they lie among the others.
UNREAD_SUFFIXES = (
    ".heic", ".heif", ".hif", ".jxl", ".jxr", ".wdp", ".svg", ".svgz", ".eps", ".ps", ".pdf", ".ai", ".psd",
    ".psb", ".xcf", ".kra", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf",
    ".exr", ".hdr", ".tga", ".pcx", ".sgi", ".rgb", ".dds", ".icns", ".wmf", ".emf", ".xbm", ".xpm", ".fits",
    ".cur",
)  # fmt: skip
MOST_PIXELS = 178_956_970  # where Pillow, too, speaks of a bomb: a quarter of a gibibyte, unpacked as RGB

# What becomes of each mode: "as it is", where Pillow's own conversion to RGBA keeps every shade; otherwise
# the whole number or fraction that is white. A mode that is not here is refused.
KEPT, WIDE = "as it is", 65_535
MODES = {
    "1": KEPT, "L": KEPT, "LA": KEPT, "La": KEPT, "P": KEPT, "PA": KEPT, "RGB": KEPT, "RGBX": KEPT, "RGBA":
    KEPT, "RGBa": KEPT, "CMYK": KEPT, "YCbCr": KEPT, "LAB": KEPT, "HSV": KEPT, "I;16": WIDE, "I;16L": WIDE,
    "I;16B": WIDE, "I;16N": WIDE, "I": WIDE, "F": 1.0,
}  # fmt: skip


def read_picture(file, size: int, name: str | None = None, square: Callable | None = None) -> torch.Tensor:
    """One picture file (a path, or an open binary file) as a square, `(3, size, size)` float32 in [0, 1].

    Which square is up to `square(picture, size)`, from a Pillow picture to another; left out, the middle.
    Transparent parts become white; a camera's note on which way is up is followed; of several frames the
    first is taken; 16 bits, and floating point numbers from 0 to 1, are brought to 8. Raises `ReaderError`
    with the file's name (or `name`) where it is no picture, damaged, too large, or of numbers whose white
    nobody knows.
    """
    check_size(size)
    return _read(file, name or str(file), lambda picture: as_square(picture, size, square))


def check_picture(file, name: str | None = None) -> None:
    """Raises what `read_picture` would, as far as the head
    of the file shows it: a fraction of a millisecond."""
    _read(file, name or str(file), lambda picture: None)


def as_square(picture, size: int, square: Callable | None = None) -> torch.Tensor:
    """A Pillow picture of any mode as `read_picture` gives it: `(3, size, size)` float32 in [0, 1]."""
    from PIL import Image, ImageOps

    check_size(size)
    check_pixels(picture)
    # Turned only now: Pillow cannot turn every wide mode, and can turn every narrow one.
    info, turn = picture.info, _turned(picture)
    picture = eight_bits(picture)
    if turn is not None:
        picture = picture.transpose(turn)
    if picture.mode in ("RGBA", "RGBa", "LA", "La", "PA", "P") or "transparency" in info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("RGB")
    if square is None:
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
    else:
        picture = square(picture, size)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


def white_of(picture) -> float | None:
    """What number is white in this picture, by the table `MODES`; None where Pillow knows it. Raises
    ReaderError where nobody does."""
    white = MODES.get(picture.mode)
    if white is None:
        raise ReaderError(f"its pixels are of the mode {picture.mode!r}; save it with 8 bits a channel.")
    if picture.mode == "I" and picture.format not in ("PNG", "PPM"):
        raise ReaderError(
            "its pixels are 32-bit whole numbers, and nothing says which of them is white; "
            "save it with 8 or 16 bits."
        )
    if white == KEPT:
        return None
    bits = tuple(getattr(picture, "tag_v2", {}).get(258, (16,)))  # BitsPerSample: some scanners give 12
    return 4095 if picture.mode.startswith("I;16") and bits == (12,) else white


def eight_bits(picture):
    """The same picture with 8 bits a channel. Raises ReaderError
    for numbers that are not between black and white."""
    from PIL import Image

    white = white_of(picture)
    if white is None:
        return picture.convert("LA") if picture.mode == "La" else picture
    numbers = np.asarray(picture)
    low, high = float(numbers.min()), float(numbers.max())
    if not 0 <= low <= high <= white:  # not so for NaN, either
        raise ReaderError(
            f"its pixels reach from {low:g} to {high:g}, expected 0 (black) to {white:g} (white); save it "
            f"with "
            "8 bits."
        )
    if picture.format == "TIFF" and picture.tag_v2.get(262) == 0:  # PhotometricInterpretation: white is zero
        numbers = white - numbers  # Pillow turns such pictures round itself, but only those of 8 bits
    shades = (numbers.astype(np.float64) * (255 / white)).round().astype(np.uint8)
    clear = picture.info.get("transparency")
    if isinstance(clear, int):  # one shade of a grey PNG is glass
        return Image.fromarray(np.dstack((shades, np.where(numbers == clear, 0, 255).astype(np.uint8))))
    return Image.fromarray(shades)


def check_size(size) -> None:
    """Raises ReaderError unless `size` is a number of pixels."""
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= 8192:
        raise ReaderError(
            f"The size of a picture is a whole number of pixels, from 1 to 8192; this one is {size!r}."
        )


def check_pixels(picture) -> None:
    """Raises ReaderError for a picture that would fill the memory, or is empty."""
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise ReaderError(too_many(width * height))
    if not width * height:
        raise ReaderError(f"it has {width} x {height} pixels: there is nothing to see.")


def too_many(pixels: int) -> str:
    """The sentence for a picture of more than `MOST_PIXELS`."""
    most = MOST_PIXELS // 10**6
    return f"it has {pixels / 1e6:,.0f} megapixels, and at most {most} are read; save it smaller."


@cache
def _formats() -> list[str]:
    """Of `FORMATS`, those that this Pillow was built with."""
    from PIL import Image

    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _turned(picture):
    """How Pillow would turn it upright (a `Transpose`, or None), by the note that a camera leaves."""
    from PIL import ExifTags, Image

    if picture.format == "TIFF":
        picture.load()  # TIFF files are turned while they are read
    turn = Image.Transpose
    return {
        2: turn.FLIP_LEFT_RIGHT, 3: turn.ROTATE_180, 4: turn.FLIP_TOP_BOTTOM, 5: turn.TRANSPOSE,
        6: turn.ROTATE_270, 7: turn.TRANSVERSE, 8: turn.ROTATE_90,
    }.get(picture.getexif().get(ExifTags.Base.Orientation, 1))  # fmt: skip


def _read(file, name: str, use):
    from PIL import Image, UnidentifiedImageError

    try:
        with contextlib.ExitStack() as stack:
            if not hasattr(file, "read"):
                # Opened here, so that what the system refuses is not taken for what the file holds.
                try:
                    file = stack.enter_context(open(file, "rb"))
                except (OSError, ValueError, TypeError) as error:
                    reason = getattr(error, "strerror", None) or error
                    raise ReaderError(f"it cannot be opened, {reason}.") from None
            # Pillow's asides on odd metadata, and on size, which we judge. Filters belong to all threads at
            # once: one that reads shards beside the training must not silence the rest.
            if threading.current_thread() is threading.main_thread():
                stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            picture = stack.enter_context(Image.open(file, formats=_formats()))
            check_pixels(picture)
            white_of(picture)
            return use(picture)
    except ReaderError as error:
        raise ReaderError(f"{name} cannot be taken: {error}") from None
    except Image.DecompressionBombError as error:
        count = int(re.search(r"\d+", str(error)).group())
        raise ReaderError(f"{name} cannot be taken: {too_many(count)}") from None
    except UnidentifiedImageError:
        raise ReaderError(
            f"{name} is not a picture that can be read (known are {', '.join(_formats())}); remove it, or "
            "save it as PNG."
        ) from None
    # A damaged file may raise anything in the readers under Pillow: struct.error, TypeError, a MemoryError.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ReaderError(
            f"{name} is not a picture that can be read ({reason}); remove it, or save it as PNG."
        ) from None
