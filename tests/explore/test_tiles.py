"""The figures of what a form of attention computes show what the module does."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dalle_edu import sparse
from dalle_edu.errors import ReaderError
from dalle_edu.explore.masks import encode_mask
from dalle_edu.explore.tiles import block_order, computed_pairs, tile_explorer
from dalle_edu.masks import attention_mask, mask_entries

sparse_kinds = st.sampled_from(["row", "column", "conv"])
grids = st.tuples(st.integers(1, 14), st.integers(1, 14))
kernels = st.sampled_from([1, 3, 5, 11])


@settings(deadline=None, max_examples=60)
@given(sparse_kinds, st.integers(0, 4), grids, kernels, st.sampled_from(["dense", "gather", "blocked"]))
def test_all_that_is_needed_is_computed_and_no_more_than_is_counted(kind, text_length, grid, kernel, form):
    computed = computed_pairs(kind, text_length, grid, kernel, form)
    assert not (attention_mask(kind, text_length, grid, kernel) & ~computed).any()
    assert computed.sum() <= sparse.work(kind, text_length, grid, kernel, form).scores
    if form == "dense":
        assert computed.all()


@settings(deadline=None, max_examples=40)
@given(sparse_kinds, grids, kernels)
def test_the_pairs_of_the_figure_are_those_that_meet_in_the_modules_products(kind, grid, kernel):
    """Each position carries its own number through the module; whatever meets in a product is noted."""
    positions, met = grid[0] * grid[1], set()

    def note(query, near_key, near_value, text_key, text_value, blocked):
        for block in range(query.shape[2]):
            keys = near_key[0, 0, block].flatten().tolist()
            met.update((q, k) for q in query[0, 0, block].flatten().tolist() for k in keys if q and k)
        return query

    numbers = torch.arange(1.0, positions + 1).reshape(1, 1, positions, 1)
    original, sparse._one_softmax = sparse._one_softmax, note
    try:
        sparse.sparse_attention(numbers, numbers, numbers, kind, 0, grid, kernel, form="blocked")
    finally:
        sparse._one_softmax = original
    drawn = computed_pairs(kind, 0, grid, kernel, "blocked")
    if kind == "conv" and grid[1] < kernel // 2:  # gathered: an index of 0 stands for no key
        assert {(q + 1.0, k + 1.0) for q, k in drawn.nonzero().tolist()} <= met
    else:
        assert {(q + 1.0, k + 1.0) for q, k in drawn.nonzero().tolist()} == met


def test_the_order_of_a_column_layer_puts_each_column_in_one_piece():
    assert block_order("column", 2, (2, 3)).tolist() == [0, 1, 2, 5, 3, 6, 4, 7]
    assert block_order("row", 2, (2, 3)).tolist() == list(range(8))


def test_the_explorer_holds_the_masks_and_the_counts_of_the_library():
    data = json.loads(tile_explorer(sides=(6, 8), text_length=3, kernel=5, largest=12).json)
    assert data["curve"] == [6, 8, 10, 12]
    for kind in data["kinds"]:
        order = block_order(kind["name"], 3, (8, 8))
        needed = attention_mask(kind["name"], 3, (8, 8), 5)[order][:, order]
        assert kind["matrices"][1]["needed"] == encode_mask(needed)
        assert kind["needed"][1] == mask_entries(kind["name"], 3, (8, 8), 5)
        counted = sparse.work(kind["name"], 3, (8, 8), 5, "blocked")
        assert kind["work"]["blocked"][1] == [counted.scores, counted.keys]


@pytest.mark.parametrize("sides", [(), (8, 4), (8, 8), (0, 4), (8, 64), (4.0,)])
def test_sides_that_cannot_be_drawn_are_named(sides):
    with pytest.raises(ReaderError, match="rising whole numbers"):
        tile_explorer(sides=sides)
