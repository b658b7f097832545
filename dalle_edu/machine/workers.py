"""Independent pieces of work over the cores of this machine: one thread a core, and one core a thread.

Samples do not wait for each other, so nothing is gained by splitting a small matrix product over two cores,
and much is lost where another program has one of them: both threads then wait for the slower one, at each
product. Here each thread does whole pieces alone, with PyTorch's own threads turned off. What a piece
computes does not depend on how many threads there are; beside another program all slow down in proportion.

Threads, not processes: the weights are there already, nothing has to start, a notebook needs no `__main__`,
and PyTorch computes without Python's lock.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch

from dalle_edu.errors import ReaderError

VARIABLE = "DALLE_EDU_WORKERS"
POLL = 0.2  # seconds after which a waiting main thread looks up: on Windows Ctrl-C comes through only then

Piece, Result = TypeVar("Piece"), TypeVar("Result")
_here = threading.local()


class Interrupted(BaseException):
    """Raised by `may_stop` in a worker whose work nobody waits for any more; it never leaves this module."""


def worker_count(workers: int | None = None) -> int:
    """How many workers there will be: `workers`, or the environment variable DALLE_EDU_WORKERS, or as many as
    this process has cores and PyTorch has threads.

    Raises ReaderError for what is no whole number of at least 1.
    """
    if workers is not None:
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise ReaderError(f"workers is {workers!r}; it must be a whole number of at least 1.")
        return workers
    wish = os.environ.get(VARIABLE, "").strip()
    if wish:
        if not wish.isdecimal() or int(wish) < 1:
            raise ReaderError(f"{VARIABLE} is {wish!r}; it must be a whole number of at least 1.")
        return int(wish)
    return max(1, min(cores(), torch.get_num_threads()))


def cores() -> int:
    """How many cores this process may use: what the system, an affinity or a container leaves of them."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # a container's share of a large machine, on Linux
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        count = min(count, max(1, round(int(quota) / int(period))))
    return count


def may_stop() -> None:
    """A long piece of work calls it now and then, so that Ctrl-C does not have to wait for its end."""
    stop = getattr(_here, "stop", None)
    if stop is not None and stop.is_set():
        raise Interrupted


@contextlib.contextmanager
def threads(count: int):
    """PyTorch computes on `count` threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_thread():
    """PyTorch computes on one thread inside: the same bits whatever the machine has, and no waiting."""
    return threads(1)


def in_order(
    task: Callable[[Piece], Result], pieces: Iterable[Piece], workers: int | None = None
) -> Iterator[Result]:
    """`task(piece)` for each piece, by several workers at a time; the results come in the order of `pieces`.

    `workers` as in `worker_count`. One worker works in the caller's thread. Autocast and inference mode are
    those of the caller. An exception of a task is raised where its result would have come; then, and when the
    caller is interrupted or stops asking, the others end at their next `may_stop`, and no thread is left. At
    most two pieces a worker are under way or waiting to be asked for.
    """
    count = worker_count(workers)
    pieces = iter(pieces)
    if count == 1 or getattr(_here, "stop", None) is not None:  # a worker's own work is not split again
        for piece in pieces:
            with one_thread():
                result = task(piece)
            yield result
        return
    stop, context = threading.Event(), _context()

    def work(piece: Piece) -> Result:
        _here.stop = stop
        torch.set_num_threads(1)
        with context():
            may_stop()
            return task(piece)

    before = torch.get_num_threads()
    with ThreadPoolExecutor(count, thread_name_prefix="dalle-edu") as pool:
        under_way: deque[Future[Result]] = deque()
        try:
            under_way.extend(pool.submit(work, piece) for piece in islice(pieces, 2 * count))
            while under_way:
                result = _wait(under_way[0])
                under_way.popleft()
                under_way.extend(pool.submit(work, piece) for piece in islice(pieces, 1))
                yield result
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            torch.set_num_threads(before)  # a worker's setting is also that of threads to come


def _wait(future: Future[Result]) -> Result:
    while True:
        try:
            return future.result(timeout=POLL)
        except NotYet:
            if future.done():  # the task's own
                raise


def _context():
    """A function that makes a context with what PyTorch keeps for each thread as it is in this one."""
    half, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")
    inference, gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    @contextlib.contextmanager
    def same():
        with (
            torch.inference_mode(inference),
            torch.set_grad_enabled(gradients),
            torch.autocast("cpu", dtype, enabled=half),
        ):
            yield

    return same
