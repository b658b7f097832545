"""Pictures that fit no memory: shards as an endless shuffled stream, split over processes and resumed at the
sample (chapter 14).

    stream = ShardStream("data/pictures-*.tar", PictureReader(64), batch_size=512, rank=0, world_size=1)
    images, captions = stream.batch(step)     # for step = 0, 1, 2, ...: this process's part of the batch
    state = gathered(stream.state_dict())     # JSON; every process calls it, each gets the state of all
    stream.load_state_dict(state)             # goes on with the very sample that would have come next

Who reads what. A run has a fixed number of `lanes`, which divides the batch, and each lane brings the same
share of every batch. In each pass over the data the shards are put into an order by the seed, and lane v of
V takes every V-th of them, from the v-th on. A process of rank r out of N has the lanes r V/N, ...,
(r + 1) V/N - 1, and never opens the shards of the others. So N processes see together, batch by batch, what
one process sees alone, in the same order, and a run goes on with another number of them.

What is held. Each lane keeps `buffer / lanes` samples, packed as they are in the file, and draws one of them
at random; the next one in its shards takes the place. Nothing else is kept, however large the set is.

What is written down. A lane's state is its place (pass, shard, byte), the number of its draws, from which
the seed makes the next one, and the places of the samples that wait in its buffer: numbers only.

A sample that is broken is left out, counted and named; the next draw of its lane takes its place.
Threads unpack the pictures (Pillow lets others run meanwhile) while the model computes.

Several sources, each with a weight, are mixed sample by sample: every lane then has shards of each source,
and draws for each sample whose turn it is. Within a source all is as above, and each has its equal part of
the buffer.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torch.distributed as dist

from dalle_edu.data.lanes import NAMED, Lane, LaneSettings, MixedLane, Reader
from dalle_edu.data.shards import expand
from dalle_edu.errors import ReaderError, ReaderWarning, check_whole, first_line

__all__ = ["BUFFER", "MOST_LANES", "NAMED", "Reader", "ShardStream", "gathered"]

BUFFER = 4096  # samples that wait to be drawn from, unless another number is asked for
MOST_LANES = 16  # unless more are asked for; each holds one file open


class ShardStream:
    """Endless batches: `stream.batch(step) -> (tensor (batch_size / world_size, ...), captions)`.

    `paths`: as for `Shards`. `read`: what becomes of a sample (`PictureReader`, `TokenReader`). `batch_size`:
    of all processes together. `buffer`: how many samples of all lanes wait to be drawn from. `lanes`: how
    many readers there are in all processes; left out, the largest divisor of the batch that leaves each a
    shard and is at most 16. `threads`: how many of them unpack at once. `weights`: a number for each of
    `paths`, which then are sources that are mixed, each in its share of the weights.

    Raises ReaderError where the lanes cannot be divided among the processes, for a weight that is no positive
    number, and, in `batch`, where a shard is missing, or where no sample of a whole pass can be read.
    """

    def __init__(
        self,
        paths: str | Path | list,
        read: Reader,
        batch_size: int,
        *,
        seed: int = 0,
        buffer: int = BUFFER,
        lanes: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        threads: int = 2,
        weights: Sequence[float] | None = None,
    ):
        sources = [expand(paths)] if weights is None else [expand(one) for one in paths]
        self.paths, self.read, self.seed = [path for source in sources for path in source], read, seed
        self.weights = None if weights is None else _positive(weights, len(sources))
        fewest = min(len(source) for source in sources)
        self.batch_size, self.buffer = check_whole("batch_size", batch_size, 1), buffer
        check_whole("buffer", buffer, 1), check_whole("world_size", world_size, 1)
        most = min(fewest, MOST_LANES)
        self.lanes = lanes or max(n for n in range(1, most + 1) if batch_size % n == 0)
        of_each = "" if weights is None else " of each source"
        if batch_size % self.lanes or self.lanes > fewest:
            raise ReaderError(
                f"{self.lanes} lanes cannot read {fewest} shards for batches of {batch_size}: their "
                f"number must divide the batch, and each needs a shard{of_each}."
            )
        if self.lanes % world_size:
            raise ReaderError(
                f"{world_size} processes cannot share {self.lanes} lanes evenly ({fewest} shards{of_each}, "
                f"batches of {batch_size}): make more shards with --per-shard, or say lanes, a multiple of "
                f"{world_size} that divides the batch."
            )
        each = self.lanes // world_size
        self._mine = range(rank * each, (rank + 1) * each)
        seeds = [seed] if weights is None else [f"{seed} source {i}" for i in range(len(sources))]
        self._sources = [
            LaneSettings(source, read, own, self.lanes, buffer // len(sources))
            for source, own in zip(sources, seeds, strict=True)
        ]
        self._lanes = [self._lane(number) for number in self._mine]
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="shards")
        self._coming: tuple[dict, list] | None = None
        self._said, self.step = 0, 0

    def batch(self, step: int) -> tuple[torch.Tensor, list[str]]:
        """The part of batch number `step` that is this process's. Steps come one after another: to go back or
        on, load a state."""
        if step != self.step:
            raise ReaderError(
                f"Batch {step} was asked of a stream that stands at {self.step}: load the state of "
                f"step {step}."
            )
        _, futures = self._coming or self._begin()
        items = [item for future in futures for item in future.result()]
        self.step += 1
        self._coming = self._begin()
        self._say_what_is_broken()
        return torch.stack([tensor for tensor, _ in items]), [caption for _, caption in items]

    def state_dict(self) -> dict:
        """Where this process's lanes stand, in plain numbers and texts that JSON can hold. For another number
        of processes the states of all are needed: `gathered(state)`."""
        return {"data": self.fingerprint(), "step": self.step} | self._current()

    def load_state_dict(self, state: dict) -> None:
        """Goes to where `state_dict` was called. Raises ReaderError for a state of other shards, another
        seed, batch, buffer or number of lanes, and for one that lacks a lane of this process."""
        if state.get("data") != self.fingerprint():
            raise ReaderError(
                "The state is of other shards, or of another seed, batch size, buffer or number of lanes: "
                "go on with those it was made with."
            )
        missing = [number for number in self._mine if str(number) not in state["lanes"]]
        if missing:
            raise ReaderError(
                f"The state lacks lane {missing[0]}: it is of one process of several; gather it from all."
            )
        self._settle()
        try:
            self._lanes = [self._lane(number, state["lanes"][str(number)]) for number in self._mine]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ReaderError(
                f"The state of the shards is damaged ({first_line(error)}): train again."
            ) from None
        self.step, self._said = state["step"], self.broken

    @property
    def broken(self) -> int:
        """How many samples, and shards that end too early, this process left out up to its last batch."""
        return sum(lane["broken"] for lane in self._current()["lanes"].values())

    @property
    def broken_names(self) -> list[str]:
        """What was wrong with them, a sentence each with its place; at most `NAMED` of a lane."""
        return [name for lane in self._current()["lanes"].values() for name in lane["names"]]

    def fingerprint(self) -> str:
        """A short hash of what decides the order: the shards (names, sizes), seed, batch, buffer, lanes."""
        files = [(Path(path).name, os.path.getsize(path)) for path in self.paths]
        dials = (self.seed, self.batch_size, self.buffer, self.lanes)
        if self.weights is not None:
            dials += (self.weights, [len(source.paths) for source in self._sources])
        return hashlib.sha256(repr((files, dials)).encode()).hexdigest()[:16]

    def close(self) -> None:
        """Ends the threads; the stream can still say its state."""
        self._settle()
        self._pool.shutdown()

    def _lane(self, number: int, state: dict | None = None) -> Lane | MixedLane:
        if self.weights is None:
            return Lane(number, self._sources[0], state)
        return MixedLane(number, self._sources, self.weights, self.seed, state)

    def _begin(self) -> tuple[dict, list]:
        """Has the next batch read in the background; the state is the one before it."""
        count = self.batch_size // self.lanes
        return self._states(), [self._pool.submit(lane.take, count) for lane in self._lanes]

    def _current(self) -> dict:
        return self._coming[0] if self._coming else self._states()

    def _states(self) -> dict:
        return {"lanes": {str(lane.number): lane.state() for lane in self._lanes}}

    def _settle(self) -> None:
        if self._coming is not None:
            states, futures = self._coming
            for future in futures:
                future.exception()
            self._lanes = [self._lane(number, states["lanes"][str(number)]) for number in self._mine]
            self._coming = None

    def _say_what_is_broken(self) -> None:
        count = self.broken
        if count >= max(1, 10 * self._said):
            self._said = count
            last = self.broken_names[-1]
            warnings.warn(f"{count} broken samples were left out so far: {last}", ReaderWarning, stacklevel=3)


def gathered(state: dict) -> dict:
    """The state of all processes of a run as one, from each one's own; all must call it. Alone, the same."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return state
    each: list = [None] * dist.get_world_size()
    dist.all_gather_object(each, state["lanes"])
    return state | {"lanes": {number: lane for lanes in each for number, lane in lanes.items()}}


def _positive(weights: Sequence[float], sources: int) -> tuple[float, ...]:
    for weight in weights:
        if not 0 < weight < float("inf"):
            raise ReaderError(
                f"A source has the weight {weight}; it must be a positive number: leave out what is not to "
                "be drawn from."
            )
    if len(weights) != sources:
        raise ReaderError(f"There are {len(weights)} weights for {sources} sources: give one for each.")
    return tuple(map(float, weights))
