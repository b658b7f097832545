"""Files that are whole or not there: weights as safetensors, histories as JSON lines, and texts.

Whatever interrupts a writer, the file before it stays; what cannot be read is named in one sentence.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dalle_edu.errors import ReaderError, first_line


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all. Raises ReaderError where the disk is full."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def copy_file(source: Path, target: Path) -> None:
    """Copies a file whole or not at all. Raises ReaderError where the disk is full."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes a safetensors file whole or not at all. Raises ReaderError where the disk is full."""
    make_folder(path.parent)
    contiguous = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        try:
            save_file(contiguous, temporary, metadata=dict(metadata or {}))
        except SafetensorError as error:  # so it says that the disk is full
            raise _not_written(path, error) from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Reads a safetensors file. Raises ReaderError when it
    is missing, cut short, or no safetensors file at all."""
    if not Path(path).is_file():
        raise ReaderError(f"There is no file {path}: check the path, or train the model first.")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise ReaderError(
            f"{path} is cut short or is no safetensors file ({error}): copy or train it again."
        ) from error


def rounded(tensors: Mapping[str, Tensor], precision: torch.dtype) -> dict[str, Tensor]:
    """The tensors, those of fractions brought to `precision`. Raises ReaderError where a number is too large
    for it, as it can be for torch.float16 beyond 65,504 (torch.bfloat16 holds all, less exactly)."""
    out = {name: t.to(precision) if t.is_floating_point() else t for name, t in tensors.items()}
    for name, tensor in out.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ReaderError(f"{name} holds numbers that {precision} cannot: publish it in torch.bfloat16.")
    return out


def weights_digest(model: nn.Module, without: str, start: bytes = b"") -> str:
    """A short hash of `start` and of a model's weights, without those whose name begins with `without`: equal
    ones of a dVAE without its decoder ("decoder."), which may go on being trained, give equal tokens."""
    digest = hashlib.sha256(start)
    for name, tensor in sorted(model.state_dict().items()):
        if not name.startswith(without):
            digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def files_digest(paths: Iterable[Path]) -> str:
    """The SHA-256, in 16 hexadecimal digits, of files by their names and contents, in the order of names."""
    together = hashlib.sha256()
    for path in sorted(paths, key=lambda path: path.name):
        together.update(path.name.encode())
        with path.open("rb") as file:
            together.update(hashlib.file_digest(file, "sha256").digest())
    return together.hexdigest()[:16]


def finite_tensors(path: Path) -> dict[str, Tensor]:
    """`read_tensors` of weights. Raises ReaderError where they are no numbers."""
    tensors = read_tensors(path)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ReaderError(
                f"{path} holds numbers that are none ({name} has NaN or infinity): copy or train it again."
            )
    return tensors


def load_weights(model: nn.Module, path: Path) -> nn.Module:
    """Loads a safetensors file into `model`, in the model's own precision (weights may be stored in 16 bits),
    and sets it to evaluation. Raises ReaderError where they do not fit, and where they are no numbers."""
    tensors = finite_tensors(path)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ReaderError(
            f"{path} is of another configuration than its model: {first_line(error, 1)}"
        ) from error
    return model.eval()


def append_history(path: Path, rows: Iterable[Mapping[str, float]]) -> None:
    """Appends rows to a JSON-lines file, dropping rows of
    a later step that an interrupted run had left there."""
    rows = list(rows)
    if not rows:
        return
    make_folder(path.parent)
    kept = [r for r in read_history(path) if r["step"] < rows[0]["step"]] if path.exists() else []
    write_text(path, "".join(json.dumps(r) + "\n" for r in [*kept, *rows]))


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows of a `history.jsonl`: numbers by name, one of them the whole number "step". Raises ReaderError
    with the line where there is anything else."""
    rows = []
    try:
        lines = Path(path).read_bytes().decode().split("\n")
    except UnicodeDecodeError:
        raise ReaderError(
            f"{path} is damaged (no text in UTF-8): delete it, the weights do not need it."
        ) from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            step = row["step"]
            if (
                type(step) not in (int, float)  # the shipped curves say 10.0
                or step < 0
                or step % 1 != 0  # infinity too
                or not all(type(value) in (int, float) for value in row.values())
            ):
                raise TypeError("no row of numbers with a step")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ReaderError(
                f"Line {number} of {path} is damaged ({first_line(error)[:80]}): delete that line, the "
                "weights do "
                "not need it."
            ) from None
        rows.append(row)
    return rows


@contextlib.contextmanager
def replacing(path: Path):
    """A context that gives a temporary file beside `path`, which takes its place at the end, or vanishes on
    an error. What a killed process left of its own here is removed after a day. Raises ReaderError where the
    file cannot be written: the disk is full, the folder is missing or may not be written to."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with contextlib.suppress(OSError):  # somebody else may have been faster
            if time.time() - left.stat().st_mtime > 24 * 3600:
                left.unlink()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        # A full disk names no file; an error that names another one comes from what was to be written.
        if error.filename is not None and os.fspath(temporary) not in (error.filename, error.filename2):
            raise
        raise _not_written(path, error) from error
    finally:
        with contextlib.suppress(OSError):  # where it could not be written, it may not be there to remove
            temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Makes a folder, where there is none yet. Raises ReaderError where there cannot be one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReaderError(
            f"The folder {folder} could not be made ({error.strerror}): choose another place."
        ) from error


@contextlib.contextmanager
def making(folder: Path) -> Iterator[Path]:
    """A context that gives a new folder beside `folder`, which takes its place at the end, or vanishes on an
    error: a folder whole or not at all. `folder` may be there already, if it is empty. Raises ReaderError
    where it cannot be written."""
    folder = folder.absolute()
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()  # Windows moves no folder onto another one
        temporary.rename(folder)
    except shutil.Error as error:  # copytree's list of (from, to, why)
        raise _not_written(folder, OSError(error.args[0][0][2])) from error
    except OSError as error:
        raise _not_written(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _not_written(path: Path, error: Exception) -> ReaderError:
    why = getattr(error, "strerror", None) or first_line(error)
    return ReaderError(f"{path} could not be written ({why}); what was there before stays.")


@contextlib.contextmanager
def only_one(folder: Path, doing: str) -> Iterator[None]:
    """A context in which no other process of this machine is `doing` the same in `folder`, which is made, and
    removed again where it stays empty. Raises ReaderError where another one is there already.

    The lock is the operating system's (flock): it goes with its process, however that ends, so that one that
    was killed blocks nobody. Of the processes of one `torchrun` the first holds it for all.
    """
    from filelock import FileLock, Timeout

    if os.environ.get("RANK", "0") != "0":
        yield
        return
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    make_folder(folder)
    path = folder / ".lock"
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ReaderError(
            f"Another process is {doing} in {folder} right now: wait for it, or choose another folder."
        ) from None
    try:
        yield
    finally:
        with contextlib.suppress(
            OSError
        ):  # Windows keeps an open file; filelock knows a file that was removed
            path.unlink()
        lock.release()
        for place in made:
            with contextlib.suppress(OSError):  # not empty: there is what was wanted
                place.rmdir()


def readers_path(path: str | Path) -> Path:
    """A path as the reader wrote it, with `~` for the home
    folder. Raises ReaderError where there is no home."""
    try:
        return Path(path) if os.path.lexists(path) else Path(path).expanduser()
    except (RuntimeError, ValueError, TypeError) as error:
        raise ReaderError(f"The path {path!r} cannot be used ({error}): write it out in full.") from None
