"""Captions as people write them down: a text beside each picture, a CSV table, or JSON lines.

One set of rules for folders and shards: UTF-8 (a byte-order mark may lead), white space is one space, a
caption holds something and at most `LONGEST` characters. What breaks a rule is named with its file and line.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

from dalle_edu.errors import ReaderError

LONGEST = 10_000  # characters of a caption; far more than any model reads
MOST_BYTES = 2**28  # of a table: more than a million captions, and no more memory than a small machine has
Row = tuple[int, str, str]  # the line where it begins, file, caption


def read_caption(file: Path) -> str:
    """The caption in a text file. Raises ReaderError where there is none, or it cannot be read."""
    return caption_of(read_bytes(file, 4 * LONGEST + 4), str(file))


def caption_of(content: bytes, name: str) -> str:
    """A text file's content as one line. Raises ReaderError where it is no caption."""
    return clean_caption(_decoded(content, name), name)


def clean_caption(text: str, where: str) -> str:
    """`text` with each stretch of white space as one space. Raises ReaderError for an empty one, one of more
    than `LONGEST` characters, and half a character (a surrogate), which no tokenizer can spell."""
    caption = " ".join(text.split())
    if not caption:
        raise ReaderError(f"The caption in {where} is empty; write what the picture shows.")
    if len(caption) > LONGEST:
        raise ReaderError(
            f"The caption in {where} has {len(caption):,} characters, and at most {LONGEST:,} are taken; "
            f"shorten "
            "it."
        )
    if any("\ud800" <= letter <= "\udfff" for letter in caption):
        raise ReaderError(
            f"The caption in {where} holds half a character, {ascii(caption[:60])}; type it again."
        )
    return caption


def read_csv(table: Path, is_picture: Callable[[str], bool] = lambda name: False) -> list[Row]:
    """The rows of a table with the columns `file` and `caption`, separated by commas, semicolons or tabs.

    A cell in double quotes may hold anything, line breaks too. Raises ReaderError, with the line, for a row
    of too few or too many cells, and for quotes that are not closed: also where the next quote closes them,
    rows later, which shows by a line within the cell that begins with the name of a picture (`is_picture`).
    """
    text = _decoded(read_bytes(table, MOST_BYTES), str(table))
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)  # a spreadsheet takes what its country is used to
    # With newline="" the csv module sees the line breaks as they are, and breaks lines at no other sign.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    rows: list[Row] = []
    columns: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            where = f"Line {line} of {table}"
            begins, line = line, reader.line_num + 1
            if not cells:
                continue
            if columns is None:
                columns = _columns(cells, table)
                continue
            if len(cells) > len(columns):
                raise ReaderError(
                    f"{where} has {len(cells)} cells for {len(columns)} columns; a caption that holds the "
                    f"sign "
                    f"{separator!r} needs double quotes around it."
                )
            row = dict(zip(columns, cells, strict=False))
            if len(row) < 2 or "file" not in row or "caption" not in row:
                raise ReaderError(f"{where} does not have both a file and a caption; add them.")
            for inner in row["caption"].splitlines()[1:]:
                if is_picture(inner.split(separator)[0].strip().strip('"')):
                    raise ReaderError(
                        f"{where} has a double quote that is not closed before the next row begins "
                        f"({inner[:60]!r}); close it."
                    )
            rows.append(
                (begins, row["file"].strip(), clean_caption(row["caption"], f"line {begins} of {table}"))
            )
    except csv.Error as error:
        raise ReaderError(
            f"Line {line} of {table} is no row of a table ({error}); put each cell that holds quotes, "
            f"line breaks "
            "or the separator into double quotes, and close them."
        ) from None
    if columns is None:
        _columns([], table)
    return rows


def read_jsonl(table: Path) -> list[Row]:
    """The rows of a file with one JSON object a line, each with the texts `file` and `caption`."""
    rows: list[Row] = []
    # Only \n ends a line: JSON may hold every other break (U+2028, U+0085) within a text.
    lines = _decoded(read_bytes(table, MOST_BYTES), str(table)).split("\n")
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (
            ValueError,
            RecursionError,
        ) as error:  # ValueError: not JSON, or a number of thousands of digits
            reason = (
                "nested too deeply" if isinstance(error, RecursionError) else getattr(error, "msg", error)
            )
            raise ReaderError(f"Line {line} of {table} is not JSON ({reason}); expected an object.") from None
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("file", "caption")):
            raise ReaderError(f"Line {line} of {table} does not have both a file and a caption; add them.")
        rows.append((line, row["file"], clean_caption(row["caption"], f"line {line} of {table}")))
    return rows


def read_bytes(file: Path, most: int) -> bytes:
    """A file's content. Raises ReaderError where it cannot be opened or has more than `most` bytes, of which
    no more are read."""
    try:
        with file.open("rb") as opened:
            content = opened.read(most + 1)
    except (OSError, ValueError) as error:
        raise ReaderError(f"{file} cannot be opened: {getattr(error, 'strerror', None) or error}.") from None
    if len(content) > most:
        raise ReaderError(
            f"{file} has more than {most:,} bytes, the most that are read; divide or shorten it."
        )
    return content


def _decoded(content: bytes, name: str) -> str:
    try:
        text = content.decode("utf-8-sig")  # spreadsheets put a byte-order mark in front
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # which every second byte of UTF-16 is
        raise ReaderError(f"{name} is not text in UTF-8; save it again with that encoding.")
    return text


def _columns(cells: list[str], table: Path) -> list[str]:
    columns = [cell.strip().lower() for cell in cells]
    for wanted in ("file", "caption"):
        if columns.count(wanted) != 1:
            many = "is missing" if wanted not in columns else "is there more than once"
            raise ReaderError(
                f"The first line of {table} must name the columns file and caption; {wanted} {many}."
            )
    return columns
