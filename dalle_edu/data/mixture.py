"""The pictures that a model is trained on: one or several sources, held in memory, each drawn from as often
as it weighs.

A configuration lists them as [[data]] tables: `kind` ("emoji", "scenes", "things", "folder", "shards"),
`weight` (how shards are mixed says `streamed.py`), and what the kind needs: `family` and `length` for scenes
and things, `path` for a folder or shards.
`balance = true` weighs emoji that differ only in skin tone or hair, n of them, by 1 / sqrt(n) each: people
are drawn in six tones, apples in one. `held_out` says what emoji training does without (`splits.py`),
`renderings` how they are drawn (`emoji.py`); of each come `copies` more, each in one of the renderings, moved
by whole `step`s of pixels where it has room, and mirrored where that changes no name. `wordings = true` gives
scenes more than the one caption of their grammar; of one picture in eight also some that leave words unsaid.
`apart = true` leaves out of things what `Scenes` holds out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dalle_edu.data.sources import KINDS, check_source, parse_data
from dalle_edu.errors import ReaderError, unknown_name

__all__ = ["KINDS", "Mixture", "mixture", "parse_data"]

# Of so many pictures one has captions that leave words unsaid: what is mostly unsaid is not heeded.
SELDOM = 8


@dataclass
class Mixture:
    """`pictures` (N, 3, size, size) uint8; `captions[i]`: one or more ways to say what picture i shows;
    `weights` (N,) how often picture i is drawn, relative to the others; `sources` (N,) int64, which of the
    sources it is from (one for all, where nothing is said)."""

    pictures: Tensor
    captions: list[list[str]]
    weights: Tensor
    sources: Tensor | None = None

    def __post_init__(self):
        if self.sources is None:
            self.sources = torch.zeros(len(self.captions), dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.captions)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """`count` indices, drawn by weight with replacement: (count,) int64."""
        edges = self.weights.double().cumsum(0)
        at = torch.rand(count, generator=generator, dtype=torch.float64) * edges[-1]
        return torch.searchsorted(edges, at, right=True).clamp_max(len(self) - 1)

    def images(self, indices: Tensor) -> Tensor:
        """Pictures as the models take them: (len(indices), 3, size, size) float32 in [0, 1]."""
        return self.pictures[indices].float() / 255

    def draw_captions(self, indices: Tensor, generator: torch.Generator) -> list[str]:
        """One caption a picture; where there are several ways to say it, one of them at random."""
        u = torch.rand(len(indices), generator=generator)
        return [
            self.captions[i][int(x * len(self.captions[i]))]
            for i, x in zip(indices.tolist(), u.tolist(), strict=True)
        ]

    @cached_property
    def words(self) -> tuple[Tensor, Tensor, Tensor]:
        """Which words the first caption of each picture has, (N, words of all) sparse float32, a one for
        each; which captions are the same, (N,) int64, a number for each different one; and how many words
        each has, (N,) float32."""
        known: dict[str, int] = {}
        different: dict[str, int] = {}
        places, same = [], []
        for row, (caption, *_) in enumerate(self.captions):
            same.append(different.setdefault(caption, len(different)))
            found = {known.setdefault(word, len(known)) for word in re.findall(r"[\w-]+", caption.lower())}
            places += [(row, word) for word in sorted(found)]
        size = (len(self), len(known))
        at = torch.tensor(places, dtype=torch.int64).reshape(-1, 2).T
        words = torch.sparse_coo_tensor(at, torch.ones(len(places)), size, check_invariants=True)
        return words.coalesce(), torch.tensor(same), torch.bincount(at[0], minlength=len(self)).float()

    def fingerprint(self) -> str:
        """A short hash of pictures, captions and weights: two equal ones are the same data."""
        digest = hashlib.sha256(self.pictures.numpy().tobytes())
        digest.update("\n".join("|".join(ways) for ways in self.captions).encode())
        digest.update(self.weights.numpy().tobytes())
        return digest.hexdigest()[:16]


def mixture(sources: Iterable[Mapping], size: int, split: str = "train", progress: bool = False) -> Mixture:
    """Loads sources at `size` pixels. Raises ReaderError for
    kinds that are not known and sources without pictures."""
    pictures, captions, weights = [], [], []
    for source in map(check_source, sources):
        source_pictures, source_captions = _load(dict(source), size, split, progress)
        if not source_captions:
            raise ReaderError(f"The data {source.get('kind')!r} holds no pictures for the split {split!r}.")
        pictures.append(source_pictures)
        captions += source_captions
        shares = _shares(source_captions) if source.get("balance") else torch.ones(len(source_captions))
        weights.append(float(source.get("weight", 1.0)) * shares / shares.sum())
    if not pictures:
        raise ReaderError(
            "The configuration names no data: add a [[data]] table, or pass --data KIND[:PATH]."
        )
    sources = torch.arange(len(weights)).repeat_interleave(torch.tensor([len(part) for part in weights]))
    return Mixture(torch.cat(pictures), captions, torch.cat(weights), sources)


def _shares(captions: list[list[str]]) -> Tensor:
    things = [re.sub(r"(: | )?[\w-]+ (skin tone|hair)[, ]*", "", ways[0]) for ways in captions]
    count: dict[str, int] = {}
    for thing in things:
        count[thing] = count.get(thing, 0) + 1
    return torch.tensor([count[thing] ** -0.5 for thing in things])


def _load(source: dict, size: int, split: str, progress: bool) -> tuple[Tensor, list[list[str]]]:
    kind = source.get("kind")
    if kind == "emoji":
        return _emoji(source, size, split)
    if kind == "scenes":
        from dalle_edu.data.scenes import Scenes
        from dalle_edu.data.scenes.ways import ways

        family, length = source.get("family", "all"), int(source.get("length", 10_000))
        scenes = Scenes(family, size, int(source.get("seed", 0)), length, split)
        pictures, captions = _stack(scenes, length, progress, family)
        if source.get("wordings"):
            captions = [ways(scenes.truth(i), short=i % SELDOM == 0) for i in range(length)]
        return pictures, captions
    if kind == "things":
        from dalle_edu.data.things import ThingScenes

        family, length = source.get("family", "all"), int(source.get("length", 10_000))
        things = ThingScenes(
            family, size, int(source.get("seed", 0)), length, split, source.get("apart", False)
        )
        pictures, _ = _stack(things, length, progress, "things")
        return pictures, [things.ways(i) for i in range(length)]
    if kind == "folder":
        from dalle_edu.data.folder import FolderOfPictures

        folder = FolderOfPictures(Path(source["path"]), size=size)
        return _stack(folder, len(folder), progress, "pictures")
    if kind == "shards":
        from dalle_edu.data.shards import Shards

        return _stack(Shards(source["path"], size=size), None, progress, "shards")
    raise unknown_name("kind of data", str(kind), KINDS)


def _emoji(source: dict, size: int, split: str) -> tuple[Tensor, list[list[str]]]:
    """Each picture in the first of the renderings; then its copies, in renderings and places of their own."""
    from dalle_edu.data.emoji import EmojiPictures, caption_variants
    from dalle_edu.data.vary import moved_copies

    drawn = [
        EmojiPictures(size, split, held_out=source.get("held_out", "names"), rendering=rendering)
        for rendering in source.get("renderings", ["averaged"])
    ]
    captions = [caption_variants(caption) for caption in drawn[0].captions]
    pictures = [(emoji.pictures * 255).round().to(torch.uint8) for emoji in drawn]
    copies = moved_copies(pictures, drawn[0].emoji, source.get("copies", 0), source.get("step", 4))
    return torch.cat((pictures[0], copies)), captions * (1 + source.get("copies", 0))


def _stack(items, length: int | None, progress: bool, what: str) -> tuple[Tensor, list[list[str]]]:
    """The pictures of a data set in 8 bits, and their captions. One at a time, so that next to the result no
    more than one picture of 32 bits is in memory; `length` is None where only reading to the end tells it."""
    from tqdm.auto import tqdm

    pixels, shape, captions = bytearray(), (3, 1, 1), []
    each = items if length is None else (items[i] for i in range(length))
    for image, caption in tqdm(each, desc=what, total=length, disable=not progress, mininterval=1.0):
        pixels += (image * 255).round().to(torch.uint8).numpy().tobytes()
        shape = tuple(image.shape)
        captions.append([caption])
    return torch.from_numpy(np.frombuffer(pixels, np.uint8).reshape(-1, *shape)), captions
