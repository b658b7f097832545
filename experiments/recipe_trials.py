"""Which transformer learns most in a given time.

    python experiments/recipe_trials.py FOLDER --out FILE.jsonl [--seconds 150] [--seeds 0 1 2]

FOLDER is one that `dalle-edu train dvae` has finished. Each trial changes one thing of its configuration, has
the same seconds of training, its learning rate falling to the end, and is measured on the same pictures of
the validation split: nats an image token, of each source, and of all as the configuration weighs them; and of
the combinations that training never shows ("held out"). A seed gives other first weights and other batches.

How long a step of each trial takes is measured first, in a minute or two that ask for a quiet machine, and
kept in FILE.speeds.json. From then on a trial has the steps that fit its seconds, whatever else the machine
does. The seeds go round once for all trials before the next one begins, so that an unfinished file is a fair,
smaller one; started again, the same command goes on where it stopped. The model card's rows were made with
`--seconds 150 --pictures 64 --seeds 0 1`, two processes side by side, a thread and a seed each.
"""

import argparse
import copy
import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from trials import as_text, frozen_parts, report

from dalle_edu.dalle import Dalle
from dalle_edu.data.mixture import Mixture, mixture
from dalle_edu.files import write_text
from dalle_edu.train.config import TrainingConfig
from dalle_edu.train.loop import Run, train
from dalle_edu.train.run import machine, precomputed_tokens
from dalle_edu.train.stages import Stage, dalle_stage


@dataclass(frozen=True)
class Trial:
    """What it changes: fields of [dalle] that are the model's, of [dalle.training], others of [dalle], and
    the share of the emoji among the pictures."""

    shape: Mapping = field(default_factory=dict)
    training: Mapping = field(default_factory=dict)
    recipe: Mapping = field(default_factory=dict)
    emoji: float | None = None


TRIALS = {
    "as configured": Trial(),
    "narrower, deeper": Trial(shape={"width": 192, "heads": 3, "depth": 14}),
    "wider, shallower": Trial(shape={"width": 320, "heads": 5, "depth": 5}),
    "smaller": Trial(shape={"width": 192, "heads": 3}),
    "batch 12": Trial(training={"batch_size": 12}),
    "batch 48": Trial(training={"batch_size": 48}),
    "AdamW": Trial(training={"optimizer": "adamw", "learning_rate": 1e-3}),
    "the last weights, not averaged": Trial(training={"weight_average": 0.0}),
    "no noise": Trial(recipe={"noise": 0.0}),
    "noise 0.2": Trial(recipe={"noise": 0.2}),
    "no captions dropped": Trial(recipe={"caption_dropout": 0.0}),
    "ordinary embeddings": Trial(recipe={"appearance": False}),
    "emoji 40 % of pictures": Trial(emoji=0.40),
    "emoji 60 % of pictures": Trial(emoji=0.60),
}


def name_of(source: Mapping) -> str:
    """What a source of pictures is called in the rows."""
    return source.get("family", source["kind"])


def with_share(data: Mixture, emoji: Tensor, share: float | None) -> Mixture:
    """`data` with its `emoji` (booleans) as `share` of what is drawn, all else in proportion."""
    if share is None:
        return data
    now = data.weights[emoji].sum() / data.weights.sum()
    more = torch.where(emoji, share / now, (1 - share) / (1 - now))
    return dataclasses.replace(data, weights=data.weights * more)


def stored(out: Path) -> set[tuple[str, int]]:
    """Trials and seeds that `out` holds."""
    if not out.is_file():
        return set()
    rows = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    return {(row["trial"], row["seed"]) for row in rows}


def seconds_a_step(stage: Stage, training: TrainingConfig, timed: int = 8) -> float:
    """How long a step of `stage` takes on this machine now, on a copy of its model."""
    run = Run(copy.deepcopy(stage.model), training)
    train(run, stage.batch, stage.loss, progress=False, until=3)  # warm caches, then time
    started = time.perf_counter()
    train(run, stage.batch, stage.loss, progress=False, until=3 + timed)
    return (time.perf_counter() - started) / timed


def known_speeds(path: Path, names: list[str], measure: Callable[[str], float]) -> dict[str, float]:
    """Seconds a step of each of the `names`: those that `path` holds, and the others measured and kept."""
    speeds = json.loads(path.read_text(encoding="utf-8"))["seconds"] if path.is_file() else {}
    for name in names:
        if name not in speeds:
            speeds[name] = round(measure(name), 4)
            write_text(path, json.dumps({"seconds": speeds, "machine": machine()}, indent=1) + "\n")
    return speeds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--trials", nargs="*", default=list(TRIALS), choices=list(TRIALS))
    parser.add_argument("--pictures", type=int, default=128, help="validation pictures of each source")
    parser.add_argument("--out", type=Path, required=True, help="a JSON-lines file, a line a trial, appended")
    options = parser.parse_args()
    config, tokenizer, vae = frozen_parts(options.folder)
    sources = config.data_for("dalle")
    data = mixture(sources, config.dvae.image_size, progress=True)
    tokens = precomputed_tokens(vae, data, options.folder / "training-dalle" / "tokens.safetensors")
    kinds = torch.tensor([source["kind"] == "emoji" for source in sources])

    measured = {}
    for source in sources:
        fewer = {} if source["kind"] == "emoji" else {"length": options.pictures}
        for split in ("validation", "held_out"):
            pictures = mixture([dict(source) | fewer], config.dvae.image_size, split=split)
            some = torch.linspace(0, len(pictures) - 1, min(options.pictures, len(pictures))).long()
            captions = [pictures.captions[i][0] for i in some]
            text = as_text(captions, config.dalle, tokenizer)
            measured[split, name_of(source)] = text, vae.encode(pictures.images(some)).flatten(1)
    weights = {name_of(source): source["weight"] for source in sources}

    def prepared(name: str, seed: int) -> tuple[Stage, TrainingConfig]:
        """A trial's model with its data, before the first step, and how it is to be trained."""
        trial = TRIALS[name]
        training = dataclasses.replace(
            config.dalle_training, steps=1_000_000, warmup=40, seed=seed, **trial.training
        )
        torch.manual_seed(seed)
        model = Dalle(dataclasses.replace(config.dalle, **trial.shape))
        shares = with_share(data, kinds[data.sources], trial.emoji)
        recipe = dataclasses.replace(config.dalle_recipe, **trial.recipe)
        return dalle_stage(model, tokens, shares, tokenizer, recipe, training.batch_size, vae), training

    path = options.out.with_suffix(".speeds.json")
    speeds = known_speeds(path, options.trials, lambda name: seconds_a_step(*prepared(name, 0)))
    done = stored(options.out)
    for seed in options.seeds:
        for name in options.trials:
            if (name, seed) in done:
                continue
            stage, training = prepared(name, seed)
            model = stage.model
            steps = int(options.seconds / speeds[name])
            run = Run(model, dataclasses.replace(training, steps=steps))
            started = time.perf_counter()
            train(run, stage.batch, stage.loss)
            seconds = time.perf_counter() - started
            model.load_state_dict(run.weights())
            with torch.inference_mode():
                losses = {key: float(model.loss(*pair)["image"]) for key, pair in measured.items()}
            found = {kind: value for (split, kind), value in losses.items() if split == "validation"}
            row = {
                "trial": name,
                "seed": seed,
                "parameters": sum(p.numel() for p in model.parameters()),
                "steps": steps,
                "pictures": steps * training.batch_size,
                "seconds": round(steps * speeds[name]),
                "took": round(seconds),
                "image_loss": round(sum(found[k] * weights[k] for k in found) / sum(weights.values()), 4),
                **{kind: round(value, 4) for kind, value in found.items()},
                "held_out": {kind: round(v, 4) for (split, kind), v in losses.items() if split == "held_out"},
                "machine": machine(),
            }
            report(row, options.out)


if __name__ == "__main__":
    main()
