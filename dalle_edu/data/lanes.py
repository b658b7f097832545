"""The lanes of a stream of shards: each reads its own shards in order, lets samples wait in a buffer, and
draws from them (`stream.py`)."""

from __future__ import annotations

import os
import random
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch

from dalle_edu.data.shards import samples_of
from dalle_edu.errors import ReaderError

NAMED = 20  # of a lane's broken samples; the others are counted
# From a sample of `samples_of` and the randomness that is its own to what a batch is made of.
Reader = Callable[[dict, random.Random], tuple[torch.Tensor, str]]


@dataclass(frozen=True)
class LaneSettings:
    """What all lanes of a source share: its shards, what becomes of a sample, the seed, how many lanes there
    are in all processes, and how many samples wait in all of them together."""

    paths: list[str]
    read: Reader
    seed: int | str
    lanes: int
    buffer: int


class Lane:
    """One reader: its shards in order, a buffer of samples, and the draws from it."""

    def __init__(self, number: int, of: LaneSettings, state: dict | None = None):
        self.number, self.paths, self.read, self.seed = number, of.paths, of.read, of.seed
        self.lanes, self.size = of.lanes, max(1, of.buffer // of.lanes)
        self.passes, self.shard, self.place, self.drawn, self.broken = 0, 0, 0, 0, 0
        self.names: list[str] = []
        self.waiting: list[tuple[int, dict]] = []  # number of the shard's path, sample
        self.reading, self.order = None, (-1, [])
        if state is not None:
            for key in ("passes", "shard", "place", "drawn", "broken"):
                setattr(self, key, state[key])
            self.names = list(state["names"])
            self.waiting = [
                (path, next(samples_of(self.paths[path], place))) for path, place in state["waiting"]
            ]

    def state(self) -> dict:
        numbers = {key: getattr(self, key) for key in ("passes", "shard", "place", "drawn", "broken")}
        waiting = [[path, sample["__place__"]] for path, sample in self.waiting]
        return numbers | {"names": list(self.names), "waiting": waiting}

    def take(self, count: int) -> list[tuple[torch.Tensor, str]]:
        """The next `count` samples that can be read."""
        items, begun = [], self.passes
        while len(items) < count:
            sample, own = self._draw()
            try:
                items.append(self.read(sample, own))
                begun = self.passes
            except ReaderError as error:
                self._leave_out(error)
                if self.passes > begun + 1:
                    raise ReaderError(f"No sample of a pass can be read; the last one: {error}") from None
        return items

    def _draw(self) -> tuple[dict, random.Random]:
        empty_passes = 0
        while True:
            while len(self.waiting) < self.size and (found := self._next()) is not None:
                self.waiting.append(found)
            if self.waiting:
                break
            self.passes, self.shard, self.place = self.passes + 1, 0, 0  # each sample once a pass
            empty_passes += 1
            if empty_passes > 2:
                raise ReaderError(f"None of the shards can be read; the last one: {self.names[-1]}")
        # A generator of its own for each draw: its number is all that a state must keep.
        own = random.Random(f"{self.seed} {self.number} {self.drawn}")
        self.drawn += 1
        at = own.randrange(len(self.waiting))
        self.waiting[at], self.waiting[-1] = self.waiting[-1], self.waiting[at]
        return self.waiting.pop()[1], own

    def _next(self) -> tuple[int, dict] | None:
        """The next sample in the shards of this pass; None at its end."""
        mine = self._shards()
        while self.shard < len(mine):
            path = self.paths[mine[self.shard]]
            if self.reading is None:
                if not os.path.isfile(path):
                    raise ReaderError(f"There is no shard {path} any more; put it back and go on.")
                self.reading = samples_of(path, self.place)
            try:
                sample = next(self.reading)
            except ReaderError as error:
                self._leave_out(error)
                self._to_next_shard()
                continue
            if sample["__next__"] is None:
                # Read to the end, where what is cut short is noticed.
                self.reading.close()
                found = mine[self.shard]
                self._to_next_shard()
                return found, sample
            self.place = sample["__next__"]
            return mine[self.shard], sample
        return None

    def _shards(self) -> list[int]:
        """The numbers of this lane's shards in this pass, in their order."""
        if self.order[0] != self.passes:
            order = list(range(len(self.paths)))
            random.Random(f"{self.seed} pass {self.passes}").shuffle(order)
            self.order = self.passes, order[self.number :: self.lanes]
        return self.order[1]

    def _to_next_shard(self) -> None:
        self.shard, self.place, self.reading = self.shard + 1, 0, None

    def _leave_out(self, error: ReaderError) -> None:
        self.broken += 1
        if len(self.names) < NAMED:
            self.names.append(str(error))


class MixedLane:
    """A lane that has one of each source, and by whose weight it is drawn whose turn it is, sample by sample.

    Each source comes in its own order and begins anew by itself, whenever it is at its end.
    """

    def __init__(
        self,
        number: int,
        sources: Sequence[LaneSettings],
        weights: Sequence[float],
        seed: int,
        state: dict | None = None,
    ):
        self.number, self.seed, self.drawn = number, seed, 0 if state is None else state["drawn"]
        self.edges = list(accumulate(weights))
        states = [None] * len(sources) if state is None else state["sources"]
        self.sources = [Lane(number, one, s) for one, s in zip(sources, states, strict=True)]

    def state(self) -> dict[str, Any]:
        each = [source.state() for source in self.sources]
        broken, names = sum(one["broken"] for one in each), [name for one in each for name in one["names"]]
        return {"drawn": self.drawn, "broken": broken, "names": names, "sources": each}

    def take(self, count: int) -> list[tuple[torch.Tensor, str]]:
        """The next `count` samples that can be read."""
        items = []
        for _ in range(count):
            # As in `Lane`, a generator of its own for each draw.
            own = random.Random(f"{self.seed} {self.number} source {self.drawn}")
            self.drawn += 1
            turn = bisect(self.edges, own.random() * self.edges[-1], hi=len(self.edges) - 1)
            items += self.sources[turn].take(1)
        return items
