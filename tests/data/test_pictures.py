"""Every kind of picture: each mode of Pillow is a right picture or a sentence, whatever file it comes
from."""

import io
import os
import random
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from dalle_edu.data.pictures import FORMATS, MODES, MOST_PIXELS, as_square, check_picture, read_picture
from dalle_edu.errors import ReaderError

RAMP = np.linspace(0, 65535, 64).reshape(8, 8).round()


def stored(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    file.seek(0)
    return file


def tiff(bits, photometric, content, side=8, sample_format=1):
    """A plain TIFF by hand, of kinds that Pillow does not write."""
    start = 8 + 2 + 10 * 12 + 4
    tags = [
        (256, 3, side),
        (257, 3, side),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, start),
    ]
    tags += [(277, 3, 1), (278, 3, side), (279, 4, len(content)), (339, 3, sample_format)]
    out = b"II*\0" + struct.pack("<IH", 8, len(tags))
    for tag, kind, value in tags:
        out += struct.pack("<HHI", tag, kind, 1) + struct.pack(
            "<HH" if kind == 3 else "<I", value, *[0] * (kind == 3)
        )
    return io.BytesIO(out + struct.pack("<I", 0) + content)


def test_the_table_of_modes_names_every_mode_that_pillow_knows():
    assert set(Image.MODES) <= set(MODES)


@pytest.mark.parametrize("mode", sorted(MODES))
def test_a_picture_of_each_mode_keeps_its_shades_or_is_refused(mode):
    """Half black, half white, in the numbers of the mode itself."""
    grey = Image.fromarray(np.repeat(np.array([[0, 255]], np.uint8), 8, 1).repeat(8, 0))
    if mode.startswith("I;16"):
        kind = ">u2" if mode.endswith("B") else "<u2"
        picture = Image.frombytes(mode, (16, 8), (np.asarray(grey).astype(kind) * 257).tobytes())
    elif mode == "I":
        with pytest.raises(ReaderError, match="nothing says which of them is white"):
            as_square(grey.convert("I"), 8)
        picture = Image.open(stored(Image.fromarray(np.asarray(grey).astype(np.int32) * 257), "PPM"))
        assert picture.mode == "I"
    elif mode == "F":
        picture = Image.fromarray(np.asarray(grey).astype(np.float32) / 255)
    else:
        way = {"La": "LA", "RGBa": "RGBA", "PA": "P", "LAB": "RGB", "HSV": "RGB"}.get(mode, mode)
        picture = grey.convert("RGB" if way in ("CMYK", "YCbCr", "RGB", "P", "RGBX") else way)
        if mode == "LAB":
            picture = Image.merge("LAB", (grey, *[Image.new("L", grey.size, 128)] * 2))
        elif mode == "PA":
            picture = Image.fromarray(
                np.dstack((np.asarray(grey), np.full((8, 16), 255, np.uint8))), "LA"
            ).convert("PA")
        else:
            picture = picture.convert(mode)
    assert picture.mode == mode
    image = as_square(picture, 8)
    assert image[:, :, :3].max() < 0.08 and image[:, :, 5:].min() > 0.92


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ("PNG", RAMP.astype(np.uint16)),
        ("TIFF", RAMP.astype(np.uint16)),
        ("TIFF", RAMP.astype(">u2")),
        ("TIFF", (RAMP / 65535).astype(np.float32)),
        ("PPM", RAMP.astype(np.int32)),
        ("PPM", (RAMP / 65535).astype(np.float32)),
    ],
)
def test_pictures_wider_than_eight_bits_keep_their_shades(kind, numbers):
    image = read_picture(stored(Image.fromarray(numbers), kind), 8)
    assert (image - torch.from_numpy(RAMP / 65535)).abs().max() < 1 / 255


def test_twelve_bits_and_white_that_is_zero_are_understood():
    twelve = np.linspace(0, 4095, 64).round().astype(int)
    packed = b"".join(
        bytes((a >> 4, (a & 15) << 4 | b >> 8, b & 255))
        for a, b in zip(twelve[::2].tolist(), twelve[1::2].tolist(), strict=True)
    )
    expected = torch.from_numpy(RAMP / 65535)
    assert (read_picture(tiff(12, 1, packed), 8) - expected).abs().max() < 1 / 255
    content = RAMP.astype("<u2").tobytes()
    assert (read_picture(tiff(16, 1, content), 8) - expected).abs().max() < 1 / 255
    assert (read_picture(tiff(16, 0, content), 8) - (1 - expected)).abs().max() < 1 / 255


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (tiff(32, 1, RAMP.astype("<i4").tobytes(), sample_format=2), "nothing says which of them is white"),
        (tiff(16, 1, RAMP.astype("<i2").tobytes(), sample_format=2), "nothing says which of them is white"),
        (tiff(32, 1, RAMP.astype("<f4").tobytes(), sample_format=3), "reach from 0 to 65535, expected 0"),
        (tiff(32, 1, np.full(64, np.nan, "<f4").tobytes(), sample_format=3), "reach from nan to nan"),
        (tiff(32, 1, np.full(64, -0.1, "<f4").tobytes(), sample_format=3), "reach from -0.1"),
    ],
)
def test_numbers_without_a_white_are_refused_by_name(file, sentence):
    file.seek(0)
    with pytest.raises(ReaderError, match=f"^mine.tif cannot be taken: its pixels.*{sentence}"):
        read_picture(file, 8, "mine.tif")


@pytest.mark.parametrize("mode", ["L", "I;16", "I;16B", "F", "RGB"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_s_note_turns_wide_pictures_too(mode, orientation):
    if mode == "RGB":
        numbers, kind = np.repeat((RAMP / 257).astype(np.uint8)[..., None], 3, 2), "PNG"
        exif = Image.Exif()
        exif[274] = orientation
        file = stored(Image.fromarray(numbers), kind, exif=exif)
    else:
        numbers = {
            "L": (RAMP / 257).astype(np.uint8), "I;16": RAMP.astype("<u2"), "I;16B": RAMP.astype(">u2"),
            "F": (RAMP / 65535).astype(np.float32),
        }[mode]  # fmt: skip
        file = stored(Image.fromarray(numbers), "TIFF", tiffinfo={274: orientation})
    upright = RAMP / 65535
    expected = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.T,
        6: np.rot90(upright, -1), 7: upright[::-1, ::-1].T, 8: np.rot90(upright),
    }[orientation]  # fmt: skip
    assert np.abs(read_picture(file, 8)[0].numpy() - expected).max() < 0.01


def test_one_transparent_shade_of_sixteen_bits_becomes_white():
    file = stored(Image.fromarray(np.full((8, 8), 1000, np.uint16)), "PNG")
    content = file.getvalue()
    chunk = b"tRNS" + struct.pack(">H", 1000)
    chunk = struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk))
    at = content.index(b"IDAT") - 4
    assert read_picture(io.BytesIO(content), 8).max() < 0.02
    assert read_picture(io.BytesIO(content[:at] + chunk + content[at:]), 8).min() == 1


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_each_kind_that_is_promised_is_read(tmp_path, kind):
    for suffix in FORMATS[kind]:
        mode = "F" if suffix == ".pfm" else "1" if suffix == ".pbm" else "L" if suffix == ".pgm" else "RGB"
        path = tmp_path / f"a{suffix}"
        picture = Image.new("RGB", (32, 32), "white").convert(mode)
        if mode == "F":
            picture = Image.fromarray(np.ones((32, 32), np.float32))
        picture.save(path, {".mpo": "MPO"}.get(suffix, kind))
        assert read_picture(path, 8).min() > 0.97, suffix


def test_no_other_program_is_ever_asked_to_read_a_picture(tmp_path):
    """Pillow would hand an EPS to Ghostscript."""
    path = tmp_path / "a.png"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    assert Image.open(path).format == "EPS"
    with pytest.raises(ReaderError, match=r"a\.png is not a picture that can be read"):
        read_picture(path, 8)


def png_of(width, height):
    """A PNG whose head claims a size, and whose rows are all zero: a bomb."""

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(b"\0" * (1 + width)) for _ in range(min(height, 10)))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", rows + packer.flush())
        + chunk(b"IEND", b"")
    )


def test_a_bomb_is_refused_at_its_head_with_its_size_and_without_memory(tmp_path):
    path = tmp_path / "bomb.png"
    for width, height, says in (
        (14000, 14000, "196 megapixels"),
        (60000, 60000, "megapixels"),
        (0, 5, "is not a picture"),
    ):
        path.write_bytes(png_of(width, height))
        tracemalloc.start()
        for act in (check_picture, lambda file: read_picture(file, 8)):
            with pytest.raises(ReaderError, match=says) as error:
                act(path)
            assert "is not a picture" not in str(error.value) or width == 0
        assert tracemalloc.get_traced_memory()[1] < 2**22
        tracemalloc.stop()
    assert MOST_PIXELS // 10**6 == 178


def test_what_may_not_be_opened_is_not_called_no_picture(tmp_path, monkeypatch):
    for path, says in (
        (tmp_path / "none.png", "No such file"), (tmp_path, "s a directory|Permission denied"),
        ("a\0b.png", "null byte"), (tmp_path / ("a" * 300), "too long"), (7.5, "cannot be opened"),
    ):  # fmt: skip
        with pytest.raises(ReaderError, match=says) as error:
            read_picture(path, 8)
        assert "is not a picture" not in str(error.value)


@pytest.mark.parametrize("size", [0, -1, 1.0, True, None, 10**6])
def test_a_size_that_cannot_be_is_refused(size):
    with pytest.raises(ReaderError, match="whole number of pixels"):
        as_square(Image.new("L", (4, 4)), size)


def with_metadata():
    """Small files of each kind with all the metadata that Pillow parses."""
    random.seed(0)
    noise = Image.frombytes("RGB", (24, 16), random.randbytes(24 * 16 * 3))
    exif = Image.Exif()
    exif[274], exif[270], exif[33434] = 6, "a description", 0.01
    exif.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
    common = {"exif": exif, "icc_profile": b"\0\0\0\x80" + bytes(124)}
    return {
        "PNG": stored(noise, "PNG", **common).getvalue(),
        "JPEG": stored(noise, "JPEG", dpi=(72, 72), comment=b"c", **common).getvalue(),
        "WEBP": stored(noise, "WEBP", **common).getvalue(),
        "TIFF": stored(noise, "TIFF", compression="tiff_lzw", **common).getvalue(),
        "GIF": stored(noise, "GIF", comment=b"c").getvalue(),
        "BMP": stored(noise, "BMP").getvalue(),
        "PPM": stored(noise, "PPM").getvalue(),
        "QOI": stored(noise, "QOI").getvalue(),
        "ICO": stored(noise, "ICO").getvalue(),
        "JPEG2000": stored(noise, "JPEG2000").getvalue(),
        "AVIF": stored(noise, "AVIF", **common).getvalue(),
    }


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, a stretch removed, doubled, or cut off: what happens to files on their way."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content) or 1)
        how = rng.randrange(5)
        if how < 2 and content:
            content[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        elif how == 2:
            content[at : at + 4] = rng.choice(
                (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", rng.randbytes(4))
            )
        elif how == 3:
            del content[at : at + rng.randint(1, 30)]
        else:
            content[at:at] = content[at : at + rng.randint(1, 30)]
    return bytes(content[: rng.randrange(len(content) + 1)] if rng.random() < 0.1 else content)


def test_a_damaged_file_of_any_kind_is_a_picture_or_one_sentence_with_its_name():
    rng, files = random.Random(21), with_metadata()
    outcomes = {"picture": 0, "sentence": 0}
    for _ in range(int(os.environ.get("DALLE_EDU_FUZZ", "1500"))):
        kind = rng.choice(sorted(files))
        content = mutated(files[kind], rng)
        try:
            image = read_picture(io.BytesIO(content), 8, "theirs")
            assert image.shape == (3, 8, 8) and 0 <= image.min() <= image.max() <= 1
            outcomes["picture"] += 1
        except ReaderError as error:
            assert str(error).startswith("theirs ") and "\n" not in str(error) and "BytesIO" not in str(error)
            outcomes["sentence"] += 1
    assert min(outcomes.values()) > 50, outcomes
