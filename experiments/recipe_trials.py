"""Which transformer learns most in a given time.

    python experiments/recipe_trials.py FOLDER [--seconds 150]

Or in given steps, whatever the machine is busy with: `--steps 400`.

FOLDER is one that `dalle-edu train dvae` has finished, with the configuration that the trials vary. Each
trial has the same seconds of training on this machine, its learning rate falling to the end, and is measured
on the same pictures of the validation split: nats an image token, of emoji, of scenes, and of both as the
mixture weighs them; and of the combinations that training never shows ("held out").
"""

import argparse
import dataclasses
import time
from pathlib import Path

import torch
from trials import as_text, frozen_parts, report

from dalle_edu.dalle import Dalle
from dalle_edu.data.mixture import mixture
from dalle_edu.train.config import DalleRecipe
from dalle_edu.train.loop import Run, train
from dalle_edu.train.run import machine, precomputed_tokens
from dalle_edu.train.stages import dalle_stage

# What is varied: whether embeddings are learned from appearance; fields of [dalle], of [dalle.training].
TRIALS = {
    "appearance": (True, {}, {}),
    "ordinary embeddings": (False, {}, {}),
    "width 192, AdamW": (False, {"width": 192, "heads": 3}, {"optimizer": "adamw"}),
    "width 192, Muon": (False, {"width": 192, "heads": 3}, {"optimizer": "muon"}),
    "width 256, Muon": (False, {"width": 256, "heads": 4}, {"optimizer": "muon"}),
    "width 192, Muon, batch 32": (False, {"width": 192, "heads": 3}, {"optimizer": "muon", "batch_size": 32}),
    "width 192, AdamW, float32": (
        False,
        {"width": 192, "heads": 3},
        {"optimizer": "adamw", "precision": "float32"},
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--steps", type=int, help="so many for each trial, instead of seconds")
    parser.add_argument("--trials", nargs="*", default=list(TRIALS), choices=list(TRIALS))
    parser.add_argument("--pictures", type=int, default=256, help="validation pictures of each source")
    parser.add_argument("--out", type=Path, help="a JSON-lines file, one line a trial, appended to")
    options = parser.parse_args()
    config, tokenizer, vae = frozen_parts(options.folder)
    data = mixture(config.data_for("dalle"), config.dvae.image_size, progress=True)
    tokens = precomputed_tokens(vae, data, options.folder / "training-dalle" / "tokens.safetensors")

    measured = {}
    for source in config.data_for("dalle"):
        name = source.get("family", source["kind"])
        source = dict(source) | ({"length": options.pictures} if source["kind"] == "scenes" else {})
        for split in ("validation", "held_out"):
            pictures = mixture([source], config.dvae.image_size, split=split)
            some = torch.linspace(0, len(pictures) - 1, min(options.pictures, len(pictures))).long()
            captions = [pictures.captions[i][0] for i in some]
            text = as_text(captions, config.dalle, tokenizer)
            measured[split, name] = text, vae.encode(pictures.images(some)).flatten(1)
    weights = {source.get("family", source["kind"]): source["weight"] for source in config.data_for("dalle")}

    for name in options.trials:
        looks, shape, how = TRIALS[name]
        training = dataclasses.replace(config.dalle_training, steps=1_000_000, warmup=60, **how)
        torch.manual_seed(training.seed)
        model = Dalle(dataclasses.replace(config.dalle, **shape))
        recipe = DalleRecipe(appearance=looks)
        stage = dalle_stage(model, tokens, data, tokenizer, recipe, training.batch_size, vae)
        steps = options.steps
        if not steps:
            pace = Run(Dalle(model.config), training)
            train(pace, stage.batch, stage.loss, progress=False, until=3)  # warm caches, then time
            started = time.perf_counter()
            train(pace, stage.batch, stage.loss, progress=False, until=11)
            steps = int(options.seconds / (time.perf_counter() - started) * 8)
        run = Run(model, dataclasses.replace(training, steps=steps))
        started = time.perf_counter()
        train(run, stage.batch, stage.loss)
        seconds = time.perf_counter() - started
        with torch.inference_mode():
            losses = {key: float(model.loss(*pair)["image"]) for key, pair in measured.items()}
        found = {kind: value for (split, kind), value in losses.items() if split == "validation"}
        row = {
            "trial": name,
            "parameters": sum(p.numel() for p in model.parameters()),
            "steps": steps,
            "pictures": steps * training.batch_size,
            "seconds": round(seconds),
            "image_loss": round(sum(found[k] * weights[k] for k in found) / sum(weights.values()), 4),
            **{kind: round(value, 4) for kind, value in found.items()},
            "held_out": {kind: round(v, 4) for (split, kind), v in losses.items() if split == "held_out"},
            "machine": machine(),
        }
        report(row, options.out)


if __name__ == "__main__":
    main()
