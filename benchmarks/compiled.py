"""What torch.compile gains on this processor, what it costs to compile, and after how much work that pays.

    python benchmarks/compiled.py [--batch 16] [--samples 64] [--repeats 5] [--precision float32 bfloat16]

Two pieces of work at the shipped model's sizes: a step of training (loss, gradient, AdamW), and one step of
drawing with the position as a tensor, which keeps all shapes the same. Compiling needs a C++ compiler;
PyTorch warns that it reads through what is kept by `functools.lru_cache`, which does no harm here. "pays
after" is the number of steps that win back the seconds of compiling. Run it alone on the machine.
"""

import argparse
import time
from functools import partial

import torch
from timing import median_seconds, precision, row

from dalle_edu.configs import read_config
from dalle_edu.dalle import Dalle
from dalle_edu.machine.processor import machine

WIDTHS = (34, 10, 10, 8, 10, 14)


def training(config, batch, compiled):
    """A call that makes one update; `compiled`: block by block, as a configuration's `compile` does."""
    torch.manual_seed(0)
    model = Dalle(config)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    text = torch.randint(1, config.text_vocabulary, (batch, config.text_length))
    image = torch.randint(config.image_vocabulary, (batch, config.picture_length))
    for block in model.transformer.blocks if compiled else ():
        block.compile(dynamic=False)

    def step(kind):
        optimizer.zero_grad()
        with precision(kind):
            loss = model.loss(text, image)["loss"]
        loss.backward()
        optimizer.step()

    return step


def drawing(config, samples, compiled):
    """A call that draws one token of each sample, after half a picture."""
    torch.manual_seed(0)
    transformer = Dalle(config).eval().transformer
    with torch.inference_mode():
        _, cache = transformer.prefill(torch.randn(1, config.text_length, config.width), samples)
        for layer in cache:
            layer["keys"].normal_(), layer["values"].normal_()
    x, position = torch.randn(samples, config.width), torch.tensor([config.picture_length // 2])
    forward = torch.compile(transformer.step, dynamic=False) if compiled else transformer.step

    def step(kind):
        with torch.inference_mode(), precision(kind):
            forward(x, position, cache)

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="picturebook")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", nargs="+", default=["float32"], choices=("float32", "bfloat16"))
    a = parser.parse_args()
    config = read_config(a.config).dalle
    print(machine())
    row("", "eager ms", "compiled", "gain", "to compile", "pays after", widths=WIDTHS)
    for name, make, size in (
        (f"training, batch {a.batch}", training, a.batch),
        (f"drawing, {a.samples} samples", drawing, a.samples),
    ):
        for kind in a.precision:
            plain, compiled = make(config, size, False), make(config, size, True)
            eager = median_seconds(partial(plain, kind), a.repeats)
            torch.compiler.reset()
            start = time.perf_counter()
            compiled(kind)
            to_compile = time.perf_counter() - start
            fast = median_seconds(partial(compiled, kind), a.repeats)
            pays = f"{to_compile / (eager - fast):,.0f} steps" if fast < eager else "never"
            cells = f"{eager * 1e3:.1f}", f"{fast * 1e3:.1f}", f"{eager / fast:.2f}", f"{to_compile:.0f} s"
            row(f"{name}, {kind}", *cells, pays, widths=WIDTHS)


if __name__ == "__main__":
    main()
