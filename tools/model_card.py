"""Writes a model's card, README.md and curves.png in its folder, from what training and `dalle-edu evaluate`
stored there: README.md, curves.png, and nearest.png, the training pictures nearest to forty drawings.

    dalle-edu evaluate --model DIR --out DIR/evaluation.json && python tools/model_card.py DIR
"""

import argparse
import json
import tomllib
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from card_tables import noise_table, shown_elsewhere, trials_table

from dalle_edu.configs import Config, read_config
from dalle_edu.data import EmojiPictures
from dalle_edu.drawing import DrawingModel, contact_sheet, load
from dalle_edu.evaluate.copies import copies
from dalle_edu.evaluate.figures import table
from dalle_edu.explore import plot_history
from dalle_edu.files import replacing, write_text

PARTS = {
    "dvae": ("discrete VAE: pictures to tokens and back", ("reconstruction", "kl")),
    "decoder": ("its decoder alone, on the finished tokens", ("reconstruction",)),
    "clip": ("CLIP, open_clip's model and loss: ranks samples", ("loss", "accuracy")),
    "dalle": ("transformer over text and picture tokens", ("image", "text")),
}

SOURCES = {
    "emoji": "`EmojiPictures` (OpenMoji drawings with their Unicode names)",
    "things": "`ThingScenes` (emoji as things in scenes: in a colour, counted, related, at a time of day)",
    "scenes": "the five families of `Scenes`",
}

ROOT = Path(__file__).parents[1]
FIRST = ROOT / "training" / "picturebook-first"  # what is kept of the phase before
TRIALS = ROOT / "experiments" / "recipe_trials.jsonl"
ELSEWHERE = ROOT / "experiments" / "13-shown-elsewhere.json"
NOISE = ROOT / "experiments" / "13-noise.jsonl"

CARD = """# Model card: `{name}`

A small DALL·E 1 for this book: {size} x {size} pictures, {grid} tokens of {codes:,}, text of at most {text}
tokens. Load it with `dalle_edu.load("{name}")`; it takes {megabytes:.1f} MB in all, `safetensors` only.

## Files

| file | what it is | parameters | steps | batch | seed | minutes | machine |
|---|---|---|---|---|---|---|---|
{files}

The minutes are those of the clock, on machines that did other work at times.
All settings stand in [config.toml](config.toml). The commands that made the files, in this order:

```bash
dalle-edu train dvae --config {name}-first --out runs/first
dalle-edu train decoder --config {name}-first --out runs/first
dalle-edu train clip --config {name}-first --out runs/first
dalle-edu train dalle --config {name}-first --out runs/first
dalle-edu train clip --config {name} --start runs/first --out runs/{name}
dalle-edu train dalle --config {name} --start runs/first --out runs/{name}
python -c "from dalle_edu.train.run import publish; publish('runs/{name}', 'dalle_edu/weights/{name}')"
dalle-edu evaluate --model dalle_edu/weights/{name} --out dalle_edu/weights/{name}/evaluation.json
python tools/model_card.py dalle_edu/weights/{name}
```
{notes}{trials}
## Data

{data}, split "train" of each, in the shares that config.toml gives: [[data]] for the dVAE, [[clip.data]] and
[[dalle.data]] for CLIP and the transformer. Held out of training are combinations: of people's professions,
genders, tones and hair (`dalle_edu/data/emoji.py`), of every family of scenes
(`dalle_edu/data/scenes/dataset.py`), and of things with colours, numbers, relations and times
(`dalle_edu/data/things.py`). Every word of them is trained elsewhere.

## Curves

![Loss curves of the parts over their training steps](curves.png)

Of CLIP and transformer the second phase; one row in ten, in the files `*-history.jsonl`, the first phase's in
`training/{name}-first`.

## Scores

`dalle-edu evaluate --model {name} --samples {samples} --seed {seed} --best {best_of}` with
OMP_NUM_THREADS={threads}, on combinations that training never showed:

```
{scores}
```

All drawings have the model's own guidance. "1 sample": the first, at temperature 1. "careful": one at
temperature 0.5. "best of N": of the same samples and more, the one that CLIP finds nearest to the caption.
"chance": the judge on real pictures of other captions. "ceiling": the judge on real pictures after the dVAE.
"all, pairs", "counted", "lists": everything right, of the captions of that kind. In brackets, 95 % intervals
(Wilson). As data:
[evaluation.json](evaluation.json).

{elsewhere}
## Is it a memory?

![Forty drawings, each above the training picture that is nearest to it](nearest.png)

The best of {drawings} drawings for each of forty prompts, and under it the nearest of all
{training_pictures:,} training pictures of the second phase. First pair of rows: emoji that training showed;
then emoji whose combination it did not show; then held-out people; then held-out scenes. The last lines of
the table say how many are copies.

## Limits

It knows the names of emoji and the sentences of the scenes, nothing else: words that training never showed
tell it nothing. Of new combinations, things at a time of day go wrong in most drawings, things in another
colour or beside each other in one of three, and lists of different things in all.
Thin lines come out ragged. People are drawn as the emoji draw them; it has no other idea of any profession,
gender or skin tone. It is made for learning and for no other use.

## Licence

{attribution} The weights and what they draw are shared under the same licence.
"""


def trained_parts(
    folder: Path, config: Config, model: DrawingModel, parts: tuple[str, ...], phase: str = ""
) -> list[str]:
    """A row of the table for each of the `parts` of which `folder` holds a record of its training."""
    modules = {"dvae": model.vae, "decoder": model.vae.decoder, "clip": model.clip, "dalle": model.dalle}
    lines = []
    for part in parts:
        what, record = PARTS[part][0], folder / f"{part}.trained.toml"
        if record.is_file():
            trained = tomllib.loads(record.read_text(encoding="utf-8"))
            section = "dvae_decoder" if part == "decoder" else part
            training = getattr(config, f"{section}_training")
            module: torch.nn.Module = modules[part]
            file = "dvae" if part == "decoder" else part
            lines.append(
                f"| {file}.safetensors | {what}{phase} | {sum(p.numel() for p in module.parameters()):,} | "
                f"{trained['steps']:,} | {training.batch_size} | {training.seed} | "
                f"{trained['seconds'] / 60:.0f} | {trained['machine']} |"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    model, config = load(folder), read_config(folder / "config.toml")
    figures = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    first, later = read_config(f"{folder.name}-first"), ("clip", "dalle")
    rows = trained_parts(folder, config, model, ("dvae", "decoder"))
    rows += trained_parts(FIRST, first, model, later, ", first phase")
    rows += trained_parts(folder, config, model, later, ", second phase")
    notes = folder / "notes.md"
    kinds = {source["kind"] for part in ("dvae", "clip", "dalle") for source in config.data_for(part)}
    card = CARD.format(
        name=folder.name,
        size=config.dvae.image_size,
        grid=" x ".join(map(str, config.dvae.grid)),
        codes=config.dvae.vocabulary,
        text=config.dalle.text_length,
        megabytes=sum(p.stat().st_size for p in folder.glob("*.safetensors")) / 1e6,
        files="\n".join(rows),
        data=" and ".join(text for kind, text in SOURCES.items() if kind in kinds),
        notes="\n" + notes.read_text(encoding="utf-8") if notes.is_file() else "",
        trials=trials_table(TRIALS) + noise_table(NOISE),
        samples=figures["samples"],
        seed=figures["seed"],
        best_of=figures["best_of"],
        threads=figures["threads"],
        scores=table(figures),
        elsewhere=shown_elsewhere(ELSEWHERE),
        drawings=figures["copies"]["samples"],
        training_pictures=figures["copies"]["training_pictures"],
        attribution=EmojiPictures.attribution,
    )
    write_text(folder / "README.md", card)
    found = copies(model, figures["seed"])
    pairs = zip(found["drawings"].split(10), found["nearest"].split(10), strict=True)
    sheet = contact_sheet(torch.cat([row for pair in pairs for row in pair]), columns=10, scale=1)
    with replacing(folder / "nearest.png") as temporary:
        sheet.save(temporary, format="PNG")
    figure, axes = plt.subplots(1, len(PARTS), figsize=(12, 3))
    for ax, (part, (_, keys)) in zip(axes, PARTS.items(), strict=True):
        if (folder / f"{part}-history.jsonl").is_file():
            plot_history(folder / f"{part}-history.jsonl", keys, ax=ax)
        ax.set_title(part)
        ax.set_yscale("log")
    with replacing(folder / "curves.png") as temporary:
        figure.savefig(temporary, dpi=100, format="png")
    print(card)


if __name__ == "__main__":
    main()
