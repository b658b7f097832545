"""What a larger codebook of patches gains: decibels by number of codes, before anything is trained.

    python experiments/codebook_size.py --out experiments/13-codebook-size.json

k-means, as it starts the dVAE (`PatchCodebook.fit`), on training pictures of a configuration; then each patch
of pictures that it never saw is exchanged for the nearest of the codebook. Three seeds of k-means each. A
trained decoder adds some decibels to all of them; the number of codes decides what it starts from.
"""

import argparse
import json
import statistics
from pathlib import Path

import torch
import torch.nn.functional as F

from dalle_edu.configs import read_config
from dalle_edu.data import EmojiPictures, Scenes
from dalle_edu.data.mixture import mixture
from dalle_edu.dvae import PatchCodebook, peak_signal_to_noise
from dalle_edu.files import write_text

PICTURES = 4_000  # `START` in dalle_edu/train/stages.py
TESTED = 64  # of each kind
FAMILIES = ("attributes", "objects", "solids", "inside")


@torch.inference_mode()
def decibels(pictures: torch.Tensor, codebook: PatchCodebook) -> float:
    """Mean decibels of pictures (N, 3, size, size) in [0, 1] made of the nearest patches alone."""
    again = []
    for part in pictures.split(16):
        codes = F.one_hot(codebook.logits(part).argmax(1), len(codebook.patches))
        again.append(codebook.pictures(codes.permute(0, 3, 1, 2).float()))
    return float(peak_signal_to_noise(pictures, torch.cat(again)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--config", default="picturebook")
    parser.add_argument("--codes", type=int, nargs="+", default=[1024, 2048, 4096, 8192])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    config = read_config(options.config)
    size = config.dvae.image_size
    data = mixture(config.data_for("dvae"), size, progress=True)
    emoji = EmojiPictures(size, "test", held_out="combinations").pictures
    scenes = [Scenes(family, size, 0, TESTED // len(FAMILIES), "test") for family in FAMILIES]
    tested = {
        "emoji": emoji[torch.linspace(0, len(emoji) - 1, TESTED).round().long()],
        "scenes": torch.stack([one[i][0] for one in scenes for i in range(len(one))]),
    }
    rows = []
    for codes in options.codes:
        found: dict[str, list[float]] = {name: [] for name in tested}
        for seed in range(options.seeds):
            generator = torch.Generator().manual_seed(seed)
            codebook = PatchCodebook(codes, config.dvae.patch_size)
            codebook.fit(data.images(data.draw(PICTURES, generator)), generator)
            for name, pictures in tested.items():
                found[name].append(round(decibels(pictures, codebook), 2))
        rows.append({"codes": codes, **found})
        means = ", ".join(f"{name} {statistics.mean(each):.2f} dB" for name, each in found.items())
        print(f"{codes:>6,} codes: {means}", flush=True)
    if options.out:
        write_text(options.out, json.dumps({"config": options.config, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
