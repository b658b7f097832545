"""How many latent numbers a VAE keeps in use, against the rule for a linear one (chapter 2).

    OMP_NUM_THREADS=1 python experiments/collapse_rule.py
    OMP_NUM_THREADS=1 python experiments/collapse_rule.py --steps 20 --seeds 1 --out /tmp/try.json

Chapter 2's network with 16 latent numbers and one hidden layer of 128, at six prices beta, trained for the
chapter's 150 steps and for ten times as many, three seeds each. The rule (Lucas et al. 2019, arXiv
1911.02469, for a linear VAE): as many numbers as there are principal components with a variance above
beta sigma^2.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from dalle_edu.autoencoder import AutoencoderConfig, fit, principal_components, psnr, reconstruct
from dalle_edu.data import EmojiPictures
from dalle_edu.machine.processor import machine
from dalle_edu.train.loop import write_text
from dalle_edu.vae import VariationalAutoencoder, active_numbers

OUT = Path(__file__).with_name("02-collapse-rule.json")
CONFIG = AutoencoderConfig(latent_size=16, hidden=(128,))
BETAS = (10, 30, 100, 150, 200, 400)


def run(pictures, unseen, beta, steps, seed):
    """Trains one network; how many of its numbers are in use, and its quality on unseen pictures in dB."""
    torch.manual_seed(seed)
    model = VariationalAutoencoder(CONFIG, pictures.mean(dim=0), beta=beta)
    fit(model, pictures, steps)
    quality = psnr(unseen, reconstruct(model, unseen)).mean().item()
    return {"in_use": active_numbers(model, pictures), "psnr": quality}, model.sigma


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, nargs="+", default=[150, 1500])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    pictures, unseen = EmojiPictures(32).pictures, EmojiPictures(32, "validation").pictures
    mean, components = principal_components(pictures, CONFIG.latent_size)
    variances = ((pictures - mean).flatten(1) @ components.T).var(dim=0)  # (16,), falling
    rows, started = [], time.perf_counter()
    for beta in BETAS:
        for steps in chosen.steps:
            seeds, sigmas = zip(
                *(run(pictures, unseen, beta, steps, seed) for seed in range(chosen.seeds)), strict=True
            )
            rule = int((variances > beta * sigmas[0] ** 2).sum())
            rows.append({"beta": beta, "steps": steps, "rule": rule, "seeds": list(seeds)})
            print(beta, steps, "rule", rule, "in use", [seed["in_use"] for seed in seeds], flush=True)
        about = {"seconds": round(time.perf_counter() - started), "machine": machine()}
        write_text(chosen.out, json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
