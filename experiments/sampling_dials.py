"""What temperature and top-p do to drawings: how many are right, and how much they differ (chapter 11).

    python experiments/sampling_dials.py [--captions 48] [--samples 4]
    [--out experiments/11-sampling-dials.json]

Different captions of the family "attributes" that training never showed (split "held_out"), `samples`
drawings of each with the guidance that is the model's own, read by the judge of `abilities.py`. Spread: the
mean distance of two drawings of one caption, root mean square over pixels and colours.

Drawings of one caption are alike, so the captions are the units: every interval is a bootstrap over them
(Efron & Tibshirani 1993, chapter 13), and each setting is also compared with the model's own distribution
(temperature 1, all codes) caption by caption.
"""

import argparse
import json
import math
from pathlib import Path

import torch

import dalle_edu
from dalle_edu.abilities import score
from dalle_edu.data import Scenes
from dalle_edu.sampling import sample_tokens

TEMPERATURES = (0.3, 0.5, 0.7, 0.85, 1.0, 1.2)
TOP_P = (0.5, 0.8, 0.9, 0.95, 1.0)


def different_captions(count: int, image_size: int, seed: int) -> list[str]:
    """The first `count` different captions of the held-out attributes."""
    scenes, captions = Scenes("attributes", image_size, seed=seed, length=100 * count, split="held_out"), {}
    for index in range(len(scenes)):
        captions[scenes.caption(index)] = None
        if len(captions) == count:
            return list(captions)
    raise SystemExit(f"only {len(captions)} different captions, {count} were asked for")


@torch.inference_mode()
def measure(model, captions: list[str], samples: int, seed: int, **dials) -> dict[str, list[float]]:
    """For each caption: the share judged right, the share whose colour is right, and the spread."""
    found = {"right": [], "colour": [], "spread": []}
    for start in range(0, len(captions), 64 // samples):
        part = captions[start : start + 64 // samples]
        generator = torch.Generator().manual_seed(seed + start)
        usual = {"generator": generator, "guidance": model.config.drawing.guidance}
        tokens = sample_tokens(model.dalle, model.encode_text(part), samples, **usual, **dials)
        for caption, drawn in zip(part, model.pictures(tokens).split(samples), strict=True):
            judged = [score(picture, caption) for picture in drawn]
            found["right"].append(sum(one["all"] for one in judged) / samples)
            found["colour"].append(sum(one["colour"] for one in judged) / samples)
            flat = drawn.flatten(1)
            found["spread"].append(float(torch.pdist(flat).mean() / math.sqrt(flat.shape[1])))
    return {name: [round(value, 4) for value in values] for name, values in found.items()}


def interval(values: list[float], resamples: int = 10_000) -> list[float]:
    """Mean over captions, and the middle 95 % of the means of captions drawn again with replacement."""
    values = torch.tensor(values, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    again = values[torch.randint(len(values), (resamples, len(values)), generator=generator)].mean(dim=1)
    low, high = again.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return [round(value, 4) for value in (float(values.mean()), low, high)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--captions", type=int, default=48)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("experiments/11-sampling-dials.json"))
    wanted = parser.parse_args()
    model = dalle_edu.load("picturebook")
    captions = different_captions(wanted.captions, model.config.dvae.image_size, wanted.seed)
    what = f"{wanted.captions} different held-out captions of the family attributes"
    what += f", {wanted.samples} drawings of each"
    found = {"what": what, "captions": captions, "temperature": [], "top_p": []}
    own = measure(model, captions, wanted.samples, wanted.seed)
    for dial, values in (("temperature", TEMPERATURES), ("top_p", TOP_P)):
        for value in values:
            each = own
            if value != 1.0:
                each = measure(model, captions, wanted.samples, wanted.seed, **{dial: value})
            paired = [a - b for a, b in zip(each["right"], own["right"], strict=True)]
            row = {"dial": value, **{name: interval(numbers) for name, numbers in each.items()}}
            row |= {"right_minus_model": interval(paired), "right_of_each_caption": each["right"]}
            found[dial].append(row)
            gain = " to ".join(f"{100 * end:+.0f}" for end in row["right_minus_model"][1:])
            print(f"{dial} {value:4}: {row['right'][0]:.0%} right, points against the model {gain}, "
                  f"colour {row['colour'][0]:.0%}, spread {row['spread'][0]:.2f}", flush=True)  # fmt: skip
    wanted.out.write_text(json.dumps(found) + "\n", encoding="utf-8")
    print(f"{what}; written to {wanted.out}")


if __name__ == "__main__":
    main()
