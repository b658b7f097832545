"""Rewrite one token of a picture and see what the decoder makes of it: which pixels a token answers for."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import picture_array


def rewrite_explorer(vae, image: Tensor, runners_up: int = 3, strangers: int = 2, seed: int = 0) -> Explorer:
    """An explorer for the tokens of `image` (3, H, W) under the reader's own discrete VAE.

    Choose a place of the grid, then another code for it: one of the `runners_up` (the next most probable
    codes of q(z | x)) or of the `strangers` (codes at random). Every picture is decoded beforehand, by the
    whole decoder, so keep the picture small: 32 x 32 pixels with 8 x 8 tokens are 320 pictures.
    Raises ReaderError for a picture of another shape or one with more than 256 tokens.
    """
    if image.ndim != 3 or image.shape[0] != 3:
        raise ReaderError(f"One picture of shape (3, height, width) is needed, not {tuple(image.shape)}.")
    tokens, others, chances = alternatives(vae, image, runners_up, strangers, seed)
    height, width = tokens.shape
    if height * width > 256:
        raise ReaderError(f"A grid of {height} x {width} tokens is too large; cut the picture.")
    number = others.shape[-1]
    changed = tokens.repeat(height * width, number, 1, 1)  # (places, number, height, width)
    place = torch.arange(height * width)
    changed[place[:, None], torch.arange(number), (place // width)[:, None], (place % width)[:, None]] = (
        others
    )
    pictures = torch.cat([vae.decode(part) for part in changed.flatten(0, 1).split(64)])
    # One sheet of all pictures: a row a place, a column a code.
    sheet = pictures.unflatten(0, (-1, number)).permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)
    decoded = vae.decode(tokens[None])[0]
    # It opens where a code at random changes the most.
    change = (pictures.unflatten(0, (-1, number))[:, -1] - decoded).abs().mean((1, 2, 3))
    start = int(change.argmax())
    data = {
        "tokens": tokens.flatten(),
        "start": start,
        "others": others,
        "chances": (100 * chances).round().long(),
        "runnersUp": runners_up,
        "grid": [height, width],
        "size": [image.shape[1], image.shape[2]],
        "original": picture_uri(image),
        "decoded": picture_uri(decoded),
        "sheet": picture_uri(sheet),
    }
    return Explorer(
        title="Rewrite a token",
        alt=(
            f"A picture, and what the decoder draws from its {height} by {width} tokens. Choose one of the "
            "tokens and give it another code: the picture changes around that place."
        ),
        data=data,
        script=Path(__file__).with_suffix(".js"),
        figure=_still(image, decoded, pictures[start * number + number - 1], start, (height, width)),
        height=340,
    )


def alternatives(vae, image: Tensor, runners_up: int, strangers: int, seed: int = 0):
    """Tokens (h, w), other codes for each (h * w, runners_up + strangers), and q(z | x) of the token and of
    each of those codes (h * w, 1 + runners_up + strangers)."""
    with torch.no_grad():
        q = vae.logits(image[None])[0].softmax(0).flatten(1).T  # (h * w, vocabulary)
        tokens = vae.encode(image[None])[0]
    # The picture's own token first, even where another code is exactly as probable.
    ranked = q.scatter(1, tokens.reshape(-1, 1), 2.0).topk(1 + runners_up).indices
    generator = torch.Generator().manual_seed(seed)
    strange = torch.randint(q.shape[1], (len(q), strangers), generator=generator)
    codes = torch.cat([ranked, strange], dim=1)
    return tokens, codes[:, 1:], q.gather(1, codes)


def _still(image, decoded, changed, place, grid):
    """Original, decoded, and one token replaced by a stranger."""
    height, width = grid
    figure, axes = plt.subplots(1, 3, figsize=(6.6, 2.5))
    three = [image, decoded, changed]
    for ax, picture, title in zip(axes, three, ("original", "decoded", "one token changed"), strict=True):
        ax.imshow(picture_array(picture[None])[0])
        ax.set(title=title, xticks=[], yticks=[])
    high, wide = image.shape[1] / height, image.shape[2] / width
    corner = np.array([place % width * wide - 0.5, place // width * high - 0.5])
    axes[2].add_patch(plt.Rectangle(corner, wide, high, fill=False, edgecolor="black", linewidth=2))
    return figure
