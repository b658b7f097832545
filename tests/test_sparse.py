"""Every sparse form against dense masked attention, in outputs and in gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from dalle_edu.errors import ReaderError
from dalle_edu.masks import KINDS, attention_mask, mask_entries
from dalle_edu.parallel import peak_bytes
from dalle_edu.sparse import sparse_attention, work

forms = st.sampled_from(["auto", "blocked", "gather", "dense", "bands"])


def streams(text_length, grid, seed, batch=2, heads=2, head_size=4, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, heads, text_length + grid[0] * grid[1], head_size)
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for _ in range(3)]


def outputs_and_gradients(attention, states, seed=0):
    out = attention(*states)
    towards = torch.randn(out.shape, generator=torch.Generator().manual_seed(seed))
    return out, *torch.autograd.grad(out, states, towards.to(out))


def agrees_with_dense(kind, text_length, grid, kernel, form, seed=0):
    states = streams(text_length, grid, seed)
    mask = attention_mask(kind, text_length, grid, kernel)
    wanted = outputs_and_gradients(
        lambda *states: scaled_dot_product_attention(*states, attn_mask=mask), states
    )
    found = outputs_and_gradients(
        lambda *states: sparse_attention(*states, kind, text_length, grid, kernel, form), states
    )
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(KINDS),
    st.integers(0, 5),
    st.tuples(st.integers(1, 11), st.integers(1, 11)),
    st.sampled_from([1, 3, 5, 11]),
    forms,
    st.integers(0, 1000),
)
def test_every_form_gives_what_dense_masked_attention_gives_and_its_gradients(
    kind, text_length, grid, kernel, form, seed
):
    agrees_with_dense(kind, text_length, grid, kernel, form, seed)


@settings(deadline=None, max_examples=12)
@given(st.sampled_from(["row", "column", "conv"]), st.integers(8, 26), st.integers(8, 26))
def test_blocks_agree_where_there_are_many_of_them(kind, height, width):
    agrees_with_dense(kind, 3, (height, width), 11, "blocked")


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["row", "column", "conv"]),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.integers(1, 9),
    st.sampled_from([1, 3, 11]),
    st.sampled_from(["auto", "blocked", "gather", "bands"]),
)
def test_rows_that_are_added_below_a_picture_change_nothing_above(kind, grid, more, kernel, form):
    tall = (grid[0] + more, grid[1])
    states = [x.detach() for x in streams(3, tall, 0, batch=1)]
    length = 3 + grid[0] * grid[1]
    found = sparse_attention(*[x[:, :, :length] for x in states], kind, 3, grid, kernel, form)
    wanted = sparse_attention(*states, kind, 3, tall, kernel, form)[:, :, :length]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("kind", ["row", "column", "conv"])
def test_flex_attention_agrees_with_the_mask(kind):
    states = [states.detach() for states in streams(6, (5, 4), 0, head_size=16)]
    mask = attention_mask(kind, 6, (5, 4), 3)
    with torch.no_grad():
        found = sparse_attention(*states, kind, 6, (5, 4), 3, form="flex")
        wanted = scaled_dot_product_attention(*states, attn_mask=mask)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="FlexAttention has gradients on a GPU only")
@pytest.mark.parametrize("kind", ["row", "column", "conv"])
def test_flex_attention_on_a_gpu_agrees_in_gradients_too(kind):
    states = [x.detach().cuda().requires_grad_() for x in streams(6, (16, 16), 0, head_size=16)]
    mask = attention_mask(kind, 6, (16, 16), 3).cuda()
    found = outputs_and_gradients(lambda *s: sparse_attention(*s, kind, 6, (16, 16), 3, form="flex"), states)
    wanted = outputs_and_gradients(lambda *s: scaled_dot_product_attention(*s, attn_mask=mask), states)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


def test_flex_attention_says_where_it_has_no_gradients():
    with pytest.raises(ReaderError, match="blocked"):
        sparse_attention(*streams(2, (3, 3), 0), "row", 2, (3, 3), form="flex")


@pytest.mark.parametrize("kind", ["row", "column", "conv"])
def test_a_token_outside_the_mask_changes_nothing(kind):
    query, key, value = streams(2, (9, 10), 1)
    mask = attention_mask(kind, 2, (9, 10), 5)
    with torch.no_grad():
        before = sparse_attention(query, key, value, kind, 2, (9, 10), 5, form="blocked")
        key[:, :, 30] += 100.0
        value[:, :, 30] -= 100.0
        after = sparse_attention(query, key, value, kind, 2, (9, 10), 5, form="blocked")
    changed = (before != after).any(-1).any(0).any(0)
    assert not changed[~mask[:, 30]].any()


class Largest(TorchDispatchMode):
    """Notes the number of elements of the largest tensor that any operation makes."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            # A view, expanded or not, takes no memory.
            if isinstance(leaf, torch.Tensor) and leaf._base is None:
                self.elements = max(self.elements, leaf.numel())
        return out


@pytest.mark.parametrize("kind", ["row", "column", "conv"])
def test_4096_picture_tokens_forward_and_backward_make_nothing_as_large_as_a_dense_matrix(kind):
    text_length, grid = 3, (64, 64)
    states = streams(text_length, grid, 0, batch=1, heads=1)
    with Largest() as largest:
        out = sparse_attention(*states, kind, text_length, grid, 11)
        torch.autograd.grad(out.sum(), states)
    assert largest.elements < states[0].shape[2] ** 2 / 8


def peak_of_both_passes(attend, states):
    """The most bytes that tensors take beyond `states`, forward and backward."""
    outputs_and_gradients(attend, states)  # masks are made, and kept

    def forward_and_backward():
        out = attend(*states)
        torch.autograd.grad(out, states, out.detach())

    return peak_bytes(forward_and_backward)


@pytest.mark.parametrize("kind", ["row", "column", "conv"])
@pytest.mark.parametrize(("side", "batch", "heads"), [(32, 1, 4), (32, 4, 2), (48, 1, 4)])
def test_from_32_by_32_tokens_on_a_layer_takes_no_more_memory_than_fused_dense_attention(
    kind, side, batch, heads
):
    states = streams(64, (side, side), 0, batch, heads, head_size=64)
    dense = peak_of_both_passes(lambda *s: scaled_dot_product_attention(*s, is_causal=True), states)
    sparse = peak_of_both_passes(lambda *s: sparse_attention(*s, kind, 64, (side, side)), states)
    assert 5 * states[0].nbytes / 2 < sparse <= dense  # a result and three gradients are there at least


PLAIN = [("dense", "auto"), ("row", "dense"), ("conv", "dense"), ("row", "blocked")]


@pytest.mark.parametrize(("kind", "form"), PLAIN)
def test_scores_written_down_give_what_the_fused_attention_gives(kind, form, monkeypatch):
    states = streams(5, (4, 6), 0)
    outcomes = []
    for limit in (0, 10_000):
        monkeypatch.setattr("dalle_edu.sparse.PLAIN_UP_TO", limit)
        out = sparse_attention(*states, kind, 5, (4, 6), 3, form)
        outcomes.append((out, *torch.autograd.grad(out.square().sum(), states)))
    for fused, plain in zip(*outcomes, strict=True):
        torch.testing.assert_close(plain, fused)


def test_the_detector_of_large_tensors_sees_a_dense_matrix():
    states = streams(3, (20, 20), 0, batch=1, heads=1)
    with Largest() as largest:
        (states[0] @ states[1].mT).softmax(-1)
    assert largest.elements == 403**2


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["row", "column", "conv"]),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.sampled_from([1, 3, 5, 11]),
    st.sampled_from(["gather", "blocked"]),
)
def test_the_work_that_is_counted_is_the_work_that_is_done(kind, grid, kernel, form):
    head_size, text_length = 4, 3
    states = [x.detach() for x in streams(text_length, grid, 0, batch=1, heads=1, head_size=head_size)]
    with FlopCounterMode(display=False) as counter:
        sparse_attention(*states, kind, text_length, grid, kernel, form)
    counted = work(kind, text_length, grid, kernel, form)
    # Two products, scores and mixture, each of 2 * head_size operations an entry.
    assert counter.get_total_flops() == 4 * head_size * counted.scores
    assert counted.scores >= mask_entries(kind, text_length, grid, kernel)


def test_work_of_the_dense_form_is_the_whole_square_and_strange_forms_are_named():
    assert work("row", 3, (4, 5), form="dense").scores == 23**2 == work("dense", 3, (4, 5)).scores
    with pytest.raises(ReaderError, match="blocked"):
        work("row", 3, (4, 5), form="flex")


@pytest.mark.parametrize("kind", ["row", "column", "conv"])
def test_sixteen_bits_work_under_autocast_and_alone(kind):
    states = [x.detach() for x in streams(4, (16, 16), 0, head_size=16)]
    wanted = sparse_attention(*states, kind, 4, (16, 16), 5)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = sparse_attention(*states, kind, 4, (16, 16), 5, form="blocked")
    half = sparse_attention(*[x.bfloat16() for x in states], kind, 4, (16, 16), 5, form="blocked")
    assert half.dtype == torch.bfloat16
    for found in (mixed, half):
        torch.testing.assert_close(found.float(), wanted, atol=0.05, rtol=0.05)


def test_what_does_not_fit_is_named():
    states = streams(2, (3, 3), 0)
    with pytest.raises(ReaderError, match="heads, 12, head_size"):
        sparse_attention(*states, "row", 3, (3, 3))
    with pytest.raises(ReaderError, match="rows"):
        sparse_attention(*states, "rows", 2, (3, 3))
    with pytest.raises(ReaderError, match="quick"):
        sparse_attention(*states, "row", 2, (3, 3), form="quick")
