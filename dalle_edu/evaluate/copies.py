"""Is a drawing a copy? The training picture that is nearest to it, and how near (chapter 13).

A drawing is a copy in tokens where its tokens are those that the dVAE gives a training picture, all of them;
a copy in pixels where it is as near to a training picture as that picture's own reconstruction is: the dVAE
can hardly come nearer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dalle_edu.configs.schema import Config
from dalle_edu.data import EmojiPictures, Scenes
from dalle_edu.data.emoji import combination
from dalle_edu.data.mixture import Mixture, mixture
from dalle_edu.data.scenes import FAMILIES
from dalle_edu.data.streamed import streamed
from dalle_edu.drawing import DrawingModel
from dalle_edu.errors import ReaderError
from dalle_edu.evaluate.asked import emoji_way
from dalle_edu.machine.workers import in_order, may_stop
from dalle_edu.reranking import rank

SAMPLES = 8  # drawings a prompt
CHUNK = 4096


@dataclass(frozen=True)
class Nearest:
    """For each of N drawings: `index` (N,) of the nearest training picture, `picture` (N, 3, size, size),
    `caption`, the root mean square `difference` (N,), and whether it is a copy in `tokens` and in `pixels`,
    (N,) bool each.
    """

    index: Tensor
    picture: Tensor
    caption: list[str]
    difference: Tensor
    tokens: Tensor
    pixels: Tensor


@torch.inference_mode()
def nearest(model: DrawingModel, tokens: Tensor, training: Mixture) -> Nearest:
    """The training picture nearest to each drawing, by the squared difference of pixels.

    `tokens` (N, height * width) int64 are the drawings. Raises
    ReaderError where the training pictures have another size.
    """
    drawings = model.pictures(tokens)
    if drawings.shape[1:] != training.pictures.shape[1:]:
        sizes = f"{tuple(drawings.shape[1:])}, the training pictures {tuple(training.pictures.shape[1:])}"
        raise ReaderError(f"The drawings are {sizes}: load them at the model's size.")
    flat = drawings.flatten(1)
    best, index = torch.full((len(flat),), torch.inf), torch.zeros(len(flat), dtype=torch.int64)
    for start in range(0, len(training), CHUNK):
        others = training.pictures[start : start + CHUNK].flatten(1).float() / 255
        # |a - b|^2 without |a|^2, which is the same for all b
        distance, place = (others.square().sum(1) - 2 * flat @ others.T).min(1)
        index = torch.where(distance < best, start + place, index)
        best = torch.minimum(distance, best)
    pictures = training.images(index)
    again = model.vae.encode(pictures).flatten(1)
    difference, own = (
        (one - pictures).square().mean((1, 2, 3)).sqrt() for one in (drawings, model.pictures(again))
    )
    captions = [training.captions[i][0] for i in index.tolist()]
    return Nearest(index, pictures, captions, difference, (tokens == again).all(1), difference <= own + 1e-6)


def forty_prompts(size: int = 64, way: str = "names") -> dict[str, list[str]]:
    """Ten prompts each of four kinds: emoji of the training and of the test split, as they are divided where
    a model's training holds emoji out in this `way` (`splits.py`), held-out people and scenes."""

    def spread(captions: list[str]) -> list[str]:
        return [captions[i] for i in torch.linspace(0, len(captions) - 1, 10).long().tolist()]

    groups = {
        f"emoji, {split}": spread(EmojiPictures(size, split, held_out=way).captions)
        for split in ("train", "test")
    }
    people = [caption for caption in EmojiPictures(size, "held_out").captions if combination(caption)]
    scenes = [
        Scenes(name, size, seed=3, length=2, split="held_out").caption(i) for name in FAMILIES for i in (0, 1)
    ]
    return groups | {"people, held out": spread(people), "scenes, held out": scenes}


def training_pictures(config: Config) -> Mixture:
    """What the transformer was trained on; of shards a sample that fits into memory. Where it was trained on
    tokens, the pictures of the other parts, from which they were made."""
    size, sources = config.dvae.image_size, config.data_for("dalle")
    shards = streamed(sources)
    if shards is not None and shards.tokens is not None:
        sources = config.data
        shards = streamed(sources)
    return mixture(sources, size) if shards is None else shards.sample(size)


def copies(
    model: DrawingModel,
    seed: int = 0,
    samples: int = SAMPLES,
    workers: int | None = None,
    guidance: float | None = None,
) -> dict:
    """Draws the forty prompts, `samples` each, with the model's own guidance unless another is given, and
    looks for copies among all that the model was trained on.

    Returns "figures" for JSON ("groups": counts [copies, drawings] in "tokens" and in "pixels"; "prompts":
    for each the nearest training picture of its best drawing) and, to look at, "drawings" and "nearest",
    (40, 3, size, size) each.
    """
    groups = forty_prompts(model.config.dvae.image_size, emoji_way(model))
    prompts = [(group, prompt) for group, some in groups.items() for prompt in some]
    if guidance is None:
        guidance = model.config.drawing.guidance

    def draw(prompt: str) -> Tensor:
        text = model.encode_text(prompt, cut=True)
        return model.draw_tokens(text, seed, range(samples), lambda *_: may_stop(), guidance=guidance)

    drawn = list(in_order(draw, [prompt for _, prompt in prompts], workers))
    training = training_pictures(model.config)
    found = nearest(model, torch.cat(drawn), training)  # all at once: the training pictures are many
    counted, rows, shown = {}, [], ([], [])
    for i, (group, prompt) in enumerate(prompts):
        counts = counted.setdefault(group, {"tokens": [0, 0], "pixels": [0, 0]})
        for key, count in counts.items():
            count[0] += int(getattr(found, key)[i * samples : (i + 1) * samples].sum())
            count[1] += samples
        drawings = model.pictures(drawn[i])
        best = int(rank(model.score(drawings, prompt))[0])
        at = i * samples + best
        rows.append([group, prompt, found.caption[at], round(float(found.difference[at]), 4)])
        shown[0].append(drawings[best])
        shown[1].append(found.picture[at])
    figures = {"samples": samples, "training_pictures": len(training), "groups": counted, "prompts": rows}
    return {"figures": figures, "drawings": torch.stack(shown[0]), "nearest": torch.stack(shown[1])}
