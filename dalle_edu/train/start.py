"""Training that begins where a finished model stands: `dalle-edu train PART --start MODEL`.

A model learns on from there: other data, other shares of them, more steps. What is begun is a new training,
with a learning rate and an average of its own; `--resume` is what goes on with an old one.
"""

from __future__ import annotations

from pathlib import Path

from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.nn.utils import parametrize

from dalle_edu.errors import ReaderError, first_line
from dalle_edu.files import copy_file, files_digest, finite_tensors, make_folder, write_text
from dalle_edu.train.appearance import shared_and_free
from dalle_edu.train.folder import PARTS, Folder


def start_folder(path: Path, part: str) -> Folder:
    """The folder of a model in which a `part` can begin. Raises ReaderError where this part is not in it."""
    folder = Folder(path)
    if not folder.weights(part).is_file():
        raise ReaderError(f"{path} holds no finished {part}: there is nothing to start with.")
    return folder


def take_along(start: Folder, folder: Folder, part: str) -> None:
    """Copies into a new `folder` what was trained in `start` before the `part` that begins there: earlier
    parts, how they were trained, and the tokenizer, whose tokens the weights know. What the folder has of its
    own stays. Notes with which weights the part begins, for its record."""
    pairs = {start.out / "tokenizer.json": folder.out / "tokenizer.json"}
    for earlier in PARTS[: PARTS.index(part)]:
        pairs[start.weights(earlier)] = folder.weights(earlier)
        pairs[start.trained(earlier)] = folder.trained(earlier)
        history = folder.work(earlier) / "history.jsonl"
        pairs |= {
            start.out / f"{earlier}-history.jsonl": history,
            start.work(earlier) / history.name: history,
        }
    make_folder(folder.work(part))
    for source, target in pairs.items():
        if source.is_file() and not target.exists():
            make_folder(target.parent)
            copy_file(source, target)
    write_text(folder.began(part), f'start = "{files_digest([start.weights(part)])}"\n')


def begin_with(model: nn.Module, weights: Path) -> None:
    """Gives a model before its training finished `weights`, in its own precision; a sharded one takes its
    shards of them. Embeddings that are learned from appearance get both parts: what the codes' looks explain,
    and what is left. Raises ReaderError where the weights are of another shape."""
    tensors = finite_tensors(weights)
    for name, layer in model.named_modules():
        if parametrize.is_parametrized(layer, "weight") and (key := f"{name}.weight") in tensors:
            features = layer.parametrizations.weight[0].features.cpu()
            shared, free = shared_and_free(features, tensors.pop(key).float())
            tensors[f"{name}.parametrizations.weight.0.shared"] = shared
            tensors[f"{name}.parametrizations.weight.original"] = free
    try:
        set_model_state_dict(model, tensors, options=StateDictOptions(full_state_dict=True))
    except (RuntimeError, ValueError) as error:
        raise ReaderError(
            f"{weights} is of another configuration than what is to be trained: {first_line(error, 1)}"
        ) from error
