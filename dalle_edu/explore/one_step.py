"""One step in slow motion (chapter 11): text and image tokens go in, the next image token comes out.

    embedding -> block 1 ... block L -> logits, one a code -> softmax -> one code is drawn

All numbers are a trained model's own. Ramesh et al. 2021, section 2.2.
"""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from dalle_edu.errors import ReaderError
from dalle_edu.explore.figures import COLOURS, picture_array
from dalle_edu.explore.film import code_pictures


@dataclass(frozen=True)
class Step:
    """What happens at the last position of a stream, once.

    `pieces` are the word pieces, `padding` how many padding tokens follow, `tokens` (n,) the image tokens
    so far, `states` (depth + 1, width) before the first block and after each, `logits` (codes,).
    """

    pieces: list[str]
    padding: int
    tokens: Tensor
    states: Tensor
    logits: Tensor

    @property
    def probabilities(self) -> Tensor:
        """(codes,) what the next token is drawn from, at temperature 1."""
        return self.logits.softmax(-1)


@torch.inference_mode()
def next_token_step(model, prompt: str, tokens) -> Step:
    """Runs `prompt` and the image tokens (n,), 1 <= n < height * width, through a loaded model once.

    Raises ReaderError for another number of tokens, and for numbers that are no codes.
    """
    tokens = torch.as_tensor(tokens, dtype=torch.int64).view(-1)
    config = model.config.dalle
    if not 1 <= len(tokens) < config.picture_length:
        raise ReaderError(
            f"There are {len(tokens)} image tokens; give 1 to {config.picture_length - 1} of them."
        )
    if not 0 <= int(tokens.min()) <= int(tokens.max()) < config.image_vocabulary:
        raise ReaderError(
            f"Image tokens are codes, 0 to {config.image_vocabulary - 1}; these are {tokens.tolist()[:8]}."
        )
    text = model.encode_text(prompt)
    x = torch.cat((model.dalle.embed_text(text), model.dalle.embed_image(tokens[None])), dim=1)
    states = [x[0, -1]]
    for block in model.dalle.transformer.blocks:
        x = block(x)
        states.append(x[0, -1])
    logits = model.dalle.image_logits(model.dalle.transformer.norm(states[-1]))
    pieces = model.tokenizer.pieces(prompt)
    return Step(pieces, config.text_length - len(pieces), tokens, torch.stack(states), logits)


def plot_one_step(model, step: Step, drawn: int | None = None, candidates: int = 6, figure=None) -> None:
    """Draws a `Step` from top to bottom: stream, states, logits, and the most probable codes.

    The states are those of the last position in each layer; the codes have their pictures, and `drawn` is
    marked. Fills `figure`, else a new one.
    """
    figure = figure or plt.figure(figsize=(7, 6.6))
    stream, strips, skyline, bars = figure.subplots(4, 1, height_ratios=[1, 2.2, 1.5, 2])
    _plot_stream(model, step, stream)
    _plot_states(model, step, strips)
    plot_logits(step.logits, ax=skyline, drawn=drawn)
    plot_candidates(model, step.probabilities, candidates, drawn, ax=bars)
    for ax, title in zip((stream, strips, skyline, bars), _TITLES, strict=True):
        ax.set_title(title, loc="left")


_TITLES = (
    "1. what goes in",
    "2. the state of the last position, layer by layer",
    "3. logits: one number for each code",
    "4. softmax: the most probable codes",
)


def _plot_stream(model, step: Step, ax) -> None:
    words = [piece.strip() or "␣" for piece in step.pieces] + (
        [f"{step.padding} × pad"] if step.padding else []
    )
    place = 0.0
    for word in words:
        wide = max(0.8, 0.22 * len(word) + 0.3)
        ax.add_patch(plt.Rectangle((place, 0), wide, 1, facecolor="#f1f3f5", edgecolor="black"))
        ax.text(place + wide / 2, 0.5, word, ha="center", va="center")
        place += wide + 0.15
    for code, picture in zip(
        step.tokens[-4:], picture_array(code_pictures(model, step.tokens[-4:])), strict=True
    ):
        ax.imshow(picture, extent=(place, place + 1, 0, 1))
        ax.add_patch(plt.Rectangle((place, 0), 1, 1, fill=False, edgecolor="black"))
        ax.text(place + 1.12, 0.5, str(int(code)), va="center", weight="bold")
        place += 2
    ax.text(place + 0.1, 0.5, "→ ?", va="center", fontsize=14)
    ax.set_xlim(-0.1, max(12.0, place + 1))
    ax.set_ylim(-0.1, 1.1)
    ax.set_aspect("equal")
    ax.axis("off")


def _plot_states(model, step: Step, ax) -> None:
    # Each row by its own size: the states grow from layer to layer, and what matters is their pattern.
    rows = step.states / step.states.std(dim=1, keepdim=True)
    ax.imshow(rows.clamp(-2.5, 2.5), aspect="auto", cmap="cividis")
    kinds = model.config.dalle.transformer().kinds
    every = max(1, -(-len(kinds) // 10))  # as many names as fit
    names = ["in", *(f"{i} {kind}" for i, kind in enumerate(kinds, start=1))]
    ax.set_yticks(range(0, len(names), every), names[::every], fontsize=9)
    ax.set_xlabel(f"the {rows.shape[1]} numbers of the state")


def plot_logits(logits: Tensor, ax=None, drawn: int | None = None) -> None:
    """Draws the logit of every code, (codes,), as a skyline.

    The highest is named, and `drawn` if it is another.
    """
    ax = ax or plt.gca()
    values = logits.float()
    ax.fill_between(
        range(len(values)), values, float(values.min()), step="mid", color=COLOURS[0], linewidth=0
    )
    top = int(values.argmax())
    for code, marker in {top: "v", drawn if drawn is not None else top: "*"}.items():
        ax.plot(
            code, values[code], marker, color=COLOURS[1], markeredgecolor="black", markersize=9, clip_on=False
        )
        ax.annotate(f" {code}", (code, values[code]), va="center", xytext=(5, 0), textcoords="offset points")
    ax.set_xlim(0, len(values))
    ax.set_ylim(float(values.min()), float(values.max()) + 2)
    ax.set_xlabel("code")
    ax.set_ylabel("logit")


def plot_candidates(
    model, probabilities: Tensor, candidates: int = 6, drawn: int | None = None, ax=None
) -> None:
    """Draws the `candidates` most probable codes of (codes,) as bars with their pictures.

    `drawn` has an arrow.
    """
    ax = ax or plt.gca()
    top = probabilities.topk(min(candidates, len(probabilities))).indices.tolist()
    if drawn is not None and drawn not in top:
        top[-1] = drawn
    shares = [float(probabilities[code]) for code in top]
    ax.barh(range(len(top)), shares, color=COLOURS[5], edgecolor="black", linewidth=0.6)
    most = max(shares)
    for row, (code, share) in enumerate(zip(top, shares, strict=True)):
        label = f"{share:.1%}" + ("   ← drawn" if code == drawn else "")
        ax.text(share + 0.015 * most, row, label, va="center", weight="bold" if code == drawn else "normal")
    ax.set_yticks(range(len(top)), [f"{code}     " for code in top])
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(0, 1.35 * most)
    ax.set_ylim(len(top) - 0.5, -0.5)
    ax.set_xlabel("probability")
    for row, picture in enumerate(picture_array(code_pictures(model, top))):
        small = ax.inset_axes((-0.036, 1 - (row + 0.9) / len(top), 0.03, 0.8 / len(top)))
        small.imshow(picture, aspect="auto")
        small.set_xticks([])
        small.set_yticks([])
        small.spines[:].set_visible(True)
