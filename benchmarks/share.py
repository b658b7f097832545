"""How near the limit: the share of what this processor can do that a piece of work reached.

    share = max(operations / peak, bytes / bandwidth) / seconds

Peak and bandwidth are measured at the start (`dalle_edu.machine.processor`). Operations are those of matrix
products, convolutions and attention, counted by PyTorch while the work runs once; bytes are what these read
and write, each operand once a product. What stands between them (norms, softmax, noise) counts nothing,
though it takes time; a score that the mask throws away counts as one that was needed. Bytes that a cache
still holds come faster than memory gives them: with small models and large caches, a share may exceed 100 %.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from dalle_edu.machine.processor import Limits, limits

aten = torch.ops.aten
FUSED = aten._scaled_dot_product_flash_attention_for_cpu
FUSED_BACK = aten._scaled_dot_product_flash_attention_for_cpu_backward


@dataclass(frozen=True)
class Work:
    """Operations and bytes of a call."""

    operations: float = 0
    bytes: float = 0

    def __mul__(self, times: float) -> "Work":
        return Work(self.operations * times, self.bytes * times)

    def __sub__(self, other: "Work") -> "Work":
        return Work(self.operations - other.operations, self.bytes - other.bytes)


def attention_operations(query, key, value, dropout=0.0, is_causal=False, **_):
    """Two products for each query and key; half of them where a query reads what came before only."""
    *batch, length, size = query
    pairs = length * key[-2] // (2 if is_causal else 1)
    return 4 * pairs * size * int(torch.Size(batch).numel())


def attention_operations_back(gradient, query, key, value, out, logsumexp, dropout, is_causal, **_):
    """Five products for the two of the way forward, of which one computes the scores again."""
    return attention_operations(query, key, value, dropout, is_causal) * 5 // 2


COUNTED = {FUSED: attention_operations, FUSED_BACK: attention_operations_back}


class Moved(TorchDispatchMode):
    """Adds up the bytes that the counted operations read and write."""

    bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if function._overloadpacket in flop_registry or function._overloadpacket in COUNTED:
            for tensor in tree_leaves((args, kwargs, out)):
                if isinstance(tensor, torch.Tensor):  # one that is expanded takes no more than its storage
                    self.bytes += min(tensor.nbytes, tensor.untyped_storage().nbytes())
        return out


def work_of(call: Callable[[], object]) -> Work:
    """Runs `call` once, in this thread, and counts."""
    with Moved() as moved, FlopCounterMode(display=False, custom_mapping=COUNTED) as counter:
        call()
    return Work(counter.get_total_flops(), moved.bytes)


@cache
def possible(threads: int | None = None) -> Limits:
    """What this processor can do with so many threads (None: PyTorch's); measured once."""
    return limits(threads)


def limits_line(threads: int | None = None) -> str:
    """The measured limits, for the head of a table."""
    found = possible(threads)
    speeds = ", ".join(f"{rate / 1e9:,.0f} GFLOP/s {name}" for name, rate in found.operations.items())
    return f"possible here: {speeds}; {found.bytes / 1e9:.1f} GB/s"


def percent(work: Work, seconds: float, precision: str = "float32", threads: int | None = None) -> str:
    """The share that was reached, as a cell of a table."""
    return f"{possible(threads).share(work.operations, work.bytes, seconds, precision):.0%}"
