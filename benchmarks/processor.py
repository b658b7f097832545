"""What a processor makes of the operations that the models are built of: matrix products, and noise.

    python benchmarks/processor.py [--repeats 7] [--clock cpu]

First table: GFLOP/s of a linear layer's product, and the largest error against float64, in float32 as PyTorch
does it, in float32 through oneDNN (`torch.set_float32_matmul_precision("medium")`) and in bfloat16. An error
of 1e-5 to 1e-3 is float32, one of 1e-1 is bfloat16: where "oneDNN" shows the latter, the processor has AMX
and rounds. Second table: nanoseconds for each exponential number. Run it alone on the machine.
"""

import argparse
from functools import partial

import torch
from timing import CLOCKS, PRECISIONS, median_seconds, precision, row
from torch.nn.functional import linear

from dalle_edu.gumbel import exponential_noise
from dalle_edu.machine.processor import machine

WIDTHS = (34, 18, 18, 18)
SHAPES = ((8, 256, 768), (64, 256, 768), (4608, 256, 768), (4608, 1024, 256))


def repeat(times, x, weight):
    for _ in range(times):
        linear(x, weight)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--clock", default="wall", choices=CLOCKS)
    a = parser.parse_args()
    print(machine())
    row("GFLOP/s (largest error)", *PRECISIONS, widths=WIDTHS)
    for rows, inputs, outputs in SHAPES:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(rows, inputs, generator=generator)
        weight = torch.randn(outputs, inputs, generator=generator)
        exact = x.double() @ weight.double().T
        flops = 2 * rows * inputs * outputs
        times = max(1, int(2e9 / flops))  # about two billion operations at a time
        cells = []
        for kind in PRECISIONS:
            with precision(kind), torch.no_grad():
                # Under autocast the weight would be cast anew each time: 16 bits from the start.
                pair = (x.bfloat16(), weight.bfloat16()) if kind == "bfloat16" else (x, weight)
                many = partial(repeat, times, *pair)
                seconds = median_seconds(many, a.repeats, clock=a.clock)
                error = (linear(*pair).double() - exact).abs().max().item()
            cells.append(f"{flops * times / seconds / 1e9:,.0f} ({error:.0e})")
        row(f"({rows}, {inputs}) x ({inputs}, {outputs})", *cells, widths=WIDTHS)
    print("\nnanoseconds for each exponential number")
    like, generator = torch.empty(3_000_000), torch.Generator().manual_seed(0)
    draws = {
        "exponential_": lambda: torch.empty_like(like).exponential_(generator=generator),
        "exponential_noise, the same": lambda: exponential_noise(like, generator),
    }
    for name, draw in draws.items():
        row(
            name, f"{median_seconds(draw, a.repeats, clock=a.clock) / len(like) * 1e9:.1f}", widths=WIDTHS[:2]
        )


if __name__ == "__main__":
    main()
