"""The reader's own pictures: a folder of pictures, each with a caption.

Captions stand in a `.txt` beside each picture (`cat.jpg`, `cat.txt`), or all in one `captions.csv` or
`captions.jsonl` with the columns `file` and `caption`. A picture becomes a square by cutting its longer sides
off evenly, as DALL·E's data did for pictures that are not too long (Ramesh et al. 2021, appendix C).
"""

import csv
import json
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from dalle_edu.errors import ReaderError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def read_picture(file, size: int, name: str | None = None) -> torch.Tensor:
    """One picture file (a path, or an open binary file) as a centred square, `(3, size, size)` float32 in [0,
    1].

    Transparent parts become white; a camera's note on which way is up is followed. Raises `ReaderError` with
    the file's name when it is no picture, or is cut short.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ReaderError(
            f"{name or file} is not a picture that can be read ({error}); remove it, or save it as PNG."
        ) from None
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    picture = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


class FolderOfPictures(torch.utils.data.Dataset):
    """A folder of pictures with captions: `FolderOfPictures("my pictures", size=64)[i] -> (image, caption)`.

    Subfolders are searched as well; the order is that of the names. `captions` is the list of captions,
    `files` the list of paths, `pictures` all of them as one tensor (N, 3, size, size). Everything that can be
    checked is checked at once and not in the middle of training: raises `ReaderError` when the folder is
    missing or has no pictures, when a picture has no caption or a caption has no picture, and when a file is
    no picture.
    """

    def __init__(self, path: str | Path, size: int = 64):
        if not isinstance(size, int) or size < 1:
            raise ReaderError(
                f"The size of a picture is a whole number of pixels, 1 or more; this one is {size!r}."
            )
        self.path, self.size = Path(path), size
        if not self.path.is_dir():
            kind = "is a file, not a folder" if self.path.exists() else "does not exist"
            raise ReaderError(
                f"The folder {self.path} {kind}; give a folder that holds pictures with captions."
            )
        for table, read in (("captions.csv", _read_csv), ("captions.jsonl", _read_jsonl)):
            if (self.path / table).is_file():
                pairs = _from_table(self.path, table, read(self.path / table))
                break
        else:
            pairs = _from_text_files(self.path)
        for file, _ in pairs:
            _check_is_picture(file)
        self.files = [file for file, _ in pairs]
        self.captions = [caption for _, caption in pairs]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, str]:
        return read_picture(self.files[index], self.size), self.captions[index]

    @cached_property
    def pictures(self) -> torch.Tensor:
        """All of them at once, `(N, 3, size, size)` float32 in [0, 1]: 48 KiB a picture at 64 pixels."""
        return torch.stack([read_picture(file, self.size) for file in self.files])


def _check_is_picture(file: Path) -> None:
    """Reads only the head of the file, which takes a fraction of a millisecond."""
    from PIL import Image

    try:
        Image.open(file).close()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise ReaderError(
            f"{file} is not a picture that can be read; remove it or save it as PNG or JPEG."
        ) from None


def _from_text_files(folder: Path) -> list[tuple[Path, str]]:
    pictures = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    )
    if not pictures:
        raise ReaderError(
            f"The folder {folder} holds no pictures; expected files that end in {', '.join(SUFFIXES)}."
        )
    without = [file for file in pictures if not file.with_suffix(".txt").is_file()]
    if len(without) == len(pictures):
        raise ReaderError(
            f"The folder {folder} holds no captions; expected a .txt beside each picture (such as "
            f"{pictures[0].with_suffix('.txt').name}), or one captions.csv or captions.jsonl with "
            "the columns file and caption."
        )
    if without:
        raise ReaderError(
            f"{len(without)} of {len(pictures)} pictures in {folder} have no caption, the first of them "
            f"{without[0].name}; write {without[0].with_suffix('.txt').name} beside it, or move it elsewhere."
        )
    return [
        (file, _caption(_read_text(file.with_suffix(".txt")), file.with_suffix(".txt"))) for file in pictures
    ]


def _from_table(folder: Path, table: str, rows: list[tuple[int, dict]]) -> list[tuple[Path, str]]:
    pairs = []
    for line, row in rows:
        if (
            not isinstance(row, dict)
            or not isinstance(row.get("file"), str)
            or not isinstance(row.get("caption"), str)
        ):
            raise ReaderError(
                f"Line {line} of {folder / table} does not have both a file and a caption; add them."
            )
        file = folder / row["file"]
        if not file.is_file():
            raise ReaderError(
                f"Line {line} of {folder / table} names {row['file']}, and there is no such file in {folder}."
            )
        pairs.append((file, _caption(row["caption"], f"line {line} of {folder / table}")))
    if not pairs:
        raise ReaderError(
            f"{folder / table} holds no captions; expected one line for each picture: file and caption."
        )
    return pairs


def _read_csv(table: Path) -> list[tuple[int, dict]]:
    reader = csv.DictReader(_read_text(table).splitlines())
    missing = {"file", "caption"} - set(reader.fieldnames or ())
    if missing:
        raise ReaderError(
            f"The first line of {table} must name the columns file and caption; {missing.pop()} is missing."
        )
    return [(reader.line_num, row) for row in reader]


def _read_jsonl(table: Path) -> list[tuple[int, dict]]:
    rows = []
    for line, text in enumerate(_read_text(table).splitlines(), start=1):
        if text.strip():
            try:
                rows.append((line, json.loads(text)))
            except json.JSONDecodeError as error:
                raise ReaderError(
                    f"Line {line} of {table} is not JSON ({error.msg}); expected an object."
                ) from None
    return rows


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")  # spreadsheets put a byte-order mark in front
    except UnicodeDecodeError:
        raise ReaderError(f"{file} is not text in UTF-8; save it again with that encoding.") from None


def _caption(text: str, where) -> str:
    caption = " ".join(text.split())
    if not caption:
        raise ReaderError(f"The caption in {where} is empty; write what the picture shows.")
    return caption
