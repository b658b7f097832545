"""What a small DALL·E learns first, with three seeds: `python experiments/what_first.py --out FILE`.

The live model of chapter 9 (width 64, three layers, 1,500 scenes) is trained with other first weights and
other batches, and measured at many steps: the loss on 100 unseen pictures, and what the right caption is
worth, the loss with the next picture's caption minus the loss with its own, in nats a picture. Chapter 9
shows the file (`--out experiments/09-what-first.json`). It also holds the plug-in entropy of captions against
how many of them were counted. It takes three minutes of one core.
"""

import argparse
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch

import dalle_edu
from dalle_edu.dalle import Dalle
from dalle_edu.data import Scenes
from dalle_edu.train.loop import Run, TrainingConfig, step_generator, write_text
from dalle_edu.train.run import machine

MARKS = [1, 2, 4, 7, 10, 14, 20, 28, 40, 56, 80, 113, 160, 226, 320, 400, 500]
COUNTS = [5_000, 10_000, 20_000, 40_000, 80_000, 160_000]


@torch.inference_mode()
def read(model, scenes):
    """Captions and pictures as tokens: (n, text_length) and (n, picture_length)."""
    places = torch.arange(len(scenes)).split(50)
    images = [torch.stack([scenes[int(i)][0] for i in part]) for part in places]
    tokens = torch.cat([model.vae.encode(part).flatten(1) for part in images])
    return model.encode_text([scenes.caption(i) for i in range(len(scenes))]), tokens


@torch.inference_mode()
def measured(dalle, text, tokens):
    own, other = dalle.loss(text, tokens), dalle.loss(text.roll(1, 0), tokens)
    worth = float(other["image"] - own["image"]) * tokens.shape[1]
    return {"text": float(own["text"]), "image": float(own["image"]), "worth": worth}


def curve(shape, seed, train, unseen):
    torch.manual_seed(seed)
    config = TrainingConfig(
        steps=MARKS[-1], batch_size=8, learning_rate=4e-3, warmup=30, weight_decay=0.045, beta_2=0.96,
        gradient_clip=1.0, seed=seed,
    )  # fmt: skip
    run, points = Run(Dalle(shape), config), []
    for mark in MARKS:
        while run.step < mark:
            chosen = torch.randint(len(train[0]), (8,), generator=step_generator(seed, run.step))
            run.update((train[0][chosen], train[1][chosen]), lambda model, pair, *_: model.loss(*pair))
        points.append({"step": mark} | {k: round(v, 4) for k, v in measured(run.model, *unseen).items()})
        print(seed, points[-1], flush=True)
    return points


def entropies():
    """Plug-in entropy in nats, and the share of captions met once (Good 1953: the mass not yet seen)."""
    scenes, seen, rows = Scenes("objects", length=COUNTS[-1]), Counter(), []
    for start, count in zip([0, *COUNTS], COUNTS, strict=False):
        seen.update(scenes.caption(i) for i in range(start, count))
        shares = torch.tensor(list(seen.values()), dtype=torch.float64) / count
        once = sum(times == 1 for times in seen.values()) / count
        nats = -(shares * shares.log()).sum()
        rows.append({"captions": count, "nats": round(float(nats), 3), "once": round(once, 3)})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    model = dalle_edu.load("picturebook")
    shape = replace(model.config.dalle, width=64, depth=3, heads=2, kinds=())
    train = read(model, Scenes("objects", size=64, length=1500))
    unseen = read(model, Scenes("objects", size=64, length=100, split="validation"))
    curves = [curve(shape, seed, train, unseen) for seed in options.seeds]
    result = {"machine": machine(), "seeds": options.seeds, "curves": curves, "entropy": entropies()}
    write_text(options.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
