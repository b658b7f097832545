"""Emoji as things in scenes: captions like those that training shows, and captions that it never shows
(chapter 13, experiments/13-things-shown.json).

    python experiments/things_shown.py --captions 64 --out experiments/13-things-shown.json

Each caption is drawn once, with the model's own dials. A row is [caption, whether the judge of things finds
everything right, whether it finds the right things, whatever their colours and places].
"""

import argparse
import dataclasses
import json
from pathlib import Path

import torch

import dalle_edu
from dalle_edu.data.things import ThingScenes
from dalle_edu.evaluate.asked import THINGS
from dalle_edu.evaluate.known import draw_each
from dalle_edu.files import write_text
from dalle_edu.judges.things import things_judge


def rows(model, kind: str, split: str, captions: int, seed: int) -> list[list]:
    """One row for each of the first captions of a kind of things, in one split."""
    scenes = ThingScenes(kind, model.config.dvae.image_size, seed, captions, split)
    asked, found = [scenes[i][1] for i in range(captions)], []
    usual = dataclasses.asdict(model.config.drawing)
    for caption, picture in zip(asked, draw_each(model, asked, seed, **usual), strict=True):
        said = things_judge().score(picture, caption)
        found.append([caption, said["all"], said["thing"]])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", default="picturebook", help="its name, or its folder")
    parser.add_argument("--captions", type=int, default=64, help="captions of each kind and split")
    parser.add_argument("--seed", type=int, default=0, help="of captions and drawings")
    parser.add_argument("--out", type=Path, help="the JSON file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, found = dalle_edu.load(args.model), {}
    for kind in THINGS.values():
        found[kind] = {
            split: rows(model, kind, split, args.captions, args.seed) for split in ("train", "held_out")
        }
        for split, some in found[kind].items():
            print(
                kind, split, "right", sum(row[1] for row in some), "the things", sum(row[2] for row in some)
            )
    if args.out:
        write_text(args.out, json.dumps({"seed": args.seed, "kinds": found}) + "\n")


if __name__ == "__main__":
    main()
