"""Checks for the exercises of chapter 7, attention masks."""

import torch

from dalle_edu import masks
from dalle_edu.exercises import exercise, need, need_tensor

LIBRARY = (masks.attention_mask, masks.picture_lags, masks.picture_keys, masks.allowed_lags)
GRIDS = ((4, 4), (3, 5), (6, 2))


def _need_mask(value, length, name="the mask"):
    need_tensor(value, (length, length), name)
    need(value.dtype == torch.bool, f"{name} should hold booleans, not {value.dtype}; add .bool().")


def _need_no_future(value):
    need(value.diagonal().all(), "a token must always read itself: the diagonal has to be True.")
    upper, lower = value.triu(1).any(), value.tril(-1).any()
    need(not (upper and not lower), "it is turned: rows are queries and columns are keys, mask[query, key].")
    need(not upper, "a query reads its future: nothing may be True above the diagonal.")


@exercise(without=[*LIBRARY])
def check_row_mask(row_mask):
    """`row_mask(height, width)`: the row mask of a picture without text, (N, N) bool, N = height * width."""
    for height, width in GRIDS:
        positions = height * width
        mask = row_mask(height, width)
        _need_mask(mask, positions)
        _need_no_future(mask)
        wanted = masks.attention_mask("row", 0, (height, width))
        lag = torch.arange(positions)[:, None] - torch.arange(positions)
        need(
            not torch.equal(mask, wanted & (lag < width)),
            "one key is missing: the farthest is the same column in the row above, `width` tokens back.",
        )
        rows = torch.arange(positions) // width
        need(
            not torch.equal(mask, (lag >= 0) & (rows[:, None] == rows)),
            "it stops at the row's edge; the paper's mask counts back in raster order, over the edge.",
        )
        _need_same(mask, wanted, (height, width))
    return "each token reads itself and the `width` tokens before it, over the row's edge."


@exercise(without=[*LIBRARY])
def check_conv_mask(conv_mask):
    """`conv_mask(height, width, kernel)`: the picture's conv mask, (N, N) bool, wrapping in raster order."""
    for (height, width), kernel in (((5, 5), 3), ((4, 7), 5), ((3, 3), 3), ((6, 4), 3)):
        positions = height * width
        mask = conv_mask(height, width, kernel)
        _need_mask(mask, positions)
        _need_no_future(mask)
        wanted = masks.attention_mask("conv", 0, (height, width), kernel)
        half, place = kernel // 2, torch.arange(positions)
        dy = place[None] // width - place[:, None] // width
        dx = place[None] % width - place[:, None] % width
        past = place[None] <= place[:, None]
        need(
            not torch.equal(mask, past & (dy.abs() <= half) & (dx.abs() <= half)),
            "it stops at the picture's edge; here the window goes on in raster order.",
        )
        torus = ((dy + half) % height <= 2 * half) & ((dx + half) % width <= 2 * half)
        need(
            not torch.equal(mask, past & torus),
            "that is a torus, where a row's ends meet; here the window goes on in the next row.",
        )
        _need_same(mask, wanted, (height, width))
    return "a half window in raster order, as in figure 11."


@exercise(without=[*LIBRARY])
def check_merge(merge):
    """`merge(picture_mask, text_length)`: the mask of the whole stream from that of the picture."""
    for kind, text_length in (("row", 6), ("column", 1), ("conv", 3)):
        picture = masks.attention_mask(kind, 0, (4, 3), 3)
        mask = merge(picture, text_length)
        _need_mask(mask, text_length + 12)
        text, rest = slice(0, text_length), slice(text_length, None)
        need(
            not torch.equal(mask[:12, :12], picture) or text_length == 0,
            "the picture stands first; in the stream the text does.",
        )
        need(mask[rest, text].all(), "a picture token misses some text: it must read all of it.")
        need(not mask[text, rest].any(), "a text token reads the picture, which comes after it.")
        need(not mask[text, text].triu(1).any(), "a text token reads text after it; text is causal.")
        entries = text_length * (text_length + 1) // 2
        need(mask[text, text].sum() == entries, "text must read all the text before it.")
        need(torch.equal(mask[rest, rest], picture), "the picture's own part should come back unchanged.")
    return "three kinds of attention in one matrix, for one call and one softmax."


@exercise(without=[masks.arrival])
def check_layers_needed(layers_needed):
    """`layers_needed(masks, source, target)`: after how many layers it can know, or None."""
    small = {kind: masks.attention_mask(kind, 2, (4, 4), 3) for kind in masks.KINDS}
    stacks = [
        ([small[kind] for kind in masks.layer_kinds(6)], 2, 17),
        ([small["row"]] * 6, 2, 17),
        ([small["column"]] * 6, 2, 17),
        ([small["column"], small["row"]], 2, 16),
        ([small["row"], small["column"], small["column"], small["row"]], 3, 14),
        ([small["row"]] * 3, 5, 5),
    ]
    for stack, source, target in stacks:
        wanted = int(masks.arrival(stack, source)[target])
        found = layers_needed(stack, source, target)
        if wanted < 0:
            need(found is None, f"here no layer brings it; None was expected, not {found!r}.")
            continue
        need(found is not None, f"None came back, but after {wanted} layers the token knows.")
        need(
            not (source == target and found != 0),
            "a token knows of itself before any layer: that is 0 layers.",
        )
        need(found != wanted - 1, f"one layer too few: count from 1 ({wanted} was expected, not {found}).")
        need(
            int(found) == wanted,
            f"{wanted} layers were expected, not {found}; do tokens keep what they know?",
        )
    return "what a token knows it keeps, and each layer adds what its keys knew."


def _need_same(mask, wanted, grid):
    if torch.equal(mask, wanted):
        return
    query, key = (mask != wanted).nonzero()[0].tolist()
    verb = "should" if wanted[query, key] else "should not"
    need(False, f"on a grid of {grid[0]} x {grid[1]} the query {query} {verb} read the key {key}.")
