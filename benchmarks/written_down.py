"""Whether the attention of a small CLIP is better fused or written down, on a processor.

    python benchmarks/written_down.py [--rounds 5]

Prints milliseconds forward and backward of PyTorch's fused attention and of the same with all scores written
down, for the shapes of the shipped CLIPs (batch, heads, length, head size), in float32 and in bfloat16: the
least of some rounds, taken in turn. `scores_written_down` in `dalle_edu/train/stages.py` goes by this table.
"""

import argparse
import time

import torch
from timing import row
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

SHAPES = ((256, 4, 65, 48), (128, 4, 65, 48), (128, 4, 65, 40), (128, 4, 25, 40))
WAYS = {"fused": SDPBackend.FLASH_ATTENTION, "written down": SDPBackend.MATH}
WIDTHS = (22, 10, 10, 14)


def seconds(states: list[torch.Tensor], way: SDPBackend) -> float:
    """Seconds of one attention, forward and backward."""
    start = time.perf_counter()
    with sdpa_kernel(way):
        scaled_dot_product_attention(*states).sum().backward()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    row("shape", "numbers", *WAYS, widths=WIDTHS)
    for shape in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            states = [torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(3)]
            times = [[seconds(states, way) for way in WAYS.values()] for _ in range(rounds + 1)][1:]
            least = [f"{1e3 * min(each):.1f} ms" for each in zip(*times, strict=True)]
            row("x".join(map(str, shape)), str(dtype).removeprefix("torch."), *least, widths=WIDTHS)


if __name__ == "__main__":
    main()
