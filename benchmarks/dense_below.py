"""From which picture size the blocked form of an attention layer is faster than masking a dense one.

    python benchmarks/dense_below.py [--sides 4 6 8 ...] [--batch 16] [--text 24] [--heads 3] [--head-size 64]
    [--rounds 7] [--out FILE.json]

Prints, for float32 and bfloat16, milliseconds of processor time (GPU: of time) forward and backward: dense
causal attention (`is_causal=True`), the same with all scores written down, the dense form under each mask,
the blocked form; the least of some rounds, taken in turn so that a neighbour on the machine hits all alike.
`DENSE_BELOW` and `PLAIN_UP_TO` in `dalle_edu/sparse.py` hold the sizes that this table suggests. The file
also gets the most memory that the tensors of each layer take at a time, of the form "bands" too. Chapter 8
draws one, made with --batch 1 --text 64 --heads 4 --rounds 4 --sides 8 12 16 24 32 48 64.
"""

import argparse
import json
import math
import platform
from pathlib import Path
from unittest import mock

import torch
from sparse_attention import KERNEL, clock, peak_memory
from torch.nn.functional import scaled_dot_product_attention

from dalle_edu.sparse import sparse_attention

KINDS = ("row", "column", "conv")
TIMED = ("dense", "blocked")  # forms; of "bands" only the memory is wanted


def layers(text, grid, forms=TIMED):
    """The layers to compare, by name: each takes queries, keys and values."""

    def sparse(kind, form):
        return lambda *states: sparse_attention(*states, kind, text, grid, KERNEL, form=form)

    @mock.patch("dalle_edu.sparse.PLAIN_UP_TO", math.inf)
    def written_down(*states):
        return sparse_attention(*states, "dense", text, grid)

    yield "causal", lambda *states: scaled_dot_product_attention(*states, is_causal=True)
    yield "causal, written down", written_down
    for kind in KINDS:
        for form in forms:
            yield f"{kind}, {form}", sparse(kind, form)


def states_of(dtype, side, given):
    """Random queries, keys and values for a picture of side x side tokens."""
    shape = (given.batch, given.heads, given.text + side * side, given.head_size)
    states = [torch.randn(shape, device=given.device) for _ in range(3)]
    return [one.to(getattr(torch, dtype)).requires_grad_() for one in states]


def seconds(attend, states, device):
    start = clock(device)
    out = attend(*states)
    torch.autograd.grad(out, states, out.detach())
    return clock(device) - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[4, 6, 8, 10, 12, 16, 20, 24, 28, 32])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--text", type=int, default=24)
    parser.add_argument("--heads", type=int, default=3)
    parser.add_argument("--head-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, help="a JSON file for the table")
    given = parser.parse_args()
    rows = []
    for dtype in ("float32", "bfloat16"):
        print(f"\n{dtype}, {torch.get_num_threads()} threads, {platform.machine()}")
        print(
            "side   causal  written down" + "".join(f"{kind + ' masked':>15}{'blocked':>9}" for kind in KINDS)
        )
        for side in given.sides:
            grid = (side, side)
            states = states_of(dtype, side, given)
            compared = dict(layers(given.text, grid))
            best = dict.fromkeys(compared, float("inf"))
            for _ in range(given.rounds):
                for name, attend in compared.items():
                    best[name] = min(best[name], seconds(attend, states, given.device))
            rows.append({"dtype": dtype, "side": side, "seconds": best})
            line = [f"{best['causal'] * 1e3:9.1f}{best['causal, written down'] * 1e3:14.1f}"]
            for kind in KINDS:
                line += [f"{best[f'{kind}, dense'] * 1e3:15.1f}", f"{best[f'{kind}, blocked'] * 1e3:9.1f}"]
            print(f"{side:4}{''.join(line)}", flush=True)
    if given.out:
        for row in rows:  # after all times were taken: whoever watches memory slows down
            states = states_of(row["dtype"], row["side"], given)
            compared = layers(given.text, (row["side"], row["side"]), (*TIMED, "bands"))
            row["bytes"] = {}
            for name, attend in compared:
                attend(*states)  # its mask is made once, and kept
                row["bytes"][name] = peak_memory(attend, states, given.device)
        settings = {name: value for name, value in vars(given).items() if name != "out"}
        settings |= {"threads": torch.get_num_threads(), "torch": torch.__version__}
        text = json.dumps({"settings": settings, "rows": rows}, indent=1) + "\n"
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
