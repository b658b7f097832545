"""The stages of DALL·E, made from models and data: what is trained, how a batch is drawn, what is minimised.

No stage knows a folder; `run.py` does. Stage one is frozen before stage two begins (Ramesh et al. 2021,
section 2): the transformer trains on the argmax tokens of the finished dVAE.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm.auto import tqdm

from dalle_edu.dalle import Dalle, DalleConfig, with_noise, without_some_captions
from dalle_edu.data.augment import shifted, similar_batch, spoilt
from dalle_edu.data.mixture import Mixture
from dalle_edu.data.stream import ShardStream
from dalle_edu.data.streamed import Streamed
from dalle_edu.data.vary import crop_filled, varied_crops
from dalle_edu.dvae import DiscreteVAE
from dalle_edu.errors import ReaderError
from dalle_edu.reranking import PictureClip
from dalle_edu.tokens import CaptionTokenizer, encode_with_dropout
from dalle_edu.train.appearance import learn_from_appearance
from dalle_edu.train.config import ClipRecipe, DalleRecipe, DvaeRecipe
from dalle_edu.train.loop import cosine
from dalle_edu.train.processes import count, everyone, of_all_with_gradient, rank

START = 4_000  # so many pictures are looked at for a first codebook of patches


@dataclass
class Stage:
    """A model, and how it learns, in three steps that depend on nothing but their arguments, which is what
    makes an interrupted run go on exactly.

    `batch(step, generator)` draws the whole batch. `see(batch, step, generator)` does to it what is random
    (noise, words left out) and gives a tuple of tensors, all with the batch in front: so that several
    processes see what one sees, and each takes its slice of it. `compute(model, seen, step, generator)` gives
    the parts of the loss by name, of which "loss" is minimised. Where a part is a mean over something that a
    slice may have more of than another, `weigh(parts, whole, own)` says how much a slice counts. Where
    `compute` draws noise, `noise(n)` says how many numbers it draws for n items. Without `splits`, `compute`
    is given the whole batch on each process and takes its slice by itself: CLIP compares all with all.

    Where batches come out of shards, `stream` is what reads them; with `own`, `batch` gives this process's
    slice alone (`streaming.py`).
    """

    model: nn.Module
    batch: Callable[[int, torch.Generator], object]
    see: Callable[[object, int, torch.Generator], tuple[Tensor, ...]]
    compute: Callable[[nn.Module, tuple[Tensor, ...], int, torch.Generator], Mapping[str, Tensor]]
    weigh: Callable[[Mapping, tuple[Tensor, ...], tuple[Tensor, ...]], Mapping[str, Tensor]] | None = None
    noise: Callable[[int], int] | None = None
    splits: bool = True
    stream: ShardStream | None = None
    own: bool = False

    def loss(self, model: nn.Module, batch: object, step: int, generator: torch.Generator):
        """The loss of a whole batch in one piece."""
        return self.compute(model, self.see(batch, step, generator), step, generator)


def dvae_stage(vae: DiscreteVAE, data: Mixture, recipe: DvaeRecipe, batch_size: int) -> Stage:
    """The dVAE on its pictures, temperature and KL weight along their schedules (A.2)."""
    schedule = recipe.schedule

    def compute(model: nn.Module, seen: tuple[Tensor, ...], step: int, generator: torch.Generator):
        temperature = cosine(
            step, schedule.temperature_start, schedule.temperature_end, schedule.temperature_steps
        )
        kl_weight = cosine(step, 0.0, schedule.kl_weight, schedule.kl_steps)
        return model.loss(seen[0], temperature, kl_weight, generator)

    side = (recipe.crop or vae.config.image_size) // vae.config.downsampling
    numbers = vae.config.vocabulary * side**2  # a Gumbel number for each code at each place
    squares = _squares(vae, data, recipe, batch_size)
    return Stage(vae, squares, _as_drawn, compute, noise=lambda items: items * numbers)


def start_patches(vae: DiscreteVAE, data: Mixture | Streamed, seed: int) -> None:
    """Gives a dVAE that has a codebook of patches its first one, by k-means over some pictures."""
    if vae.patch_codebook is not None:
        generator = torch.Generator().manual_seed(seed)
        some = data.sample(vae.config.image_size, START) if isinstance(data, Streamed) else data
        vae.patch_codebook.fit(some.images(some.draw(START, generator)), generator)


def decoder_stage(vae: DiscreteVAE, data: Mixture, recipe: DvaeRecipe, batch_size: int) -> Stage:
    """Goes on with the decoder alone. Beside Gumbel noise it learned to bring back mixtures of codes; from
    here on it sees the very tokens that it will be given. The encoder stays, so a transformer that was
    trained on its tokens fits as before."""
    vae.requires_grad_(False)
    vae.decoder.requires_grad_(True)

    def compute(model: DiscreteVAE, seen: tuple[Tensor, ...], step: int, generator: torch.Generator):
        (images,) = seen
        codes = F.one_hot(model.encode(images), model.config.vocabulary).permute(0, 3, 1, 2).float()
        reconstruction = model.reconstruction_loss(images, codes)
        return {"loss": reconstruction, "reconstruction": reconstruction}

    return Stage(vae, _squares(vae, data, recipe, batch_size), _as_drawn, compute)


def clip_stage(
    clip: PictureClip, data: Mixture, tokenizer: CaptionTokenizer, recipe: ClipRecipe, batch_size: int
) -> Stage:
    """CLIP on pairs of pictures and captions."""
    if isinstance(data, Mixture) and len(data) < 2:
        raise ReaderError(
            f"CLIP learns to tell pictures apart, and there is {len(data)}: give it two pictures at least."
        )

    def batch(step: int, generator: torch.Generator):
        indices, captions = similar_batch(data, batch_size, recipe.together, generator, recipe.near)
        text = tokenizer.encode(captions, clip.config.text_length, cut=True)
        return clip_batch(clip, data.images(indices), text, recipe, generator)

    mesh = everyone(device_of(clip))

    def compute(model: nn.Module, seen: tuple[Tensor, ...], step: int, generator: torch.Generator):
        with scores_written_down(device_of(model)):
            return model.loss(*seen) if mesh is None else clip_loss_together(model, seen, mesh)

    return Stage(clip, batch, _as_drawn, compute, splits=False)


def scores_written_down(device: torch.device):
    """A context in which a processor that computes in bfloat16 writes all scores of an attention down: on the
    way back PyTorch's fused attention takes two to four times as long there, at the lengths that CLIP has
    (`benchmarks/written_down.py`). Elsewhere nothing changes."""
    slow = device.type == "cpu" and torch.is_autocast_enabled("cpu")
    return sdpa_kernel(SDPBackend.MATH) if slow else contextlib.nullcontext()


def clip_loss_together(
    model: PictureClip, seen: tuple[Tensor, ...], mesh: DeviceMesh
) -> Mapping[str, Tensor]:
    """CLIP's loss of the whole batch `seen`, of which each process embeds its slice of pictures, texts and
    spoilt copies, and compares these with the embeddings of all. The mean over processes is what one process
    computes, and so is the mean of the gradients.

    A batch is as long as it has different captions, so slices may differ by some rows. What is sent must not:
    a short slice is filled up with the last pair, whose copies are cut off behind the gathered rows.
    """
    n, processes = len(seen[0]), count()
    size = -(-n // processes)
    own = (torch.arange(size, device=seen[0].device) + rank() * size).clamp_max(n - 1)
    images, text, *wrong = seen
    pictures, texts, scale = model(images[own], text[own])
    others = [model.embed_pictures(wrong[0][own])] if wrong else []
    pictures, texts, *others = (of_all_with_gradient(e, mesh)[:n] for e in (pictures, texts, *others))
    rows = slice(min(n, rank() * size), min(n, (rank() + 1) * size))
    parts = model.compare(pictures, texts, scale, *(others or [None]), *(wrong[1:] or [None]), rows)
    return {name: part * processes for name, part in parts.items()}


def clip_batch(
    clip: PictureClip, images: Tensor, text: Tensor, recipe: ClipRecipe, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """What CLIP is shown of pictures (batch, 3, size, size) with their texts (batch, text_length): the
    pictures moved, the texts, and where the recipe has them spoilt copies and which of them one can tell."""
    images = shifted(images, recipe.shift, generator)
    wrong = spoilt(images, clip.config.patch_size // 2, generator) if recipe.spoilt else ()
    return tuple(tensor.to(device_of(clip)) for tensor in (images, text, *wrong))


def dalle_stage(
    dalle: Dalle,
    tokens: Tensor,
    data: Mixture,
    tokenizer: CaptionTokenizer,
    recipe: DalleRecipe,
    batch_size: int,
    vae: DiscreteVAE | None = None,
) -> Stage:
    """The transformer on captions and the finished `tokens` (len(data), picture_length) of their pictures.

    `vae` is what `recipe.appearance` looks at. Raises ReaderError where the tokenizer has more word pieces
    than the model has room for.
    """
    config, device = dalle.config, device_of(dalle)
    if tokenizer.vocabulary > config.text_vocabulary:
        raise ReaderError(
            f"The tokenizer has {tokenizer.vocabulary} word pieces, the model room for "
            f"{config.text_vocabulary}: it is of another configuration."
        )
    if recipe.appearance and vae is not None:
        learn_from_appearance(dalle, vae)

    def batch(step: int, generator: torch.Generator):
        indices = data.draw(batch_size, generator)
        captions = data.draw_captions(indices, generator)
        text = spelled(tokenizer, captions, config, recipe.bpe_dropout, generator)
        return text.to(device), tokens[indices].long().to(device)

    def see(pair, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        text, image = pair
        seen = with_noise(image, recipe.noise, generator)
        if recipe.caption_dropout:
            text = without_some_captions(text, recipe.caption_dropout, config, generator)
        return text, image, seen

    def compute(model: nn.Module, seen: tuple[Tensor, ...], step: int, generator: torch.Generator):
        return model.loss(*seen)

    def weigh(parts: Mapping[str, Tensor], whole: tuple[Tensor, ...], own: tuple[Tensor, ...]):
        """The text's loss is a mean over words, and a slice may hold more of them than another."""
        words = [(one[0][:, 1:] < config.text_vocabulary).sum() for one in (whole, own)]
        text = parts["text"] * words[1] * len(whole[0]) / (words[0].clamp_min(1) * len(own[0]))
        loss = config.text_weight * text + (1 - config.text_weight) * parts["image"]
        return {"loss": loss, "text": text, "image": parts["image"]}

    return Stage(dalle, batch, see, compute, weigh)


def spelled(
    tokenizer: CaptionTokenizer,
    captions: list[str],
    config: DalleConfig,
    dropout: float,
    generator: torch.Generator,
    first: int = 0,
    of: int | None = None,
) -> Tensor:
    """Captions as the transformer is trained on them, (batch, text_length) int64: with the chance `dropout`
    that a join of word pieces is left out (the paper, section 2.2: 0.1).

    `captions` are those from the `first` on of a batch of `of` (None: all of it). Each is spelled by a seed
    of its own, so that several processes spell together what one spells.
    """
    length, padding = config.text_length, config.text_vocabulary
    if not dropout:
        return tokenizer.encode(captions, length, cut=True, padding=padding)
    seeds = torch.randint(2**62, (of or len(captions),), generator=generator)[first:].tolist()
    rows = [
        encode_with_dropout(
            tokenizer, [caption], length, dropout, torch.Generator().manual_seed(seed), padding
        )
        for caption, seed in zip(captions, seeds, strict=False)
    ]
    return torch.cat(rows)


@torch.inference_mode()
def tokens_of(vae: DiscreteVAE, data: Mixture, batch: int = 64) -> Tensor:
    """The most probable tokens of all pictures, (len(data), height * width): int16, or int32 where the
    vocabulary is larger than that holds."""
    kept = torch.int16 if vae.config.vocabulary <= 2**15 else torch.int32
    rows = [
        vae.encode(data.images(some).to(device_of(vae))).flatten(1).to("cpu", kept)
        for some in tqdm(torch.arange(len(data)).split(batch), desc="tokens", mininterval=1.0)
    ]
    return torch.cat(rows)


def _squares(vae: DiscreteVAE, data: Mixture, recipe: DvaeRecipe, batch_size: int):
    """The batches of dVAE and decoder: pictures, or squares of them."""
    crop, device = recipe.crop or vae.config.image_size, device_of(vae)

    def batch(step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        images = data.images(data.draw(batch_size, generator))
        if recipe.varied:
            squares = varied_crops(images, crop, generator)
        else:
            squares = crop_filled(images, crop, vae.config.downsampling, generator)
        return (squares.to(device),)

    return batch


def _as_drawn(batch: tuple[Tensor, ...], step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """What is seen is the batch itself."""
    return batch


def device_of(model: nn.Module) -> torch.device:
    """Where a model's weights are."""
    return next(model.parameters()).device
