"""Attention masks: chapter 7. Who may look at whom, in a stream of text tokens followed by picture tokens.

Every picture mask is one list of lags: query `q` may read key `k` where `q - k` is in the list (`k` in raster
order). Source: Ramesh et al. 2021 (arXiv 2102.12092), section 2.2, appendix B.1 and figure 11.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch.utils._pytree import tree_map_only

from dalle_edu.errors import ReaderError, unknown_name

KINDS = ("dense", "row", "column", "conv")


def layer_kinds(depth: int) -> list[str]:
    """The mask of each of `depth` layers, first to last, as appendix B.1 orders them.

    Counting layers from 1: the last is "conv"; of the others, layer i is
    "column" where i - 2 is a multiple of 4, and "row" otherwise. 64 layers have
    47 rows, 16 columns and 1 conv. Raises ReaderError if `depth` is below 1.
    """
    _require_whole("depth", depth, at_least=1)
    kinds = ["column" if (layer - 2) % 4 == 0 else "row" for layer in range(1, depth)]
    return [*kinds, "conv"]


def attention_mask(kind: str, text_length: int, grid: tuple[int, int], kernel: int = 11) -> torch.Tensor:
    """The mask of a whole stream, (L, L) bool, [query, key], True: may look.

    L = text_length + height * width. Text is causal and never sees the picture; every picture token sees all
    the text; from picture to picture the `kind` decides: "dense" (all earlier tokens), "row", "column" or
    "conv" (figure 11). It means what `torch.nn.functional.scaled_dot_product_attention` means by a boolean
    `attn_mask`. `grid` is (height, width) in tokens; `kernel` is the odd width of "conv", 11 in the paper,
    and is not read by the other kinds. Raises ReaderError for an unknown kind or sizes that cannot be.
    """
    _require_whole("text_length", text_length, at_least=0)
    lags = picture_lags(kind, grid, kernel)
    positions = grid[0] * grid[1]
    length = text_length + positions
    mask = torch.zeros(length, length, dtype=torch.bool)
    mask[:text_length, :text_length] = torch.ones(text_length, text_length, dtype=torch.bool).tril()
    mask[text_length:, :text_length] = True
    # One diagonal a lag: entry j of `diagonals` is what stands where key - query = j - (positions - 1), and
    # each row of the mask is the row above it moved one to the right.
    diagonals = torch.zeros(2 * positions - 1, dtype=torch.bool)
    diagonals[positions - 1 - lags] = True
    mask[text_length:, text_length:] = diagonals.unfold(0, positions, 1).flip(0)
    return mask


def picture_lags(kind: str, grid: tuple[int, int], kernel: int = 11) -> torch.Tensor:
    """How many tokens back a picture token may look: (K,) int64, falling to 0, each below height * width.

    row: the `width` tokens before it and itself. column: whole rows back, in the same column. conv: the
    offsets dy * width + dx of a kernel x kernel window, none of them in the future; as in "row", an offset
    that leaves the row goes on in the neighbouring one, because it counts in raster order. dense: all.
    Arguments and errors as in `attention_mask`.
    """
    height, width = _check(kind, grid, kernel)
    positions = height * width
    if kind == "dense":
        lags = torch.arange(positions)
    elif kind == "row":
        lags = torch.arange(width + 1)
    elif kind == "column":
        lags = torch.arange(height) * width
    else:
        half = min(kernel // 2, positions)
        rows_back = torch.arange(min(half, height) + 1)
        lags = torch.unique(rows_back[:, None] * width + torch.arange(-half, half + 1))
    return lags[(lags >= 0) & (lags < positions)].flip(0)


def picture_keys(kind: str, grid: tuple[int, int], kernel: int = 11) -> tuple[torch.Tensor, torch.Tensor]:
    """For each picture position the ones it may read: `indices` (N, K) int64 and `valid` (N, K) bool.

    N = height * width; K is the number of lags, at most width + 1 for "row", height for "column" and about
    half the window for "conv": no N x N matrix is made unless the kind is "dense". Keys rise from left to
    right and the last is the query itself; where `valid` is False the index is 0 and must be masked. All text
    is read besides. Arguments and errors as in `attention_mask`.
    """
    lags = picture_lags(kind, grid, kernel)
    indices = torch.arange(grid[0] * grid[1])[:, None] - lags
    valid = indices >= 0
    return indices.clamp(min=0), valid


def mask_entries(kind: str, text_length: int, grid: tuple[int, int], kernel: int = 11) -> int:
    """How many entries of the mask are True: the dot products that a layer needs; no mask is made."""
    _require_whole("text_length", text_length, at_least=0)
    lags = picture_lags(kind, grid, kernel)
    positions = grid[0] * grid[1]
    picture_to_picture = int((positions - lags).sum())
    return text_length * (text_length + 1) // 2 + positions * text_length + picture_to_picture


def arrival(masks, source: int) -> torch.Tensor:
    """After how many layers each token can know of `source`: (L,) int64, 0 for itself, -1 for never.

    `masks` are those of the layers, first to last, each (L, L) bool. What a token knows it keeps (the
    residual path), and each layer adds what the tokens that it reads knew before.
    """
    known = torch.zeros(len(masks[0]), dtype=torch.bool)
    known[source] = True
    layers = torch.where(known, 0, -1)
    for layer, mask in enumerate(masks, start=1):
        known = known | (mask & known).any(dim=1)
        layers[known & (layers < 0)] = layer
    return layers


@lru_cache(maxsize=256)
def kept(make: Callable, device: torch.device, *arguments):
    """`make(*arguments)`, its tensors on `device`, made once: all layers ask for the same few.

    `make` is a function of this module, or one that gives what
    it says in another form. Every layer gets its mask here.
    """
    # A tensor that was made while nothing is recorded could never be used where gradients are.
    with torch.inference_mode(False):
        return tree_map_only(torch.Tensor, lambda tensor: tensor.to(device), make(*arguments))


def to_add(mask: torch.Tensor) -> torch.Tensor:
    """A boolean mask as numbers to add to scores: 0 where it is True, -inf elsewhere. float32, same shape."""
    return torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, -torch.inf)


def mask_to_add(kind: str, text_length: int, grid: tuple[int, int], kernel: int = 11) -> torch.Tensor:
    """`attention_mask` as numbers to add to scores: (L, L) float32."""
    return to_add(attention_mask(kind, text_length, grid, kernel))


def keys_to_add(kind: str, grid: tuple[int, int], kernel: int = 11) -> tuple[torch.Tensor, torch.Tensor]:
    """`picture_keys`, the valid ones as numbers to add to scores: (N, K) int64 and float32."""
    indices, valid = picture_keys(kind, grid, kernel)
    return indices, to_add(valid)


def lags_to_add(kind: str, grid: tuple[int, int], kernel: int = 11) -> tuple[int, int, torch.Tensor | None]:
    """`picture_lags` as a slice: every `step`-th key, back to the `longest` lag.

    Where that takes in keys that the mask leaves out ("conv": those between two rows of its window), a tensor
    to add to the scores has -inf for them; elsewhere None. Returns step, longest, tensor.
    """
    lags = picture_lags(kind, grid, kernel)
    longest, step = int(lags.max()), math.gcd(*lags.tolist()) or 1
    blocked = to_add(allowed_lags(kind, grid, kernel)[: longest + 1 : step].flip(0))
    return step, longest, blocked if blocked.isinf().any() else None


def causal_to_add(length: int) -> torch.Tensor:
    """0 where a key is the query or before it, -inf elsewhere: (length, length) float32."""
    return to_add(torch.ones(length, length, dtype=torch.bool).tril())


def allowed_lags(kind: str, grid: tuple[int, int], kernel: int = 11) -> torch.Tensor:
    """`picture_lags` as a table: (height * width,) bool, True at each lag that is allowed."""
    allowed = torch.zeros(grid[0] * grid[1], dtype=torch.bool)
    allowed[picture_lags(kind, grid, kernel)] = True
    return allowed


def _check(kind: str, grid: tuple[int, int], kernel: int) -> tuple[int, int]:
    if kind not in KINDS:
        raise unknown_name("attention mask", kind, KINDS)
    if not isinstance(grid, (tuple, list)) or len(grid) != 2:
        raise ReaderError(f"grid must be (height, width) in tokens, such as (32, 32), but it is {grid!r}.")
    _require_whole("the height of grid", grid[0], at_least=1)
    _require_whole("the width of grid", grid[1], at_least=1)
    _require_whole("kernel", kernel, at_least=1)
    if kernel % 2 == 0:
        raise ReaderError(
            f"kernel must be odd, so that the query is in its middle, but it is {kernel}; try {kernel + 1}."
        )
    return grid[0], grid[1]


def _require_whole(name: str, value: int, at_least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise ReaderError(f"{name} must be a whole number of at least {at_least}, but it is {value!r}.")
