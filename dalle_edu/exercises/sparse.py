"""Checks for the exercises of chapter 8, the sparse transformer."""

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dalle_edu.exercises import close, exercise, need, need_tensor
from dalle_edu.masks import attention_mask, picture_keys
from dalle_edu.sparse import sparse_attention
from dalle_edu.transformer import Transformer, TransformerConfig

TOO_LARGE = "you made a tensor of {} numbers: a matrix of all scores, which the mask was to spare you."


class _Largest(TorchDispatchMode):
    """Notes the number of elements of the largest tensor that is made; views take no memory and pass."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and leaf._base is None:
                self.elements = max(self.elements, leaf.numel())
        return out


def _states(positions, head_size, seed=0, batch=1, heads=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, heads, positions, head_size, generator=generator) for _ in range(3)]


def _need_scaled(found, states, mask, head_size):
    unscaled = scaled_dot_product_attention(*states, attn_mask=mask, scale=1.0)
    need(
        not close(found, unscaled), f"the scores are not divided by the root of {head_size}, the head's size."
    )


@exercise(without=[sparse_attention])
def check_gathered(gathered):
    """`gathered(query, key, value, indices, valid)`: attention of each position over the keys listed for it.

    query, key, value (batch, heads, N, head_size); indices and valid (N, K), of `picture_keys`.
    """
    for kind, grid, batch, heads in (("row", (3, 4), 2, 2), ("column", (4, 3), 1, 2), ("conv", (5, 4), 2, 1)):
        positions, head_size = grid[0] * grid[1], 4
        states = _states(positions, head_size, batch=batch, heads=heads)
        indices, valid = picture_keys(kind, grid, 3)
        mask = attention_mask(kind, 0, grid, 3)
        found = gathered(*states, indices, valid)
        need_tensor(found, states[0].shape)
        _need_scaled(found, states, mask, head_size)
        wanted = scaled_dot_product_attention(*states, attn_mask=mask)
        query, key, value = states
        scores = (query[:, :, :, None] @ key[:, :, indices].mT)[:, :, :, 0] / head_size**0.5
        all_of_them = (scores.softmax(-1)[:, :, :, None] @ value[:, :, indices])[:, :, :, 0]
        need(
            not close(found, all_of_them),
            "`valid` is not used: where it is False the index is 0 and stands for no key.",
        )
        late = (scores.softmax(-1) * valid)[:, :, :, None] @ value[:, :, indices]
        need(
            not close(found, late[:, :, :, 0]),
            "invalid keys are left out after the softmax, so the weights no longer sum to 1; "
            "give their scores minus infinity before it.",
        )
        need(close(found, wanted), f"for the {kind} mask it differs from masked dense attention.")
    states, (indices, valid) = _states(24 * 24, 4), picture_keys("row", (24, 24))
    with _Largest() as largest:
        gathered(*states, indices, valid)
    need(largest.elements < 24**4 / 2, TOO_LARGE.format(f"{largest.elements:,}"))
    return "each query fetched its own keys; no score was computed in vain."


@exercise(without=[sparse_attention])
def check_column(column):
    """`column(query, key, value, grid)`: column attention of a picture without text, at a column's cost.

    query, key, value (batch, heads, height * width, head_size); the result has the same shape.
    """
    for grid in ((4, 3), (3, 5), (4, 4)):
        height, width = grid
        states = _states(height * width, 4, batch=2, heads=2)
        mask = attention_mask("column", 0, grid)
        found = column(*states, grid)
        need_tensor(found, states[0].shape)
        _need_scaled(found, states, mask, 4)
        wanted = scaled_dot_product_attention(*states, attn_mask=mask)
        turned = wanted.unflatten(2, grid).transpose(2, 3).flatten(2, 3)
        need(
            not close(found, turned),
            "the result still stands column after column; transpose it back to raster order.",
        )
        place = torch.arange(height * width) % width
        both_ways = scaled_dot_product_attention(*states, attn_mask=place[:, None] == place)
        need(
            not close(found, both_ways),
            "a query reads the rows below it too; inside a column, too, be causal.",
        )
        need(close(found, wanted), f"on a grid of {height} x {width} it differs from masked dense attention.")
    states = _states(24 * 24, 4)
    with _Largest() as largest:
        column(*states, (24, 24))
    need(largest.elements < 24**4 / 4, TOO_LARGE.format(f"{largest.elements:,}"))
    return "transposed, a column is a short causal sequence; `width` of them are one batch."


@exercise
def check_merge_parts(merge_parts):
    """`merge_parts(out_1, lse_1, out_2, lse_2)`: attention over two sets of keys from the results over each.

    out (queries, head_size), what the softmax over one set gave; lse (queries,), the logarithm of the sum of
    the exponentials of its scores. Returns (queries, head_size).
    """
    generator = torch.Generator().manual_seed(0)
    for shift in (0.0, 3.0, -3.0, 200.0):
        scores = torch.randn(5, 7, generator=generator)
        values = torch.randn(7, 4, generator=generator)
        scores[:, :3] += shift
        scores = scores + abs(shift)  # a softmax does not notice; exponentials that are too large do
        parts, wanted = [], scores.softmax(-1) @ values
        for keys in (slice(0, 3), slice(3, 7)):
            parts += [scores[:, keys].softmax(-1) @ values[keys], scores[:, keys].logsumexp(-1)]
        found = merge_parts(*parts)
        need_tensor(found, (5, 4))
        need(
            not close(found, (parts[0] + parts[2]) / 2),
            "that is the plain average; each part counts as much as its sum of exponentials, exp(lse).",
        )
        need(not close(found, parts[0] + parts[2]), "the parts are added; their shares must sum to 1.")
        need(
            torch.isfinite(found).all() or shift < 100,
            "large scores overflow: exp(lse) is infinite. Subtract the larger lse first, or take a sigmoid "
            "or a softmax of the two.",
        )
        need(close(found, wanted), "it differs from one softmax over both sets of keys.")
    return "shares of exp(lse): so FlashAttention walks through the keys a block at a time."


@exercise(without=[Transformer.__init__])
def check_parameters(parameters):
    """`parameters(width, depth)`: how many numbers a `Transformer` of that width and depth trains."""
    for width, depth in ((8, 1), (12, 3), (64, 2)):
        config = TransformerConfig(text_length=2, grid=(2, 2), width=width, depth=depth, heads=2)
        with torch.device("meta"):
            model = Transformer(config)
        sizes = [(parameter.numel(), parameter.dim()) for parameter in model.parameters()]
        wanted = sum(count for count, _ in sizes)
        found = parameters(width, depth)
        need(isinstance(found, int), f"a whole number was expected, not {found!r}.")
        matrices = sum(count for count, dimensions in sizes if dimensions > 1)
        norms = 2 * width * (2 * depth + 1)
        need(
            found != matrices,
            "those are the matrices; each linear layer has a bias, each norm a gain and a bias.",
        )
        need(
            found != wanted - norms, "the norms are missing: two a block and one at the end, 2 * width each."
        )
        need(found != wanted - 2 * width, "the norm at the end is missing: 2 * width more.")
        need(found != wanted - (wanted - matrices - norms), "the biases of the linear layers are missing.")
        need(
            found == wanted,
            f"for width {width} and depth {depth} it should be {wanted:,}, not {found:,}.",
        )
    return "12 width**2 a block, and a little for biases and norms."
