"""What a processor is, and the two numbers that bound it: products a second, and bytes a second from memory.

No program is faster than the slower of the two allows: arithmetic / peak, or bytes / bandwidth (the roofline
of Williams, Waterman & Patterson 2009).
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from dalle_edu.machine.workers import cores, threads

CHAPTER_NEEDS = 3 * 2**30  # bytes of memory: the most that a chapter of the book takes
# What makes matrix products fast, as /proc/cpuinfo names it; the last four are for 16 bits.
UNITS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")
# The larger product is one of training (a batch's positions by an MLP's weight), the smaller fits any cache.
SHAPES = ((2048, 1024, 1024), (512, 512, 512))


def cpu_fields() -> dict[str, str]:
    """What Linux says of the first processor, by name; nothing on another system."""
    with contextlib.suppress(OSError):
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
        pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
        return {name.strip(): value.strip() for name, value in pairs}
    return {}


def name() -> str:
    """What the system calls its processor, with the family where it is known."""
    fields = cpu_fields()
    called = fields.get("model name") or platform.processor() or platform.machine()
    return f"{called} (family {fields['cpu family']})" if "cpu family" in fields else called


def units() -> list[str]:
    """Those of UNITS that the processor has, as far as the system says."""
    fields = cpu_fields()
    flags = fields.get("flags", fields.get("Features", "")).split()
    return [unit for unit in UNITS if unit in flags]


def machine() -> str:
    """Processor, cores, threads and versions in one line, for the head of a table."""
    versions = f"PyTorch {torch.__version__}, Python {platform.python_version()}"
    has = ", ".join(units()) or torch.backends.cpu.get_cpu_capability()
    return f"{name()}, {has}; {cores()} cores, {torch.get_num_threads()} threads; {versions}"


def memory() -> int | None:
    """Bytes of memory that this process may have: the machine's, or a container's share. None if unknown."""
    sizes = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        sizes.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return min(sizes, default=None)


def best_rate(call: Callable[[], object], work: float, seconds: float) -> float:
    """Work a second of the fastest of as many calls as fit into `seconds`, after one that warms up."""
    call()
    best, end = 0.0, time.perf_counter() + seconds
    while best == 0 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = max(best, work / (time.perf_counter() - start))
    return best


def matrix_speed(dtype: torch.dtype = torch.float32, count: int = 1, seconds: float = 0.2) -> float:
    """Operations a second of a large matrix product on `count` threads: two for each weight and row."""
    best = 0.0
    with threads(count), torch.inference_mode():
        for rows, inputs, outputs in SHAPES:
            x, weight = torch.randn(rows, inputs).to(dtype), torch.randn(outputs, inputs).to(dtype)
            operations = 2 * rows * inputs * outputs
            product = lambda x=x, weight=weight: torch.nn.functional.linear(x, weight)  # noqa: E731
            best = max(best, best_rate(product, operations, seconds / len(SHAPES)))
    return best


def bandwidth(count: int = 1, seconds: float = 0.3, size: int = 2**28) -> float:
    """Bytes a second between memory and `count` threads: reading `size` bytes, more than a laptop's caches
    hold, or copying half of them to the other half, whichever is faster."""
    numbers = torch.ones(size // 4)
    half, other = numbers.chunk(2)
    with threads(count), torch.inference_mode():
        reading = best_rate(numbers.sum, numbers.nbytes, seconds / 2)
        return max(reading, best_rate(lambda: half.copy_(other), numbers.nbytes, seconds / 2))


@dataclass(frozen=True)
class Limits:
    """What a processor can do at most: operations a second by precision, bytes a second; as measured."""

    operations: dict[str, float]
    bytes: float

    def share(self, operations: float, moved: float, seconds: float, precision: str = "float32") -> float:
        """The share of the possible that work of so many operations and bytes reached in `seconds`: the
        larger of arithmetic over peak and bytes over bandwidth. 1 is the limit."""
        return max(operations / self.operations[precision], moved / self.bytes) / seconds


def limits(count: int | None = None, seconds: float = 0.5) -> Limits:
    """Measures float32, bfloat16 and memory on `count` threads (None: PyTorch's), `seconds` for each.

    The peak of float32 is the faster of PyTorch's two ways, MKL and oneDNN, where both keep 32 bits.
    """
    count = count or torch.get_num_threads()
    speeds = {"float32": matrix_speed(torch.float32, count, seconds)}
    speeds["bfloat16"] = matrix_speed(torch.bfloat16, count, seconds)
    speeds["oneDNN"] = onednn_speed(count, seconds)
    if "amx_bf16" not in units():  # there "medium" rounds to 16 bits
        speeds["float32"] = speeds["oneDNN"] = max(speeds["float32"], speeds["oneDNN"])
    return Limits(speeds, bandwidth(count, seconds))


def onednn_speed(count: int = 1, seconds: float = 0.2) -> float:
    """`matrix_speed` of float32 through oneDNN, which `set_float32_matmul_precision("medium")` asks for."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        return matrix_speed(torch.float32, count, seconds)
    finally:
        torch.set_float32_matmul_precision(before)
