"""Must a transformer see its own past rightly?  `python experiments/token_noise.py FOLDER [--noise 0 0.2]`.

A small transformer (128 wide, 6 deep, unless told otherwise) learns some families of scenes, with the dVAE
and the tokenizer of FOLDER, once for each `--noise` and each of the `--seeds`: up to that share of a
picture's tokens is seen wrongly in training (`with_noise` of `dalle_edu.dalle`). Two noises of one seed start
from the same weights and see the same pictures in the same order, for equally many steps; "seconds" says what
the training alone took. Interrupted (Ctrl-C), it goes on where it was when it is called again. On the way
(`--marks` times) and at the end it draws, at temperature 1 and from tokens that nobody disturbs: captions
that training shows ("validation") and captions that it never shows ("held out"); each family's judge reads
the drawings. Chapter 9 (09-noise.jsonl) used the defaults, eleven to fourteen minutes a noise on a core with
other work; chapter 13 (13-noise.jsonl)

    --families attributes solids --length 4000 --seeds 0 1 2 --noise 0 0.2 0.8 --width 64 --depth 4
    --batch-size 16 --steps 800 --marks 1 --precision float32

and experiments/wordings.jsonl, with the shipped model's dVAE, `--noise 0.2` and what its rows name
of `--wordings`, `--dropout 0.1`, `--emoji 0.6`. Of its first rows 128 drawings a split were judged, of the
others 48 of trained captions and 64 of held-out ones.

experiments/beside_emoji.jsonl, with the same dVAE, is of

    --families inside context --length 3000 --precision bfloat16

and what its rows name of `--noise 0.5 0.8`, `--seeds 1`, `--wordings` and `--emoji 0.5`; beside emoji
`--steps 1600 --marks 4` (2), alone `--steps 800 --marks 2`, with `--width 256 --depth 8` `--steps 400
--marks 1`. Where half of the pictures were emoji, what is held out was drawn rightly half as often at
equally many trained ones; with a noise of 0.5 most of that came back, with 0.8 all of it, and the emoji
were learned more slowly ("emoji_loss", nats a token on emoji of the training). Neither wordings, nor width,
nor whether the exchanged tokens come from pictures of the same source made a difference. 128 drawings a
family and split; one seed but for noise 0.5, which has two.
"""

import argparse
import dataclasses
import itertools
from pathlib import Path

import torch
from trials import as_text, frozen_parts, report

from dalle_edu.dalle import Dalle
from dalle_edu.data import Scenes
from dalle_edu.data.mixture import mixture
from dalle_edu.data.scenes import FAMILIES
from dalle_edu.evaluate.figures import count_right, verdicts
from dalle_edu.sampling import sample_tokens
from dalle_edu.train.config import DalleRecipe
from dalle_edu.train.loop import Run, train
from dalle_edu.train.run import machine, precomputed_tokens
from dalle_edu.train.stages import dalle_stage

DRAWN = {"validation": 128, "held_out": 128}
HEAD = 64  # width of one


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.2])
    parser.add_argument("--families", nargs="+", default=["attributes"], choices=list(FAMILIES))
    parser.add_argument("--length", type=int, default=20_000, help="training pictures of each family")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--width", type=int, default=128, help="a multiple of 64, the size of a head")
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--batch-size", type=int, help="if not the configuration's")
    parser.add_argument("--marks", type=int, default=3, help="so often it is looked at (default 3)")
    parser.add_argument("--precision", help="float32 or bfloat16, if not the configuration's")
    parser.add_argument("--wordings", action="store_true", help="captions in several wordings")
    parser.add_argument("--dropout", type=float, default=0.0, help="the share of captions dropped")
    parser.add_argument("--emoji", type=float, default=0.0, help="the share of emoji among the pictures")
    parser.add_argument("--out", type=Path, help="a JSON-lines file, one line a mark, appended to")
    options = parser.parse_args()
    config, tokenizer, vae = frozen_parts(options.folder)
    each = {"kind": "scenes", "length": options.length, "wordings": options.wordings}
    each["weight"] = (1 - options.emoji) / len(options.families)
    sources = [each | {"family": family} for family in options.families]
    if options.emoji:
        emoji = {"kind": "emoji", "held_out": "combinations", "balance": True}
        sources.append(emoji | {"weight": options.emoji})
    data = mixture(sources, config.dvae.image_size, progress=True)
    tokens = precomputed_tokens(vae, data, options.folder / "training-noise" / "tokens.safetensors")

    exams = {}
    for split, count in DRAWN.items():
        for family in options.families:
            scenes = Scenes(family, seed=5, length=count, split=split)
            pictures, captions = zip(*(scenes[i] for i in range(count)), strict=True)
            exams[split, family] = list(captions), vae.encode(torch.stack(pictures)).flatten(1)

    learned = (data.sources == len(options.families)).nonzero()[:, 0]  # emoji, which are to be known by heart
    learned = learned[torch.randperm(len(learned), generator=torch.Generator().manual_seed(5))[:256]]

    def mark(model: Dalle) -> dict:
        """A row of figures; of several families each split has one dict a family."""
        row = {}
        for (split, family), (captions, image) in exams.items():
            text, generator = as_text(captions, config.dalle, tokenizer), torch.Generator().manual_seed(1)
            with torch.inference_mode():
                loss = round(float(model.loss(text, image)["image"]), 4)
            pictures = vae.decode(
                sample_tokens(model, text, generator=generator).view(-1, *config.dalle.grid)
            )
            right = count_right(verdicts(family, pictures, captions))
            shares = {name: round(a / b, 4) for name, (a, b) in right.items()}
            if len(options.families) == 1:
                row |= {f"{split}_loss": loss, split: shares}
            else:
                row.setdefault(f"{split}_loss", {})[family] = loss
                row.setdefault(split, {})[family] = shares
        if len(learned):
            text = as_text([data.captions[i][0] for i in learned], config.dalle, tokenizer)
            with torch.inference_mode():
                row["emoji_loss"] = round(float(model.loss(text, tokens[learned].long())["image"]), 4)
        return row

    shape = {"width": options.width, "depth": options.depth, "heads": options.width // HEAD}
    how = {"precision": options.precision, "batch_size": options.batch_size}
    how = {name: value for name, value in how.items() if value}
    for seed, noise in itertools.product(options.seeds, options.noise):
        training = dataclasses.replace(
            config.dalle_training, steps=options.steps, warmup=60, seed=seed, **how
        )
        torch.manual_seed(training.seed)
        model = Dalle(dataclasses.replace(config.dalle, **shape))
        recipe = DalleRecipe(appearance=True, noise=noise, caption_dropout=options.dropout)
        stage = dalle_stage(model, tokens, data, tokenizer, recipe, training.batch_size, vae)
        asked = ("length", "families", "wordings", "dropout", "emoji")
        also = {name: getattr(options, name) for name in asked}
        run = Run(model, training, also | {"noise": noise})
        work = options.folder / f"training-noise-{noise:g}-{seed}"
        if (work / "checkpoint.json").is_file():
            run.restore(work)
        marks = [part * options.steps // options.marks for part in range(1, options.marks + 1)]
        for until in (step for step in marks if step >= run.step):
            train(run, stage.batch, stage.loss, work, until=until)
            row = {"noise": noise, "seed": seed, "step": run.step, **also, **mark(model)}
            report(row | {"seconds": round(run.seconds), "machine": machine()}, options.out)


if __name__ == "__main__":
    main()
