"""Stages whose batches come out of shards: the same models, the same losses, and nothing held but a buffer.

Each process reads its own shards (`data/stream.py`). The dVAE keeps to its slice of a batch. Tokens are
small, and CLIP looks for captions that come twice in all of a batch and spoils pictures by others of it, so
of these each process gets the slices of all, and everything after that is what it is for data in memory.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from dalle_edu.configs.schema import Config
from dalle_edu.data.readers import PictureReader, TokenReader
from dalle_edu.data.stream import NAMED, ShardStream, gathered
from dalle_edu.data.streamed import Streamed
from dalle_edu.dvae import DiscreteVAE
from dalle_edu.errors import ReaderError
from dalle_edu.files import weights_digest
from dalle_edu.tokens import CaptionTokenizer
from dalle_edu.train.checkpoint import read_about
from dalle_edu.train.processes import count, of_all, rank
from dalle_edu.train.stages import Stage, clip_batch, device_of, spelled


def check_tokens(data: Streamed, part: str, vae: DiscreteVAE | None = None) -> None:
    """Raises ReaderError where shards hold tokens and `part` needs pictures, or they are of another dVAE than
    `vae`."""
    if data.tokens is None:
        return
    if part != "dalle":
        raise ReaderError(
            f"These shards hold tokens, and the {part} learns from pictures: make shards without --tokens."
        )
    if vae is not None and data.tokens["dvae"] != (ours := weights_digest(vae, without="decoder.")):
        raise ReaderError(
            f"The shards hold tokens of another dVAE ({data.tokens['dvae']}) than this model's ({ours}): "
            "make them with --tokens and this model's folder."
        )


def dvae_from_shards(stage: Stage, config: Config, part: str, data: Streamed) -> Stage:
    """The stage of the dVAE, or of its decoder, on random squares of the streamed pictures."""
    training, recipe = config.training_of(part), config.dvae_recipe
    crop = recipe.crop if recipe.crop < config.dvae.image_size else 0
    stream = _open(data, PictureReader(config.dvae.image_size, "dvae", crop), training)

    def batch(step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        return (stream.batch(step)[0].to(device_of(stage.model)),)

    return dataclasses.replace(stage, batch=batch, stream=stream, own=True)


def clip_from_shards(stage: Stage, config: Config, data: Streamed, tokenizer: CaptionTokenizer) -> Stage:
    """The stage of CLIP on the streamed pairs, each caption once in a batch."""
    clip, recipe = stage.model, config.clip_recipe
    stream = _open(data, PictureReader(config.dvae.image_size, "dalle"), config.training_of("clip"))

    def batch(step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        images, captions = stream.batch(step)
        text = tokenizer.encode(captions, clip.config.text_length, cut=True)
        pixels = (images * 255).round().to(torch.uint8)  # a quarter of what has to be sent
        pixels, text = (of_all(tensor.to(device_of(clip))).cpu() for tensor in (pixels, text))
        first = {tuple(row): index for index, row in reversed(list(enumerate(text.tolist())))}
        once = torch.tensor(
            sorted(first.values())
        )  # a caption that comes twice would be its own wrong answer
        return clip_batch(clip, pixels[once].float() / 255, text[once], recipe, generator)

    return dataclasses.replace(stage, batch=batch, stream=stream)


def dalle_from_shards(
    stage: Stage, config: Config, data: Streamed, tokenizer: CaptionTokenizer, vae: DiscreteVAE
) -> Stage:
    """The stage of the transformer on stored tokens, or on the tokens that `vae` gives streamed pictures."""
    shape, device, training = config.dalle, device_of(stage.model), config.training_of("dalle")
    if data.tokens is not None:
        read = TokenReader(shape.grid, shape.image_vocabulary)
    else:
        read = PictureReader(config.dvae.image_size, "dalle")
        vae = vae.to(device).eval()
    stream = _open(data, read, training)

    @torch.no_grad()
    def batch(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        image, captions = stream.batch(step)
        first, dropout = rank() * len(captions), config.dalle_recipe.bpe_dropout
        text = spelled(tokenizer, captions, shape, dropout, generator, first, training.batch_size)
        image = image.to(device)
        if data.tokens is None:
            image = vae.encode(image).flatten(1)
        return of_all(text.to(device)), of_all(image)

    return dataclasses.replace(stage, batch=batch, stream=stream)


def lanes_of(checkpoint: Path) -> int | None:
    """How many lanes read the shards when a checkpoint was written."""
    state = read_about(checkpoint)["stream"]
    return len(state["lanes"]) if state else None


def what_was_read(stream: ShardStream | None) -> dict | None:
    """How many shards all processes read, and what they left out of them; all must call it."""
    if stream is None:
        return None
    lanes = gathered(stream.state_dict())["lanes"].values()
    names = [name for lane in lanes for name in lane["names"]]
    broken = sum(lane["broken"] for lane in lanes)
    return {"shards": len(stream.paths), "left_out": broken, "left_out_names": names[:NAMED]}


def _open(data: Streamed, read, training) -> ShardStream:
    return data.stream(read, training.batch_size, training.seed, rank(), count())
