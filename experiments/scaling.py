"""Scaling in miniature, several sizes for the same arithmetic: `python experiments/scaling.py --out FILE`.

Each size trains on the same scenes, in the same order, until it has spent the same FLOPs; a larger one gets
fewer steps for them. On the way, at budget / 2^k, each is measured on pictures of the validation split and
draws four captions. The whole is done with three seeds: other first weights, other batches. The pictures are
half as large as the shipped model's, 32 x 32 pixels, which the same dVAE writes as 8 x 8 tokens, so that a
run takes a minute and the small models reach their limit. The learning rate stays level after the warm-up,
so that no point of a curve is favoured by a schedule that ends there; what is measured are the averaged
weights. Chapters 9 and 10 show the file (`--out experiments/10-crossing.json`). It takes about eleven minutes
of one core.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import torch
from trials import as_tokens, frozen_parts

from dalle_edu.dalle import Dalle
from dalle_edu.data.mixture import mixture
from dalle_edu.files import weights_digest
from dalle_edu.sampling import sample_tokens
from dalle_edu.scale import dalle_parts
from dalle_edu.train.loop import Run, TrainingConfig, step_generator, write_text
from dalle_edu.train.run import machine

FAMILIES = ("attributes", "objects")
PROMPTS = [
    "a large red circle",
    "a large striped blue heart",
    "a small green star",
    "three small orange squares",
]


def training_config(width: int, steps: int, seed: int, options) -> TrainingConfig:
    rate = 3e-3 * (64 / width) ** 0.5
    return TrainingConfig(
        steps=steps, batch_size=options.batch, learning_rate=rate, final_learning_rate=rate,
        warmup=30, weight_decay=0.045, beta_2=0.96, gradient_clip=1.0, weight_average=0.98,
        precision=options.precision, seed=seed,
    )  # fmt: skip


def loss(model, batch, step, generator):
    return model.loss(*batch)


def train_one(shape, flops, marks, seed, train, validation, prompts, options):
    """One size with one seed: its points, {"step", "flops", "text", "image", "drawn"}, and its seconds."""
    torch.manual_seed(seed)
    model, measured = Dalle(shape), Dalle(shape).eval()
    config = training_config(shape.width, marks[-1], seed, options)
    run, points, seconds = Run(model, config), [], 0.0
    for mark in marks:
        started = time.process_time()
        while run.step < mark:
            generator = step_generator(seed, run.step)
            chosen = torch.randint(len(train[0]), (options.batch,), generator=generator)
            run.update((train[0][chosen], train[1][chosen]), loss)
        seconds += time.process_time() - started
        measured.load_state_dict(run.weights())
        with torch.inference_mode():
            found = [
                measured.loss(text, image)
                for text, image in zip(validation[0].split(48), validation[1].split(48), strict=True)
            ]
        drawn = sample_tokens(
            measured, prompts, temperature=0.7, generator=torch.Generator().manual_seed(seed)
        )
        point = {"step": mark, "flops": mark * flops, "drawn": drawn.tolist()}
        point |= {key: sum(float(f[key]) for f in found) / len(found) for key in ("text", "image")}
        print(
            f"width {shape.width} seed {seed} step {mark}: {point['image']:.3f}, {seconds:.0f} s", flush=True
        )
        points.append(point)
    return points, seconds


def mean_points(runs):
    """Points of several seeds as one: mean losses; "images" has each seed's, "drawn" is the first seed's."""
    points = []
    for same in zip(*runs, strict=True):
        point = {key: same[0][key] for key in ("step", "flops", "drawn")}
        point |= {key: round(sum(p[key] for p in same) / len(same), 4) for key in ("text", "image")}
        points.append(point | {"images": [round(p["image"], 4) for p in same]})
    return points


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", default="picturebook", help="whose dVAE and tokenizer: a shipped model or a folder"
    )
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--text-length", type=int, default=16)
    parser.add_argument("--pictures", type=int, default=1500, help="training pictures of each family")
    parser.add_argument(
        "--teraflops", type=float, default=0.6, help="the budget of each size, in 10^12 FLOPs"
    )
    parser.add_argument(
        "--halvings", type=int, default=7, help="how many earlier points a curve has, each at half the FLOPs"
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    config, tokenizer, vae = frozen_parts(options.model)
    side = options.image_size // config.dvae.downsampling
    shape = dataclasses.replace(config.dalle, grid=(side, side), text_length=options.text_length)
    prompts = tokenizer.encode(PROMPTS, shape.text_length, cut=True, padding=shape.text_vocabulary)

    def pairs(split, length):
        sources = [{"kind": "scenes", "family": family, "length": length} for family in FAMILIES]
        return as_tokens(mixture(sources, options.image_size, split), shape, tokenizer, vae)

    train, validation = pairs("train", options.pictures), pairs("validation", 96)
    print(f"{len(train[0])} pictures encoded", flush=True)
    result = {
        "prompts": PROMPTS, "families": FAMILIES, "pictures": len(train[0]), "batch": options.batch,
        "grid": [side, side], "seeds": options.seeds, "precision": options.precision,
        "machine": machine(), "dvae": weights_digest(vae, without="decoder."), "sizes": [],
    }  # fmt: skip
    for width in options.widths:
        shape = dataclasses.replace(
            shape, width=width, depth=options.depth, heads=max(1, width // 32), kinds=()
        )
        rows = dalle_parts(shape)
        # Of a step: the backward pass costs twice the forward pass.
        flops = 3 * options.batch * sum(part.flops for part in rows)
        halved = [options.teraflops * 1e12 / 2**k for k in range(options.halvings, -1, -1)]
        marks = [0] + [round(budget / flops) for budget in halved]
        runs = [
            train_one(shape, flops, marks, seed, train, validation, prompts, options)
            for seed in options.seeds
        ]
        result["sizes"].append(
            {
                "width": width, "depth": options.depth, "heads": shape.heads,
                "learning_rate": round(training_config(width, marks[-1], 0, options).learning_rate, 6),
                "parameters": sum(part.parameters for part in rows), "flops_a_step": flops,
                "seconds": round(sum(seconds for _, seconds in runs)),
                "points": mean_points([points for points, _ in runs]),
            }
        )  # fmt: skip
    write_text(options.out, json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
