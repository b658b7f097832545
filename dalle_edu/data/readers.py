"""What becomes of a sample of a shard: a picture, cropped at random as for DALL·E, or a grid of tokens.

Cropping follows the listings of the paper (Ramesh et al. 2021, appendices A.2 and B.2), s being the shorter
side of the picture and T the size that the model sees:

    dVAE         any square of s pixels, brought to 9/8 T ... 12/8 T, then any window of T, half mirrored
    transformer  a square of s pixels near the middle, brought to T ... 9/8 T, then any window of T

Near the middle: it begins between 3/8 and 5/8 of the way, the latter left out. Pictures of the transformer
are not mirrored: there may be writing in them, says the paper, and captions speak of left and right.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass

import numpy as np
import torch

from dalle_edu.data.pictures import check_size
from dalle_edu.data.shards import picture_and_caption
from dalle_edu.data.tables import caption_of
from dalle_edu.data.vary import crop_filled
from dalle_edu.errors import ReaderError, first_line, unknown_name

CROPS = ("centre", "dvae", "dalle")
TOKENS = ".tokens.npy"  # how the name of a file of tokens ends


@dataclass(frozen=True)
class PictureReader:
    """Pictures as float32 `(3, size, size)` in [0, 1]. `crop`: "centre", "dvae" or "dalle" (see above).

    With `window` only a square of so many pixels out of it, the most varied of four (`crop_filled`):
    `(3, window, window)`.
    """

    size: int
    crop: str = "centre"
    window: int = 0

    def __post_init__(self):
        check_size(self.size)
        if self.crop not in CROPS:
            raise unknown_name("way to crop", self.crop, CROPS)

    def __call__(self, sample: dict, own: random.Random) -> tuple[torch.Tensor, str]:
        if self.crop == "centre":
            image, caption = picture_and_caption(sample, self.size)
        else:
            image, caption = picture_and_caption(
                sample, self.size, lambda picture, size: random_square(picture, size, self.crop, own)
            )
        if self.window:
            generator = torch.Generator().manual_seed(own.getrandbits(62))
            image = crop_filled(image[None], self.window, 1, generator)[0]
        return image, caption


@dataclass(frozen=True)
class TokenReader:
    """Tokens of a dVAE as int64 `(height * width,)`, each below `vocabulary`."""

    grid: tuple[int, int]
    vocabulary: int

    def __call__(self, sample: dict, own: random.Random) -> tuple[torch.Tensor, str]:
        name, files = f"{sample['__key__']} in {sample['__url__']}", sample["files"]
        if TOKENS not in files or ".txt" not in files:
            raise ReaderError(
                f"{name} has no tokens ({TOKENS}) or no caption (.txt), only {', '.join(sorted(files))}; "
                "write such shards with `dalle-edu shards make SOURCE OUT --tokens MODEL`."
            )
        try:
            tokens = np.load(io.BytesIO(files[TOKENS]), allow_pickle=False)
        except Exception as error:  # numpy reads a head with Python's parser, which raises much
            raise ReaderError(f"{name} has tokens that cannot be read ({first_line(error)}).") from None
        if tokens.shape != tuple(self.grid) or tokens.dtype.kind not in "iu":
            raise ReaderError(
                f"{name} has tokens of the shape {tokens.shape} ({tokens.dtype}), expected "
                f"{tuple(self.grid)}: they are of another dVAE."
            )
        if int(tokens.max()) >= self.vocabulary or int(tokens.min()) < 0:
            raise ReaderError(
                f"{name} has the token {int(tokens.max())}, and there are {self.vocabulary}: it is of "
                "another dVAE."
            )
        caption = caption_of(files[".txt"], f"{sample['__key__']}.txt in {sample['__url__']}")
        return torch.from_numpy(tokens.astype(np.int64)).flatten(), caption


def random_square(picture, size: int, crop: str, own: random.Random):
    """A picture of any shape as a random square of `size` pixels, by the rules of "dvae" or "dalle"."""
    from PIL import Image, ImageOps

    (width, height), side = picture.size, min(picture.size)
    dvae = crop == "dvae"
    left, top = (_start(length - side, dvae, own) for length in (width, height))
    # A picture smaller than what is asked for is enlarged no more than it must be.
    least = min(side, round(9 / 8 * size)) if dvae else size
    most = min(side, round((12 if dvae else 9) / 8 * size))
    scaled = own.randint(max(least, size), max(most, size))
    box = (left, top, left + side, top + side)
    picture = picture.resize((scaled, scaled), Image.Resampling.BOX, box=box)
    left, top = own.randint(0, scaled - size), own.randint(0, scaled - size)
    picture = picture.crop((left, top, left + size, top + size))
    return ImageOps.mirror(picture) if dvae and own.random() < 0.5 else picture


def _start(room: int, anywhere: bool, own: random.Random) -> int:
    # The listing's `tf.random.uniform` never gives its upper bound, max(3 room // 8 + 1, 5 room // 8).
    return (
        own.randint(0, room)
        if anywhere
        else own.randrange(3 * room // 8, max(3 * room // 8 + 1, 5 * room // 8))
    )
