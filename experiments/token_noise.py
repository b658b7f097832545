"""Must a transformer see its own past rightly?  `python experiments/token_noise.py FOLDER [--noise 0 0.2]`.

A small transformer (128 wide, 6 deep) learns the attributes family alone, with the dVAE and the tokenizer of
FOLDER, once for each `--noise`: up to that share of a picture's tokens is seen wrongly in training
(`with_noise` of `dalle_edu.dalle`). On the way and at the end it draws, at temperature 1 and from tokens that
nobody disturbs: captions that training shows ("trained") and captions that it never shows ("held out"); the
family's judge reads the drawings. Eleven to fourteen minutes a noise on a core with other work.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import torch
from trials import report

from dalle_edu.configs import read_config
from dalle_edu.dalle import Dalle, with_noise
from dalle_edu.data import Scenes
from dalle_edu.data.mixture import mixture
from dalle_edu.dvae import DiscreteVAE
from dalle_edu.evaluate.figures import count_right, verdicts
from dalle_edu.sampling import sample_tokens
from dalle_edu.tokens import CaptionTokenizer
from dalle_edu.train.appearance import learn_from_appearance
from dalle_edu.train.loop import Run, load_weights, train
from dalle_edu.train.run import machine, precomputed_tokens

SHAPE = {"width": 128, "depth": 6, "heads": 2}
SOURCE = {"kind": "scenes", "family": "attributes", "length": 20_000}
DRAWN = {"validation": 128, "held_out": 128}
MARKS = 3  # so often it is looked at


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.2])
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--out", type=Path, help="a JSON-lines file, one line a mark, appended to")
    options = parser.parse_args()
    config = read_config(options.folder / "config.toml")
    tokenizer = CaptionTokenizer.load(options.folder / "tokenizer.json")
    vae = load_weights(DiscreteVAE(config.dvae), options.folder / "dvae.safetensors").eval()
    data = mixture([SOURCE], config.dvae.image_size, progress=True)
    tokens = precomputed_tokens(vae, data, options.folder / "training-noise" / "tokens.safetensors")

    def encode(captions):
        length, padding = config.dalle.text_length, config.dalle.text_vocabulary
        return tokenizer.encode(captions, length, padding=padding)

    exams = {}
    for split, count in DRAWN.items():
        scenes = Scenes(SOURCE["family"], seed=5, length=count, split=split)
        pictures, captions = zip(*(scenes[i] for i in range(count)), strict=True)
        exams[split] = list(captions), vae.encode(torch.stack(pictures)).flatten(1)

    def mark(model: Dalle) -> dict:
        row = {}
        for split, (captions, image) in exams.items():
            text, generator = encode(captions), torch.Generator().manual_seed(1)
            with torch.inference_mode():
                row[f"{split}_loss"] = round(float(model.loss(text, image)["image"]), 4)
            pictures = vae.decode(
                sample_tokens(model, text, generator=generator).view(-1, *config.dalle.grid)
            )
            right = count_right(verdicts(SOURCE["family"], pictures, captions))
            row[split] = {name: round(a / b, 4) for name, (a, b) in right.items()}
        return row

    for noise in options.noise:
        training = dataclasses.replace(config.dalle_training, steps=options.steps, warmup=60)
        torch.manual_seed(training.seed)
        model = Dalle(dataclasses.replace(config.dalle, **SHAPE))
        learn_from_appearance(model, vae)

        def batch(step, generator, size=training.batch_size):
            indices = data.draw(size, generator)
            return encode(data.draw_captions(indices, generator)), tokens[indices].long()

        def loss(model, pair, step, generator, noise=noise):
            text, image = pair
            return model.loss(text, image, with_noise(image, noise, generator))

        run, started = Run(model, training), time.perf_counter()
        for part in range(1, MARKS + 1):
            train(run, batch, loss, until=part * options.steps // MARKS)
            row = {"noise": noise, "step": run.step, **mark(model)}
            row |= {"seconds": round(time.perf_counter() - started), "machine": machine()}
            report(row, options.out)


if __name__ == "__main__":
    main()
