"""The reader's own pictures: a folder of pictures, each with a caption.

Captions stand in a `.txt` beside each picture (`cat.jpg`, `cat.txt`), or all in one `captions.csv` or
`captions.jsonl` with the columns `file` and `caption` (a table of another name is given itself). A picture
becomes a square by cutting its longer sides off evenly, as DALL·E's data did for pictures that are not too
long (Ramesh et al. 2021, appendix C).
"""

from __future__ import annotations

import os
import unicodedata
import warnings
from collections import Counter
from functools import cached_property
from pathlib import Path

import torch

from dalle_edu.data.pictures import SUFFIXES, UNREAD_SUFFIXES, check_picture, check_size, read_picture
from dalle_edu.data.tables import read_caption, read_csv, read_jsonl
from dalle_edu.errors import ReaderError, ReaderWarning
from dalle_edu.files import readers_path

# Folders that programs make: copies, thumbnails, what a Mac packs beside a file. So does every name with a
# dot.
TABLES = (".csv", ".jsonl")
HIDDEN = ("@eadir", "__macosx", "#recycle", "$recycle.bin", "system volume information", "lost+found")


class FolderOfPictures(torch.utils.data.Dataset):
    """A folder of pictures with captions: `FolderOfPictures("my pictures", size=64)[i] -> (image, caption)`.

    Subfolders are searched as well, linked ones too; the order is that of the names. `captions` is the list
    of captions, `files` the list of paths, `pictures` all of them as one tensor (N, 3, size, size).
    Everything that can be checked is checked at once and not in the middle of training: raises `ReaderError`
    when the folder is missing or has no pictures, when a picture has no caption or a `.txt` has no picture,
    when a table names a file that is not there, and when a file is no picture.

    What is left out is said, as one `ReaderWarning`, and counted in `left_out`: pictures of kinds that are
    not read (HEIC for one), pictures that a table does not name, hidden files and folders, and folders that
    may not be read.
    """

    def __init__(self, path: str | Path, size: int = 64):
        check_size(size)
        self.path, self.size, self.left_out = readers_path(path), size, Counter()
        tables = ["captions.csv", "captions.jsonl"]
        if self.path.suffix.lower() in TABLES and os.path.isfile(self.path):
            self.path, tables = self.path.parent, [self.path.name]
        if not os.path.isdir(self.path):  # false also for names that no system could hold
            kind = "is a file, not a folder" if os.path.exists(self.path) else "does not exist"
            raise ReaderError(
                f"The folder {self.path} {kind}; give a folder that holds pictures with captions."
            )
        found = _files(self.path, self.left_out)
        for table in tables:
            if (self.path / table).is_file():
                read = self._read_csv if table.lower().endswith(".csv") else read_jsonl
                pairs = self._from_table(table, read(self.path / table), found)
                break
        else:
            pairs = self._from_text_files(found)
        for file, _ in pairs:
            check_picture(file)
        self.files = [file for file, _ in pairs]
        self.captions = [caption for _, caption in pairs]
        if self.left_out:
            counts = ", ".join(f"{count} {what}" for what, count in sorted(self.left_out.items()))
            warnings.warn(f"Of the folder {self.path} are left out: {counts}.", ReaderWarning, stacklevel=2)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, str]:
        return read_picture(self.files[index], self.size), self.captions[index]

    @cached_property
    def pictures(self) -> torch.Tensor:
        """All of them at once, `(N, 3, size, size)` float32 in [0, 1]: 48 KiB a picture at 64 pixels."""
        pictures = torch.empty(len(self), 3, self.size, self.size)
        for i, file in enumerate(self.files):
            pictures[i] = read_picture(file, self.size)
        return pictures

    def _from_text_files(self, found: list[Path]) -> list[tuple[Path, str]]:
        folder = self.path
        pictures = [file for file in found if file.suffix.lower() in SUFFIXES]
        texts = {_stem(file): file for file in found if file.suffix.lower() == ".txt"}
        unread = [file for file in found if file.suffix.lower() in UNREAD_SUFFIXES]
        self.left_out.update(_unread(file) for file in unread)
        if not pictures:
            others = (
                f" ({len(unread)} of kinds that are not read, such as {unread[0].name})" if unread else ""
            )
            raise ReaderError(
                f"The folder {folder} holds no pictures{others}; expected files that end in "
                f"{', '.join(SUFFIXES)}."
            )
        without = [file for file in pictures if _stem(file) not in texts]
        if len(without) == len(pictures):
            raise ReaderError(
                f"The folder {folder} holds no captions; expected a .txt beside each picture (such as "
                f"{pictures[0].with_suffix('.txt').name}), or one captions.csv or captions.jsonl with "
                "the columns file and caption."
            )
        if without:
            raise ReaderError(
                f"{len(without)} of {len(pictures)} pictures in {folder} have no caption, the first of them "
                f"{without[0].name}; write {without[0].with_suffix('.txt').name} beside it, or move it "
                f"elsewhere."
            )
        alone = sorted(texts.keys() - set(map(_stem, pictures)) - set(map(_stem, unread)))
        if alone:
            raise ReaderError(
                f"{len(alone)} of {len(texts)} captions in {folder} have no picture, the first of them "
                f"{texts[alone[0]].name}; put the picture beside it, or move it elsewhere."
            )
        return [(file, read_caption(texts[_stem(file)])) for file in pictures]

    def _read_csv(self, table: Path):
        return read_csv(table, is_picture=lambda name: bool(name) and os.path.isfile(self.path / name))

    def _from_table(self, table: str, rows, found: list[Path]) -> list[tuple[Path, str]]:
        pairs = [(self._named(name, line, table), caption) for line, name, caption in rows]
        if not pairs:
            raise ReaderError(
                f"{self.path / table} holds no captions; expected one line for each picture: file and "
                f"caption."
            )
        named = {file.resolve() for file, _ in pairs}
        for file in found:
            if file.suffix.lower() in SUFFIXES + UNREAD_SUFFIXES and file.resolve() not in named:
                self.left_out[f"pictures that {table} does not name"] += 1
        return pairs

    def _named(self, name: str, line: int, table: str) -> Path:
        """The file that a row means: as it is written, with a backslash for a slash, or with its accents
        composed in another way (a Mac takes them apart)."""
        where = f"Line {line} of {self.path / table} names {ascii(name) if not name.isprintable() else name}"
        for spelled in (name, name.replace("\\", "/")):
            if os.path.isabs(spelled) or ".." in Path(spelled).parts:
                raise ReaderError(
                    f"{where}, which lies outside {self.path}; a table names files of its folder."
                )
            for form in (
                spelled,
                unicodedata.normalize("NFC", spelled),
                unicodedata.normalize("NFD", spelled),
            ):
                if os.path.isfile(self.path / form):
                    return self.path / form
        raise ReaderError(f"{where}, and there is no such file in {self.path}.")


def _files(folder: Path, left_out: Counter) -> list[Path]:
    """All files of a folder and its subfolders, linked ones once, in the order of their names, but for hidden
    ones, which are counted."""
    files, seen = [], set()

    def unreadable(error: OSError):
        left_out["folders that may not be read"] += 1

    for place, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        # A link may lead to a folder that was seen, or back to its own parent.
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        for name in folders:
            if is_hidden(name):
                for _, _, inside in os.walk(os.path.join(place, name)):
                    count = sum(Path(file).suffix.lower() in SUFFIXES for file in inside)
                    if count:
                        left_out["pictures in hidden folders"] += count
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in names:
            if not is_hidden(name):
                files.append(Path(place) / name)
            elif Path(name).suffix.lower() in SUFFIXES:
                left_out["hidden pictures"] += 1
    return sorted(file for file in files if os.path.isfile(file))


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is a program's and not the reader's."""
    return name.startswith(".") or name.lower() in HIDDEN


def _stem(file: Path) -> tuple[str, str]:
    return str(file.parent), unicodedata.normalize("NFC", file.stem)


def _unread(file: Path) -> str:
    return f"{file.suffix.lower()} files, a kind of picture that is not read (save them as PNG or JPEG)"
