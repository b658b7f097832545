"""What the benchmarks share: medians, precisions, and tables."""

import contextlib
import statistics
import time
from collections.abc import Callable

import torch

PRECISIONS = ("float32", "oneDNN", "bfloat16")
# "cpu" counts the seconds of this process on all its threads: for a machine that others use as well, with
# OMP_NUM_THREADS=1, where ratios still mean something and seconds on the wall do not.
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def median_seconds(call: Callable[[], object], repeats: int, warm: bool = True, clock: str = "wall") -> float:
    """Median seconds of `call` by one of CLOCKS; the first, which warms up, is not counted."""
    if warm:
        call()
    seconds = []
    for _ in range(repeats):
        start = CLOCKS[clock]()
        call()
        seconds.append(CLOCKS[clock]() - start)
    return statistics.median(seconds)


@contextlib.contextmanager
def precision(name: str):
    """One of PRECISIONS: plain float32; float32 whose matrix products go to oneDNN; autocast to bfloat16.

    PyTorch sends float32 matrix products on x86 to MKL, which on AMD's processors leaves AVX-512 unused. With
    float32_matmul_precision "medium" they go to oneDNN, which uses it. What "medium" allows, rounding to
    bfloat16, oneDNN does only where the processor has AMX: there this is not float32 any more.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if name == "oneDNN" else before)
    try:
        with torch.autocast("cpu", torch.bfloat16, enabled=name == "bfloat16"):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def row(*cells: str, widths: tuple[int, ...]) -> None:
    """Prints one line of a table: the first cell to the left, the others to the right."""
    first, *others = zip(cells, widths, strict=True)
    print("  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]), flush=True)
