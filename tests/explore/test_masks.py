"""The mask and attention explorers: what they store is what they were given, and wrong input is named."""

import base64

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dalle_edu.dalle import Dalle, DalleConfig
from dalle_edu.errors import ReaderError
from dalle_edu.explore.attention import _encode, attention_explorer, attention_weights
from dalle_edu.explore.masks import encode_mask, mask_explorer, plot_keys
from dalle_edu.masks import KINDS, attention_mask, layer_kinds


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_size_mask_stays_small(kind):
    """That it comes back unchanged is tested where it is read, in kit.test.js."""
    assert len(str(encode_mask(attention_mask(kind, 256, (32, 32))))) < 60_000


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 12), st.integers(0, 2**31))
def test_stored_attention_weights_are_off_by_less_than_half_a_percent(length, seed):
    weights = np.random.default_rng(seed).dirichlet(np.full(length, 0.3), size=length)
    bits, levels = (base64.b64decode(text) for text in _encode(weights))
    present = np.unpackbits(np.frombuffer(bits, dtype=np.uint8))[: length * length].astype(bool)
    stored = np.zeros(length * length)
    stored[present] = (np.frombuffer(levels, dtype=np.uint8) / 255.0) ** 2
    assert np.abs(stored.reshape(length, length) - weights).max() < 0.005


def test_the_same_mask_gives_the_same_html_twice():
    masks = {kind: attention_mask(kind, 2, (3, 3), 3) for kind in KINDS}
    first = mask_explorer(masks, (3, 3), 2, layers=layer_kinds(4))._repr_html_()
    assert first == mask_explorer(masks, (3, 3), 2, layers=layer_kinds(4))._repr_html_()
    assert "http" not in first.replace("http://www.w3.org/2000/svg", "")


def test_what_does_not_fit_is_named():
    mask = attention_mask("row", 6, (4, 4))
    for masks, grid, text_length, words in (
        (mask, (4, 5), 6, "make 26"),
        (mask.float(), (4, 4), 6, "booleans"),
        (mask[:3], (4, 4), 6, "square"),
        ({}, (4, 4), 6, "no mask"),
    ):
        with pytest.raises(ReaderError, match=words):
            mask_explorer(masks, grid, text_length)
    with pytest.raises(ReaderError, match="a layer|A layer"):
        mask_explorer({"row": mask}, (4, 4), 6, layers=["row", "conv"])
    with pytest.raises(ReaderError, match="from 0 to 21"):
        plot_keys(mask, 22, 6, (4, 4))


def test_the_weights_of_a_model_are_those_its_layers_mix_values_with():
    torch.manual_seed(0)
    config = DalleConfig(text_vocabulary=7, text_length=3, image_vocabulary=5, grid=(3, 4), width=12, depth=3,
                         heads=2, kernel=3, kinds=("row", "column", "conv"))  # fmt: skip
    dalle = Dalle(config)
    for parameter in dalle.parameters():  # an untrained one hardly attends
        parameter.data += 0.3 * torch.randn(parameter.shape)
    text, image = torch.tensor([[1, 2, 9]]), torch.arange(12)[None] % 5
    weights = attention_weights(dalle, text, image)
    assert weights.shape == (3, 2, 15, 15)
    x = torch.cat((dalle.embed_text(text), dalle.embed_image(image)), dim=1)
    for block, maps in zip(dalle.transformer.blocks, weights, strict=True):
        assert not maps[:, ~attention_mask(block.attention.kind, 3, (3, 4), 3)].any()
        _, _, value = block.attention.split(block.attention_norm(x))
        mixed = block.attention.out((maps @ value).transpose(1, 2).reshape(x.shape))
        assert torch.allclose(mixed, block.attention(block.attention_norm(x)), atol=1e-5)
        x = block(x)
    with pytest.raises(ReaderError, match="One stream"):
        attention_weights(dalle, text, image[:, :5])


def test_attention_that_is_no_attention_is_named():
    weights = torch.rand(2, 3, 22, 22).softmax(-1)
    assert "3: " not in repr(attention_explorer(weights, (4, 4), 6))
    for wrong, words in ((weights[..., :5], "22"), (weights - 1, r"\[0, 1\]")):
        with pytest.raises(ReaderError, match=words):
            attention_explorer(wrong, (4, 4), 6)
    with pytest.raises(ReaderError, match="5 words"):
        attention_explorer(weights, (4, 4), 6, words=["a"] * 5)
    with pytest.raises(ReaderError, match=r"weights.mean\(1\)"):
        attention_explorer(torch.full((30, 8, 200, 200), 0.005), (14, 14), 4)
