"""One drawing step of the transformer beside an older version of `transformer.py`: processor milliseconds.

    git show 3e2aea3:dalle_edu/transformer.py > before.py
    OMP_NUM_THREADS=1 python benchmarks/step.py --before before.py [--batch 8 64] [--steps 24]

The best of two runs of `steps` steps from the 121st token on, at width 256, depth 6 and 4 heads. "fetched"
gives the position as a tensor, which both versions understand; "in place" as a whole number.
"""

import argparse
import importlib.util
import sys
import time
from functools import partial

import torch
from share import limits_line, percent, work_of
from timing import row

import dalle_edu.transformer as now
from dalle_edu.machine.processor import machine

WIDTHS = (24, 9, 9, 9, 12)


def milliseconds(module, kinds, samples, steps, as_tensor):
    torch.manual_seed(0)
    model = module.Transformer(module.TransformerConfig(32, (16, 16), 256, 6, 4, 11, kinds)).eval()
    best = float("inf")
    with torch.inference_mode():
        _, cache = model.prefill(torch.randn(1, 32, 256), samples)
        for layer in cache:
            layer["keys"].normal_(), layer["values"].normal_()
        x = torch.randn(samples, 256)
        for _ in range(2):
            start = time.process_time()
            for j in range(120, 120 + steps):
                model.step(x, torch.tensor([j]) if as_tensor else j, cache)
            best = min(best, time.process_time() - start)
    return best / steps * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", help="an older transformer.py")
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--steps", type=int, default=24)
    a = parser.parse_args()
    before = None
    if a.before:
        spec = importlib.util.spec_from_file_location("before", a.before)
        before = sys.modules["before"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(before)
    print(machine())
    print(f"{limits_line(1)}, one thread")
    row("ms a step", "before", "fetched", "in place", "of possible", widths=WIDTHS)
    for samples in a.batch:
        for name, kinds in (("sparse mixture", ()), ("dense", ("dense",) * 6)):
            old = f"{milliseconds(before, kinds, samples, a.steps, True):.1f}" if before else ""
            new = [milliseconds(now, kinds, samples, a.steps, how) for how in (True, False)]
            one, two = (work_of(partial(milliseconds, now, kinds, samples, n, False)) for n in (1, 2))
            share = percent((two - one) * 0.5, new[1] / 1e3, threads=1)  # `milliseconds` runs twice
            cells = (*(f"{one:.1f}" for one in new), share)
            row(f"batch {samples}, {name}", old, *cells, widths=WIDTHS)


if __name__ == "__main__":
    main()
