"""The transformer: causal under every mask, and the same one token at a time as all at once."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dalle_edu.errors import ReaderError
from dalle_edu.masks import KINDS, attention_mask, layer_kinds
from dalle_edu.transformer import Transformer, TransformerConfig

T, GRID = 5, (3, 4)


def transformer(kinds=("dense",), seed=0, **changes):
    torch.manual_seed(seed)
    sizes = {
        "text_length": T,
        "grid": GRID,
        "width": 12,
        "depth": len(kinds),
        "heads": 3,
        "kernel": 3,
        "kinds": tuple(kinds),
    }
    made = Transformer(TransformerConfig(**{**sizes, **changes})).eval()
    for parameter in made.parameters():  # an untrained one hardly attends: make every part count
        parameter.data += 0.3 * torch.randn(parameter.shape)
    return made


def states(length, width=12, seed=1, batch=2):
    return torch.randn(batch, length, width, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def influence(model, x):
    """[query, key]: did the state at `query` change when the input at `key` did?"""
    base = model(x)
    rows = []
    for key in range(x.shape[1]):
        moved = x.clone()
        moved[:, key] += torch.randn(x.shape[-1], generator=torch.Generator().manual_seed(key))
        rows.append((model(moved) - base).abs().amax(dim=(0, 2)) > 1e-6)
    return torch.stack(rows, dim=1)


@pytest.mark.parametrize("kind", KINDS)
def test_one_layer_lets_a_token_feel_exactly_what_its_mask_lets_it_see(kind):
    model = transformer([kind])
    assert torch.equal(influence(model, states(T + 12)), attention_mask(kind, T, GRID, 3))


def test_several_layers_reach_what_their_masks_multiplied_reach_and_never_the_future():
    kinds = ("row", "column", "conv")
    felt = influence(transformer(kinds), states(T + 12))
    reach = torch.eye(T + 12, dtype=torch.bool)
    for kind in kinds:
        reach = attention_mask(kind, T, GRID, 3).float() @ reach.float() > 0
    assert torch.equal(felt, reach)
    assert not felt.triu(1).any(), "a token felt its future"
    assert not felt[:T, T:].any(), "text saw the picture"
    assert felt[T:, :T].all(), "a picture token missed a word"


def test_the_attention_is_the_written_out_one():
    model = transformer(["conv"])
    attention, x = model.blocks[0].attention, states(T + 12)
    query, key, value = attention.qkv(x).chunk(3, dim=-1)
    mask, mixed = attention_mask("conv", T, GRID, 3), torch.zeros_like(x)
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        for q in range(T + 12):
            scores = (query[:, q, None, part] * key[..., part]).sum(-1) / math.sqrt(4)
            weights = scores.masked_fill(~mask[q], -math.inf).softmax(-1)
            mixed[:, q, part] = (weights[..., None] * value[..., part]).sum(1)
    assert torch.allclose(attention(x), attention.out(mixed), atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(
    text_length=st.integers(1, 6), height=st.integers(1, 4), width=st.integers(1, 4),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=3), kernel=st.sampled_from([1, 3, 5, 11]),
    prompts=st.integers(1, 3), samples=st.integers(1, 3), seed=st.integers(0, 99),
)  # fmt: skip
@torch.no_grad()
def test_step_by_step_with_a_cache_gives_the_states_of_the_whole(
    text_length, height, width, kinds, kernel, prompts, samples, seed
):
    model = transformer(kinds, seed, text_length=text_length, grid=(height, width), kernel=kernel)
    text = states(text_length, seed=seed, batch=prompts)
    picture = states(height * width, seed=seed + 1, batch=prompts * samples)
    whole = model(torch.cat((text.repeat_interleave(samples, 0), picture), dim=1))
    of_text, cache = model.prefill(text, samples)
    assert torch.allclose(of_text.repeat_interleave(samples, 0), whole[:, :text_length], atol=1e-4)
    _, fetched = model.prefill(text, samples)
    for layer in cache:  # room is given as it is found: what was there before must never be read
        layer["keys"].fill_(math.nan), layer["values"].fill_(math.nan)
    for j in range(height * width):
        state = model.step(picture[:, j], j, cache)
        assert torch.allclose(state, whole[:, text_length + j], atol=1e-4)
        # With the position as a tensor, every shape is the same at every step, and so are the states.
        assert torch.allclose(model.step(picture[:, j], torch.tensor([j]), fetched), state, atol=1e-4)


@torch.no_grad()
def test_a_step_reads_its_keys_where_they_stand_in_the_cache_and_copies_none():
    model = transformer(["row", "column", "conv", "dense"])
    _, cache = model.prefill(states(T), samples=3)
    for block, layer in zip(model.blocks, cache, strict=True):
        stored = torch.randn(2, 3, 3, 4)  # prompts, heads, samples, head size
        for j in range(12):
            keys, values, _ = block.attention.near(j, stored, stored, layer)
            assert keys.data_ptr() >= layer["keys"].data_ptr() and keys._base is layer["keys"]
            assert values._base is layer["values"]
            seen = attention_mask(block.attention.kind, T, GRID, 3)[T + j, T:].sum()
            if block.attention.kind == "conv":  # reads what lies between two rows of its window, too
                assert seen <= keys.shape[3] <= min(j, 5) + 1
            else:
                assert keys.shape[3] == seen


def test_a_stream_that_is_cut_short_gives_the_first_states_of_the_whole():
    model = transformer(["row", "column", "conv"])
    x = states(T + 12)
    for length in (1, T, T + 1, T + 7):
        assert torch.allclose(model(x[:, :length]), model(x)[:, :length], atol=1e-5)


def test_layers_take_the_paper_s_kinds_unless_they_are_named():
    config = TransformerConfig(text_length=2, grid=(2, 2), width=4, depth=6, heads=2)
    assert config.kinds == tuple(layer_kinds(6)) and config.length == 6
    assert [b.attention.kind for b in Transformer(config).blocks] == layer_kinds(6)


def test_what_is_added_to_the_stream_starts_smaller_the_deeper_the_stack():
    torch.manual_seed(0)
    blocks = Transformer(TransformerConfig(text_length=2, grid=(2, 2), width=128, depth=8, heads=2)).blocks
    assert blocks[0].attention.qkv.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert blocks[0].attention.out.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)
    assert not blocks[3].mlp[0].bias.any()


@pytest.mark.parametrize("wrong, sentence", [
    ({"heads": 5}, "no multiple of heads 5"),
    ({"kinds": ("row",)}, "names 1 layers, depth is 2"),
    ({"kinds": ("row", "diagonal")}, "diagonal"),
    ({"kernel": 4}, "odd"),
])  # fmt: skip
def test_sizes_that_cannot_be_are_refused(wrong, sentence):
    config = {"text_length": 2, "grid": (2, 2), "width": 8, "depth": 2, "heads": 2, "kinds": ("row", "conv")}
    with pytest.raises(ReaderError, match=sentence):
        model = Transformer(TransformerConfig(**{**config, **wrong}))
        model(torch.zeros(1, 6, 8))
