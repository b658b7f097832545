"""Keeps a model in training from one sitting to the next, in a repository if need be.

    python tools/between_sittings.py keep DIR KEPT      # of a checkpoint an eighth is left
    python tools/between_sittings.py go-on KEPT DIR     # then: dalle-edu train dalle ... --out DIR --resume

`--resume` on the machine that was stopped needs none of this, and goes on exactly. What is kept here are the
finished parts, and of a transformer in training its averaged weights, in 16 bits: a run that goes on from
them starts its optimizer and its average anew, at the step, the learning rate and the batches where it was.
"""

import json
import sys
import tomllib
from pathlib import Path

import torch
import typer

from dalle_edu.configs.schema import read_config
from dalle_edu.dalle import Dalle
from dalle_edu.dvae import DiscreteVAE
from dalle_edu.errors import ReaderError
from dalle_edu.files import copy_file, load_weights, make_folder, rounded, write_tensors, write_text
from dalle_edu.train.appearance import learn_from_appearance
from dalle_edu.train.checkpoint import checkpoint_tensors, read_about
from dalle_edu.train.loop import Run
from dalle_edu.train.run import PARTS, copy_finished

WEIGHTS, ABOUT = "dalle.unfinished.safetensors", "dalle.unfinished.json"
CARD = """# `{name}`, in training

Written by `tools/between_sittings.py keep`, which says how training goes on from here. All weights are in 16
bits; of each loss curve there is one row in ten.

| part | steps | minutes | machine |
|---|---|---|---|
{rows}
"""
app = typer.Typer(help=__doc__, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def keep(folder: Path, kept: Path) -> None:
    """Writes into `kept` what of the model in training in `folder` the next sitting needs. Raises ReaderError
    where no transformer is in training there."""
    work = folder / "training-dalle"
    about = read_about(work / "checkpoint.json")
    tensors = checkpoint_tensors(work / about["file"])
    prefix = "average." if any(name.startswith("average.") for name in tensors) else "model."
    weights = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
    copy_finished(folder, kept)
    write_tensors(kept / WEIGHTS, rounded(weights, torch.float16))
    write_text(kept / ABOUT, json.dumps(about, indent=1) + "\n")
    write_text(kept / "README.md", _card(kept, about))
    print(f"{kept}: the transformer after {about['step']} of {about['training']['steps']} steps")


def _card(kept: Path, about: dict) -> str:
    """What is there, as the files beside it say."""
    rows = []
    for part in PARTS[:-1]:
        if (path := kept / f"{part}.trained.toml").is_file():
            trained = tomllib.loads(path.read_text(encoding="utf-8"))
            minutes = f"{trained['seconds'] / 60:.0f}"
            rows.append(f"| {part} | {trained['steps']:,} | {minutes} | {trained['machine']} |")
    steps = f"{about['step']:,} of {about['training']['steps']:,}"
    state = "in training" if about["step"] < about["training"]["steps"] else "at its last step"
    rows.append(f"| dalle | {steps} | {about['seconds'] / 60:.0f} | {state} |")
    return CARD.format(name=kept.name, rows="\n".join(rows))


@app.command()
def go_on(kept: Path, folder: Path) -> None:
    """Makes `folder` out of what `keep` left in `kept`. Raises ReaderError where `folder` is there."""
    if folder.exists():
        raise ReaderError(f"{folder} is there already: choose another folder.")
    about = read_about(kept / ABOUT)
    config = read_config(kept / "config.toml")
    model = Dalle(config.dalle)
    make_folder(folder)
    for path in kept.iterdir():
        if path.suffix in (".toml", ".safetensors", ".json") and not path.name.startswith("dalle.unfinished"):
            copy_file(path, folder / path.name)
    for path in kept.glob("*-history.jsonl"):
        make_folder(work := folder / f"training-{path.name.removesuffix('-history.jsonl')}")
        copy_file(path, work / "history.jsonl")
    if config.dalle_recipe.appearance:
        learn_from_appearance(model, load_weights(DiscreteVAE(config.dvae), folder / "dvae.safetensors"))
    load_weights(model, kept / WEIGHTS)
    run = Run(model, config.training_of("dalle"), about["description"])  # its average begins at these weights
    run.step, run.seconds = about["step"], about["seconds"]
    run.save(folder / "training-dalle")
    print(f"{folder}: goes on at step {run.step} of {run.config.steps}")


if __name__ == "__main__":
    try:
        app()
    except ReaderError as error:
        sys.exit(str(error))
