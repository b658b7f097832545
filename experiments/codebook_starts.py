"""Where a codebook starts, how fast it averages, and whether dead codes are revived (chapter 3).

    OMP_NUM_THREADS=1 python experiments/codebook_starts.py
    OMP_NUM_THREADS=1 python experiments/codebook_starts.py --steps 20 --seeds 1 --out /tmp/try.json

Chapter 3's network and training, three seeds each: codes in use and perplexity on unseen pictures after
400 steps. Starts: "heap", uniform in +-1/K; "unit scaling", uniform with variance 1/width as in the
authors' code (sonnet's VectorQuantizer); "standard normal", as in their moving-average form; a number,
that times a standard normal; "vectors", random encoder vectors of the first batch. Only one thing
changes from line to line.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch

from dalle_edu.autoencoder import fit, psnr, reconstruct
from dalle_edu.data import EmojiPictures
from dalle_edu.machine.processor import machine
from dalle_edu.train.loop import write_text
from dalle_edu.vqvae import VQVAE, VQVAEConfig, codebook_usage, perplexity

OUT = Path(__file__).with_name("03-codebook-starts.json")
SETTINGS = {"width": 64, "blocks": 2, "vocabulary": 256, "code_width": 16, "sigma": 0.5}


@torch.no_grad()
def start(model, pictures, kind, generator):
    """Sets the codebook of `model` as `kind` says; a number is the scale of a standard normal."""
    quantizer = model.quantizer
    shape = quantizer.codebook.shape
    if kind == "vectors":
        flat = model.encoder(pictures[:32]).movedim(1, -1).flatten(0, 2)
        codebook = flat[torch.randint(len(flat), shape[:1], generator=generator)]
    elif kind == "unit scaling":
        codebook = (2 * torch.rand(shape, generator=generator) - 1) * math.sqrt(3 / shape[1])
    elif kind == "heap":
        codebook = (2 * torch.rand(shape, generator=generator) - 1) / shape[0]
    else:
        codebook = torch.randn(shape, generator=generator) * (1.0 if kind == "standard normal" else kind)
    quantizer.codebook.copy_(codebook)
    if quantizer.decay is not None:
        quantizer.sums.copy_(codebook)


def run(pictures, unseen, kind, decay, revive_below, steps, seed):
    torch.manual_seed(seed)
    model = VQVAE(VQVAEConfig(**SETTINGS, decay=decay, revive_below=revive_below))
    start(model, pictures, kind, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        first = model.encoder(pictures[:256]).square().mean().sqrt().item()
    fit(model, pictures, steps, batch_size=32, learning_rate=3e-3, seed=seed)
    usage = codebook_usage(model.encode(unseen), SETTINGS["vocabulary"])
    with torch.no_grad():
        last = model.encoder(unseen).square().mean().sqrt().item()
    return {
        "in_use": int((usage > 0).sum()),
        "perplexity": perplexity(usage),
        "psnr": psnr(unseen, reconstruct(model, unseen)).mean().item(),
        "encoder_rms_first": first,
        "encoder_rms_last": last,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    pictures, unseen = EmojiPictures(32).pictures, EmojiPictures(32, "validation").pictures
    # (start, decay or None for the codebook loss, revive below)
    lines = [("heap", 0.99, 0.0), ("unit scaling", 0.99, 0.0), ("standard normal", 0.99, 0.0)]
    lines += [("vectors", 0.99, 0.0), ("vectors", 0.95, 0.0), (0.03, 0.99, 0.0), (0.1, 0.99, 0.0)]
    lines += [("heap", 0.95, 0.0), ("heap", 0.99, 1.0), ("heap", 0.95, 1.0)]
    lines += [("heap", None, 0.0), ("unit scaling", None, 0.0), ("vectors", None, 0.0)]
    rows, started = [], time.perf_counter()
    for kind, decay, revive_below in lines:
        seeds = [
            run(pictures, unseen, kind, decay, revive_below, chosen.steps, s) for s in range(chosen.seeds)
        ]
        rows.append({"start": kind, "decay": decay, "revive_below": revive_below, "seeds": seeds})
        print(kind, decay, revive_below, [(s["in_use"], round(s["perplexity"])) for s in seeds], flush=True)
        about = {"steps": chosen.steps, "seconds": round(time.perf_counter() - started), "machine": machine()}
        write_text(chosen.out, json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
