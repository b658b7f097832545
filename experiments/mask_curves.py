"""Three small DALL·Es that differ in their masks only: dense, rows only, the paper's mixture, on real tokens.

    python experiments/mask_curves.py --out experiments/08-mask-curves.json [--model picturebook]
    [--steps 480] [--batch 8] [--width 96] [--depth 6] [--heads 3] [--every 40]

Emoji are turned into tokens by the dVAE of `--model` (a name that the package ships, or a folder with
config.toml, tokenizer.json, dvae.safetensors). The three get the same start, the same batches in the same
order, and are trained in turn, a step each. Every few steps the file gets the loss in nats a picture token on
the validation pictures, and the processor seconds spent on training so far. Chapter 8 draws it.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import torch
from trials import as_tokens, frozen_parts

from dalle_edu.dalle import Dalle, DalleConfig
from dalle_edu.data.mixture import mixture
from dalle_edu.masks import layer_kinds
from dalle_edu.train.config import DalleRecipe
from dalle_edu.train.loop import Run, TrainingConfig, step_generator
from dalle_edu.train.stages import dalle_stage


@torch.inference_mode()
def validation_loss(model, text, image, precision):
    model.eval()
    batches = zip(text.split(32), image.split(32), strict=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        total = sum(model.loss(*batch)["image"] * len(batch[0]) for batch in batches)
    model.train()
    return float(total / len(text))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="picturebook")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=480)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--heads", type=int, default=3)
    parser.add_argument("--every", type=int, default=40)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--precision", default="bfloat16", help="or float32, for older processors")
    given = parser.parse_args()
    config, tokenizer, vae = frozen_parts(given.model)
    data, validation = (
        mixture([{"kind": "emoji"}], config.dvae.image_size, split) for split in ("train", "validation")
    )
    train, unseen = (as_tokens(pictures, config, tokenizer, vae) for pictures in (data, validation))
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
    runs, losses, curves, seconds = {}, {}, {}, dict.fromkeys(orders, 0.0)
    for name, kinds in orders.items():
        torch.manual_seed(0)  # the masks have no weights, so all three start from the same ones
        sizes = dataclasses.asdict(config.dalle)
        sizes |= {"width": given.width, "depth": given.depth, "heads": given.heads, "kinds": tuple(kinds)}
        model = Dalle(DalleConfig(**sizes))
        runs[name] = Run(model, training)
        losses[name] = dalle_stage(model, train[1], data, tokenizer, DalleRecipe(), given.batch).loss
        curves[name] = {"kinds": kinds, "step": [], "loss": [], "seconds": []}
    for step in range(given.steps + 1):
        if step % given.every == 0 or step == given.steps:
            for name, run in runs.items():
                row = (
                    step,
                    round(validation_loss(run.model, *unseen, given.precision), 4),
                    round(seconds[name], 1),
                )
                for key, value in zip(("step", "loss", "seconds"), row, strict=True):
                    curves[name][key].append(value)
            print(step, *(f"{name}: {curve['loss'][-1]:.3f}" for name, curve in curves.items()), flush=True)
        if step == given.steps:
            break
        chosen = torch.randint(len(train[0]), (given.batch,), generator=step_generator(0, step))
        for name, run in runs.items():
            start = time.process_time()
            run.update((train[0][chosen], train[1][chosen]), losses[name])
            seconds[name] += time.process_time() - start
    settings = {name: value for name, value in vars(given).items() if name not in ("out", "model")}
    settings |= {"parameters": sum(p.numel() for p in model.parameters()), "pictures": len(train[0])}
    settings |= {"unseen": len(unseen[0]), "threads": torch.get_num_threads(), "torch": torch.__version__}
    text = json.dumps({"settings": settings, "curves": curves}, indent=1) + "\n"
    given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
