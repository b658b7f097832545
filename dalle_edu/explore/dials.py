"""Temperature, top-k and top-p as distributions (chapter 11): what is left of the next token's probabilities.

Every number is the model's own; the order of the dials is that of `dalle_edu.sampling.adjust_logits`.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import COLOURS
from dalle_edu.explore.film import background_token, code_pictures
from dalle_edu.sampling import adjust_logits

_SHOWN = 12


def plot_dials(
    logits: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, codes: int = 20, ax=None
) -> None:
    """Draws the `codes` most probable codes of (vocabulary,) logits, before and after the dials.

    Outlines are what the model gave, filled bars what is left; a code that is left out is crossed. Raises
    ReaderError for dials that cannot be.
    """
    ax = ax or plt.gca()
    before = logits.float().softmax(-1)
    after = adjust_logits(logits.float(), temperature, top_k, top_p).softmax(-1)
    order = before.sort(descending=True, stable=True).indices[:codes]
    places = range(len(order))
    ax.bar(places, after[order].tolist(), color=COLOURS[5], width=0.85)
    ax.bar(places, before[order].tolist(), fill=False, edgecolor="black", linewidth=1, width=0.85)
    out = [place for place, code in enumerate(order.tolist()) if after[code] == 0]
    if out:  # an empty line outside the axes would upset the layout
        ax.plot(
            out,
            [0] * len(out),
            "x",
            color=COLOURS[1],
            clip_on=False,
            markersize=min(5, 110 / codes),
            markeredgewidth=1.5,
        )
    ax.set_xticks([])
    ax.set_xlim(-0.8, len(order) - 0.2)


@torch.inference_mode()
def dials_explorer(model, prompt: str, tokens: Tensor, places: list[int]) -> Explorer:
    """A figure to touch: turn temperature, top-k and top-p, see what becomes of a distribution, draw from it.

    It is that of the next token at some `places` of a drawing, 0 to height * width - 1.

    `tokens` (height * width,) is one drawing of `prompt`.
    Raises ReaderError for other shapes and places outside.
    """
    height, width = model.config.dalle.grid
    if tokens.shape != (height * width,):
        raise ReaderError(
            f"A picture has {height * width} tokens, these are {tuple(tokens.shape)}: give drawing.tokens[i]."
        )
    if not places or not all(0 <= place < height * width for place in places):
        raise ReaderError(f"places are {places}; name at least one, from 0 to {height * width - 1}.")
    logits = model.dalle(model.encode_text(prompt), tokens[None])[1][0, places].float()
    vocabulary = logits.shape[1]
    frames = torch.full((len(places), len(tokens)), background_token(model))
    for row, place in zip(frames, places, strict=True):
        row[:place] = tokens[:place]
    pictures = code_pictures(model, range(vocabulary))
    columns = 32
    blank = pictures.new_ones(-vocabulary % columns, *pictures.shape[1:])
    sheet = torch.cat((pictures, blank)).unflatten(0, (-1, columns)).permute(2, 0, 3, 1, 4)
    side = pictures.shape[-1]
    data = {
        "grid": [height, width],
        "places": places,
        # Where there is most to see: the place whose distribution has the highest entropy.
        "start": int(torch.distributions.Categorical(logits=logits).entropy().argmax()),
        "frames": [picture_uri(frame) for frame in model.pictures(frames)],
        "codes": picture_uri(sheet.reshape(3, -1, columns * side)),
        "columns": columns,
        # In hundredths, from the highest down: enough for a picture, and two processors seldom differ.
        "logits": ((logits - logits.amax(1, keepdim=True)) * 100).round().long(),
    }
    figure, axes = plt.subplots(1, len(places), figsize=(7, 2.1), squeeze=False, sharey=True)
    for ax, place, row in zip(axes[0], places, logits, strict=True):
        plot_dials(row, codes=_SHOWN, ax=ax)
        ax.set_title(f"row {place // width}, column {place % width}", fontsize=9)
    axes[0, 0].set_ylabel("probability")
    alt = (
        f"The distribution of the next token at {len(places)} places of drawing “{prompt}”: bars for the "
        "most probable codes. Live, sliders for temperature, top-k and top-p change it, and a button draws."
    )
    return Explorer(
        title="Turn the dials",
        alt=alt,
        data=data,
        script=Path(__file__).with_suffix(".js"),
        figure=figure,
        height=430,
    )
