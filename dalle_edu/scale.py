"""What a configuration costs, before anybody pays for it: parameters, memory, arithmetic (chapter 14).

    FLOPs a token:  forward = 2 * parameters that multiply it,  training = 3 * forward

(Kaplan et al. 2020, section 2.1.)

Models are built on PyTorch's meta device: shapes without
numbers, so that 12 billion parameters take no memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from dalle_edu.configs import Config
from dalle_edu.dalle import Dalle, DalleConfig
from dalle_edu.dvae import DiscreteVAE
from dalle_edu.machine.columns import columns
from dalle_edu.masks import mask_entries
from dalle_edu.reranking import ClipConfig, PictureClip


@dataclass(frozen=True)
class Part:
    """One line: a part of a model, its parameters, and its forward FLOPs for one picture with its text."""

    name: str
    parameters: int
    flops: int


def count_parameters(module: nn.Module) -> int:
    """Number of trained numbers in a module."""
    return sum(p.numel() for p in module.parameters())


def parts(config: Config) -> list[Part]:
    """The parts of both stages, in the order in which a picture meets them."""
    with torch.device("meta"):
        vae = DiscreteVAE(config.dvae)
    out = [
        Part("dVAE encoder", count_parameters(vae.encoder), _convolution_flops(vae.encoder, config)),
        Part("dVAE decoder", count_parameters(vae.decoder), _convolution_flops(vae.decoder, config)),
    ]
    if vae.patch_codebook is not None:
        patches = count_parameters(vae.patch_codebook)
        out.append(Part("dVAE patch codebook", patches, 4 * patches * config.dalle.picture_length))
    return out + dalle_parts(config.dalle)


def dalle_parts(c: DalleConfig) -> list[Part]:
    """The parts of the transformer, in the order in which a token meets them."""
    with torch.device("meta"):
        dalle = Dalle(c)
    t = dalle.transformer
    attention = sum(count_parameters(b.attention) + count_parameters(b.attention_norm) for b in t.blocks)
    mlp = sum(count_parameters(b.mlp) + count_parameters(b.mlp_norm) for b in t.blocks)
    # A query and a key that may look at each other: one product for the score, one for the mixture.
    entries = sum(mask_entries(kind, c.text_length, c.grid, c.kernel) for kind in t.config.kinds)
    embeddings = sum(
        count_parameters(m)
        for m in (
            dalle.text_embedding,
            dalle.text_position,
            dalle.image_embedding,
            dalle.row_position,
            dalle.column_position,
        )
    )
    text_head, image_head = count_parameters(dalle.text_logits), count_parameters(dalle.image_logits)
    head_flops = 2 * (text_head * (c.text_length - 1) + image_head * c.picture_length)
    return [
        Part("DALL·E embeddings", embeddings, 0),
        Part("DALL·E attention", attention, 2 * attention * c.length + 4 * c.width * entries),
        Part("DALL·E networks", mlp, 2 * mlp * c.length),
        Part("DALL·E last norm and logits", text_head + image_head + count_parameters(t.norm), head_flops),
    ]


def clip_parts(c: ClipConfig | None, vocabulary: int = 0) -> list[Part]:
    """The two towers of CLIP. Without CLIP, none."""
    if c is None:
        return []
    with torch.device("meta"):
        clip = PictureClip(c, vocabulary)
    seeing, all_of_it = count_parameters(clip.clip.visual), count_parameters(clip)
    pictures, texts = clip_flops(c)
    return [Part("CLIP, pictures", seeing, pictures), Part("CLIP, texts", all_of_it - seeing, texts)]


def clip_flops(c: ClipConfig) -> tuple[int, int]:
    """Forward FLOPs of CLIP's blocks for one picture and for one text: twelve times its width squared
    multiplies a token in a block, each weight twice."""
    patches = (c.image_size // c.patch_size) ** 2 + 1
    return (
        24 * c.width**2 * c.depth * patches,
        24 * c.text_width**2 * c.text_depth * c.text_length,
    )


def training_operations(config: Config) -> dict[str, float]:
    """Operations that training each part takes in all, forward and backward: three times forward."""
    forward = {part.name: part.flops for part in parts(config)}
    encoder, decoder = forward["dVAE encoder"], forward["dVAE decoder"]
    seen = (config.dvae_recipe.crop / config.dvae.image_size) ** 2 if config.dvae_recipe.crop else 1.0
    pictures = {
        "dvae": ((encoder + decoder) * seen, config.dvae_training),
        "decoder": (decoder * seen, config.dvae_decoder_training),
        "clip": (sum(clip_flops(config.clip)) if config.clip else 0, config.clip_training),
        "dalle": (sum(f for name, f in forward.items() if "DALL" in name), config.dalle_training),
    }
    return {
        part: 3 * operations * training.batch_size * training.steps
        for part, (operations, training) in pictures.items()
        if training is not None
    }


def _convolution_flops(module: nn.Module, config: Config) -> int:
    """Two FLOPs a weight and place, read off a forward pass on the meta device."""
    total = 0

    def count(layer, _, output):
        nonlocal total
        total += 2 * layer.weight.numel() * output.shape[-1] * output.shape[-2]

    handles = [m.register_forward_hook(count) for m in module.modules() if isinstance(m, nn.Conv2d)]
    side = config.dvae.image_size
    encoder = (
        hasattr(module.blocks.input, "weight")
        and module.blocks.input.in_channels == 3 * config.dvae.patch_size**2
    )
    shape = (1, 3, side, side) if encoder else (1, config.dvae.vocabulary, *config.dvae.grid)
    module(torch.empty(shape, device="meta"))
    for handle in handles:
        handle.remove()
    return total


def table(config: Config) -> str:
    """The parts as text, with totals and the memory that training takes."""
    rows, stages = parts(config), []
    for stage in ("dVAE", "DALL·E"):
        own = [row for row in rows if row.name.startswith(stage)]
        stages.append(Part(f"{stage}, all", sum(r.parameters for r in own), sum(r.flops for r in own)))
    total = sum(row.parameters for row in rows)
    rows += stages + clip_parts(config.clip, config.tokenizer.vocabulary)
    cells = [[row.name, f"{row.parameters:,}", f"{row.flops / 1e9:,.2f}"] for row in rows]
    lines = [columns(["", "parameters", "GFLOPs a picture"], cells)]
    lines.append(f"memory: {total * 4 / 1e9:.2f} GB of weights in 32 bits, {total * 2 / 1e9:.2f} GB in 16;")
    lines.append(f"        {total * 16 / 1e9:.2f} GB to train in 32 bits with AdamW, activations apart")
    c = config.dalle
    lines.append(f"stream: {c.text_length} text + {c.grid[0]} x {c.grid[1]} picture = {c.length} positions")
    return "\n".join(lines)
