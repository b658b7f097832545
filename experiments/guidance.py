"""What guidance and temperature do to drawings: how many are right, family by family.

    python experiments/guidance.py --model FOLDER --out FILE [--captions 48] [--seeds 0 1]

Guidance s draws from logits = without + s (with - without): with and without the caption (chapter 11). With
each pair of dials the same captions are drawn with the same seeds: of each family as many that training never
showed, and single things that it did ("known"). Captions are the units: a row holds the share of right
drawings with its interval, and that of its difference from the first pair, caption by caption; and the share
of drawings that stayed white, as happens where a careful model waits for an unlikely first token.
"""

import argparse
import itertools
import json
from pathlib import Path

import torch

import dalle_edu
from dalle_edu.drawing import DrawingModel
from dalle_edu.evaluate.asked import families_of, held_out, verdicts
from dalle_edu.evaluate.known import draw_each, is_own, some_things
from dalle_edu.evaluate.report import interval
from dalle_edu.files import write_text
from dalle_edu.judges.boxes import cut_all
from dalle_edu.train.run import machine

TEMPERATURES, STRENGTHS = (0.5, 0.7, 1.0), (1.0, 1.25, 1.5, 2.0)
WHITE = 0.97  # a picture is called white where its darkest pixel is lighter


def asked_of(model: DrawingModel, count: int) -> dict:
    """What is asked for: name -> captions, and what says of drawings of them which are right."""
    things, chosen = some_things(model, count)
    library = cut_all(things.pictures)
    asked = {
        "known": ([things.captions[i] for i in chosen], lambda pictures: is_own(pictures, chosen, library))
    }
    for name in families_of(model):
        captions = held_out(name, model.config.dvae.image_size, count, seed=0)[1]

        def right(pictures, name=name, captions=captions):
            return [said["all"] for said in verdicts(name, pictures, captions)]

        asked[name] = captions, right
    return asked


def with_interval(shares: list[float], difference: bool = False) -> list[float]:
    """[mean, low, high] of one number a caption. Differences that are all 0 may hide a change as well as its
    opposite: the interval goes to both sides."""
    low, high = interval(shares)
    if difference and not any(shares):
        low = -high
    return [round(value, 4) for value in (sum(shares) / len(shares), low, high)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="picturebook", help="a shipped model or a folder")
    parser.add_argument("--captions", type=int, default=48, help="of each family")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--temperatures", type=float, nargs="+", default=TEMPERATURES)
    parser.add_argument("--strengths", type=float, nargs="+", default=STRENGTHS, help="of guidance")
    parser.add_argument("--out", type=Path, required=True)
    wanted = parser.parse_args()
    model = dalle_edu.load(wanted.model)
    found = {"seeds": wanted.seeds, "machine": machine(), "rows": []}
    for name, (captions, right) in asked_of(model, wanted.captions).items():
        first = None
        for temperature, guidance in itertools.product(wanted.temperatures, wanted.strengths):
            dials = {"temperature": temperature, "guidance": guidance}
            each = [draw_each(model, captions, seed, **dials) for seed in wanted.seeds]
            shares = torch.tensor([right(pictures) for pictures in each], dtype=torch.float64).mean(0)
            first = shares if first is None else first
            row = {"family": name, **dials, "captions": len(captions)}
            row |= {
                "right": with_interval(shares.tolist()),
                "gain": with_interval((shares - first).tolist(), difference=True),
                "white": float((torch.cat(each).flatten(1).min(1).values > WHITE).double().mean()),
            }
            found["rows"].append(row)
            gain = " to ".join(f"{100 * end:+.0f}" for end in row["gain"][1:])
            print(f"{name:18} {temperature:4} {guidance:4} {row['right'][0]:4.0%} right, {gain} points, "
                  f"{row['white']:.0%} white", flush=True)  # fmt: skip
            write_text(wanted.out, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
