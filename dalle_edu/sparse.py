"""Sparse attention: chapter 8. What `attention_mask` says, at a cost that follows the mask's entries.

attention(q) = sum of softmax(q . k / sqrt(head_size)) v(k) over the keys k
that q may read: text and picture keys under one softmax. Source: Ramesh et
al. 2021 (arXiv 2102.12092), section 2.2 and appendix B.1; Child et al. 2019.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from dalle_edu.errors import ReaderError, unknown_name
from dalle_edu.machine.bands import attend_in_bands
from dalle_edu.masks import (
    allowed_lags,
    attention_mask,
    causal_to_add,
    kept,
    keys_to_add,
    mask_to_add,
    picture_lags,
    to_add,
)

FORMS = ("auto", "blocked", "gather", "dense", "flex", "bands")
# Below these numbers of picture tokens "auto" takes the dense form: measured to be faster there, in float32
# (`benchmarks/dense_below.py`; in bfloat16 the blocked form pays a little earlier).
DENSE_BELOW = {"row": 150, "column": 100, "conv": 400}
KEY_COST = 40  # what a copied key counts beside a score when a tile is chosen: a setting, no measurement
# From this number of picture tokens on "auto" stores no scores: no more memory than dense attention takes.
BANDS_FROM = 1024
# Up to this length a processor is faster with all scores written down than with PyTorch's fused attention,
# which computes them again on the way back: 1.7 times in bfloat16, no slower in float32 (`dense_below.py`).
PLAIN_UP_TO = 512


def sparse_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    kind: str,
    text_length: int,
    grid: tuple[int, int],
    kernel: int = 11,
    form: str = "auto",
) -> Tensor:
    """Masked attention over text and picture tokens: three times (batch, heads, L, head_size) in, once out.

    L = text_length + height * width; `kind`, `text_length`, `grid` and `kernel` mean what they mean in
    `dalle_edu.masks.attention_mask`, and the result is that of `scaled_dot_product_attention` under that
    mask. `form` says how, the numbers are the same:
    "dense" makes all L x L scores and throws most of them away;
    "gather" fetches for each query the keys that it may read: no score is wasted, but fetching costs more
    than scoring;
    "blocked" lets neighbouring queries share their keys, so that the work is a few large matrix products;
    "bands" gives a few rows at a time to PyTorch's fused attention, stores no scores, and computes each band
    again on the way back: no more memory than dense attention takes (`dalle_edu.machine.bands`);
    "flex" hands the mask to PyTorch's FlexAttention, which skips empty blocks of it on a GPU;
    "auto" is "blocked", "dense" where the picture is small, "bands" where it is large. The kind "dense" is
    causal attention in every form. Raises ReaderError for an unknown kind or form, or for shapes that do not
    fit.
    """
    picture_lags(kind, grid, kernel)  # names what is wrong with them, if anything is
    grid, positions = tuple(grid), grid[0] * grid[1]
    length = text_length + positions
    if query.ndim != 4 or query.shape[2] != length or not query.shape == key.shape == value.shape:
        raise ReaderError(
            f"query, key and value must all be (batch, heads, {length}, head_size), for {text_length} text "
            f"tokens and a grid of {grid[0]} x {grid[1]}; they are {tuple(query.shape)}, "
            f"{tuple(key.shape)}, {tuple(value.shape)}."
        )
    if form not in FORMS:
        raise unknown_name("form of attention", form, FORMS)
    if kind == "dense":
        return _causal(query, key, value)
    if form == "auto":
        form = "dense" if positions < DENSE_BELOW[kind] else "blocked"
        form = "bands" if positions >= BANDS_FROM else form
    if form == "flex":
        return _flex(query, key, value, kind, text_length, grid, kernel)
    if form == "dense":
        stream = (query.device, kind, text_length, grid, kernel)
        if _fused(query):
            mask = kept(attention_mask, *stream)
            return scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return _plain(query, key, value, kept(mask_to_add, *stream))
    if form == "bands":
        return attend_in_bands(query, key, value, kind, text_length, grid, kernel)
    if form == "blocked" and kind == "conv" and grid[1] < kernel // 2:
        form = "gather"  # a window wider than two rows of the picture has no tiles
    attend = {"row": _row, "column": _column, "conv": _conv}[kind] if form == "blocked" else _gather
    text = [states[:, :, :text_length] for states in (query, key, value)]
    picture = [states[:, :, text_length:] for states in (query, key, value)]
    seen = attend(*picture, *text[1:], kind, grid, kernel)
    if text_length == 0:
        return seen
    return torch.cat([_causal(*text), seen], dim=2)  # text reads text only, and causally


@dataclass(frozen=True)
class Work:
    """What one head of one layer does: `scores`, how many it computes, needed or not; `keys`, how many keys
    it lines up for them, copies counted (and as many values)."""

    scores: int
    keys: int


def work(kind: str, text_length: int, grid: tuple[int, int], kernel: int = 11, form: str = "blocked") -> Work:
    """What `sparse_attention` does in the form "dense", "gather" or "blocked"; nothing is computed for it.

    `dalle_edu.masks.mask_entries` says how many scores are needed. Errors as in `sparse_attention`.
    """
    lags, positions = picture_lags(kind, grid, kernel), grid[0] * grid[1]
    if form not in (counted := ("dense", "gather", "blocked")):
        raise unknown_name("form of attention to count", form, counted)
    if form == "dense" or kind == "dense":
        return Work((text_length + positions) ** 2, text_length + positions)
    gathered = form == "gather" or (kind == "conv" and grid[1] < kernel // 2)
    blocks, queries, near = (positions, 1, len(lags)) if gathered else _blocks(kind, grid, kernel)
    scores = text_length**2 + blocks * queries * (text_length + near)  # padding of tiles asks the text, too
    return Work(scores, text_length + blocks * near)


def _blocks(kind, grid, kernel):
    """How many blocks of queries there are, how many queries each has, how many picture keys they share."""
    (height, width), half = grid, kernel // 2
    if kind == "row":
        return height, width, 2 * width
    if kind == "column":
        return width, height, height
    rows, columns = _tile(height, width, half)
    tiles = -(-height // rows) * (width // columns)
    return tiles, rows * columns, (rows + half) * (columns + 2 * half)


def _fused(query):
    """Whether PyTorch's fused attention is the faster one for a stream of this length."""
    return query.is_cuda or query.shape[2] > PLAIN_UP_TO


def _plain(query, key, value, blocked):
    """Every score, and `blocked` (L, L), -inf where a query may not read and 0 elsewhere, added to them."""
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    return _softmax(scores.add_(blocked)) @ value


def _causal(query, key, value):
    """Every query reads all up to itself."""
    if _fused(query):
        return scaled_dot_product_attention(query, key, value, is_causal=True)
    return _plain(query, key, value, kept(causal_to_add, query.device, query.shape[2]))


def _softmax(scores):
    """Computed in float32 where scores are shorter, and given back as they are."""
    return scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(scores.dtype)


def _one_softmax(query, near_key, near_value, text_key, text_value, blocked):
    """One softmax over the text and the near picture keys, for blocks of queries that share their near keys.

    query (batch, heads, blocks, size, head_size); near_key, near_value (batch, heads, blocks, near,
    head_size); text_key, text_value (batch, heads, text_length, head_size); `blocked`, -inf where a query may
    not read and 0 elsewhere, broadcasts to (blocks, size, near). Returns the shape of `query`.
    """
    blocks, size, head_size = query.shape[2:]
    query = query * head_size**-0.5
    # The text is the same for all blocks: one product for all queries, not one a block.
    to_text = (query.flatten(2, 3) @ text_key.mT).unflatten(2, (blocks, size))
    near = (query @ near_key.mT).add_(blocked)  # adding, not filling: going backward through it costs nothing
    scores = torch.cat([to_text, near], dim=-1)
    to_text, near = _softmax(scores).split([text_key.shape[2], near_key.shape[3]], dim=-1)
    return (to_text.flatten(2, 3) @ text_value).unflatten(2, (blocks, size)) + near @ near_value


def _gather(query, key, value, text_key, text_value, kind, grid, kernel):
    """Every query is a block of its own, with its own copy of the keys that it may read."""
    indices, blocked = kept(keys_to_add, query.device, kind, grid, kernel)
    near = key[:, :, indices], value[:, :, indices]  # (batch, heads, positions, keys, head_size)
    seen = _one_softmax(query[:, :, :, None], *near, text_key, text_value, blocked[:, None])
    return seen.flatten(2, 3)


def _row(query, key, value, text_key, text_value, kind, grid, kernel):
    """A block is a row of the picture; what its queries read lies in that row and in the one above."""

    def with_row_above(states):
        rows = states.unflatten(2, grid)  # (batch, heads, height, width, head_size)
        return torch.cat([pad(rows[:, :, :-1], (0, 0, 0, 0, 1, 0)), rows], dim=3)

    blocked = kept(_near_to_add, query.device, kind, grid, kernel, _rows, _rows_and_above)
    near = with_row_above(key), with_row_above(value)
    return _one_softmax(query.unflatten(2, grid), *near, text_key, text_value, blocked).flatten(2, 3)


def _column(query, key, value, text_key, text_value, kind, grid, kernel):
    """A block is a column, which reads only itself. Transposed (appendix B.1), its states are neighbours."""
    query, key, value = (states.unflatten(2, grid).transpose(2, 3) for states in (query, key, value))
    blocked = kept(causal_to_add, query.device, grid[0])
    seen = _one_softmax(query, key, value, text_key, text_value, blocked)
    return seen.transpose(2, 3).flatten(2, 3)


def _conv(query, key, value, text_key, text_value, kind, grid, kernel):
    """A block is a tile of the picture; its queries read in the tile and a margin of half a kernel."""
    height, width = grid
    rows, columns = _tile(height, width, kernel // 2)
    down, across = -(-height // rows), width // columns  # tiles
    blocked = kept(_near_to_add, query.device, kind, grid, kernel, _tiles, _tiles_and_margins)
    query = pad(query, (0, 0, 0, (down * rows - height) * width)).unflatten(2, (down, rows, across, columns))
    # (batch, heads, tiles, rows * columns, head_size)
    query = query.transpose(3, 4).flatten(4, 5).flatten(2, 3)
    near = [_tiles_with_margin(states, grid, kernel // 2, rows, columns) for states in (key, value)]
    seen = _one_softmax(query, *near, text_key, text_value, blocked)
    seen = seen.unflatten(2, (down, across)).unflatten(4, (rows, columns)).transpose(3, 4)
    return seen.flatten(2, 5)[:, :, : height * width]


@lru_cache(maxsize=32)
def _tile(height, width, half):
    """Rows and columns of the tile that costs least: small ones copy many keys, large ones waste many scores.

    The columns divide the width, and are at least the margin that a tile lends to its neighbour.
    """

    def cost(rows, columns):
        keys = -(-height // rows) * (width // columns) * (rows + half) * (columns + 2 * half)
        return keys * (rows * columns + KEY_COST)

    divisors = [columns for columns in range(max(half, 1), width + 1) if width % columns == 0]
    return min(product(range(1, height + 1), divisors), key=lambda tile: cost(*tile))


def _tiles_with_margin(states, grid, half, rows, columns):
    """Tiles with `half` columns on both sides and `half` rows above: (batch, heads, tiles, near, head_size).

    Made of slices of whole tiles only, so that going
    backward through it is a few additions and no scattering.
    """
    height, width = grid
    down = -(-height // rows)
    above = -(-half // rows)  # how many tiles the margin above reaches into
    total = (down + above) * rows
    states = pad(states, (0, 0, half * width, (total - half - height) * width))
    # Strips of one row and `columns` columns in raster order: the neighbour of a row's last strip is the
    # first of the next row, and that is just how the mask wraps over the edge.
    strips = states.unflatten(2, (-1, columns))
    left = pad(strips[:, :, :-1, columns - half :], (0, 0, 0, 0, 1, 0))
    right = pad(strips[:, :, 1:, :half], (0, 0, 0, 0, 0, 1))
    strips = torch.cat([left, strips, right], dim=3)
    # (batch, heads, down + above, rows, across, near columns, head_size)
    strips = strips.unflatten(2, (down + above, rows, -1))
    pieces = [strips[:, :, step : step + down] for step in range(above)]
    pieces.append(strips[:, :, above:, : rows + half - above * rows])
    near = torch.cat(pieces, dim=3)
    return near.transpose(3, 4).flatten(4, 5).flatten(2, 3)


def _product(rows, columns):
    return torch.cartesian_prod(torch.tensor(rows), torch.tensor(columns)).T


def _near_to_add(kind, grid, kernel, query_positions, key_positions):
    """Which near keys the queries of a block may read, as numbers to add: (blocks, size, near).

    The arguments are functions that give the places of queries and keys in the picture, (blocks, size) and
    (blocks, near), from `grid` and `kernel`; a place above the picture is negative.
    """
    queries, keys = query_positions(grid, kernel), key_positions(grid, kernel)
    lags = queries[:, :, None] - keys[:, None]
    may_look = (lags >= 0) & (lags < grid[0] * grid[1]) & (keys >= 0)[:, None]
    may_look &= allowed_lags(kind, grid, kernel)[lags.clamp(0, grid[0] * grid[1] - 1)]
    # In a narrow picture a key can stand twice among those of a tile: the first one counts.
    order = keys.sort(stable=True)
    again = torch.zeros_like(keys, dtype=torch.bool)
    again[:, 1:] = order.values[:, 1:] == order.values[:, :-1]
    may_look &= ~torch.zeros_like(again).scatter_(1, order.indices, again)[:, None]
    return to_add(may_look)


def _rows(grid, kernel):
    """(height, width): the places of each row."""
    return torch.arange(grid[0] * grid[1]).view(grid)


def _rows_and_above(grid, kernel):
    """(height, 2 * width): the places of each row after those of the row above it."""
    rows = _rows(grid, kernel)
    return torch.cat([rows - grid[1], rows], dim=1)


def _tiles(grid, kernel):
    """(tiles, rows * columns): the places of each tile, of which the last may lie below the picture."""
    rows, columns = _tile(*grid, kernel // 2)
    top, left = _product(range(0, grid[0], rows), range(0, grid[1], columns))[..., None]
    row, column = _product(range(rows), range(columns))
    return (top + row) * grid[1] + left + column


def _tiles_and_margins(grid, kernel):
    """(tiles, near): the places of each tile with half a kernel above, to the left and to the right."""
    half = kernel // 2
    rows, columns = _tile(*grid, half)
    top, left = _product(range(0, grid[0], rows), range(0, grid[1], columns))[..., None]
    row, column = _product(range(-half, rows), range(-half, columns + half))
    return (top + row) * grid[1] + left + column


def _flex(query, key, value, kind, text_length, grid, kernel):
    """FlexAttention with a block mask: compiled on a GPU; elsewhere plain, forward only, for comparison."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    if not query.is_cuda and torch.is_grad_enabled() and any(x.requires_grad for x in (query, key, value)):
        raise ReaderError("FlexAttention has no gradients here: use torch.no_grad(), or the form 'blocked'.")
    order = None
    if kind == "column":  # transposed, a column's keys fill few blocks of the mask instead of touching all
        picture = torch.arange(grid[0] * grid[1]).reshape(grid).T.flatten() + text_length
        order = torch.cat([torch.arange(text_length), picture]).to(query.device)
        query, key, value = (states.index_select(2, order) for states in (query, key, value))
    may_look = flex_mask(kind, text_length, grid, kernel, query.device)
    length = query.shape[2]
    block_mask = create_block_mask(may_look, None, None, length, length, device=query.device)
    attend = torch.compile(flex_attention) if query.is_cuda else flex_attention
    seen = attend(query, key, value, block_mask=block_mask)
    return seen if order is None else seen.index_select(2, order.argsort())


def flex_mask(kind: str, text_length: int, grid: tuple[int, int], kernel: int = 11, device="cpu"):
    """`attention_mask` as a function (batch, head, query, key) -> bool tensor, as FlexAttention reads it.

    For "column" both positions count in the transposed picture, column after column.
    """
    height, width = grid
    allowed = kept(allowed_lags, torch.device(device), kind, tuple(grid), kernel)

    def may_look(batch, head, query, key):
        lag = query - key
        picture_query, picture_key = query >= text_length, key >= text_length
        if kind == "column":
            near = (query - text_length) // height == (key - text_length) // height
        else:
            near = allowed[lag.clamp(0, height * width - 1)]
        return (lag >= 0) & torch.where(picture_query & picture_key, near, True)

    return may_look
