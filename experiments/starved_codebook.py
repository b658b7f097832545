"""Does a discrete VAE from random weights get out of its trap without a KL term and with more steps?
(Chapter 5.)

    OMP_NUM_THREADS=1 python experiments/starved_codebook.py

Chapter 5's small network from noise, three seeds, with KL weight 0, the temperature falling from 1 to
1/16 and ten times the chapter's steps. Stored: PSNR on unseen pictures and codes in use of 256, every
200 steps.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from dalle_edu.data import EmojiPictures
from dalle_edu.dvae import DiscreteVAE, DiscreteVAEConfig, peak_signal_to_noise
from dalle_edu.machine.processor import machine
from dalle_edu.train.loop import Run, TrainingConfig, cosine, train, write_text

OUT = Path(__file__).with_name("05-starved.json")
CONFIG = DiscreteVAEConfig(
    image_size=32,
    vocabulary=256,
    patch_size=4,
    groups=1,
    blocks_per_group=1,
    hidden=64,
    decoder_input=32,
    input_kernel=3,
    likelihood="mean-squared-error",
)


def run(pictures, unseen, steps, seed):
    torch.manual_seed(seed)
    model = DiscreteVAE(CONFIG)

    def batch(step, generator):
        return pictures[torch.randint(len(pictures), (24,), generator=generator)]

    def loss(model, images, step, generator):
        return model.loss(images, cosine(step, 1.0, 1 / 16, steps), kl_weight=0.0, generator=generator)

    training = Run(model, TrainingConfig(steps, 24, 2e-3, final_learning_rate=1e-4, warmup=10, seed=seed))
    rows = []
    for until in range(0, steps + 1, max(1, steps // 6)):
        if until:
            train(training, batch, loss, progress=False, until=until)
        tokens = model.encode(unseen)
        decibels = peak_signal_to_noise(unseen, model.decode(tokens)).mean().item()
        in_use = int((model.codebook_usage(tokens) > 0).sum())
        rows.append({"step": until, "psnr": decibels, "in_use": in_use})
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    pictures, unseen = EmojiPictures(32).pictures, EmojiPictures(32, "validation").pictures[::2]
    curves, started = [], time.perf_counter()
    for seed in range(chosen.seeds):
        curves.append(run(pictures, unseen, chosen.steps, seed))
        print(seed, curves[-1], flush=True)
        about = {"steps": chosen.steps, "seconds": round(time.perf_counter() - started), "machine": machine()}
        write_text(chosen.out, json.dumps({"about": about, "curves": curves}, indent=1) + "\n")


if __name__ == "__main__":
    main()
