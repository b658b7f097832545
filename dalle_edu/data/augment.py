"""Better wrong answers for CLIP, out of the pictures that there are (chapter 12).

A batch of random pairs asks easy questions: to tell a red house from a bicycle, no network need look at the
shape of either. What CLIP is for is harder: of many drawings of one sentence, which is whole, and right in
every word? So a part of each batch comes from one source alone, some of it as neighbours whose captions
differ in a word, and every picture comes with a spoilt copy, which no text wants. Radford et al. 2021 had no
need of either, with 32,768 pairs a batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dalle_edu.data.mixture import Mixture
from dalle_edu.data.vary import moved

VISIBLE = 0.01  # mean difference of a pixel, of 1, from which a spoilt copy counts as another picture


def similar_batch(
    data: Mixture, count: int, together: float, generator: torch.Generator, near: int = 0
) -> tuple[Tensor, list[str]]:
    """At most `count` pictures, the share `together` of them from one source, there each with `near` others
    whose captions are most like its own: their indices, their captions.

    A picture or a caption that comes twice is left out the second time: it would be its own wrong answer.
    """
    indices = data.draw(count, generator)
    alone = round(together * count)
    if alone:
        source = data.sources[data.draw(1, generator)]
        inside = Mixture(data.pictures, data.captions, data.weights * (data.sources == source))
        chosen = inside.draw(-(-alone // (1 + near)), generator)
        if near:
            others = nearest_in_words(data, chosen, near, data.sources == source, generator)
            chosen = torch.cat((chosen[:, None], others), dim=1).flatten()[:alone]
        indices = torch.cat((chosen, indices[alone:]))
    captions = data.draw_captions(indices, generator)
    first: dict[str, int] = {}
    seen: set[int] = set()
    for index, caption in zip(indices.tolist(), captions, strict=True):
        if index not in seen and caption not in first:
            first[caption] = index
            seen.add(index)
    return torch.tensor(list(first.values())), list(first)


def nearest_in_words(
    data: Mixture, indices: Tensor, near: int, among: Tensor, generator: torch.Generator
) -> Tensor:
    """For each of n pictures the `near` others `among` (N,) bool whose captions share most words with its
    own, of the words of both, but are not the same; at random where equally many: (n, near) int64.

    A batch of random emoji hardly ever has "woman juggling" beside "man juggling", so nothing in it asks CLIP
    to look at the hair.
    """
    words, captions, count = data.words
    own = words.index_select(0, indices).to_dense()
    shared = (words @ own.T).T
    alike = shared / (count[indices, None] + count - shared).clamp_min(1)
    alike += 1e-3 * torch.rand(alike.shape, generator=generator)  # less than one word more or less
    alike[(captions == captions[indices, None]) | ~among] = -1.0
    return alike.topk(min(near, len(data)), dim=1).indices


def shifted(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Each picture moved by up to `most` pixels to each side, its edge repeated where it left: (batch, 3,
    size, size) -> the same."""
    batch, _, size, _ = images.shape
    moves = torch.randint(-most, most + 1, (batch, 2, 1), generator=generator)
    return moved(images, moves)


def spoilt(images: Tensor, step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A spoilt copy of each picture, and whether one can see it: (batch, 3, size, size), (batch,) bool.

    Inside a random rectangle, whose sides are whole numbers of `step` pixels, stands something else: a third
    of the copies has another picture of the batch there, a third the same picture moved by up to a quarter,
    a third nothing, which is the mean colour of the corners. So a drawing fails that begins as one thing and
    goes on as another.
    """
    batch, _, size, _ = images.shape
    cells = size // step
    corners = torch.randint(cells + 1, (batch, 2, 2), generator=generator).sort(-1).values * step
    place = torch.arange(size)
    inside = (place >= corners[..., :1]) & (place < corners[..., 1:])  # (batch, 2, size)
    rectangle = (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None]
    most = max(cells // 4, 1)
    moves = torch.randint(-most, most + 1, (batch, 2, 1), generator=generator) * step
    corner_colours = images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].mean(2)[:, :, None, None]
    instead = torch.stack((images.roll(1, 0), moved(images, moves), corner_colours.expand_as(images)))
    which = torch.randint(3, (batch,), generator=generator)
    copies = torch.where(rectangle, instead[which, torch.arange(batch)], images)
    return copies, (copies - images).abs().mean((1, 2, 3)) > VISIBLE
