"""What temperature and top-p do to drawings: how many are right, and how much they differ (chapter 11).

    python experiments/sampling_dials.py [--captions 48] [--samples 4]
    [--out experiments/11-sampling-dials.json]

Captions of the family "attributes" that training never showed (split "held_out"), `samples` drawings of
each, read by the judge of `abilities.py`. Spread: the mean distance of two drawings of one caption, root
mean square over pixels and colours.
"""

import argparse
import json
import math
from pathlib import Path

import torch

import dalle_edu
from dalle_edu.abilities import score
from dalle_edu.data import Scenes
from dalle_edu.evaluate.figures import wilson
from dalle_edu.sampling import sample_tokens

TEMPERATURES = (0.3, 0.5, 0.7, 0.85, 1.0, 1.2)
TOP_P = (0.5, 0.8, 0.9, 0.95, 1.0)


@torch.inference_mode()
def measure(model, captions: list[str], samples: int, seed: int, **dials) -> dict:
    """Shares judged right and spread, each as [middle, low, high], the last two a 95 % interval."""
    generator = torch.Generator().manual_seed(seed)
    right, colour, spread = 0, 0, []
    for start in range(0, len(captions), 64 // samples):
        part = captions[start : start + 64 // samples]
        tokens = sample_tokens(model.dalle, model.encode_text(part), samples, generator=generator, **dials)
        for caption, drawn in zip(part, model.pictures(tokens).split(samples), strict=True):
            judged = [score(picture, caption) for picture in drawn]
            right += sum(one["all"] for one in judged)
            colour += sum(one["colour"] for one in judged)
            flat = drawn.flatten(1)
            spread.append(float(torch.pdist(flat).mean() / math.sqrt(flat.shape[1])))
    of = len(captions) * samples
    spread = torch.tensor(spread)
    middle, error = float(spread.mean()), 1.96 * float(spread.std()) / math.sqrt(len(spread))

    def interval(count):
        return [round(value, 4) for value in (count / of, *wilson(int(count), of))]

    return {
        "right": interval(right),
        "colour": interval(colour),
        "spread": [round(value, 4) for value in (middle, middle - error, middle + error)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--captions", type=int, default=48)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("experiments/11-sampling-dials.json"))
    wanted = parser.parse_args()
    model = dalle_edu.load("picturebook")
    size = model.config.dvae.image_size
    scenes = Scenes("attributes", size, seed=wanted.seed, length=wanted.captions, split="held_out")
    captions = [scenes[i][1] for i in range(wanted.captions)]
    what = f"{wanted.captions} held-out captions of the family attributes, {wanted.samples} drawings of each"
    found = {"what": what, "temperature": [], "top_p": []}
    for dial, values in (("temperature", TEMPERATURES), ("top_p", TOP_P)):
        for value in values:
            row = {"dial": value, **measure(model, captions, wanted.samples, wanted.seed, **{dial: value})}
            found[dial].append(row)
            print(f"{dial} {value:4}: {row['right'][0]:.0%} right, colour {row['colour'][0]:.0%}, "
                  f"spread {row['spread'][0]:.2f}", flush=True)  # fmt: skip
    wanted.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{what}; written to {wanted.out}")


if __name__ == "__main__":
    main()
