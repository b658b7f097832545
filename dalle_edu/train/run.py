"""From a configuration to trained weights: what `dalle-edu train dvae|clip|dalle` does, each stage in a
function.

A model is a folder: config.toml, tokenizer.json, and dvae.safetensors, clip.safetensors, dalle.safetensors.
Stage one is frozen before stage two begins (Ramesh et al. 2021, section 2): the transformer trains on the
argmax tokens of the finished dVAE.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import platform
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dalle_edu.configs import FOLDER, Config, read_config
from dalle_edu.dalle import Dalle, with_noise, without_some_captions
from dalle_edu.data.augment import shifted, similar_batch, spoilt
from dalle_edu.data.mixture import Mixture, mixture
from dalle_edu.data.vary import crop_filled, varied_crops
from dalle_edu.data.words import KnownWords
from dalle_edu.dvae import DiscreteVAE
from dalle_edu.errors import ReaderError, unknown_name
from dalle_edu.files import load_weights, read_history, read_tensors, rounded, write_tensors, write_text
from dalle_edu.reranking import build_clip
from dalle_edu.tokens import CaptionTokenizer
from dalle_edu.train.appearance import learn_from_appearance, settle
from dalle_edu.train.lock import alone
from dalle_edu.train.loop import Run, TrainingConfig, cosine, train

PARTS = ("dvae", "decoder", "clip", "dalle")


@alone
def train_part(
    part: str,
    config_name: str | Path,
    out: Path,
    sources: Sequence[dict] | None = None,
    resume: bool = False,
    progress: bool = True,
    until: int | None = None,
    device: str = "cpu",
) -> Path:
    """Trains one part of a model into the folder `out` and returns the file of its weights.

    `sources` replaces the configuration's data. `until` stops early, at a checkpoint to resume from. Raises
    ReaderError where `out` already holds this part (and not `resume`), or what this part needs is not trained
    yet; nothing is overwritten.
    """
    if part not in PARTS:
        raise unknown_name("part to train", part, PARTS)
    config = read_config(config_name)
    section = "dvae.decoder.training" if part == "decoder" else f"{part}.training"
    training = getattr(config, section.replace(".", "_"))
    if training is None:
        raise ReaderError(f"The configuration {config.name} has no [{section}] section.")
    out = Path(out)
    work, finished = out / f"training-{part}", out / f"{part}.trained.toml"
    weights = out / ("dvae.safetensors" if part == "decoder" else f"{part}.safetensors")
    started = (
        finished.exists() or (work / "checkpoint.json").exists() or (part != "decoder" and weights.exists())
    )
    if not resume and started:
        raise ReaderError(f"{out} already holds a {part}: go on with --resume, or choose another --out.")
    if resume and not (work / "checkpoint.json").is_file():
        raise ReaderError(f"{out} holds no checkpoint of a {part}: start the training without --resume.")
    if part in ("dalle", "decoder") and not (out / "dvae.safetensors").is_file():
        name = {"dalle": "transformer", "decoder": "decoder"}[part]
        raise ReaderError(f"The {name} needs a finished dVAE: run `dalle-edu train dvae --out {out}` first.")
    source = _config_file(config_name, config, out)
    data = mixture(sources or config.data_for(part), config.dvae.image_size, progress=progress)
    out.mkdir(parents=True, exist_ok=True)  # not before all that can be wrong was looked at
    if not (out / "config.toml").exists():
        shutil.copyfile(source, out / "config.toml")
    tokenizer = _tokenizer(config, data, out)
    torch.manual_seed(training.seed)
    stage: Callable = {"dvae": _dvae, "decoder": _decoder, "clip": _clip, "dalle": _dalle}[part]
    model, batch, loss = stage(config, training, data, tokenizer, out, device, fresh=not resume)
    model.to(device)
    part_config = getattr(config, "dvae" if part == "decoder" else part)
    run = Run(model, training, {"model": dataclasses.asdict(part_config), "data": data.fingerprint()})
    if resume:
        run.restore(work)
    train(run, batch, loss, work, progress, until)
    if run.step >= training.steps:
        model.load_state_dict(run.weights())
        settle(model)
        write_tensors(weights, model.state_dict())
        if part == "dalle":
            KnownWords.of(way for ways in data.captions for way in ways).save(out)
        record = {
            "steps": run.step,
            "seconds": round(run.seconds),
            "machine": machine(),
            "pictures": len(data),
        }
        lines = [f"{key} = {value!r}".replace("'", '"') for key, value in record.items()]
        write_text(finished, "\n".join(lines) + "\n")
    return weights


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
    target.mkdir(parents=True, exist_ok=True)
    for path in [*folder.glob("*.toml"), folder / "tokenizer.json", *folder.glob("words.json")]:
        shutil.copyfile(path, target / path.name)
    for path in folder.glob("*.safetensors"):
        write_tensors(target / path.name, rounded(read_tensors(path), precision))
    for part in PARTS:
        history = folder / f"training-{part}" / "history.jsonl"
        if history.is_file():
            rows = [row for row in read_history(history) if row["step"] % 10 == 0]
            short = [{key: float(f"{value:.4g}") for key, value in row.items()} for row in rows]
            write_text(target / f"{part}-history.jsonl", "".join(json.dumps(row) + "\n" for row in short))


def machine() -> str:
    """This machine in words: processor, threads, PyTorch."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{platform.machine()} CPU"
    return f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__.partition('+')[0]}"


def _config_file(name: str | Path, config: Config, out: Path) -> Path:
    """The file that `name` means. Raises ReaderError where the folder `out` belongs to another
    configuration."""
    source = (
        Path(name)
        if Path(name).suffix == ".toml" and Path(name).is_file()
        else FOLDER / f"{config.name}.toml"
    )
    target = out / "config.toml"
    if target.exists() and target.read_text(encoding="utf-8") != source.read_text(encoding="utf-8"):
        raise ReaderError(f"{target} differs from {source}: train with the former, or choose another --out.")
    return source


def _tokenizer(config: Config, data: Mixture, out: Path) -> CaptionTokenizer:
    path = out / "tokenizer.json"
    if not path.exists():
        captions = [way for ways in data.captions for way in ways]
        CaptionTokenizer.train(captions, config.tokenizer_vocabulary).save(path)
    return CaptionTokenizer.load(path)


def _dvae(
    config: Config, training: TrainingConfig, data: Mixture, tokenizer, out: Path, device: str, fresh: bool
):
    model = DiscreteVAE(config.dvae)
    if model.patch_codebook is not None and fresh:
        generator = torch.Generator().manual_seed(training.seed)
        model.patch_codebook.fit(data.images(data.draw(4000, generator)), generator)
    schedule, crop = config.schedule, config.crop or config.dvae.image_size

    def batch(step: int, generator: torch.Generator) -> Tensor:
        images = data.images(data.draw(training.batch_size, generator))
        if config.varied:
            return varied_crops(images, crop, generator).to(device)
        return crop_filled(images, crop, config.dvae.downsampling, generator).to(device)

    def loss(model: nn.Module, images: Tensor, step: int, generator: torch.Generator):
        temperature = cosine(
            step, schedule.temperature_start, schedule.temperature_end, schedule.temperature_steps
        )
        kl_weight = cosine(step, 0.0, schedule.kl_weight, schedule.kl_steps)
        return model.loss(images, temperature, kl_weight, generator)

    return model, batch, loss


def _decoder(
    config: Config, training: TrainingConfig, data: Mixture, tokenizer, out: Path, device: str, fresh: bool
):
    """Goes on with the decoder alone. Beside Gumbel noise it learned to bring back mixtures of codes; from
    here on it sees the very tokens that it will be given. The encoder stays, so a transformer that was
    trained on its tokens fits as before."""
    model = load_weights(DiscreteVAE(config.dvae), out / "dvae.safetensors").requires_grad_(False)
    model.decoder.requires_grad_(True)
    crop = config.crop or config.dvae.image_size

    def batch(step: int, generator: torch.Generator) -> Tensor:
        images = data.images(data.draw(training.batch_size, generator))
        if config.varied:
            return varied_crops(images, crop, generator).to(device)
        return crop_filled(images, crop, config.dvae.downsampling, generator).to(device)

    def loss(model: DiscreteVAE, images: Tensor, step: int, generator: torch.Generator):
        codes = F.one_hot(model.encode(images), config.dvae.vocabulary).permute(0, 3, 1, 2).float()
        reconstruction = model.reconstruction_loss(images, codes)
        return {"loss": reconstruction, "reconstruction": reconstruction}

    return model, batch, loss


def _clip(
    config: Config, training: TrainingConfig, data: Mixture, tokenizer, out: Path, device: str, fresh: bool
):
    model = build_clip(config.clip, tokenizer)
    length = config.clip.text_length

    def batch(step: int, generator: torch.Generator):
        indices, captions = similar_batch(data, training.batch_size, config.together, generator)
        images = shifted(data.images(indices), config.shift, generator)
        wrong = spoilt(images, config.clip.patch_size // 2, generator) if config.spoilt else ()
        text = tokenizer.encode(captions, length, cut=True)
        return [tensor.to(device) for tensor in (images, text, *wrong)]

    def loss(model: nn.Module, pairs, step: int, generator: torch.Generator):
        return model.loss(*pairs)

    return model, batch, loss


def _dalle(
    config: Config, training: TrainingConfig, data: Mixture, tokenizer, out: Path, device: str, fresh: bool
):
    if tokenizer.vocabulary > config.dalle.text_vocabulary:
        raise ReaderError(
            f"{out}/tokenizer.json has more word pieces than text_vocabulary: it is of another configuration."
        )
    vae = load_weights(DiscreteVAE(config.dvae), out / "dvae.safetensors").to(device)
    tokens = precomputed_tokens(vae, data, out / "training-dalle" / "tokens.safetensors", device)
    length, padding = config.dalle.text_length, config.dalle.text_vocabulary

    def batch(step: int, generator: torch.Generator):
        indices = data.draw(training.batch_size, generator)
        text = tokenizer.encode(data.draw_captions(indices, generator), length, cut=True, padding=padding)
        return text.to(device), tokens[indices].long().to(device)

    def loss(model: nn.Module, pair, step: int, generator: torch.Generator):
        text, image = pair
        seen = with_noise(image, config.noise, generator)
        if config.caption_dropout:
            text = without_some_captions(text, config.caption_dropout, config.dalle, generator)
        return model.loss(text, image, seen)

    model = Dalle(config.dalle)
    if config.appearance:
        learn_from_appearance(model, vae.cpu())
    return model, batch, loss


def precomputed_tokens(vae: DiscreteVAE, data: Mixture, path: Path, device: str = "cpu") -> Tensor:
    """The tokens of all pictures, (N, height * width) int16, computed once and kept in `path` while encoder
    and data stay the same."""
    from safetensors import SafetensorError, safe_open
    from tqdm.auto import tqdm

    digest = hashlib.sha256(data.fingerprint().encode())
    for name, tensor in sorted(vae.state_dict().items()):
        if name.startswith("decoder."):  # which may go on being trained: it has no say in the tokens
            continue
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    key = digest.hexdigest()[:16]
    # A file that is damaged is made anew, like one that is missing.
    with contextlib.suppress(SafetensorError, FileNotFoundError), safe_open(path, framework="pt") as file:
        if (file.metadata() or {}).get("key") == key:
            return file.get_tensor("tokens")
    chunks = torch.arange(len(data)).split(64)
    rows = [
        vae.encode(data.images(i).to(device)).flatten(1).short().cpu()
        for i in tqdm(chunks, desc="tokens", mininterval=1.0)
    ]
    tokens = torch.cat(rows)
    write_tensors(path, {"tokens": tokens}, {"key": key})
    return tokens
