"""Which token of a picture is hard to predict (chapter
9): the loss of every place, over the picture, to touch.

    nats_j = -ln p(z_j | y, z_<j);      the picture's loss is their mean

One pass over a finished stream gives them all, since every place is predicted from what stands before it.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri


@torch.inference_mode()
def token_losses(dalle, text: Tensor, tokens: Tensor) -> Tensor:
    """What each picture token cost, in nats: text (batch,
    text_length), tokens (batch, N) -> (batch, height, width)."""
    logits = dalle(text, tokens)[1].float().log_softmax(-1)
    nats = -logits.gather(2, tokens[..., None])[..., 0]
    return nats.view(-1, *dalle.config.grid)


def plot_token_losses(nats: Tensor, picture: Tensor | None = None, most: float = 6.0, ax=None) -> None:
    """Draws losses (height, width) in nats as circles, the larger the dearer, over `picture` (3, H, W) where
    there is one.

    A circle that fills its square stands for `most` nats or more.
    """
    ax = ax or plt.gca()
    height, width = nats.shape
    if picture is not None:
        pixels = picture.permute(1, 2, 0).clamp(0, 1).numpy()
        ax.imshow(pixels, extent=(0, width, height, 0), interpolation="nearest", alpha=0.6)
    for row in range(height):
        for column in range(width):
            radius = 0.5 * min(float(nats[row, column]) / most, 1.0) ** 0.5
            ax.add_patch(
                plt.Circle(
                    (column + 0.5, row + 0.5),
                    radius,
                    facecolor="#000000",
                    edgecolor="#ffffff",
                    linewidth=0.5,
                    alpha=0.75,
                )
            )
    ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    ax.set_xticks([]), ax.set_yticks([])


def token_loss_explorer(
    captions: list[str],
    pictures: Tensor,
    nats: dict[str, Tensor],
    title: str = "What each token costs",
) -> Explorer:
    """A figure to touch: choose a picture and a model, walk over its places, and read what each token cost.

    pictures: (n, 3, H, W) in [0, 1]; nats: for each model's name the losses of its tokens, (n, height,
    width). Raises ReaderError where their numbers differ.
    """
    counts = {len(captions), len(pictures), *map(len, nats.values())}
    if len(counts) != 1 or not nats or not captions:
        raise ReaderError(
            f"There are {len(captions)} captions, {len(pictures)} pictures and losses of "
            f"{[len(value) for value in nats.values()]}: give one of each a caption."
        )
    height, width = next(iter(nats.values())).shape[1:]
    data = {
        "captions": list(captions),
        "grid": [height, width],
        "models": list(nats),
        "pictures": [picture_uri(picture) for picture in pictures],
        # In hundredths: two processors agree on these almost always, on more digits not.
        "nats": [(value.flatten(1) * 100).round().long() for value in nats.values()],
    }
    figure, axes = plt.subplots(1, len(nats), figsize=(3.4 * len(nats), 3.5), squeeze=False)
    for ax, (name, value) in zip(axes[0], nats.items(), strict=True):
        plot_token_losses(value[0], pictures[0], ax=ax)
        ax.set_title(f"{name}: {value[0].mean():.2f} nats a token")
    alt = (
        f"The picture of “{captions[0]}” with a dark circle on each of its {height} by {width} places, the "
        f"larger the more nats its token cost, for {' and '.join(nats)}. "
        f"Pictures to choose from: {'; '.join(captions)}."
    )
    return Explorer(title=title, alt=alt, data=data, script=Path(__file__).with_suffix(".js"), figure=figure)
