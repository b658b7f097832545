"""How often the judges of scenes and of things are right: `python experiments/judges.py [--pictures 1000]`.

Each row: clean pictures read right; the same under the blur and noise that a dVAE leaves; pictures wrong in
one property caught; and pictures of other captions accepted, which is what a model that ignores the words
would score. Intervals are Wilson's, at 95 %. Pictures are of the test split, half of them held-out
combinations.
"""

import argparse
import json
from pathlib import Path

import torch
from torch.nn import functional as F

from dalle_edu.abilities import judge
from dalle_edu.data import ThingScenes
from dalle_edu.data.scenes import FAMILIES, Scenes
from dalle_edu.data.scenes.flat import Dice
from dalle_edu.evaluate.figures import wilson
from dalle_edu.judges.mistakes import wrong_picture
from dalle_edu.judges.things import things_judge, wrong_things


def spoil(image: torch.Tensor, noise: float, blur: float, generator: torch.Generator) -> torch.Tensor:
    """A Gaussian blur, its standard deviation `blur` pixels, then noise of `noise`, clamped to [0, 1]."""
    kernel = torch.exp(-(torch.arange(-3, 4.0) ** 2) / (2 * blur**2))
    kernel = torch.outer(kernel, kernel) / kernel.sum() ** 2
    image = F.conv2d(F.pad(image[:, None], (3, 3, 3, 3), mode="replicate"), kernel[None, None])[:, 0]
    return (image + noise * torch.randn(image.shape, generator=generator)).clamp(0, 1)


def measure_things(pictures: int, seed: int = 0) -> dict[str, tuple[int, int]]:
    """The same of emoji as things: the kinds in turn, half of the pictures held-out combinations."""
    judged, generator = things_judge(), torch.Generator().manual_seed(seed)
    counts = dict.fromkeys(("clean", "0.5 px, 0.03", "0.8 px, 0.045", "one wrong", "other caption"), 0)
    halves = [
        ThingScenes("all", seed=seed, length=pictures // 2, split=part) for part in ("test", "held_out")
    ]
    for part in halves:
        for index in range(len(part)):
            (image, caption), truth = part[index], part.truth(index)
            wrong = wrong_things(truth, Dice(f"judges/things/{seed}/{index}"))[1]
            counts["clean"] += judged.score(image, caption)["all"]
            counts["0.5 px, 0.03"] += judged.score(spoil(image, 0.03, 0.5, generator), caption)["all"]
            counts["0.8 px, 0.045"] += judged.score(spoil(image, 0.045, 0.8, generator), caption)["all"]
            counts["one wrong"] += not judged.score(wrong, caption)["all"]
            counts["other caption"] += judged.score(part[(index * 7 + 1) % len(part)][0], caption)["all"]
    return {name: (count, 2 * len(halves[0])) for name, count in counts.items()}


def measure(family: str, pictures: int, seed: int = 0) -> dict[str, tuple[int, int]]:
    """What is measured -> (how often, of how many)."""
    judged, generator = judge(family), torch.Generator().manual_seed(seed)
    halves = [Scenes(family, seed=seed, length=pictures // 2, split=split) for split in ("test", "held_out")]
    scenes = torch.utils.data.ConcatDataset(halves)
    counts = dict.fromkeys(("clean", "0.5 px, 0.03", "0.8 px, 0.045", "one wrong", "other caption"), 0)
    for index in range(len(scenes)):
        image, caption = scenes[index]
        part, place = divmod(index, len(halves[0]))
        truth = halves[part].truth(place)
        wrong = wrong_picture(truth, Dice(f"judges/{family}/{seed}/{index}"))[1]
        other = scenes[(index * 7 + 1) % len(scenes)][0]
        counts["clean"] += judged.score(image, caption)["all"]
        counts["0.5 px, 0.03"] += judged.score(spoil(image, 0.03, 0.5, generator), caption)["all"]
        counts["0.8 px, 0.045"] += judged.score(spoil(image, 0.045, 0.8, generator), caption)["all"]
        counts["one wrong"] += not judged.score(wrong, caption)["all"]
        counts["other caption"] += judged.score(other, caption)["all"]
    return {name: (count, len(scenes)) for name, count in counts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1000, help="pictures a family (default 1000)")
    parser.add_argument("--families", nargs="+", default=[*FAMILIES, "things"], help="which (default all)")
    parser.add_argument("--json", type=Path, help="write the counts to this file as well")
    arguments = parser.parse_args()
    results = {
        family: measure_things(arguments.pictures)
        if family == "things"
        else measure(family, arguments.pictures)
        for family in arguments.families
    }
    names = list(next(iter(results.values())))
    print("| family | " + " | ".join(f"{name} (95 %)" for name in names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for family, row in results.items():
        cells = []
        for right, total in row.values():
            low, high = wilson(right, total)
            cells.append(f"{100 * right / total:.1f} % ({100 * low:.1f} to {100 * high:.1f})")
        print(f"| {family} | " + " | ".join(cells) + " |")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
