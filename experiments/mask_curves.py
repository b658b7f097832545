"""Three small DALL·Es that differ in their masks only: dense, rows only, the paper's mixture, on real tokens.

    python experiments/mask_curves.py --out experiments/08-mask-curves.json [--model picturebook]
    [--steps 360] [--seeds 0 1 2] [--batch 8] [--width 96] [--depth 6] [--heads 3] [--every 40]

Emoji are turned into tokens by the dVAE of `--model` (a name that the package ships, or a folder with
config.toml, tokenizer.json, dvae.safetensors). The three get the same start, the same batches in the same
order, and are trained in turn, a step each; then again with the next seed: another start, other batches.
Every few steps the file gets the loss in nats a picture token on the validation pictures, a row a seed,
and the processor seconds spent on training so far, the mean of the seeds. Chapter 8 draws it.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import torch
from trials import frozen_parts

from dalle_edu.dalle import Dalle, DalleConfig
from dalle_edu.data import EmojiPictures
from dalle_edu.masks import layer_kinds
from dalle_edu.train.loop import Run, TrainingConfig, step_generator
from dalle_edu.train.run import machine


@torch.inference_mode()
def streams(config, tokenizer, vae, split):
    """All pictures of a split as (text tokens, picture tokens)."""
    data = EmojiPictures(config.dvae.image_size, split)
    length, padding = config.dalle.text_length, config.dalle.text_vocabulary
    text = tokenizer.encode(data.captions, length, cut=True, padding=padding)
    return text, torch.cat([vae.encode(part).flatten(1) for part in data.pictures.split(64)])


@torch.inference_mode()
def validation_loss(model, text, image, precision):
    model.eval()
    batches = zip(text.split(32), image.split(32), strict=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        total = sum(model.loss(*batch)["image"] * len(batch[0]) for batch in batches)
    model.train()
    return float(total / len(text))


def train_in_turn(orders, seed, train, unseen, config, training, given):
    """One start, one order of batches, a model for each order of masks: rows of (step, loss, seconds)."""
    runs, rows, seconds = {}, {name: [] for name in orders}, dict.fromkeys(orders, 0.0)
    for name, kinds in orders.items():
        torch.manual_seed(seed)  # the masks have no weights, so all start from the same ones
        sizes = dataclasses.asdict(config.dalle)
        sizes |= {"width": given.width, "depth": given.depth, "heads": given.heads, "kinds": tuple(kinds)}
        runs[name] = Run(Dalle(DalleConfig(**sizes)), training)
    for step in range(given.steps + 1):
        if step % given.every == 0 or step == given.steps:
            for name, run in runs.items():
                loss = validation_loss(run.model, *unseen, given.precision)
                rows[name].append((step, loss, seconds[name]))
            print(seed, step, *(f"{name}: {row[-1][1]:.3f}" for name, row in rows.items()), flush=True)
        if step == given.steps:
            break
        chosen = torch.randint(len(train[0]), (given.batch,), generator=step_generator(seed, step))
        for name, run in runs.items():
            start = time.process_time()
            run.update((train[0][chosen], train[1][chosen]), lambda model, pair, *_: model.loss(*pair))
            seconds[name] += time.process_time() - start
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="picturebook")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=360)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--heads", type=int, default=3)
    parser.add_argument("--every", type=int, default=40)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--precision", default="bfloat16", help="or float32, for older processors")
    given = parser.parse_args()
    parts = frozen_parts(given.model)
    config, train, unseen = parts[0], streams(*parts, "train"), streams(*parts, "validation")
    training = TrainingConfig(
        steps=given.steps, batch_size=given.batch, learning_rate=given.learning_rate,
        final_learning_rate=given.learning_rate / 20, warmup=40, weight_decay=0.045, beta_2=0.96,
        gradient_clip=1.0, precision=given.precision,
    )  # fmt: skip
    orders = {
        "dense": ["dense"] * given.depth,
        "rows only": ["row"] * given.depth,
        "the paper's mixture": layer_kinds(given.depth),
    }
    curves = {
        name: {"kinds": kinds, "step": [], "losses": [], "seconds": []} for name, kinds in orders.items()
    }
    for seed in given.seeds:
        rows = train_in_turn(orders, seed, train, unseen, config, training, given)
        for name, curve in curves.items():
            curve["step"] = [step for step, *_ in rows[name]]
            curve["losses"].append([round(loss, 4) for _, loss, _ in rows[name]])
            curve["seconds"].append([spent for *_, spent in rows[name]])
    for curve in curves.values():
        curve["seconds"] = [round(sum(s) / len(s), 1) for s in zip(*curve["seconds"], strict=True)]
    settings = {name: value for name, value in vars(given).items() if name not in ("out", "model")}
    settings |= {"machine": machine(), "pictures": len(train[0])}
    settings |= {"unseen": len(unseen[0]), "threads": torch.get_num_threads(), "torch": torch.__version__}
    text = json.dumps({"settings": settings, "curves": curves}, indent=1) + "\n"
    given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
