"""512 samples of one prompt, drawn with the shipped model, decoded, ranked by CLIP: seconds and memory.

    python benchmarks/best_of_512.py [--prompt "a red apple"] [--samples 512] [--batch 64] [--repeats 3]
    [--precision float32 oneDNN bfloat16] [--model picturebook]

The first table is `model.draw` as a reader calls it, timed whole and in its three parts; the largest resident
memory is that of the whole process, with PyTorch and the model in it, and grows with the highest row so far.
The parts' seconds are medians like the whole's, those of all workers added up. "of possible" is the share of
what this processor can do (`share.py`). Run it alone on the machine.
"""

import argparse
import contextlib
import resource
import statistics
import sys
import time
from functools import partial

from share import limits_line, percent, work_of
from timing import PRECISIONS, precision, row

import dalle_edu
from dalle_edu import drawing
from dalle_edu.machine.processor import machine
from dalle_edu.machine.workers import worker_count

WIDTHS = (14, 9, 12, 9, 9, 9, 12)


@contextlib.contextmanager
def timed_parts(model, seconds):
    """Adds up in `seconds` what drawing tokens, decoding and scoring take inside `model.draw`."""

    def timed(part, function):
        def call(*arguments, **named):
            start = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                seconds[part] = seconds.get(part, 0.0) + time.perf_counter() - start

        return call

    sample = drawing.sample_tokens
    drawing.sample_tokens = timed("tokens", sample)
    model.pictures, model.score = timed("dVAE", model.pictures), timed("CLIP", model.score)
    try:
        yield
    finally:
        drawing.sample_tokens = sample
        del model.pictures, model.score


def peak_gibibytes():
    """The largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompt", default="a red apple")
    parser.add_argument("--model", default="picturebook")
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    a = parser.parse_args()
    print(machine())
    start = time.perf_counter()
    model = dalle_edu.load(a.model)
    model.draw(a.prompt, samples=2)  # loads CLIP and warms up
    print(f"loaded, and two samples drawn, in {time.perf_counter() - start:.1f} s")
    print(f"{a.samples} samples of {a.prompt!r}, {a.batch} at a time")
    print(limits_line())
    row("", "seconds", "of possible", "tokens", "dVAE", "CLIP", "peak GiB", widths=WIDTHS)
    for kind in a.precision:
        whole, parts = [], []
        for _ in range(a.repeats):
            seconds = {}
            start = time.perf_counter()
            with precision(kind), timed_parts(model, seconds):
                drawn = model.draw(a.prompt, samples=a.samples, batch=a.batch)
            whole.append(time.perf_counter() - start)
            parts.append(seconds)
        assert len(drawn) == a.samples and (drawn.scores.diff() <= 0).all(), "not ranked"
        cells = [f"{statistics.median(p[name] for p in parts):.1f}" for name in ("tokens", "dVAE", "CLIP")]
        peak, seconds = f"{peak_gibibytes():.2f}", statistics.median(whole)
        part = min(a.samples, max(1, a.batch // worker_count()))  # what one core does at a time
        with precision(kind):
            done = work_of(partial(model.draw, a.prompt, samples=part, workers=1))
        share = percent(done * (a.samples / part), seconds, kind)
        row(kind, f"{seconds:.1f}", share, *cells, peak, widths=WIDTHS)


if __name__ == "__main__":
    main()
