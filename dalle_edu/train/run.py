"""From a configuration to trained weights: what `dalle-edu train dvae|decoder|clip|dalle` does.

read_config -> Folder.check -> mixture, or streamed -> make_stage -> Run, train -> Folder.finish
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.distributed.tensor import DTensor

from dalle_edu.configs.schema import Config, read_config
from dalle_edu.dalle import Dalle
from dalle_edu.data.mixture import Mixture, mixture
from dalle_edu.data.streamed import Streamed, streamed
from dalle_edu.data.vary import crop_filled  # noqa: F401 (its name before it had a room of its own)
from dalle_edu.dvae import DiscreteVAE
from dalle_edu.errors import ReaderError, unknown_name
from dalle_edu.files import (
    copy_file,
    load_weights,
    make_folder,
    read_history,
    read_tensors,
    rounded,
    weights_digest,
    write_tensors,
    write_text,
)
from dalle_edu.machine.processor import machine
from dalle_edu.parallel import recompute
from dalle_edu.reranking import build_clip
from dalle_edu.scale import training_operations
from dalle_edu.tokens import CaptionTokenizer
from dalle_edu.train.appearance import settle
from dalle_edu.train.distributed import Recorded, shared_loss, spread, started_by_torchrun, together
from dalle_edu.train.folder import PARTS, Folder
from dalle_edu.train.lock import alone
from dalle_edu.train.loop import Run, train
from dalle_edu.train.processes import count, first_only, first_then_others, rank
from dalle_edu.train.progress import Work
from dalle_edu.train.stages import (
    Stage,
    clip_stage,
    dalle_stage,
    decoder_stage,
    dvae_stage,
    start_patches,
    tokens_of,
)
from dalle_edu.train.start import begin_with, start_folder, take_along
from dalle_edu.train.streaming import (
    check_tokens,
    clip_from_shards,
    dalle_from_shards,
    dvae_from_shards,
    lanes_of,
    what_was_read,
)

__all__ = ["PARTS", "machine", "make_stage", "precomputed_tokens", "publish", "train_part"]


def train_part(
    part: str,
    config_name: str | Path,
    out: Path,
    sources: Sequence[dict] | None = None,
    resume: bool = False,
    progress: bool = True,
    until: int | None = None,
    device: str = "cpu",
    start: Path | None = None,
) -> Path:
    """Trains one part of a model into the folder `out` and returns the file of its weights. Started by
    torchrun, on all of its processes together.

    `sources` replaces the configuration's data. `until` stops early, at a checkpoint to resume from. `start`:
    the folder of a finished model, with whose weights this part begins; its earlier parts come along, where
    `out` has none. Raises ReaderError where `out` already holds this part (and not `resume`), or
    what this part needs is not trained yet; nothing is overwritten.
    """
    with together(device) as own_device:
        return _train_part(part, config_name, out, sources, resume, progress, until, own_device, start)


@alone
def _train_part(part, config_name, out, sources, resume, progress, until, device, start) -> Path:
    if part not in PARTS:
        raise unknown_name("part to train", part, PARTS)
    if start is not None and resume:
        raise ReaderError("--resume goes on from the checkpoint, whatever it began with: leave --start out.")
    config = read_config(config_name)
    training = config.training_of(part)
    folder = Folder(Path(out))
    begun = start_folder(Path(start), part) if start is not None else None
    first_only(lambda: folder.check(part, resume, begun))
    source = folder.config_file(config_name)
    used = folder.sources(config, part, sources)
    data = streamed(used)
    if data is None:
        data = mixture(used, config.dvae.image_size, progress=progress and rank() == 0)
    else:
        check_tokens(data, part)
        data.lanes = lanes_of(folder.checkpoint(part)) if resume else None
    first_only(lambda: folder.begin(source, part, sources))  # not before all that can be wrong was looked at
    if begun is not None:
        first_only(lambda: take_along(begun, folder, part))
    tokenizer = first_then_others(lambda: folder.tokenizer(config, data))
    torch.manual_seed(training.seed)
    stage = make_stage(part, config, data, tokenizer, folder, device, fresh=not resume and begun is None)
    if begun is not None:
        begin_with(stage.model, begun.weights(part))
    shape = getattr(config, "dvae" if part == "decoder" else part)
    about = {"model": dataclasses.asdict(shape), "data": data.fingerprint()}
    run = Run(stage.model, training, about, stage.stream)
    if resume:
        run.restore(folder.work(part))
    plain = count() == 1 and training.accumulate == 1
    loss = stage.loss if plain else shared_loss(stage, training)
    with contextlib.closing(stage.stream) if stage.stream else contextlib.nullcontext():
        train(run, stage.batch, loss, folder.work(part), progress, until, work_of(part, config))
    if run.step >= training.steps:
        weights, seen = run.weights(), what_was_read(stage.stream) or {"pictures": len(data)}
        if rank() == 0:
            model = stage.model
            if started_by_torchrun():  # the sharded one gives way to a whole one
                model = make_stage(part, config, data, tokenizer, folder, "cpu", False, whole=True).model
            model.load_state_dict(weights)
            settle(model)
            folder.finish(part, model, data, run, seen)
    return folder.weights(part)


def work_of(part: str, config: Config) -> Work:
    """What one picture takes in the training of a part."""
    training = config.training_of(part)
    operations = training_operations(config)[part] / (training.batch_size * training.steps)
    return Work(operations, config.dalle.length if part == "dalle" else 0)


def make_stage(
    part: str,
    config: Config,
    data: Mixture | Streamed,
    tokenizer: CaptionTokenizer,
    folder: Folder,
    device: str = "cpu",
    fresh: bool = True,
    whole: bool = False,
) -> Stage:
    """The stage of a part as the configuration says, with what earlier parts left in `folder`; `fresh` gives
    a dVAE its first codebook of patches, which a checkpoint would bring along. Under torchrun its model is
    sharded, unless it is to be `whole`."""
    training, spreads = config.training_of(part), started_by_torchrun() and not whole
    streams = isinstance(data, Streamed)
    if part == "clip":
        clip = build_clip(config.clip, tokenizer).to(device)
        stage = clip_stage(clip, data, tokenizer, config.clip_recipe, training.batch_size)
        stage = clip_from_shards(stage, config, data, tokenizer) if streams else stage
    elif part in ("dvae", "decoder"):
        vae = DiscreteVAE(config.dvae)
        if part == "decoder":
            load_weights(vae, folder.weights("dvae"))
        elif fresh:
            start_patches(vae, data, training.seed)
        make = {"dvae": dvae_stage, "decoder": decoder_stage}[part]
        stage = make(vae.to(device), data, config.dvae_recipe, training.batch_size)
        stage = dvae_from_shards(stage, config, part, data) if streams else stage
    else:
        vae, tokens = load_weights(DiscreteVAE(config.dvae), folder.weights("dvae")).to(device), None
        if streams:
            check_tokens(data, part, vae)
        elif not whole:
            kept = folder.work("dalle") / "tokens.safetensors"
            tokens = first_then_others(partial(precomputed_tokens, vae, data, kept))
        recipe = config.dalle_recipe
        if spreads and not recipe.appearance:  # never whole, on any process
            with torch.device("meta"), Recorded() as recorded:
                dalle = Dalle(config.dalle)
            recorded.name(dalle)
            dalle = spread(dalle, training, device, recorded)
        else:
            dalle = Dalle(config.dalle).to(device)
        stage = dalle_stage(dalle, tokens, data, tokenizer, recipe, training.batch_size, vae.cpu())
        stage = dalle_from_shards(stage, config, data, tokenizer, vae) if streams else stage
    if spreads and not isinstance(next(stage.model.parameters()), DTensor):
        spread(stage.model, training, device)
    if part == "dalle" and training.recompute:
        recompute(stage.model)
    if part == "dalle" and training.compile:
        for block in stage.model.transformer.blocks:
            block.compile()
    return stage


def publish(folder: Path, target: Path, precision: torch.dtype = torch.float16) -> None:
    """Copies what a reader needs of a trained model, without its checkpoints: configuration, tokenizer, known
    words, weights, what each part was trained with, and its loss curves, one row in ten, as
    `dvae-history.jsonl` and so on. The weights are stored in 16 bits, unless another `precision` is given;
    they are loaded to 32 again.

    Raises ReaderError unless all of a drawing model is there.
    """
    folder, target = Path(folder), Path(target)
    wanted = ["config.toml", "tokenizer.json", "dvae.safetensors", "dalle.safetensors"]
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        raise ReaderError(f"{folder} lacks {', '.join(missing)}: train all parts first.")
    copy_finished(folder, target, precision)


def copy_finished(folder: Path, target: Path, precision: torch.dtype = torch.float16) -> None:
    """`publish` of the parts that are finished, however many these are."""
    make_folder(target)
    for path in [*folder.glob("*.toml"), folder / "tokenizer.json", *folder.glob("words.json")]:
        copy_file(path, target / path.name)
    for path in folder.glob("*.safetensors"):
        write_tensors(target / path.name, rounded(read_tensors(path), precision))
    for part in PARTS:
        history = folder / f"training-{part}" / "history.jsonl"
        if history.is_file():
            rows = [row for row in read_history(history) if row["step"] % 10 == 0]
            short = [{key: float(f"{value:.4g}") for key, value in row.items()} for row in rows]
            write_text(target / f"{part}-history.jsonl", "".join(json.dumps(row) + "\n" for row in short))


def precomputed_tokens(vae: DiscreteVAE, data: Mixture, path: Path) -> Tensor:
    """The tokens of all pictures, (N, height * width), computed once and kept in `path` while encoder and
    data stay the same."""
    key = weights_digest(vae, without="decoder.", start=data.fingerprint().encode())
    # A file that is damaged is made anew, like one that is missing.
    with contextlib.suppress(SafetensorError, FileNotFoundError), safe_open(path, framework="pt") as file:
        if (file.metadata() or {}).get("key") == key:
            return file.get_tensor("tokens")
    tokens = tokens_of(vae, data)
    write_tensors(path, {"tokens": tokens}, {"key": key})
    return tokens
