"""Checkpoints: all that a run needs to go on, through PyTorch's own state dictionaries.

The same way for a processor, a GPU, and a model that is sharded over many processes: each process writes what
it holds, and reads what it will hold, so a run may go on with another number of processes. A checkpoint is a
folder of safetensors files, which nothing can be hidden in, and a `checkpoint.json` beside it, written last:
whatever interrupts the writing, the checkpoint before it stays whole.
"""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.distributed.checkpoint import (
    HuggingFaceStorageReader,
    HuggingFaceStorageWriter,
    async_save,
    load,
    save,
)
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from dalle_edu.errors import ReaderError, first_line
from dalle_edu.files import make_folder, write_text

FLAT = StateDictOptions(flatten_optimizer_state_dict=True)
NAME = "checkpoint-{step:07d}"


def state_of(
    model: nn.Module, optimizers: list[torch.optim.Optimizer], average: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The tensors of a run by name: "model.NAME", "average.NAME", and "optimizer.state.NAME.MOMENT"."""
    return _state(model, get_optimizer_state_dict(model, optimizers, options=FLAT), average)


def _state(model: nn.Module, moments: Mapping[str, Any], average: Mapping[str, Tensor]) -> dict[str, Tensor]:
    state = {f"model.{name}": tensor for name, tensor in get_model_state_dict(model).items()}
    state |= {f"average.{name}": tensor for name, tensor in average.items()}
    return state | {f"optimizer.{k}": v for k, v in moments.items() if isinstance(v, Tensor)}


class Rule(NamedTuple):
    """Which checkpoints stay: the `last` ones, and each whose step is a multiple of `every` (0: none)."""

    last: int = 1
    every: int = 0

    def drops(self, names: list[str]) -> list[str]:
        """Those of the `names` of checkpoints that are to go."""
        older = sorted(names)[: -self.last]
        return [name for name in older if not (self.every and int(name.rpartition("-")[2]) % self.every == 0)]


LAST = Rule()


def write_checkpoint(
    folder: Path,
    state: Mapping[str, Tensor],
    about: Mapping[str, Any],
    rule: Rule = LAST,
    asynchronous: bool = False,
) -> Callable[[], None]:
    """Writes the tensors of `state`; all processes call it. It returns a function that all must call then: it
    writes, last, `checkpoint.json` with `about` ("step" among it), and removes what `rule` drops.

    With `asynchronous` the tensors are copied at once and written in the background, for which that function
    waits.
    """
    name, first = NAME.format(step=about["step"]), _rank() == 0
    if first:
        make_folder(folder)
        shutil.rmtree(folder / name, ignore_errors=True)  # a half of one, from before
    _wait()
    writer = HuggingFaceStorageWriter(str(folder / name), save_distributed=True)
    with _whole_or_gone(folder / name):
        if asynchronous:
            group = _group_for_writing(_world())
            writing = async_save(
                dict(state), storage_writer=writer, process_group=group, no_dist=group is None
            )
        else:
            save(dict(state), storage_writer=writer)

    def finish() -> None:
        if asynchronous:
            with _whole_or_gone(folder / name):
                writing.result()
        if first:
            text = json.dumps({**about, "file": name}, indent=1)
            write_text(folder / name / "checkpoint.json", text)
            write_text(folder / "checkpoint.json", text)
            there = [path.name for path in folder.glob("checkpoint-*") if path.is_dir() and path.name <= name]
            for old in rule.drops(there):
                shutil.rmtree(folder / old, ignore_errors=True)
            for later in folder.glob("checkpoint-*"):  # of a run that went further, or of an older version
                if later.is_file() or later.name > name:
                    shutil.rmtree(later, ignore_errors=True) if later.is_dir() else later.unlink()
        _wait()

    return finish


@contextlib.contextmanager
def _whole_or_gone(path: Path):
    """A context in which the checkpoint `path` is written. Where that fails, it is removed; ReaderError."""
    try:
        with _quiet():
            yield
    except (CheckpointException, SafetensorError, OSError) as error:
        shutil.rmtree(path, ignore_errors=True)
        raise ReaderError(
            f"The checkpoint {path} could not be written ({_cause(error)}); the one before it stays."
        ) from error


@functools.cache
def _group_for_writing(world: dist.ProcessGroup | None) -> dist.ProcessGroup | None:
    """A way for the writing threads of all processes to talk that training does not use meanwhile."""
    return dist.new_group(backend="gloo") if world is not None else None


def read_checkpoint(
    folder: Path, model: nn.Module, optimizers: list[torch.optim.Optimizer], average: Mapping[str, Tensor]
) -> None:
    """Brings model, optimizers and average back to the tensors in `folder`, whole or sharded as they are now.

    Raises ReaderError where files are missing or cut short, and where they are of another model.
    """
    stored = _stored_names(folder)
    moments = get_optimizer_state_dict(model, optimizers, options=FLAT)
    state = _state(model, moments, average)
    differing = sorted(stored.keys() ^ state.keys()) or [
        name for name, tensor in state.items() if tuple(tensor.shape) != stored[name]
    ]
    if differing:
        raise ReaderError(
            f"The checkpoint in {folder.parent} does not fit this model: {differing[0]} differs. Resume it "
            "with the configuration that it was started with."
        )
    try:
        with _quiet():
            load(state, storage_reader=HuggingFaceStorageReader(str(folder)))
    except CheckpointException as error:
        raise ReaderError(f"{folder} is damaged ({first_line(error)}): train again.") from error
    moments |= _part(state, "optimizer.")
    set_model_state_dict(model, _part(state, "model."))
    set_optimizer_state_dict(model, optimizers, moments, options=FLAT)
    for name, tensor in _part(state, "average.").items():
        average[name].copy_(tensor)


def read_about(path: Path) -> dict[str, Any]:
    """Reads a `checkpoint.json`. Raises ReaderError when it is missing or damaged."""
    if not path.is_file():
        raise ReaderError(f"There is no checkpoint in {path.parent}: start the training without --resume.")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        about = {key: found[key] for key in ("step", "seconds", "file", "training", "description")}
        if type(about["step"]) is not int or about["step"] < 0:
            raise TypeError(f"step is {about['step']!r}, and no whole number from 0 on")
        if type(about["seconds"]) not in (int, float) or not 0 <= about["seconds"] < float("inf"):
            raise TypeError(f"seconds is {about['seconds']!r}, and no number from 0 on")
        if about["file"] != NAME.format(step=about["step"]):
            raise TypeError(f"file is {about['file']!r}, and not the one of step {about['step']}")
        if not isinstance(about["training"], dict) or not isinstance(about["description"], dict):
            raise TypeError("training and description are no tables")
        about["stream"] = stream = found.get("stream")  # there where shards are streamed
        if stream is not None and not (isinstance(stream, dict) and isinstance(stream.get("lanes"), dict)):
            raise TypeError("stream has no lanes")
        return about
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReaderError(f"{path} is damaged ({first_line(error)}): delete it and train again.") from None


def checkpoint_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint that one process wrote, as `state_of` names them."""
    tensors: dict[str, Tensor] = {}
    for path in _files(folder):
        with safe_open(path, framework="pt") as file:
            tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    return tensors


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ReaderError(f"There is no file of the checkpoint {folder}: train again, without --resume.")
    return files


def _stored_names(folder: Path) -> dict[str, tuple[int, ...]]:
    """The whole shape of each stored tensor, from the heads of the files."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in _files(folder):
        try:
            with safe_open(path, framework="pt") as file:
                placed = json.loads((file.metadata() or {}).get("DCP_SHARDING_INFO", "{}"))
                for name in file.keys():  # noqa: SIM118 (not a dict)
                    shape = file.get_slice(name).get_shape()
                    offsets = placed.get(name, {}).get("saved_offsets", [0] * len(shape))
                    reach = [offset + size for offset, size in zip(offsets, shape, strict=True)]
                    before = shapes.get(name, (0,) * len(shape))
                    shapes[name] = tuple(map(max, before, reach))
        except (SafetensorError, ValueError, OSError, AttributeError, TypeError, RecursionError) as error:
            raise ReaderError(f"{path} is cut short or damaged ({first_line(error)}): train again.") from None
    return shapes


def _cause(error: BaseException) -> str:
    """What went wrong on a process: PyTorch wraps it into a list of all processes."""
    failures = getattr(error, "failures", None)
    while failures:
        error, failures = next(iter(failures.values()))[0], None
    return first_line(error)


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _world() -> dist.ProcessGroup | None:
    return dist.group.WORLD if dist.is_initialized() else None


def _rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def _wait() -> None:
    if dist.is_initialized():
        dist.barrier()


@contextlib.contextmanager
def _quiet():
    """Without PyTorch's remark that one process works alone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield
