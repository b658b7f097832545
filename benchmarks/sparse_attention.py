"""Cost of one attention layer against the size of the picture: dense, and each kind of sparse mask.

    python benchmarks/sparse_attention.py [--sides 16 32 64 96] [--text 64] [--heads 4] [--head-size 64]
    [--repeats 3]

Prints a table: milliseconds of processor or GPU time forward, and forward with backward, the most memory that
the tensors took (beyond queries, keys, values), the ratio to dense causal attention (`is_causal=True`, which
skips the upper half) in the same run, and nanoseconds for each entry of the mask, forward and backward: they
stay level where the cost grows as the entries do. "row, dense" and so on are `scaled_dot_product_attention`
under the dense mask: what one pays who only masks. Memory on a CPU is counted from the profiler's
allocations. Run it alone on the machine.
"""

import argparse
import platform
import statistics
import time
from functools import partial

import torch
from share import limits_line, percent, work_of
from torch.nn.functional import scaled_dot_product_attention

from dalle_edu.masks import mask_entries
from dalle_edu.parallel import peak_bytes
from dalle_edu.sparse import sparse_attention

KERNEL = 11


def clock(device):
    """Seconds; on a CPU those of this process, so that a neighbour on the machine counts less."""
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def measure(attend, states, device, repeats):
    """Median seconds forward, and forward with backward."""
    forward, both = [], []
    for _ in range(repeats + 1):  # the first warms up
        start = clock(device)
        out = attend(*states)
        middle = clock(device)
        torch.autograd.grad(out, states, out.detach())
        forward.append(middle - start)
        both.append(clock(device) - start)
    return statistics.median(forward[1:]), statistics.median(both[1:])


def both_ways(attend, states):
    out = attend(*states)
    torch.autograd.grad(out, states, out.detach())


def peak_memory(attend, states, device):
    """Bytes at the highest point of one forward and backward pass, beyond what was there before."""

    def forward_and_backward():
        out = attend(*states)
        torch.autograd.grad(out, states, out.detach())

    if device != "cuda":
        return peak_bytes(forward_and_backward)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    forward_and_backward()
    return torch.cuda.max_memory_allocated() - before


def layer(query, key, value, **how):
    return sparse_attention(query, key, value, kernel=KERNEL, **how)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[16, 32, 64, 96])
    parser.add_argument("--text", type=int, default=64)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--head-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--forms", nargs="+", default=["auto"], help="also: blocked gather dense flex")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    where = torch.cuda.get_device_name() if arguments.device == "cuda" else platform.processor() or "CPU"
    on_cpu = arguments.device == "cpu"
    print(f"{where}, {torch.get_num_threads()} threads, torch {torch.__version__}, float32, batch 1")
    if on_cpu:  # seconds of a processor are those of all threads: they compare with one
        print(f"{limits_line(1)}, one thread")
    print(f"{arguments.heads} heads of {arguments.head_size}, {arguments.text} text tokens, kernel {KERNEL}")
    header = "side layer                 entries  forward ms  with backward  ratio       MB  ns/entry"
    print(f"{header}  of possible")
    for side in arguments.sides:
        grid, text = (side, side), arguments.text
        shape = (1, arguments.heads, text + side * side, arguments.head_size)
        states = [torch.randn(shape, device=arguments.device, requires_grad=True) for _ in range(3)]
        layers = {"dense": lambda *states: scaled_dot_product_attention(*states, is_causal=True)}
        for form in arguments.forms:
            for kind in ("row", "column", "conv"):
                layers[f"{kind}, {form}"] = partial(layer, kind=kind, text_length=text, grid=grid, form=form)
        dense = None
        for name, attend in layers.items():
            forward, both = measure(attend, states, arguments.device, arguments.repeats)
            dense = dense or both
            entries = mask_entries(name.split(",")[0], text, grid, KERNEL)
            megabytes = peak_memory(attend, states, arguments.device) / 1e6
            row = f"{side:4} {name:16} {entries:12,} {forward * 1e3:11.1f} {both * 1e3:14.1f}"
            share = percent(work_of(partial(both_ways, attend, states)), both, threads=1) if on_cpu else ""
            cells = f"{both / dense:6.2f} {megabytes:8.1f} {both * 1e9 / entries:9.1f} {share:>12}"
            print(f"{row} {cells}", flush=True)


if __name__ == "__main__":
    main()
