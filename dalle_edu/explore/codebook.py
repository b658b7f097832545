"""Looking into a codebook (chapters 3 and 5): which codes are used, what each looks like, where it sits.

entropy = -sum_k p_k log2 p_k bits a token, perplexity = 2 ** entropy, p_k the share of code k among the
tokens. All take the reader's own tokens or model: tokens are whole numbers of any shape, a model is its
`decode` function, tokens (batch, height, width) -> pictures (batch, 3, H, W).
"""

import math
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import COLOURS, figure_png, picture_grid
from dalle_edu.vqvae import codebook_usage, entropy_bits, perplexity


def plot_usage(usage, ax=None) -> None:
    """Histogram of `usage` (vocabulary,), counts from `codebook_usage`: by rank, most used first."""
    usage = torch.as_tensor(usage).detach().cpu().double()
    if usage.ndim != 1 or usage.sum() <= 0:
        raise ReaderError(
            "usage must be one count for each code, not all zero: codebook_usage(tokens, vocabulary)."
        )
    ax = ax or plt.gca()
    share = (usage / usage.sum()).sort(descending=True).values
    used = int((usage > 0).sum())
    ax.fill_between(
        torch.arange(used) + 1, share[:used], share[share > 0].min() / 2, step="mid", color=COLOURS[5]
    )
    ax.axhline(1 / len(usage), color="black", linestyle=":", linewidth=1)
    ax.text(len(usage), 1 / len(usage), "equal use ", ha="right", va="bottom", fontsize=9)
    if used < len(usage):
        ax.axvspan(
            used + 0.5, len(usage) + 0.5, facecolor="none", edgecolor=COLOURS[1], hatch="///", linewidth=0
        )
    ax.set(
        yscale="log",
        xlim=(0.5, len(usage) + 0.5),
        xlabel="codes, most used first",
        ylabel="share of the tokens",
    )
    dead = len(usage) - used
    ax.set_title(
        f"{used} of {len(usage)} codes used, {dead} dead (hatched), perplexity {perplexity(usage):.0f}"
    )


def plot_perplexity(history, vocabulary: int, steps=None, ax=None, label=None) -> None:
    """Perplexity over time. `history`: perplexities or usages (vocabulary,), taken at `steps`."""
    values = [perplexity(h) if torch.is_tensor(h) and h.ndim == 1 else float(h) for h in history]
    if not values:
        raise ReaderError("The history is empty; store a usage or a perplexity every few steps of training.")
    ax = ax or plt.gca()
    ax.plot(range(len(values)) if steps is None else steps, values, label=label)
    if not any(line.get_label() == "_vocabulary" for line in ax.lines):
        ax.axhline(vocabulary, color="black", linestyle=":", linewidth=1, label="_vocabulary")
    ax.set(xlabel="step", ylabel="perplexity", ylim=(0, 1.05 * vocabulary))


def dead_code_report(usage, rare: float = 0.1) -> str:
    """A few lines on `usage` (vocabulary,): how many codes are dead, how many are rare."""
    usage = torch.as_tensor(usage).detach().cpu().double()
    bits = entropy_bits(usage)
    vocabulary, total = len(usage), int(usage.sum())
    dead = (usage == 0).nonzero().flatten().tolist()
    rarely = int(((usage > 0) & (usage < rare * total / vocabulary)).sum())
    shown = ", ".join(map(str, dead[:12])) + (", ..." if len(dead) > 12 else "")
    return "\n".join(
        [
            f"{vocabulary} codes, {total} tokens counted",
            f"dead:       {len(dead)} ({len(dead) / vocabulary:.0%})" + (f": {shown}" if dead else ""),
            f"rare:       {rarely}, below {rare:g} of an equal share",
            f"perplexity: {2**bits:.1f}, or {bits:.2f} of at most {math.log2(vocabulary):.2f} bits a token",
        ]
    )


@torch.no_grad()
def code_pictures(decode, codes, surround: int = 1) -> torch.Tensor:
    """What each of `codes` looks like alone: (number, 3, patch, patch) in [0, 1].

    A grid of nothing but that code, `surround` positions on
    every side, goes through `decode`; the middle is kept.
    """
    codes = torch.as_tensor(codes).flatten()
    side = 2 * surround + 1
    pictures = decode(codes[:, None, None].expand(-1, side, side).contiguous())
    height, width = pictures.shape[-2] // side, pictures.shape[-1] // side
    rows = slice(surround * height, (surround + 1) * height)
    return pictures[..., rows, surround * width : (surround + 1) * width].clamp(0, 1)


def code_gallery(decode, usage, count: int | None = None, columns: int = 16, ax=None) -> None:
    """Each code decoded alone, the most used first; `count` of them, else all but the dead."""
    usage = torch.as_tensor(usage)
    order = usage.argsort(descending=True, stable=True)[: int((usage > 0).sum())][:count]
    picture_grid(code_pictures(decode, order), columns=columns, ax=ax)


def plot_code_locations(image, tokens, codes, ax=None) -> None:
    """`image` (3, H, W), paled, and a frame round each position whose token (height, width) is in `codes`."""
    codes = [int(code) for code in torch.as_tensor(codes).flatten()]
    if image.ndim != 3 or tokens.ndim != 2:
        raise ReaderError("Give one picture (3, H, W) and its tokens (height, width): images[0], tokens[0].")
    ax = ax or plt.gca()
    ax.imshow(0.5 + 0.5 * image.detach().cpu().permute(1, 2, 0).clamp(0, 1), interpolation="nearest")
    high, wide = image.shape[1] / tokens.shape[0], image.shape[2] / tokens.shape[1]
    for index, code in enumerate(codes):
        for row, column in (tokens == code).nonzero().tolist():
            style = {
                "edgecolor": COLOURS[index % 7],
                "hatch": ("", "//", "..", "xx")[index % 4],
                "linewidth": 1.5,
            }
            corner = (column * wide - 0.5, row * high - 0.5)
            ax.add_patch(plt.Rectangle(corner, wide, high, facecolor="none", **style))
    ax.set_axis_off()


def nearest_codes(codebook, code: int, count: int = 8):
    """The `count` codes nearest to `code` in `codebook` (vocabulary, width), itself first, and distances."""
    codebook = torch.as_tensor(codebook).detach().cpu()
    if not 0 <= code < len(codebook):
        raise ReaderError(f"There is no code {code}; this codebook has 0 to {len(codebook) - 1}.")
    distances = (codebook - codebook[code]).norm(dim=1)
    distances[code] = -1  # a twin at distance 0 must not come before the code itself
    found = distances.topk(min(count, len(codebook)), largest=False).indices
    return found, distances[found].clamp(min=0)


def plot_nearest_codes(decode, codebook, codes, count: int = 8, ax=None) -> None:
    """One row for each of `codes`: the code decoded alone, then its nearest neighbours in the codebook."""
    rows = torch.cat(
        [nearest_codes(codebook, int(code), count)[0] for code in torch.as_tensor(codes).flatten()]
    )
    picture_grid(code_pictures(decode, rows), columns=count, ax=ax)


def _gallery_order(decode, usage):
    """Codes that draw something, most used first; then those that are nearly white paper, then the dead ones.

    The commonest codes of most pictures are all white, and rows of white squares show nothing.
    """
    small = code_pictures(decode, torch.arange(len(usage))).cpu()
    group = torch.where(usage == 0, 2, (small.amin((1, 2, 3)) > 0.9).long())
    by_use = usage.argsort(descending=True, stable=True)
    return by_use[group[by_use].argsort(stable=True)]


@torch.no_grad()
def codebook_explorer(
    decode, images, tokens, usage=None, codebook=None, vocabulary: int | None = None
) -> Explorer:
    """The codebook as pictures and where each code sits, to touch: choose a code, or a position in a picture.

    `decode`: tokens (batch, height, width) -> pictures. `images` (N, 3, H, W) with
    their `tokens` (N, height, width); a handful is enough. `usage` (vocabulary,):
    counts over more pictures, else over `tokens`; `codebook` (vocabulary, width):
    then the nearest codes are shown as well. For up to about 4,096 codes.
    """
    if len(images) != len(tokens) or tokens.ndim != 3:
        raise ReaderError("Give as many pictures (N, 3, H, W) as token grids (N, height, width).")
    if usage is None:
        if vocabulary is None:
            raise ReaderError(
                "Give usage=codebook_usage(tokens, vocabulary), or vocabulary=... to count here."
            )
        usage = codebook_usage(tokens, vocabulary)
    usage = torch.as_tensor(usage).cpu()
    order = _gallery_order(decode, usage)
    small = code_pictures(decode, order).cpu()  # (vocabulary, 3, patch, patch)
    columns, patch = 16 if len(order) <= 1024 else 32, small.shape[-1]  # no sheet is too long to look at
    rows = -(-len(order) // columns)
    sheet = torch.ones(rows * columns, 3, patch, patch)
    sheet[: len(small)] = small
    sheet = sheet.reshape(rows, columns, 3, patch, patch).permute(2, 0, 3, 1, 4).reshape(3, rows * patch, -1)
    # The chosen code at the start: the commonest in these pictures that draws something, not white paper.
    present = torch.isin(order, tokens.cpu().unique())
    inked = order[present & (small.mean((1, 2, 3)) < 0.85)]
    start = int((inked if len(inked) else order[present])[0])
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.6), width_ratios=[1.3, 1])
    axes[0].imshow(sheet.permute(1, 2, 0), interpolation="nearest")
    axes[0].set_title("all codes, most used first, white ones last", fontsize=10)
    axes[0].set_axis_off()
    plot_code_locations(images[0], tokens[0].cpu(), [start], ax=axes[1])
    axes[1].set_title(f"where code {start} sits", fontsize=10)
    data = {
        "gallery": picture_uri(sheet),
        "says": "all codes, most used first; nearly white ones after the others, dead ones last",
        "pictures": [picture_uri(image) for image in images],
        "tokens": tokens.cpu(),
        "usage": usage,
        "total": int(usage.sum()),
        "order": order,
        "columns": columns,
        "start": start,
        "near": None if codebook is None else [nearest_codes(codebook, int(code), 8)[0] for code in order],
    }
    png = figure_png(figure)
    plt.close(figure)
    return Explorer(
        title="The codebook: choose a code, or a position in a picture",
        alt="A sheet of small patches, one a code, and pictures in which positions of the chosen code are "
        "framed. Common codes are plain white or plain colour, rarer ones are edges, corners and dots.",
        data=data,
        script=Path(__file__).with_suffix(".js"),
        png=png,
        height=420,
    )
