"""Chapter 3's module, against brute force, finite differences, and vector-quantize-pytorch."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from vector_quantize_pytorch import VectorQuantize

from dalle_edu.autoencoder import fit
from dalle_edu.errors import ReaderError
from dalle_edu.vqvae import (
    VQVAE,
    VectorQuantizer,
    VQVAEConfig,
    codebook_usage,
    entropy_bits,
    nearest_code,
    perplexity,
    straight_through,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pair(decay: float | None, seed: int = 0, vocabulary: int = 13, width: int = 5):
    """Our quantizer and the reference, with the same random codebook."""
    codebook = torch.randn(vocabulary, width, generator=seeded(seed))
    ours = VectorQuantizer(vocabulary, width, decay=decay)
    with torch.no_grad():
        ours.codebook.copy_(codebook)
        if decay is not None:
            ours.sums.copy_(codebook)
    theirs = VectorQuantize(
        dim=width,
        codebook_size=vocabulary,
        decay=0.99 if decay is None else decay,
        rotation_trick=False,
        commitment_weight=0.25,
        accept_image_fmap=True,
        ema_update=decay is not None,
        learnable_codebook=decay is None,
    )
    with torch.no_grad():
        theirs._codebook.embed.copy_(codebook[None])
        if decay is not None:
            theirs._codebook.embed_avg.copy_(codebook[None])
    return ours, theirs


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(1, 40),
    vocabulary=st.integers(2, 30),
    width=st.integers(1, 9),
    seed=st.integers(0, 2**31 - 1),
)
def test_the_nearest_code_is_the_one_that_an_exhaustive_search_finds(count, vocabulary, width, seed):
    vectors = torch.randn(count, width, generator=seeded(seed), dtype=torch.float64)
    codebook = torch.randn(vocabulary, width, generator=seeded(seed + 1), dtype=torch.float64)
    for vector, found in zip(vectors, nearest_code(vectors, codebook), strict=True):
        distances = [
            sum((a - b) ** 2 for a, b in zip(vector.tolist(), code.tolist(), strict=True))
            for code in codebook
        ]
        assert distances[found] == pytest.approx(min(distances), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_tokens_vectors_and_straight_through_gradient_agree_with_vector_quantize_pytorch(seed):
    ours, theirs = pair(0.99, seed)
    vectors = 2 * torch.randn(3, 5, 6, 4, generator=seeded(seed + 100))
    mine, yours = vectors.clone().requires_grad_(), vectors.clone().requires_grad_()
    quantized = ours(mine)
    their_vectors, their_tokens, their_loss = theirs(yours)
    assert torch.equal(quantized.tokens, their_tokens)
    torch.testing.assert_close(quantized.vectors, their_vectors)
    torch.testing.assert_close(0.25 * quantized.commitment_loss, their_loss.squeeze())
    weights = torch.randn(vectors.shape, generator=seeded(7))
    ((quantized.vectors * weights).sum() + 0.25 * quantized.commitment_loss).backward()
    ((their_vectors * weights).sum() + their_loss.sum()).backward()
    torch.testing.assert_close(mine.grad, yours.grad)


@pytest.mark.parametrize("decay", [0.0, 0.8, 0.99])
def test_ten_moving_average_updates_agree_with_vector_quantize_pytorch(decay):
    ours, theirs = pair(decay)
    for step in range(10):
        vectors = torch.randn(4, 5, 3, 3, generator=seeded(step))
        assert torch.equal(ours(vectors).tokens, theirs(vectors)[1])
        torch.testing.assert_close(ours.codebook, theirs.codebook, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.counts, theirs._codebook.cluster_size[0])
        torch.testing.assert_close(ours.sums, theirs._codebook.embed_avg[0])


def test_the_codebook_loss_moves_chosen_entries_as_finite_differences_say_and_leaves_the_encoder_alone():
    quantizer = VectorQuantizer(5, 3, decay=None).double()
    with torch.no_grad():
        quantizer.codebook.copy_(torch.randn(5, 3, generator=seeded()))
    vectors = torch.randn(2, 3, 2, 2, dtype=torch.float64, generator=seeded(1))
    tokens = nearest_code(vectors.movedim(1, -1).flatten(0, 2), quantizer.codebook)

    def codebook_loss(codebook):
        return (codebook[tokens] - vectors.movedim(1, -1).flatten(0, 2)).square().mean()

    expected = torch.autograd.functional.jacobian(codebook_loss, quantizer.codebook.detach())
    step = 1e-6
    for code in range(5):
        moved = quantizer.codebook.detach().clone()
        moved[code, 0] += step
        numeric = (codebook_loss(moved) - codebook_loss(quantizer.codebook.detach())) / step
        assert numeric.item() == pytest.approx(expected[code, 0].item(), abs=1e-4)
    leaf = vectors.clone().requires_grad_()
    quantized = quantizer(leaf)
    gradient, to_encoder = torch.autograd.grad(
        quantized.codebook_loss, (quantizer.codebook, leaf), allow_unused=True
    )
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)
    assert to_encoder is None
    unchosen = torch.bincount(tokens, minlength=5) == 0
    assert (gradient[unchosen] == 0).all()


def test_the_commitment_loss_moves_the_encoder_and_never_the_codebook():
    quantizer = VectorQuantizer(5, 3, decay=None)
    leaf = torch.randn(2, 3, 2, 2, generator=seeded()).requires_grad_()
    quantized = quantizer(leaf)
    to_encoder, to_codebook = torch.autograd.grad(
        quantized.commitment_loss, (leaf, quantizer.codebook), allow_unused=True
    )
    assert to_codebook is None
    expected = 2 * (leaf - quantizer.lookup(quantized.tokens)).detach() / leaf.numel()
    torch.testing.assert_close(to_encoder, expected)


def test_straight_through_has_the_value_of_one_and_the_gradient_of_the_other():
    x = torch.tensor([0.2, 0.7, 1.6], requires_grad=True)
    y = straight_through(x, x.round())
    torch.testing.assert_close(y.detach(), torch.tensor([0.0, 1.0, 2.0]))
    (y.square()).sum().backward()
    torch.testing.assert_close(x.grad, 2 * y.detach())


def test_the_moving_average_settles_on_the_mean_of_what_chose_it():
    quantizer = VectorQuantizer(2, 2, decay=0.9)
    centres = torch.tensor([[-3.0, 0.0], [3.0, 1.0]])
    quantizer.codebook.copy_(centres + 0.5)
    quantizer.sums.copy_(quantizer.codebook)
    for step in range(100):
        side = torch.randint(2, (64,), generator=seeded(step))
        points = centres[side] + 0.1 * torch.randn(64, 2, generator=seeded(1000 + step))
        quantizer(points.T.reshape(1, 2, 8, 8))
    torch.testing.assert_close(quantizer.codebook, centres, atol=0.05, rtol=0)


def test_evaluation_changes_nothing():
    quantizer = VectorQuantizer(6, 3, revive_below=0.5).eval()
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer(torch.randn(2, 3, 4, 4, generator=seeded()))
    for name, value in quantizer.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("decay", [0.99, None])
def test_dead_codes_stay_dead_without_revival_and_live_with_it(decay):
    def used(revive_below):
        quantizer = VectorQuantizer(32, 4, decay=decay, revive_below=revive_below)
        with torch.no_grad():
            quantizer.codebook.copy_(torch.randn(32, 4, generator=seeded()) + 20)  # far from every vector
            if decay is not None:
                quantizer.sums.copy_(quantizer.codebook)
        for step in range(400):
            quantizer(torch.randn(4, 4, 4, 4, generator=seeded(step)), generator=seeded(step))
        tokens = quantizer.eval()(torch.randn(64, 4, 4, 4, generator=seeded(9999))).tokens
        return (codebook_usage(tokens, 32) > 0).sum().item()

    assert used(0.0) <= 8
    assert used(1.0) >= 28


def test_revival_takes_vectors_of_the_batch_and_touches_only_the_dead():
    quantizer = VectorQuantizer(6, 2)
    before = quantizer.codebook.clone()
    vectors = 10 + torch.randn(20, 2, generator=seeded())
    dead = torch.tensor([True, False, False, True, False, False])
    quantizer.revive(vectors, dead, seeded())
    assert torch.equal(quantizer.codebook[~dead], before[~dead])
    for entry in quantizer.codebook[dead]:
        assert (vectors == entry).all(1).any()


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=50).filter(lambda counts: sum(counts) > 0))
def test_perplexity_lies_between_one_and_the_number_of_codes_used(counts):
    usage = torch.tensor(counts)
    assert 1 - 1e-9 <= perplexity(usage) <= (usage > 0).sum() + 1e-9


def test_perplexity_of_equal_use_is_the_number_of_codes():
    assert perplexity(torch.tensor([7, 7, 7, 7, 0])) == pytest.approx(4)
    assert entropy_bits(torch.full((256,), 3)) == pytest.approx(8)
    assert entropy_bits(torch.tensor([1, 3])) == pytest.approx(0.25 * 2 + 0.75 * math.log2(4 / 3))


def test_usage_counts_every_token_once():
    tokens = torch.randint(0, 9, (3, 4, 5), generator=seeded())
    usage = codebook_usage(tokens, 11)
    assert usage.sum() == 60 and usage.shape == (11,)
    assert all(usage[code] == (tokens == code).sum() for code in range(11))


def test_shapes_are_those_of_the_docstrings():
    model = VQVAE(VQVAEConfig(size=24, patch=4, width=16, vocabulary=20, code_width=3)).eval()
    images = torch.rand(2, 3, 24, 24, generator=seeded())
    tokens = model.encode(images)
    assert tokens.shape == (2, 6, 6) and tokens.dtype == torch.int64
    assert model.decode(tokens).shape == (2, 3, 24, 24)
    assert model.decode(tokens[:, :1, :1]).shape == (2, 3, 4, 4)
    assert torch.equal(model(images), model.decode(tokens))
    assert model.codebook_usage(tokens).sum() == 72


def test_the_encoder_learns_through_the_rounding():
    model = VQVAE(VQVAEConfig(size=16, width=16, vocabulary=20))
    model.parts(torch.rand(4, 3, 16, 16, generator=seeded()))["reconstruction"].backward()
    assert model.encoder[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("decay", [0.99, None])
def test_training_beats_one_colour_a_picture(decay):
    torch.manual_seed(0)
    coarse = torch.rand(128, 3, 4, 4, generator=seeded()).round()
    images = F.interpolate(coarse, scale_factor=4, mode="nearest")
    model = VQVAE(VQVAEConfig(size=16, width=24, vocabulary=16, code_width=4, decay=decay))
    fit(model, images, steps=400, batch_size=32, learning_rate=4e-3)
    error = F.mse_loss(model(images), images)
    assert error < 0.5 * F.mse_loss(images.mean((2, 3), keepdim=True).expand_as(images), images)


def test_training_is_the_same_twice_from_the_same_seed():
    def trained():
        torch.manual_seed(0)
        model = VQVAE(VQVAEConfig(size=16, width=8, vocabulary=8, code_width=4))
        fit(model, torch.rand(32, 3, 16, 16, generator=seeded()), steps=5, batch_size=8)
        return model.state_dict()

    first, second = trained(), trained()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: VectorQuantizer(1, 4), "2 entries"),
        (lambda: VectorQuantizer(4, 4, decay=1.0), "decay"),
        (lambda: VectorQuantizer(4, 4)(torch.zeros(2, 3, 1, 1)), "shape"),
        (lambda: VQVAEConfig(size=30, patch=4), "multiple"),
        (lambda: VQVAE(VQVAEConfig(vocabulary=4)).decode(torch.full((1, 2, 2), 4)), "0..3"),
        (lambda: VQVAE(VQVAEConfig(vocabulary=4)).decode(torch.zeros(1, 2, 2)), "whole numbers"),
        (lambda: VQVAE().encode(torch.zeros(1, 3, 8, 8)), "Pictures must have shape"),
        (lambda: perplexity(torch.zeros(4)), "at least one token"),
    ],
)
def test_what_the_reader_can_mend_is_said_in_one_sentence(call, words):
    with pytest.raises(ReaderError, match=words):
        call()
