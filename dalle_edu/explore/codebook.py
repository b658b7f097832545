"""Looking into a codebook (chapters 3 and 5): which codes are used, what each looks like, where it sits.

entropy = -sum_k p_k log2 p_k bits a token, perplexity = 2 ** entropy, p_k the share of code k among the
tokens. All take the reader's own tokens or model: tokens are whole numbers of any shape, a model is its
`decode` function, tokens (batch, height, width) -> pictures (batch, 3, H, W).
"""

import math

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

    A grid of nothing but that code, `surround` positions on every side, goes through `decode`; the middle
    is kept.
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


_SCRIPT = """
var n = data.usage.length, cols = data.columns, rows = Math.ceil(n / cols), chosen = 0;
var wide = kit.el('div', {style: 'display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start'}, root);
function board(parent, uri, across, down, unit, label) {
  var svg = kit.el('svg', {viewBox: '0 0 ' + across * unit + ' ' + down * unit, tabindex: 0,
    role: 'application', 'aria-label': label,
    style: 'max-width:100%;touch-action:manipulation;cursor:pointer',
    width: Math.min(across * unit, 330)}, parent);
  kit.el('image', {href: uri, width: across * unit, height: down * unit, preserveAspectRatio: 'none',
    'class': 'pixels'}, svg);
  svg.at = function (event) {
    var b = svg.getBoundingClientRect(), x = (event.clientX - b.left) / b.width;
    return [Math.floor(x * across), Math.floor((event.clientY - b.top) / b.height * down)];
  };
  return svg;
}
function frame(svg, column, row, unit) {
  [['#fff', 4], ['#D55E00', 2.5]].forEach(function (stroke) {
    kit.el('rect', {x: column * unit + 0.5, y: row * unit + 0.5, width: unit - 1, height: unit - 1,
      fill: 'none', stroke: stroke[0], 'stroke-width': stroke[1], 'class': 'mark'}, svg);
  });
}
var left = kit.el('div', {}, wide), right = kit.el('div', {}, wide);
kit.el('div', {}, left, 'all codes, most used first');
var gallery = board(left, data.gallery, cols, rows, 24, 'the codes; arrow keys choose one');
kit.el('div', {}, right, 'pictures');
var grids = data.pictures.map(function (uri, i) {
  var t = data.tokens[i], name = 'picture ' + (i + 1) + '; choose a position', column = 0, line = 0;
  var svg = board(right, uri, t[0].length, t.length, 16, name);
  svg.setAttribute('width', 150);
  svg.style.marginRight = '6px';
  svg.addEventListener('click', function (event) {
    var p = svg.at(event), row = t[p[1]];
    if (row && row[p[0]] != null) choose(row[p[0]]);
  });
  svg.addEventListener('keydown', function (event) {
    var move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!move) return;
    event.preventDefault();
    column = Math.min(t[0].length - 1, Math.max(0, column + move[0]));
    line = Math.min(t.length - 1, Math.max(0, line + move[1]));
    choose(t[line][column]);
  });
  return svg;
});
var said = kit.el('p', {'aria-live': 'polite'}, root);
kit.el('div', {}, root, 'the chosen code, then its nearest in the codebook');
var near = kit.el('div', {style: 'display:flex;gap:4px;flex-wrap:wrap'}, root);
var place = {};
data.order.forEach(function (code, i) { place[code] = i; });
function tile(code) {
  var at = place[code], button = kit.el('button', {'aria-label': 'code ' + code, style: 'padding:2px'}, near);
  var view = (at % cols) * 24 + ' ' + Math.floor(at / cols) * 24 + ' 24 24';
  var svg = kit.el('svg', {viewBox: view, width: 34, height: 34}, button);
  kit.el('image', {href: data.gallery, width: cols * 24, height: rows * 24, preserveAspectRatio: 'none',
    'class': 'pixels'}, svg);
  button.addEventListener('click', function () { choose(code); });
}
function choose(code) {
  chosen = place[code];
  root.querySelectorAll('.mark').forEach(function (m) { m.remove(); });
  frame(gallery, chosen % cols, Math.floor(chosen / cols), 24);
  var here = 0;
  data.tokens.forEach(function (t, i) {
    t.forEach(function (line, r) {
      line.forEach(function (v, c) { if (v === code) { here += 1; frame(grids[i], c, r, 16); } });
    });
  });
  said.textContent = 'code ' + code + ': ' + data.usage[code] + ' of ' + data.total + ' tokens; ' + here +
    ' times in these pictures (framed)';
  near.textContent = '';
  (data.near ? data.near[chosen] : [code]).forEach(tile);
}
gallery.addEventListener('click', function (event) {
  var p = gallery.at(event), i = p[1] * cols + p[0];
  if (i >= 0 && i < n) choose(data.order[i]);
});
gallery.addEventListener('keydown', function (event) {
  var move = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -cols, ArrowDown: cols}[event.key];
  if (!move) return;
  event.preventDefault();
  choose(data.order[Math.min(n - 1, Math.max(0, chosen + move))]);
});
choose(data.start);
"""


@torch.no_grad()
def codebook_explorer(
    decode, images, tokens, usage=None, codebook=None, vocabulary: int | None = None
) -> Explorer:
    """The codebook as pictures and where each code sits, to touch: choose a code, or a position in a picture.

    `decode`: tokens (batch, height, width) -> pictures. `images` (N, 3, H, W) with their `tokens` (N,
    height, width); a handful is enough. `usage` (vocabulary,): counts over more pictures, else over
    `tokens`; `codebook` (vocabulary, width): then the nearest codes are shown as well. For up to about
    1,024 codes.
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
    order = usage.argsort(descending=True, stable=True)
    small = code_pictures(decode, order).cpu()  # (vocabulary, 3, patch, patch)
    columns, patch = 16, small.shape[-1]
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
    axes[0].set_title("all codes, most used first", fontsize=10)
    axes[0].set_axis_off()
    plot_code_locations(images[0], tokens[0].cpu(), [start], ax=axes[1])
    axes[1].set_title(f"where code {start} sits", fontsize=10)
    data = {
        "gallery": picture_uri(sheet),
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
        script=_SCRIPT,
        png=png,
        height=420,
    )
