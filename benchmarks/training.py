"""Tokens a second while training, beside DALLE-pytorch; and where a dVAE step's time goes.

    python benchmarks/training.py [--batch 16] [--repeats 3] [--side 16] [--text 32] [--width 256] [--depth 6]
    [--heads 4] [--no-dvae] [--clock cpu]

A step is loss, gradient and AdamW, on random tokens. "Tokens" counts text and picture, `batch * (text + side
* side)` a step. The second table is one step of the shipped dVAE's configuration, with the noise drawn by
PyTorch's `exponential_` and by `dalle_edu.gumbel`: the same numbers. "of possible" is the share of what this
processor can do (`share.py`). Run it alone on the machine.
"""

import argparse
import contextlib
from unittest import mock

import torch
from peer import peer_dalle
from share import limits_line, percent, work_of
from timing import CLOCKS, PRECISIONS, median_seconds, precision, row

from dalle_edu.configs import read_config
from dalle_edu.dalle import Dalle, DalleConfig
from dalle_edu.dvae import DiscreteVAE
from dalle_edu.machine.processor import machine
from dalle_edu.masks import layer_kinds

WIDTHS = (40, 9, 8, 9, 6, 12)
VOCABULARY = 1024


def training_step(model, loss, kind):
    """A call that makes one update."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 1e-4)

    def step():
        optimizer.zero_grad()
        with precision(kind):
            # In "oneDNN" the products of the backward pass go the same way; autocast ends before it.
            value = loss()
            if kind != "bfloat16":
                value.backward()
        if kind == "bfloat16":
            value.backward()
        optimizer.step()

    return step


def transformers(a):
    """(name, precision, step) of each model and precision, the peer's first."""
    torch.manual_seed(0)
    text = torch.randint(1, VOCABULARY, (a.batch, a.text))
    image = torch.randint(VOCABULARY, (a.batch, a.side**2))
    mixture, dense = tuple(layer_kinds(a.depth)), ("dense",) * a.depth
    for name, kinds in (("dense", dense), ("sparse mixture", mixture)):
        for kind in ("float32", "bfloat16"):
            sizes = (a.side, a.width, a.depth, a.heads, a.text, VOCABULARY, VOCABULARY)
            if model := peer_dalle(kinds, *sizes):
                loss = lambda model=model: model(text, image, return_loss=True)  # noqa: E731
                yield f"DALLE-pytorch, {name}", kind, training_step(model, loss, kind)
    grid = (a.side, a.side)
    for name, kinds in (("dense", dense), ("sparse mixture", mixture)):
        for kind in PRECISIONS:
            sizes = (VOCABULARY, a.text, VOCABULARY, grid, a.width, a.depth, a.heads)
            model = Dalle(DalleConfig(*sizes, 11, kinds))
            loss = lambda model=model: model.loss(text, image)["loss"]  # noqa: E731
            yield name, kind, training_step(model, loss, kind)


def torchs_own(like, generator=None):
    """What `exponential_noise` does in less time: PyTorch's draw, one logarithm after another."""
    return torch.empty_like(like).exponential_(generator=generator)


def dvae_steps(a):
    """Prints a step of the shipped dVAE's configuration with either way to draw its noise."""
    batch, size = a.dvae_batch, a.dvae_size
    config = read_config("picturebook")
    model = DiscreteVAE(config.dvae)
    images = torch.rand(batch, 3, size, size)
    generator = torch.Generator().manual_seed(0)
    loss = lambda: model.loss(images, 0.5, 0.001, generator)["loss"]  # noqa: E731
    logits = torch.zeros(batch, config.dvae.vocabulary, *(size // config.dvae.downsampling,) * 2)
    print(f"\ndVAE step, batch {batch} of {size} x {size} pixels, {config.dvae.vocabulary:,} codes, float32")
    for name, noise in (("exponential_", torchs_own), ("dalle_edu.gumbel.exponential_noise", None)):
        replaced = (
            mock.patch("dalle_edu.gumbel.exponential_noise", noise) if noise else contextlib.nullcontext()
        )
        from dalle_edu import gumbel

        with replaced:
            seconds = median_seconds(training_step(model, loss, "float32"), a.repeats, clock=a.clock)
            drawing = median_seconds(lambda: gumbel.gumbel_noise(logits, generator), a.repeats, clock=a.clock)
            share = percent(work_of(training_step(model, loss, "float32")), seconds)
        cells = (f"{seconds * 1e3:.0f} ms", f"of it noise {drawing * 1e3:.0f} ms", f"{share} of possible")
        row(name, *cells, widths=(40, 9, 20, 18))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-dvae", action="store_true")
    for name, value in (
        ("batch", 16),
        ("repeats", 3),
        ("side", 16),
        ("text", 32),
        ("width", 256),
        ("depth", 6),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--dvae-batch", type=int, default=48)
    parser.add_argument("--dvae-size", type=int, default=32, help="pixels")
    parser.add_argument("--clock", default="wall", choices=CLOCKS)
    a = parser.parse_args()
    print(machine())
    sizes = (
        f"width {a.width}, depth {a.depth}, {a.heads} heads, {a.text} text tokens, grid {a.side} x {a.side}"
    )
    print(f"{sizes}, batch {a.batch}")
    print(limits_line())
    row("", "precision", "seconds", "tokens/s", "ratio", "of possible", widths=WIDTHS)
    reference = None
    for name, kind, step in transformers(a):
        seconds = median_seconds(step, a.repeats, clock=a.clock)
        speed = a.batch * (a.text + a.side**2) / seconds
        reference = reference or speed
        share = percent(work_of(step), seconds, kind)
        cells = (kind, f"{seconds:.2f}", f"{speed:,.0f}", f"{speed / reference:.1f}", share)
        row(name, *cells, widths=WIDTHS)
    if not a.no_dvae:
        dvae_steps(a)


if __name__ == "__main__":
    main()
