"""A picture appearing token by token (chapters 0 and 11): as a strip, and as a film with the distribution
behind each step.

All numbers are a trained model's own. A frame shows the tokens drawn so far, decoded together with plain
background for the rest.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import Tensor

from dalle_edu.errors import ReaderError
from dalle_edu.explore import codebook
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import picture_grid

CANDIDATES = 5


@torch.inference_mode()
def next_token_probabilities(model, prompt: str, tokens: Tensor) -> Tensor:
    """For each of the picture's tokens (height * width,), what the model by itself gives every code before
    it, at temperature 1 and without guidance, whatever dials drew it: (height * width, vocabulary). One pass
    over the finished stream gives them all."""
    logits = model.dalle(model.encode_text(prompt), tokens[None])[1]
    return logits[0].float().softmax(-1)


def background_token(model) -> int:
    """The code of plain white paper."""
    size = model.config.dvae.image_size
    return int(model.vae.encode(torch.ones(1, 3, size, size)).mode().values.flatten().mode().values)


@torch.inference_mode()
def partial_pictures(model, tokens: Tensor, counts) -> Tensor:
    """The picture after the first n of its tokens (height *
    width,), for each n of `counts`: (len(counts), 3, size, size)."""
    rows = torch.full((len(counts), len(tokens)), background_token(model))
    for row, count in zip(rows, counts, strict=True):
        row[:count] = tokens[:count]
    return model.pictures(rows)


def code_pictures(model, codes) -> Tensor:
    """Each code of `codes` (n,) decoded among its like, one token's square of it: (n, 3, side, side)."""
    return codebook.code_pictures(model.vae.decode, codes)


def film_strip(model, tokens: Tensor, counts=(0, 32, 64, 96, 128, 160, 192, 224, 256), ax=None) -> None:
    """Draws the picture after each of `counts` tokens, side by side."""
    captions = [f"{count} tokens" for count in counts]
    picture_grid(partial_pictures(model, tokens, counts), captions, columns=len(counts), ax=ax)


def film_explorer(model, prompt: str, tokens: Tensor) -> Explorer:
    """A film to step through: the picture after each token,
    and the codes that the model thought most probable there.

    `tokens` (height * width,) is one drawing of `prompt`. Raises ReaderError for another number of tokens.
    """
    height, width = model.config.dalle.grid
    if tokens.shape != (height * width,):
        raise ReaderError(
            f"One picture has {height * width} tokens, these are {tuple(tokens.shape)}: "
            "give drawing.tokens[i]."
        )
    probabilities = next_token_probabilities(model, prompt, tokens)
    top = probabilities.topk(CANDIDATES, dim=-1)
    frames = partial_pictures(model, tokens, range(height * width + 1))
    columns = 16
    blank = -len(frames) % columns
    frames = F.pad(frames, (0, 0, 0, 0, 0, 0, 0, blank), value=1.0)
    shown = torch.cat((top.indices, tokens[:, None]), dim=1).unique()
    data = {
        "grid": [height, width],
        "size": frames.shape[-1],
        "columns": columns,
        "frames": picture_uri(_sheet(frames, columns)),
        "side": model.config.dvae.downsampling,
        "codes": picture_uri(_sheet(code_pictures(model, shown), len(shown))),
        "places": {int(code): place for place, code in enumerate(shown)},
        "tokens": tokens,
        "top": top.indices,
        # In thousandths: two processors agree on these almost always, on more digits not.
        "share": (top.values * 1000).round().long(),
        "drawn": (probabilities.gather(1, tokens[:, None])[:, 0] * 1000).round().long(),
    }
    figure = plt.figure(figsize=(7, 1.4))
    film_strip(model, tokens, [height * width * n // 6 for n in range(1, 7)], ax=figure.add_subplot())
    alt = (
        f"A film of “{prompt}” being drawn: the picture fills token by token from the top left, in rows. "
        f"Beside it the {CANDIDATES} codes that the model held most probable for the next token, with their "
        "probabilities."
    )
    return Explorer(
        title=f"“{prompt}”, token by token",
        alt=alt,
        data=data,
        script=Path(__file__).with_suffix(".js"),
        figure=figure,
        height=330,
    )


def _sheet(pictures: Tensor, columns: int) -> Tensor:
    """(n, 3, H, W), n a multiple of columns -> (3, rows * H, columns * W)."""
    n, channels, height, width = pictures.shape
    rows = pictures.view(n // columns, columns, channels, height, width)
    return rows.permute(2, 0, 3, 1, 4).reshape(channels, n // columns * height, columns * width)
