"""Shards as the data of a training, never all in memory: what `Mixture` is for those that fit (chapter 14).

    data = streamed([{"kind": "shards", "path": "runs/shards/*.tar"}])    # None for data of other kinds
    data.captions                  # of a bounded sample: for the tokenizer, and for the words it was shown
    data.stream(PictureReader(64, "dalle"), batch_size=512, seed=0, rank=0, count=4)

A sample takes as many pictures from the beginning of each shard, so that every process finds the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import torch

from dalle_edu.data.mixture import Mixture
from dalle_edu.data.readers import TOKENS
from dalle_edu.data.shards import expand, picture_and_caption, samples_of
from dalle_edu.data.sources import check_source
from dalle_edu.data.stream import BUFFER, MOST_LANES, Reader, ShardStream
from dalle_edu.data.tables import caption_of
from dalle_edu.errors import ReaderError, first_line

CAPTIONS = 100_000  # so many are read for the tokenizer, and for the words that training showed
NUMBERS = 2**26  # and of pictures so many numbers at most: 256 MiB of 32 bits


@dataclass
class Streamed:
    """Shards of pictures, or of tokens where `tokens` says of which dVAE. `buffer`: how many samples wait in
    memory to be drawn from, in all processes together; `lanes`: see `ShardStream`; a training that goes on
    must have as many as before. With `weights`, the first `counts[0]` of the paths are a source that weighs
    `weights[0]`, and so on; without, all are read as one, each sample as often as another."""

    paths: list[str]
    buffer: int = BUFFER
    tokens: dict | None = None
    lanes: int | None = None
    counts: tuple[int, ...] = ()
    weights: tuple[float, ...] | None = None

    @cached_property
    def captions(self) -> list[list[str]]:
        """The captions of a sample of at most `CAPTIONS`, each in a list of its own as in a mixture."""
        found = []
        for sample in self._sample(CAPTIONS):
            with contextlib.suppress(ReaderError):  # whoever trains on it is told
                text = sample["files"].get(".txt", b"")
                found.append([caption_of(text, f"{sample['__key__']}.txt in {sample['__url__']}")])
        if not found:
            raise ReaderError(
                f"No caption can be read in {Path(self.paths[0]).parent}: make the shards anew."
            )
        return found

    def sample(self, size: int, count: int = CAPTIONS) -> Mixture:
        """At most `count` pictures in memory, fewer where they would take more than 256 MiB as numbers of 32
        bits. Raises ReaderError where none can be read."""
        found, captions, error = [], [], None
        for sample in self._sample(min(count, max(1, NUMBERS // (3 * size * size)))):
            try:
                image, caption = picture_and_caption(sample, size)
            except ReaderError as one:
                error = one
                continue
            found.append((image * 255).round().to(torch.uint8))
            captions.append([caption])
        if not found:
            raise error or ReaderError(f"No picture can be read in {self.paths[0]}: make the shards anew.")
        return Mixture(torch.stack(found), captions, torch.ones(len(found)))

    def stream(self, read: Reader, batch_size: int, seed: int, rank: int, count: int) -> ShardStream:
        """The endless batches of process `rank` of `count`."""
        sources = self._sources()
        most = min(min(map(len, sources)), max(MOST_LANES, count))
        # Of what divides the batch the largest that also can be shared out evenly.
        fitting = [n for n in range(count, most + 1, count) if batch_size % n == 0]
        lanes = self.lanes or max(fitting, default=None)
        return ShardStream(
            self.paths if self.weights is None else sources, read, batch_size,
            seed=seed, buffer=self.buffer, lanes=lanes, rank=rank, world_size=count, weights=self.weights,
        )  # fmt: skip

    def fingerprint(self) -> str:
        """A short hash of the shards' names and sizes: their content is too much to read."""
        files = [(Path(path).name, os.path.getsize(path)) for path in self.paths]
        shares = "" if self.weights is None else repr((self.counts, self.weights))
        return hashlib.sha256((repr(files) + shares).encode()).hexdigest()[:16]

    def _sources(self) -> list[list[str]]:
        """The paths of each source that has a weight; without weights, all of them as one."""
        if self.weights is None:
            return [self.paths]
        ends = list(accumulate(self.counts))
        return [self.paths[end - count : end] for count, end in zip(self.counts, ends, strict=True)]

    def _sample(self, count: int) -> Iterator[dict]:
        """Samples from the beginning of the shards, at most `count`; what is damaged is passed over."""
        each = math.ceil(count / len(self.paths))
        for path in self.paths[:count]:
            with contextlib.suppress(ReaderError):
                for _, sample in zip(range(each), samples_of(path), strict=False):
                    yield sample


def streamed(sources: Sequence[dict]) -> Streamed | None:
    """The sources as one stream where they are shards; None where none of them is. Where one says a weight,
    each is drawn from in its share of the weights (1 where it says none); where none does, all are read as
    one set. Raises ReaderError where only some are shards, and what `expand` raises."""
    shards = [source for source in sources if source["kind"] == "shards"]
    if not shards:
        return None
    if len(shards) < len(sources):
        other = next(source["kind"] for source in sources if source["kind"] != "shards")
        raise ReaderError(
            f"Shards are streamed and {other!r} is held in memory, so both cannot be mixed: write the "
            "latter as shards, too (dalle-edu shards make)."
        )
    each = [expand(check_source(source)["path"]) for source in shards]
    paths = [path for some in each for path in some]
    mixed = len(shards) > 1 and any("weight" in source for source in shards)
    return Streamed(
        paths,
        max(source.get("buffer", BUFFER) for source in shards),
        _stored_tokens(paths),
        counts=tuple(map(len, each)),
        weights=tuple(float(source.get("weight", 1)) for source in shards) if mixed else None,
    )


def _stored_tokens(paths: list[str]) -> dict | None:
    """What `dalle-edu shards make --tokens` wrote beside its shards: of which dVAE the tokens are. None for
    shards of pictures."""
    folders = sorted({Path(path).parent for path in paths})
    files = [folder / "tokens.json" for folder in folders]
    there = [file for file in files if file.is_file()]
    if not there:
        if any(TOKENS in sample["files"] for sample in Streamed(paths)._sample(1)):
            raise ReaderError(
                f"The shards in {folders[0]} hold tokens, but no tokens.json says of which dVAE: copy it "
                "beside them."
            )
        return None
    found = []
    for file in there:
        try:
            about = json.loads(file.read_text(encoding="utf-8"))
            found.append({"dvae": str(about["dvae"]), "grid": [int(side) for side in about["grid"]]})
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ReaderError(f"{file} is damaged ({first_line(error)}): make the shards anew.") from None
    if len(there) < len(files) or any(one != found[0] for one in found):
        raise ReaderError(
            f"The shards in {folders[0]} and {folders[-1]} are not of one kind: take those of pictures, or "
            "those of one dVAE's tokens."
        )
    return found[0]
