"""Ten sentences, 16 samples each, the best by CLIP: the picture at the top of the README.

Seed 0, nothing chosen by hand.

    python tools/ten_prompts.py [--model NAME|DIR] [--out FILE.png]
"""

import argparse
from pathlib import Path

import torch

import dalle_edu
from dalle_edu.drawing import contact_sheet
from dalle_edu.files import replacing

TRAINED = ["a dog", "an umbrella", "a guitar", "three apples", "a red house at sunset"]
HELD_OUT = [
    "woman firefighter: light skin tone",
    "a large green ring",
    "a green cone seen from above at an angle",
    "two lions",
    "a red car",
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="picturebook")
    parser.add_argument("--out", default="book/_static/ten-prompts.png")
    options = parser.parse_args()
    model = dalle_edu.load(options.model)
    best = []
    for prompt in TRAINED + HELD_OUT:
        drawing = model.draw(prompt, samples=16, seed=0)
        best.append(drawing.images[0])
        print(f"{prompt:50} CLIP {drawing.scores[0]:.2f} (worst of 16: {drawing.scores[-1]:.2f})")
    with replacing(Path(options.out)) as temporary:
        contact_sheet(torch.stack(best), columns=5, scale=3).save(temporary, format="PNG")


if __name__ == "__main__":
    main()
