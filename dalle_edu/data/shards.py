"""More pictures than one machine can hold: tar files ("shards") that are read from beginning to end.

A hard disk or a network reads one long file much faster than a million small ones. The layout is
WebDataset's: a shard is an ordinary tar, and files that share a name up to its first dot belong together,
`000017.png` and `000017.txt`. The price is that a shard is iterated and not indexed; whatever fits a machine
is better kept map-style (`FolderOfPictures`). Pictures and captions obey the same rules as there. Training
reads shards by `stream.py`, endlessly, over many processes, and resumed at the sample.
"""

from __future__ import annotations

import contextlib
import glob
import importlib
import io
import itertools
import os
import random
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

import torch

from dalle_edu.data.folder import is_hidden
from dalle_edu.data.pictures import SUFFIXES, check_size, read_picture
from dalle_edu.data.tables import LONGEST, caption_of, clean_caption
from dalle_edu.errors import ReaderError
from dalle_edu.files import only_one, readers_path, replacing

MOST_BYTES = 2**28  # of one file in a shard
PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "lzma"}
BLOCK = 512  # a tar is made of such blocks, and ends with blocks of zeros


class Shards(torch.utils.data.IterableDataset):
    """`for image, caption in Shards("pictures-{000000..000099}.tar", size=64)` is one pass over the shards.

    `paths`: a path, a pattern with `*` or `{000000..000099}`, or a list of paths; local files only.
    `shuffle`: how many pictures wait in a buffer from which one is drawn at random (0: the stored order); the
    shards change places too. `seed` and the number of the pass decide the order (in the workers of a
    `DataLoader`, PyTorch's own seed as well). Each process of a distributed run, and each worker of a
    `DataLoader`, reads its own shards, so there should be more shards than readers. Nothing is unpacked to
    the disk. Raises `ReaderError` for a missing shard, a file that is no tar, one that lacks its end, holds
    links or names that lead out of it, a picture that cannot be read, and one without a caption of its own.
    """

    def __init__(self, paths: str | Path | list, size: int = 64, shuffle: int = 0, seed: int = 0):
        check_size(size)
        self.paths, self.size, self.shuffle, self.seed, self.passes = expand(paths), size, shuffle, seed, 0

    def __iter__(self):
        import webdataset as wds

        # A worker process is a copy whose count of passes stands still, but whose seed changes.
        worker = torch.utils.data.get_worker_info()
        order = random.Random(f"{self.seed} {self.passes} {worker.seed if worker else 0}")
        self.passes += 1
        stages = [wds.SimpleShardList(self.paths), wds.split_by_node, wds.split_by_worker]
        if self.shuffle:
            stages.append(wds.shuffle(len(self.paths), initial=len(self.paths), rng=order))
        stages.append(_samples)
        if self.shuffle:
            stages.append(wds.shuffle(self.shuffle, initial=self.shuffle, rng=order))
        for sample in wds.DataPipeline(*stages):
            yield picture_and_caption(sample, self.size)


def picture_and_caption(sample: dict, size: int, square: Callable | None = None) -> tuple[torch.Tensor, str]:
    """One sample of `samples_of` as `read_picture` gives it, (3, size, size), and its caption. Raises
    ReaderError, with the place, where one of them is missing or cannot be read."""
    name, files = f"{sample['__key__']} in {sample['__url__']}", sample["files"]
    suffix = next((suffix for suffix in SUFFIXES if suffix in files), None)
    if suffix is None or ".txt" not in files:
        what = "picture of a kind that is read" if suffix is None else "caption (.txt)"
        raise ReaderError(f"{name} has no {what}, only {', '.join(sorted(files))}; each picture needs both.")
    picture, text = (f"{sample['__key__']}{end} in {sample['__url__']}" for end in (suffix, ".txt"))
    caption = caption_of(files[".txt"], text)
    return read_picture(io.BytesIO(files[suffix]), size, picture, square), caption


def write_shards(dataset, folder: str | Path, per_shard: int = 1000) -> list[Path]:
    """Writes a map-style data set of `(image, caption)` as `pictures-000000.tar` and on; returns the paths.

    Images become PNG, rounded to 8 bits. Each shard is there whole or not at all. Raises `ReaderError` when
    the folder already holds shards: nothing is overwritten.
    """
    return write_samples(_as_png(dataset), folder, per_shard)


def write_samples(
    samples: Iterable[dict[str, bytes]], folder: str | Path, per_shard: int = 1000
) -> list[Path]:
    """Writes samples, the content of each file by its suffix ({"png": ..., "txt": ...}), as shards, and holds
    no more than one of them in memory; returns the paths. Raises what `write_shards` does."""
    folder = readers_path(folder)
    if per_shard < 1:
        raise ReaderError(f"{per_shard} pictures a shard are asked for; at least one is needed.")
    if folder.is_dir() and list(folder.glob("pictures-*.tar")):
        raise ReaderError(
            f"The folder {folder} already holds shards; choose an empty one, so that nothing is lost."
        )
    with only_one(folder, "writing shards"):
        return _write_samples(enumerate(samples), folder, per_shard)


def _write_samples(samples: Iterator[tuple[int, dict]], folder: Path, per_shard: int) -> list[Path]:
    import webdataset as wds

    paths: list[Path] = []
    try:
        for first in samples:
            path = folder / f"pictures-{len(paths):06d}.tar"
            with replacing(path) as temporary, temporary.open("wb") as opened, wds.TarWriter(opened) as shard:
                for index, files in itertools.chain([first], itertools.islice(samples, per_shard - 1)):
                    shard.write({"__key__": f"{index:09d}", **files})
            paths.append(path)
    except BaseException:  # a full disk, a picture that cannot be read, Ctrl-C
        for path in paths:  # a set that lacks its end looks like a whole one
            path.unlink(missing_ok=True)
        raise
    return paths


def _as_png(dataset) -> Iterator[dict[str, bytes]]:
    for index in range(len(dataset)):
        image, caption = dataset[index]
        caption = clean_caption(caption, f"item {index}")  # what would be refused is not written
        yield {"png": png_bytes(image), "txt": caption.encode()}


def png_bytes(image: torch.Tensor) -> bytes:
    """A picture, (3, height, width) in [0, 1], as a PNG file of 8 bits."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(file, "PNG")
    return file.getvalue()


def _samples(shards: Iterable[dict]) -> Iterator[dict]:
    """The samples of several shards, {"url": path}, one shard after the other."""
    for shard in shards:
        yield from samples_of(shard["url"])


def samples_of(path: str, start: int = 0) -> Iterator[dict]:
    """The samples of one shard, those files that share a name, as {"__key__", "__url__", "files"}; the files
    by their suffix. `start`: the place in bytes of the first one to read. Each says its own place,
    "__place__", and that of the sample behind it, "__next__" (None: it is the last)."""
    sample = None
    for name, content, place in _members(path, start):
        stem, dot, suffix = PurePosixPath(name).name.partition(".")
        key = str(PurePosixPath(name).with_name(stem)) if stem else name
        suffix = dot + suffix.lower()
        if sample is None or sample["__key__"] != key:
            if sample is not None:
                yield sample | {"__next__": place}
            sample = {"__key__": key, "__url__": path, "__place__": place, "__next__": None, "files": {}}
        if suffix in sample["files"]:
            raise ReaderError(f"{name} is twice in {path}; each picture needs a name of its own.")
        sample["files"][suffix] = content
    if sample is None:
        raise ReaderError(f"{path} holds no pictures; write it again, or leave it out.")
    yield sample


def _members(path: str, start: int = 0) -> Iterator[tuple[str, bytes, int]]:
    """The plain files of a tar, in order, from the place `start` on: (name, content, place). Raises
    ReaderError where it cannot be trusted to be whole: what stands in it would be less than was written."""
    try:
        with (
            _unpacked(path, start) as stream,
            tarfile.open(fileobj=_Bounded(stream, path), mode="r:") as tar,
        ):
            for entry in tar:
                name = entry.name
                parts = PurePosixPath(name).parts
                if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
                    raise ReaderError(
                        f"{path} holds the name {ascii(name)}, which leads out of it; write it again."
                    )
                if entry.isdir() or any(map(is_hidden, parts)):
                    continue
                if not entry.isreg():
                    raise ReaderError(
                        f"{name} in {path} is a link or a device and no file; write the tar again with "
                        f"the files "
                        "themselves (tar --dereference)."
                    )
                most = 4 * LONGEST + 4 if name.lower().endswith(".txt") else MOST_BYTES
                if entry.size > most:
                    raise ReaderError(
                        f"{name} in {path} has {entry.size:,} bytes; at most {most:,} are read."
                    )
                yield name, tar.extractfile(entry).read(), entry.offset
                tar.members = []  # or a long shard's list of names would fill the memory
            _check_end(tar, path)
    except ReaderError:
        raise
    except FileNotFoundError:
        raise ReaderError(f"There is no shard {path}; expected local tar files.") from None
    except PermissionError as error:
        raise ReaderError(f"{path} cannot be opened: {error.strerror}.") from None
    except (
        Exception
    ) as error:  # tarfile, and what unpacks for it, raise much: ReadError, zlib.error, EOFError
        raise ReaderError(
            f"{path} is no tar file, or is cut short ({error}); write or copy it again."
        ) from None


@contextlib.contextmanager
def _unpacked(path: str, start: int = 0):
    """The bytes of a tar, which may have been packed by gzip, bzip2 or xz, as a file open at `start`."""
    with open(path, "rb") as file:
        magic = file.read(6)
        file.seek(0)
        kind = next((kind for known, kind in PACKED.items() if magic.startswith(known)), None)
        with importlib.import_module(kind).open(file) if kind else contextlib.nullcontext(file) as unpacked:
            unpacked.seek(start)
            yield unpacked


class _Bounded:
    """An open file that reads at most `MOST_BYTES` at once: a header may claim a name of gigabytes."""

    def __init__(self, file, path: str):
        self.file, self.path, self.seek, self.tell = file, path, file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MOST_BYTES:
            raise ReaderError(
                f"{self.path} claims a part of {size:,} bytes; at most {MOST_BYTES:,} are read."
            )
        return self.file.read(size)


def _check_end(tar: tarfile.TarFile, path: str) -> None:
    """A tar ends with blocks of zeros. `tarfile` takes the end of the file, and a damaged header, for it too,
    and never looks behind the first such block."""
    tar.fileobj.seek(tar.offset)
    block = tar.fileobj.read(BLOCK)
    if len(block) < BLOCK or any(block):
        raise ReaderError(
            f"{path} is cut short or damaged: it does not end as a tar does, so pictures may be missing; "
            f"write or "
            "copy it again."
        )
    while block := tar.fileobj.read(2**20):
        if any(block):
            raise ReaderError(
                f"{path} goes on after its end, so pictures would be left out; were two tars written into "
                f"one?"
            )


def expand(paths) -> list[str]:
    """The files that a path, a pattern or a list means. Raises ReaderError for one that is not there."""
    from braceexpand import UnbalancedBracesError, braceexpand

    if not isinstance(paths, str | os.PathLike | Iterable):
        raise ReaderError(
            f"The shards are given as {paths!r}; expected a path, a pattern, or a list of them."
        )
    found: list[str] = []
    for pattern in [paths] if isinstance(paths, str | os.PathLike) else paths:
        path = readers_path(pattern)
        if os.path.isfile(path):  # a name may hold brackets and mean them
            found.append(str(path.absolute()))
            continue
        try:
            spelled = list(braceexpand(str(path), escape=False))
        except UnbalancedBracesError:
            spelled = [str(path)]
        for each in spelled:
            files = sorted(glob.glob(each)) if any(sign in each for sign in "*?[") else [each]
            missing = [file for file in files if not os.path.isfile(file)]
            if not files or missing:
                raise ReaderError(
                    f"There is no shard {missing[0] if missing else each}; expected local tar files."
                )
            found += [str(Path(file).absolute()) for file in files]
    if not found:
        raise ReaderError("No shards were given; expected at least one tar file.")
    return found
