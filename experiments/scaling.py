"""Scaling in miniature, three sizes for the same arithmetic: `python experiments/scaling.py --out FILE`.

Each size trains on the same scenes, in the same order, until it has spent the same FLOPs; a larger one gets
fewer steps for them. On the way, at budget / 2^k, each is measured on pictures of the validation split and
draws four captions. The learning rate stays level after the warm-up, so that no point of a curve is favoured
by a schedule that ends there; what is measured are the averaged weights. Chapter 10 shows the file
(`--out experiments/10-scaling.json`). It takes a few minutes on two idle cores.
"""

import argparse
import dataclasses
import hashlib
import json
import time
from pathlib import Path

import torch
from trials import as_tokens, frozen_parts

from dalle_edu.dalle import Dalle
from dalle_edu.data.mixture import mixture
from dalle_edu.sampling import sample_tokens
from dalle_edu.scale import parts
from dalle_edu.train.config import DalleRecipe
from dalle_edu.train.loop import Run, TrainingConfig, step_generator, write_text
from dalle_edu.train.run import machine
from dalle_edu.train.stages import dalle_stage

FAMILIES = ("attributes", "objects")
PROMPTS = [
    "a large red circle",
    "a large striped blue heart",
    "a small green star",
    "three small orange squares",
]


def fingerprint(vae) -> str:
    """A short hash of what chooses a dVAE's tokens, which mean something to it alone."""
    digest = hashlib.sha256()
    for name, tensor in sorted(vae.state_dict().items()):
        if not name.startswith("decoder."):  # a decoder may be trained further for the same tokens
            digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()[:16]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", default="picturebook", help="whose dVAE and tokenizer: a shipped model or a folder"
    )
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=1500, help="training pictures of each family")
    parser.add_argument(
        "--teraflops", type=float, default=1.2, help="the budget of each size, in 10^12 FLOPs"
    )
    parser.add_argument(
        "--halvings", type=int, default=5, help="how many earlier points a curve has, each at half the FLOPs"
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    config, tokenizer, vae = frozen_parts(options.model)

    def pictures(split, length):
        sources = [{"kind": "scenes", "family": family, "length": length} for family in FAMILIES]
        return mixture(sources, config.dvae.image_size, split)

    data = pictures("train", options.pictures)
    text, image = as_tokens(data, config, tokenizer, vae)
    validation = as_tokens(pictures("validation", 96), config, tokenizer, vae)
    print(f"{len(text)} pictures encoded", flush=True)
    length, padding = config.dalle.text_length, config.dalle.text_vocabulary
    prompts = tokenizer.encode(PROMPTS, length, cut=True, padding=padding)

    result = {
        "prompts": PROMPTS, "families": FAMILIES, "pictures": len(text), "batch": options.batch,
        "precision": options.precision, "machine": machine(), "dvae": fingerprint(vae), "sizes": [],
    }  # fmt: skip
    for width in options.widths:
        shape = dataclasses.replace(
            config.dalle, width=width, depth=options.depth, heads=max(1, width // 32), kinds=()
        )
        rows = parts(dataclasses.replace(config, dalle=shape))
        rows = [part for part in rows if part.name.startswith("DALL·E")]
        # Of a step: the backward pass costs twice the forward pass.
        flops = 3 * options.batch * sum(part.flops for part in rows)
        halved = [options.teraflops * 1e12 / 2**k for k in range(options.halvings, -1, -1)]
        marks = [0] + [round(budget / flops) for budget in halved]
        rate = 3e-3 * (64 / width) ** 0.5
        training = TrainingConfig(
            steps=marks[-1], batch_size=options.batch, learning_rate=rate, final_learning_rate=rate,
            warmup=30, weight_decay=0.045, beta_2=0.96, gradient_clip=1.0, weight_average=0.98,
            precision=options.precision,
        )  # fmt: skip
        torch.manual_seed(0)
        model, measured = Dalle(shape), Dalle(shape).eval()
        stage = dalle_stage(model, image, data, tokenizer, DalleRecipe(), options.batch)
        run, points, seconds = Run(model, training), [], 0.0
        for mark in marks:
            started = time.perf_counter()
            while run.step < mark:
                chosen = torch.randint(len(text), (options.batch,), generator=step_generator(0, run.step))
                run.update((text[chosen], image[chosen]), stage.loss)
            seconds += time.perf_counter() - started
            measured.load_state_dict(run.weights())
            with torch.inference_mode():
                found = [
                    measured.loss(t, i)
                    for t, i in zip(validation[0].split(48), validation[1].split(48), strict=True)
                ]
            drawn = sample_tokens(
                measured, prompts, temperature=0.7, generator=torch.Generator().manual_seed(0)
            )
            point = {"step": mark, "flops": mark * flops}
            point |= {
                key: round(sum(float(f[key]) for f in found) / len(found), 4) for key in ("text", "image")
            }
            print(f"width {width}", json.dumps(point), f"{seconds:.0f} s", flush=True)
            points.append(point | {"drawn": drawn.tolist()})
        result["sizes"].append(
            {
                "width": width, "depth": options.depth, "heads": shape.heads, "learning_rate": round(rate, 6),
                "parameters": sum(part.parameters for part in rows), "flops_a_step": flops,
                "seconds": round(seconds), "points": points,
            }
        )  # fmt: skip
    write_text(options.out, json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
