"""What a reader types first, a single thing that training showed: does the drawing show it? (chapter 13)

A drawing is right where the nearest training picture, of all single things, is its own: the ink of both is
cut out and brought to one size, so it may be drawn anywhere and however large. Beside it stands the ceiling:
real pictures, moved, through the dVAE. Each caption is drawn once for each seed; intervals are of captions,
not of drawings, since drawings of one caption succeed and fail together.
"""

from __future__ import annotations

import re

import numpy as np
import torch
from torch import Tensor

from dalle_edu.data import EmojiPictures
from dalle_edu.drawing import DrawingModel
from dalle_edu.evaluate.asked import emoji_way
from dalle_edu.evaluate.report import interval
from dalle_edu.judges.boxes import cut_all
from dalle_edu.sampling import sample_tokens

SEEDS = (0, 1, 2)
TEMPERATURE = 0.5
BATCH = 32
TWIN = 1e-3  # mean squared difference of two cut pictures, below which they are one drawing under two names
MOVES = ((0, 0), (1, 2), (-2, 1), (3, -1))  # pixels, down and right


def single_things(size: int, held_out: str = "names") -> EmojiPictures:
    """The training emoji that show one thing: no flags, and no people by their skin, hair or family."""
    emoji = EmojiPictures(size, "train", held_out=held_out)
    several = re.compile(
        r"skin tone|hair\b|^flag: |^keycap: |^(wo)?man\b|^person\b|^(wo)?men\b|^people\b|^family\b"
    )
    keep = [i for i, caption in enumerate(emoji.captions) if not several.search(caption)]
    emoji._pixels = emoji._pixels[keep]
    emoji.captions = [emoji.captions[i] for i in keep]
    emoji.emoji = [emoji.emoji[i] for i in keep]
    return emoji


def is_own(pictures: Tensor, owners: list[int], library: Tensor) -> list[bool]:
    """Whether each of (N, 3, size, size) is nearest to its `owners`' row of the library (things, numbers)."""
    cuts = cut_all(pictures)
    distance = torch.cdist(cuts, library)
    own = distance[torch.arange(len(cuts)), owners]
    twins = torch.cdist(library[owners], library).square() / library.shape[1] < TWIN
    best = distance.masked_fill(twins, torch.inf).min(1).values
    return (own <= best).tolist()


def some_things(model: DrawingModel, count: int) -> tuple[EmojiPictures, list[int]]:
    """The single things of a model's training, and `count` of them, spread evenly."""
    things = single_things(model.config.dvae.image_size, emoji_way(model))
    spread = torch.linspace(0, len(things) - 1, min(count, len(things)))
    return things, spread.round().long().tolist()


@torch.inference_mode()
def draw_each(model: DrawingModel, captions: list[str], seed: int, **dials: float) -> Tensor:
    """One drawing of each caption, (N, 3, size, size); `dials` as `sample_tokens` takes them."""
    generator = torch.Generator().manual_seed(seed)
    pictures = []
    for start in range(0, len(captions), BATCH):
        text = model.encode_text(captions[start : start + BATCH], cut=True)
        pictures.append(model.pictures(sample_tokens(model.dalle, text, generator=generator, **dials)))
    return torch.cat(pictures)


@torch.inference_mode()
def known(
    model: DrawingModel, captions: int = 128, seeds: tuple[int, ...] = SEEDS, guidance: float = 1.0
) -> dict:
    """Draws `captions` trained single things, once for each seed: {"captions", "seeds", "drawn", "ceiling",
    "wrong"}. The shares "drawn" and "ceiling" are [share, low, high] over captions; "wrong" the captions that
    no seed drew rightly."""
    things, chosen = some_things(model, captions)
    library = cut_all(things.pictures)
    real = torch.cat([things.pictures[[i]].roll(MOVES[n % len(MOVES)], (2, 3)) for n, i in enumerate(chosen)])
    again = model.vae.decode(model.vae.encode(real))
    ceiling = [float(right) for right in is_own(again, chosen, library)]
    drawn = np.zeros((len(chosen), len(seeds)))
    asked = [things.captions[i] for i in chosen]
    for column, seed in enumerate(seeds):
        pictures = draw_each(model, asked, seed, temperature=TEMPERATURE, guidance=guidance)
        drawn[:, column] = is_own(pictures, chosen, library)
    shares = drawn.mean(1).tolist()
    return {
        "captions": len(chosen),
        "things": len(things),
        "seeds": list(seeds),
        "drawn": [float(np.mean(shares)), *interval(shares)],
        "ceiling": [float(np.mean(ceiling)), *interval(ceiling)],
        "wrong": [things.captions[i] for i, share in zip(chosen, shares, strict=True) if share == 0],
    }
