"""The masks against a slow enumeration from the paper's words (section 2.2, appendix B.1, figure 11)."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dalle_edu.errors import ReaderError
from dalle_edu.masks import (
    KINDS,
    arrival,
    attention_mask,
    kept,
    lags_to_add,
    layer_kinds,
    mask_entries,
    mask_to_add,
    picture_keys,
    picture_lags,
)

kinds = st.sampled_from(KINDS)
text_lengths = st.integers(0, 9)
grids = st.tuples(st.integers(1, 7), st.integers(1, 7))
kernels = st.sampled_from([1, 3, 5, 7, 11])


def may_look(kind, query, key, text_length, grid, kernel):
    """One entry of the mask, from the words of the paper, in rows and columns rather than lags."""
    _, width = grid
    if query < text_length:  # text reads the text up to itself, and never the picture
        return key <= query
    if key < text_length:  # every picture token reads every text token
        return True
    query, key = query - text_length, key - text_length
    if key > query:
        return False
    if kind == "dense":
        return True
    if kind == "row":  # back to the same column of the row above
        same_column_one_row_up = (query // width - 1) * width + query % width
        return key >= same_column_one_row_up
    if kind == "column":
        return key % width == query % width
    # The window around the query, cell by cell; a cell beyond the row's edge is the next in raster order.
    half = kernel // 2
    window = [
        (query // width + dy) * width + (query % width + dx)
        for dy in range(-half, half + 1)
        for dx in range(-half, half + 1)
    ]
    return key in window


def enumerate_mask(kind, text_length, grid, kernel):
    length = text_length + grid[0] * grid[1]
    return torch.tensor(
        [[may_look(kind, q, k, text_length, grid, kernel) for k in range(length)] for q in range(length)]
    )


@settings(deadline=None, max_examples=60)
@given(kinds, text_lengths, grids, kernels)
def test_each_mask_is_what_the_papers_words_enumerate(kind, text_length, grid, kernel):
    mask = attention_mask(kind, text_length, grid, kernel)
    assert mask.dtype == torch.bool
    assert torch.equal(mask, enumerate_mask(kind, text_length, grid, kernel))


@settings(deadline=None, max_examples=60)
@given(kinds, text_lengths, grids, kernels)
def test_no_query_sees_its_future_and_each_sees_itself_and_every_picture_token_sees_all_text(
    kind, text_length, grid, kernel
):
    mask = attention_mask(kind, text_length, grid, kernel)
    assert not mask.triu(1).any()
    assert mask.diagonal().all()
    assert mask[text_length:, :text_length].all()


@settings(deadline=None, max_examples=60)
@given(kinds, grids, kernels)
def test_picture_keys_name_exactly_the_true_entries_of_the_mask(kind, grid, kernel):
    indices, valid = picture_keys(kind, grid, kernel)
    positions = grid[0] * grid[1]
    assert indices.dtype == torch.int64 and valid.dtype == torch.bool
    assert indices.shape == valid.shape and len(indices) == positions
    assert (indices[~valid] == 0).all() and valid[:, -1].all()
    assert torch.equal(indices[:, -1], torch.arange(positions))
    rebuilt = torch.zeros(positions, positions, dtype=torch.int64)
    rebuilt.scatter_add_(1, indices, valid.long())  # counts, so that a key named twice would show
    assert torch.equal(rebuilt, attention_mask(kind, 0, grid, kernel).long())


@settings(deadline=None, max_examples=60)
@given(kinds, text_lengths, grids, kernels)
def test_entries_are_counted_without_the_mask(kind, text_length, grid, kernel):
    mask = attention_mask(kind, text_length, grid, kernel)
    assert mask_entries(kind, text_length, grid, kernel) == int(mask.sum())


def picture(kind, kernel=3):
    """The picture-to-picture part of figure 11: 6 text tokens, a 4x4 picture, as lines of text."""
    part = attention_mask(kind, 6, (4, 4), kernel)[6:, 6:]
    return ["".join("#" if entry else "." for entry in row) for row in part.tolist()]


def test_figure_11_row_each_picture_token_reads_the_five_last_itself_included():
    lines = picture("row")
    assert lines[0] == "#..............."
    assert lines[3] == "####............"
    assert lines[4] == "#####..........."
    assert lines[5] == ".#####.........."
    assert lines[15] == "...........#####"


def test_figure_11_column_each_picture_token_reads_its_own_column():
    lines = picture("column")
    assert lines[3] == "...#............"
    assert lines[4] == "#...#..........."
    assert lines[15] == "...#...#...#...#"


def test_figure_11_conv_each_picture_token_reads_half_a_window_that_wraps_in_raster_order():
    lines = picture("conv")
    assert lines[0] == "#..............."
    assert (
        lines[4] == "##.##..........."
    )  # the left edge: the cell before token 4 is token 3, the row above's end
    assert lines[5] == "###.##.........."
    assert lines[15] == "..........###.##"


def test_figure_11_text_is_causal_and_blind_to_the_picture_in_every_kind():
    for kind in KINDS:
        mask = attention_mask(kind, 6, (4, 4), 3)
        assert mask.shape == (22, 22)
        assert torch.equal(mask[:6, :6], torch.ones(6, 6).tril().bool())
        assert not mask[:6, 6:].any()


def test_64_layers_are_47_rows_16_columns_and_one_convolution_at_the_end():
    layers = layer_kinds(64)
    assert Counter(layers) == {"row": 47, "column": 16, "conv": 1}
    assert layers[:8] == ["row", "column", "row", "row", "row", "column", "row", "row"]
    assert layers[-1] == "conv" and layers[61] == "column" and layers[62] == "row"


@given(st.integers(1, 200))
def test_any_depth_ends_in_one_convolution(depth):
    layers = layer_kinds(depth)
    assert len(layers) == depth
    assert layers.index("conv") == depth - 1


def test_the_papers_full_size_has_the_papers_counts():
    assert attention_mask("row", 256, (32, 32)).shape == (1280, 1280)
    assert len(picture_lags("row", (32, 32))) == 33
    assert len(picture_lags("column", (32, 32))) == 32
    assert len(picture_lags("conv", (32, 32), 11)) == 5 * 11 + 6


def test_a_grid_of_9216_tokens_needs_no_dense_matrix():
    for kind in ("row", "column", "conv"):
        indices, _ = picture_keys(kind, (96, 96))
        assert indices.numel() < 9216 * 100


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rows", 6, (4, 4)), "column, conv, dense, row"),
        (("row", -1, (4, 4)), "text_length"),
        (("row", 6, (4,)), "height, width"),
        (("row", 6, 16), "height, width"),
        (("row", 6, (4, 0)), "width of grid"),
        (("row", 6, (4.0, 4)), "height of grid"),
        (("conv", 6, (4, 4), 4), "odd"),
        (("conv", 6, (4, 4), -3), "kernel"),
    ],
)
def test_sizes_that_cannot_be_are_named_in_one_sentence(arguments, words):
    with pytest.raises(ReaderError, match=words):
        attention_mask(*arguments)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=6), grids, st.integers(0, 48))
def test_arrival_is_the_first_power_of_the_masks_that_joins_two_tokens(kinds, grid, source):
    masks = [attention_mask(kind, 2, grid, 3) for kind in kinds]
    length = len(masks[0])
    source = source % length
    wanted = torch.full((length,), -1)
    wanted[source] = 0
    paths = torch.eye(length)
    for layer, mask in enumerate(masks, start=1):
        paths = ((mask.float() + torch.eye(length)) @ paths).clamp(max=1)
        wanted[(paths[:, source] > 0) & (wanted < 0)] = layer
    assert torch.equal(arrival(masks, source), wanted)


def test_in_the_paper_the_last_pixel_knows_of_the_first_after_two_layers_and_rows_alone_need_thirty_two():
    masks = {kind: attention_mask(kind, 4, (32, 32)) for kind in KINDS}
    assert arrival([masks[kind] for kind in layer_kinds(64)], 4)[-1] == 2
    assert arrival([masks["row"]] * 64, 4)[-1] == 32
    assert arrival([masks["column"]] * 64, 4)[-1] == -1


def test_a_depth_below_one_is_refused():
    with pytest.raises(ReaderError, match="depth"):
        layer_kinds(0)


# ---- one way to the layers


def test_a_mask_is_made_once_and_can_be_used_where_gradients_are(monkeypatch):
    arguments = (torch.device("cpu"), "conv", 3, (4, 5), 3)
    with torch.inference_mode():
        first = kept(mask_to_add, *arguments)
    assert kept(mask_to_add, *arguments) is first
    x = torch.zeros(first.shape, requires_grad=True)
    (x + first).softmax(-1).square().sum().backward()
    assert torch.equal(first == 0, attention_mask(*arguments[1:]))
    assert torch.equal(first == -torch.inf, ~attention_mask(*arguments[1:]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grid", [(4, 5), (1, 3), (7, 2)])
def test_lags_as_a_slice_name_the_keys_of_the_mask(kind, grid):
    step, longest, blocked = lags_to_add(kind, grid, 3)
    positions = grid[0] * grid[1]
    mask = attention_mask(kind, 0, grid, 3)
    for query in range(positions):
        count = min(longest, query) // step + 1
        keys = torch.arange(query - (count - 1) * step, query + 1, step)
        seen = keys if blocked is None else keys[blocked[-count:] == 0]
        assert seen.tolist() == mask[query].nonzero().flatten().tolist()


def test_every_layer_gets_its_mask_from_the_one_cache():
    from dalle_edu.transformer import Transformer, TransformerConfig

    before = kept.cache_info().misses
    kinds = ("row", "column", "conv", "dense")
    model = Transformer(TransformerConfig(3, (3, 7), 8, 4, 2, 3, kinds))
    model(torch.zeros(1, 24, 8)), model(torch.zeros(1, 9, 8))
    made = kept.cache_info().misses - before
    _, cache = model.prefill(torch.zeros(1, 3, 8), 1)
    with torch.no_grad():
        model.step(torch.zeros(1, 8), 0, cache)
    assert kept.cache_info().misses == before + made + len(kinds)
    model(torch.zeros(1, 24, 8)), model(torch.zeros(1, 9, 8))
    assert kept.cache_info().misses == before + made + len(kinds)
