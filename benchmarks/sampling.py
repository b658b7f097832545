"""Image tokens a second while drawing, beside DALLE-pytorch with its cache.

    python benchmarks/sampling.py [--batch 8 64] [--repeats 5] [--peer-repeats 3] [--side 16] [--text 32]
    [--width 256] [--depth 6] [--heads 4] [--clock cpu]

One prompt, `batch` samples of it, whole pictures, untrained weights, shared out over the cores as `draw` does
it (`--workers`; the peer has PyTorch's threads). "of possible" is the share of what this processor can do
(`share.py`). The largest memory beyond the weights is that of the cache, printed in MB. "plain" computes the
whole stream anew for each token. The peer is installed as `benchmarks/peer.py` says; it is timed at the first
batch size. Run it alone on the machine.
"""

import argparse
from functools import partial

import torch
from peer import peer_dalle
from share import limits_line, percent, work_of
from timing import CLOCKS, PRECISIONS, median_seconds, precision, row

from dalle_edu.dalle import Dalle, DalleConfig
from dalle_edu.drawing import share_out
from dalle_edu.machine.processor import machine
from dalle_edu.machine.workers import in_order, worker_count
from dalle_edu.masks import layer_kinds
from dalle_edu.sampling import sample_tokens, sample_tokens_plain

WIDTHS = (58, 6, 9, 10, 7, 12, 9)
VOCABULARY = 1024
PEERS = ("dense", "sparse", "masked")


def ours(kinds, a, draw=sample_tokens):
    """The number of samples -> a drawing of them, by `a.workers` workers where it pays."""
    torch.manual_seed(0)
    grid = (a.side, a.side)
    model = Dalle(
        DalleConfig(VOCABULARY, a.text, VOCABULARY, grid, a.width, a.depth, a.heads, 11, kinds)
    ).eval()
    text = torch.randint(1, VOCABULARY, (1, a.text))

    def some(indices):
        return draw(model, text, len(indices), generator=torch.Generator().manual_seed(indices.start))

    def draw_all(batch, workers=a.workers):
        return list(in_order(some, share_out(batch, batch, a.workers), workers))

    return draw_all


def peers(kinds, a, cached=False):
    model = peer_dalle(
        kinds, a.side, a.width, a.depth, a.heads, a.text, VOCABULARY, VOCABULARY, cached=cached
    )
    text = torch.randint(1, VOCABULARY, (1, a.text))
    # All codes are drawn from, as ours does it; the peer's default keeps the more probable half.
    return model and (
        lambda batch: model.generate_images(text.repeat(batch, 1), use_cache=True, filter_thres=0.0)
    )


def cache_megabytes(kinds, a, batch):
    torch.manual_seed(0)
    grid = (a.side, a.side)
    model = Dalle(
        DalleConfig(VOCABULARY, a.text, VOCABULARY, grid, a.width, a.depth, a.heads, 11, kinds)
    ).eval()
    with torch.inference_mode():
        _, cache = model.transformer.prefill(torch.zeros(1, a.text, a.width), batch)
    return sum(tensor.nbytes for layer in cache for tensor in layer.values()) / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peer-repeats", type=int, default=3)
    for name, value in (("side", 16), ("text", 32), ("width", 256), ("depth", 6), ("heads", 4)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--precision", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS, help="which of its forms")
    two = ("float32", "bfloat16")
    parser.add_argument("--peer-precision", nargs="+", default=two, choices=two)
    parser.add_argument("--workers", type=int, default=worker_count())
    parser.add_argument("--no-plain", action="store_true")
    parser.add_argument("--clock", default="wall", choices=CLOCKS)
    a = parser.parse_args()
    mixture = tuple(layer_kinds(a.depth))
    dense = ("dense",) * a.depth
    axial = tuple("row" if kind == "conv" else kind for kind in mixture)
    print(machine())
    print(
        f"width {a.width}, depth {a.depth}, {a.heads} heads, {a.text} text tokens, grid {a.side} x {a.side}"
    )
    print(f"{a.workers} workers; {limits_line()}")
    row("", "batch", "seconds", "tokens/s", "ratio", "of possible", "cache MB", widths=WIDTHS)
    first = a.batch[0]
    cases = []
    peer_forms = {
        "dense": ("dense, cache", dense, False),
        "sparse": ("sparse mixture, cache", mixture, False),
        "masked": ("sparse rows and columns, static mask", axial, True),
    }
    for name, kinds, cached in (peer_forms[form] for form in a.peers):
        for kind in a.peer_precision:
            if call := peers(kinds, a, cached):
                cases.append((f"DALLE-pytorch, {name}", kind, first, call, a.peer_repeats, None))
    if not cases:
        print("DALLE-pytorch is not installed: see benchmarks/peer.py")
    if not a.no_plain:
        plain = ours(mixture, a, sample_tokens_plain)
        cases.append(("sparse mixture, plain", "float32", first, plain, 1, None))
    for name, kinds in (("dense", dense), ("sparse mixture", mixture)):
        for kind in a.precision:
            for batch in a.batch:
                megabytes = cache_megabytes(kinds, a, batch) / (2 if kind == "bfloat16" else 1)
                cases.append((name, kind, batch, ours(kinds, a), a.repeats, megabytes))
    reference = None
    for name, kind, batch, call, repeats, megabytes in cases:
        with precision(kind):
            # The peers take their time: one picture a sample warms up nothing that the next one would need.
            seconds = median_seconds(partial(call, batch), repeats, megabytes is not None, a.clock)
        speed = batch * a.side**2 / seconds
        reference = reference or speed
        memory, share = "" if megabytes is None else f"{megabytes:.1f}", ""
        if megabytes is not None:
            with precision(kind):  # one worker works in this thread, where it is counted
                share = percent(work_of(partial(call, batch, workers=1)), seconds, kind)
        cells = (f"{batch}", f"{seconds:.2f}", f"{speed:,.0f}", f"{speed / reference:.1f}", share, memory)
        row(f"{name}, {kind}", *cells, widths=WIDTHS)


if __name__ == "__main__":
    main()
