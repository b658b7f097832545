"""Sparse attention in bands of the picture, which stores no scores: what large pictures are trained with.

A band is a few rows (or columns) of queries; the keys that they may read lie in one stretch above them. Each
band is one call of PyTorch's fused attention, and is computed once more on the way back, so that nothing is
kept but queries, keys, values and the result. Source: Chen et al. 2016 (arXiv 1604.06174), section 4; Dao et
al. 2022 (FlashAttention, arXiv 2205.14135). `dalle_edu.sparse` teaches the same attention in the open.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import scaled_dot_product_attention

from dalle_edu.masks import allowed_lags, kept, to_add

# About so many queries a band: fewer waste fewer scores, more make larger products.
QUERIES = {"row": 128, "column": 128, "conv": 256}
# What bands copy stays small by a share of the heads (or samples) at a time; a convolution copies most.
GROUPS = {"row": 2, "column": 2, "conv": 4}


@dataclass(frozen=True)
class Band:
    """Lines `first` to `last - 1` of the picture's queries, which read from line `start` on; lines are rows,
    or columns in a "column" layer. Without `kind`, the text: it reads itself, causally."""

    text_length: int
    grid: tuple[int, int]
    kernel: int
    kind: str = ""
    start: int = 0
    first: int = 0
    last: int = 0

    def lines(self, states: Tensor) -> Tensor:
        """(batch, heads, L, size) -> a view of its picture, (batch, heads, lines, in a line, size)."""
        picture = states[:, :, self.text_length :].unflatten(2, self.grid)
        return picture.transpose(2, 3) if self.kind == "column" else picture

    def queries(self, states: Tensor) -> Tensor:
        """A view of the states that ask, or of what they get."""
        if not self.kind:
            return states[:, :, : self.text_length]
        return self.lines(states)[:, :, self.first : self.last]

    def read(self, states: Tensor) -> list[Tensor]:
        """Views of the states that they read: those of the text, and of lines of the picture."""
        text = states[:, :, : self.text_length]
        return [text, self.lines(states)[:, :, self.start : self.last]] if self.kind else [text]

    def attend(self, query: Tensor, *read: Tensor) -> Tensor:
        """What the queries get, in their shape; `read` are keys, then values, as `read` gives them."""
        if not self.kind:
            return scaled_dot_product_attention(query, *read, is_causal=True)
        key, value = (torch.cat([text, near.flatten(2, 3)], 2) for text, near in (read[:2], read[2:]))
        geometry = self.kind, self.grid, self.kernel, self.first - self.start, self.last - self.first
        near = kept(_near_to_add, query.device, *geometry)
        mask = torch.nn.functional.pad(near, (self.text_length, 0)).to(query.dtype)
        mixed = scaled_dot_product_attention(query.flatten(2, 3), key, value, attn_mask=mask)
        return mixed.view(query.shape)


def bands(kind: str, text_length: int, grid: tuple[int, int], kernel: int) -> Iterator[Band]:
    """The bands of a stream, the text's first."""
    if text_length:
        yield Band(text_length, grid, kernel)
    count, length = grid[::-1] if kind == "column" else grid
    high = max(1, QUERIES[kind] // length)
    above = {"row": 1, "column": 0, "conv": kernel // 2 + 1}[kind]  # a window may wrap over the edge
    for first in range(0, count, high):
        yield Band(text_length, grid, kernel, kind, max(0, first - above), first, min(first + high, count))


def _near_to_add(kind, grid, kernel, above, high):
    """What to add to the scores of `high` lines of queries against as many keys and `above` lines more."""
    width = grid[1]
    if kind == "column":
        line, place = torch.arange(high).repeat_interleave(grid[0]), torch.arange(grid[0]).repeat(high)
        return to_add((line[:, None] == line) & (place[:, None] >= place))
    lags = (above * width + torch.arange(high * width))[:, None] - torch.arange((above + high) * width)
    allowed = allowed_lags(kind, grid, kernel)
    return to_add((lags >= 0) & (lags < len(allowed)) & allowed[lags.clamp(0, math.prod(grid) - 1)])


def attend_in_bands(
    query: Tensor, key: Tensor, value: Tensor, kind: str, text_length: int, grid: tuple[int, int], kernel: int
) -> Tensor:
    """`dalle_edu.sparse.sparse_attention` for "row", "column" and "conv", its arguments checked already.

    Gradients of the first order only.
    """
    device = query.device.type
    if torch.is_autocast_enabled(device):  # as fused attention has it; on the way back there is no autocast
        query, key, value = (states.to(torch.get_autocast_dtype(device)) for states in (query, key, value))
    with torch.autocast(device, enabled=False):
        return _InBands.apply(query, key, value, kind, text_length, grid, kernel)


class _InBands(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value, *stream):
        out = query.new_empty(query.shape)
        for band, (result, *states) in _pieces(stream, out, query, key, value):
            band.queries(result).copy_(band.attend(*_inputs(band, *states)))
        ctx.save_for_backward(query, key, value)
        ctx.stream = stream
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        gradients = [states.new_zeros(states.shape) for states in ctx.saved_tensors]
        for band, (towards, *both) in _pieces(ctx.stream, gradient, *ctx.saved_tensors, *gradients):
            with torch.enable_grad():
                inputs = [view.detach().requires_grad_() for view in _inputs(band, *both[:3])]
                out = band.attend(*inputs)
            found = torch.autograd.grad(out, inputs, band.queries(towards))
            for so_far, more in zip(_inputs(band, *both[3:]), found, strict=True):
                so_far.add_(more)
        return *gradients, None, None, None, None


def _pieces(stream, *states):
    """Each band with each group of heads, or of samples where there are more of them: views of `states`."""
    dim = 0 if states[0].shape[0] > states[0].shape[1] else 1
    groups = min(GROUPS[stream[0]], states[0].shape[dim])
    for band in bands(*stream):
        for group in zip(*(x.tensor_split(groups, dim) for x in states), strict=True):
            yield band, group


def _inputs(band, query, key, value):
    return band.queries(query), *band.read(key), *band.read(value)
