"""Autoencoders against independent calculations, and against what training must beat."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dalle_edu.autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    cycle_error,
    fit,
    gaussian_log_likelihood,
    interpolate,
    latent_grid,
    principal_components,
    project,
    psnr,
    reconstruct,
    reconstruction_error,
)
from dalle_edu.errors import ReaderError


def pictures(count=64, size=8, seed=0):
    """Soft discs of random place, size and colour: simple enough to be learned in a second."""
    generator = torch.Generator().manual_seed(seed)
    place = torch.rand(count, 2, 1, 1, generator=generator) * size
    radius = 1 + torch.rand(count, 1, 1, generator=generator) * size / 3
    colour = torch.rand(count, 3, 1, 1, generator=generator)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    distance = ((y - place[:, 0]) ** 2 + (x - place[:, 1]) ** 2).sqrt()  # (count, size, size)
    inside = torch.sigmoid(3 * (radius - distance))[:, None]
    return 1 - inside * (1 - colour)


def small(latent_size=4, hidden=(32,), **changes):
    torch.manual_seed(0)
    return Autoencoder(AutoencoderConfig(size=8, latent_size=latent_size, hidden=hidden), **changes)


@settings(max_examples=20, deadline=None)
@given(
    size=st.integers(1, 9),
    latent_size=st.integers(1, 5),
    hidden=st.lists(st.integers(1, 7), max_size=3).map(tuple),
    batch=st.integers(1, 3),
)
def test_a_picture_of_any_size_becomes_a_code_of_the_configured_size_and_a_picture_again(
    size, latent_size, hidden, batch
):
    model = Autoencoder(AutoencoderConfig(size, latent_size, hidden))
    images = torch.rand(batch, 3, size, size)
    assert model.encode(images).shape == (batch, latent_size)
    assert model(images).shape == images.shape


def test_the_network_draws_the_average_picture_when_its_decoder_says_nothing():
    mean = pictures().mean(dim=0)
    model = small(mean=mean)
    for weight in model.decoder.parameters():
        torch.nn.init.zeros_(weight)
    assert torch.equal(model(pictures()[:2]), mean.expand(2, -1, -1, -1))


@settings(max_examples=20, deadline=None)
@given(sigma=st.floats(0.05, 3), seed=st.integers(0, 100))
def test_the_log_likelihood_is_that_of_torch_distributions(sigma, seed):
    images, means = pictures(5, seed=seed), pictures(5, seed=seed + 1)
    expected = torch.distributions.Normal(means, sigma).log_prob(images).flatten(1).sum(dim=1)
    torch.testing.assert_close(gaussian_log_likelihood(images, means, sigma), expected, rtol=1e-4, atol=1e-2)


def test_the_likelihood_and_the_squared_error_always_prefer_the_same_reconstruction():
    images = pictures(1).expand(20, -1, -1, -1)
    others = pictures(20, seed=1)
    for sigma in (0.1, 1.0):
        order = gaussian_log_likelihood(images, others, sigma).argsort(descending=True)
        assert torch.equal(order, reconstruction_error(images, others).argsort())


def test_noise_of_a_tenth_is_twenty_decibels_and_a_third_of_it_ten_more():
    images = torch.rand(2, 3, 200, 200)
    for sigma, expected in ((0.1, 20), (0.1 / math.sqrt(10), 30)):
        noisy = images + sigma * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
        assert psnr(images, noisy) == pytest.approx([expected] * 2, abs=0.1)


@pytest.mark.parametrize("latent_size", [1, 5, 20])
def test_principal_components_lose_no_more_than_the_exact_singular_value_decomposition(latent_size):
    images = pictures(200)
    mean, components = principal_components(images, latent_size)
    lost = reconstruction_error(images, project(images, mean, components)).sum()
    singular = torch.linalg.svdvals((images - images.mean(dim=0)).flatten(1).double())
    assert lost.item() == pytest.approx(singular[latent_size:].square().sum().item(), rel=1e-3)
    torch.testing.assert_close(components @ components.T, torch.eye(latent_size), rtol=0, atol=1e-4)


def test_training_the_linear_autoencoder_comes_close_to_the_principal_components_and_never_below():
    images = pictures(100)
    mean, components = principal_components(images, 3)
    best = reconstruction_error(images, project(images, mean, components)).mean()
    model = small(3, hidden=(), mean=mean)
    fit(model, images, steps=800, batch_size=100, learning_rate=1e-2)
    reached = reconstruction_error(images, reconstruct(model, images)).mean()
    assert best * 0.999 <= reached <= 1.1 * best


def test_a_trained_network_beats_the_best_plane_of_the_same_size():
    images = pictures(300)
    mean, components = principal_components(images, 4)
    plane = reconstruction_error(images, project(images, mean, components)).mean()
    model = small(4, hidden=(64,), mean=mean)
    fit(model, images, steps=800, learning_rate=5e-3)
    assert reconstruction_error(images, reconstruct(model, images)).mean() < 0.8 * plane


def test_the_gradient_of_the_loss_agrees_with_finite_differences():
    model, images = small().double(), pictures(3).double()
    weight = model.decoder[-2].weight
    model.loss(images).backward()
    step = 1e-6
    with torch.no_grad():
        weight[5, 7] += step
        above = model.loss(images)
        weight[5, 7] -= 2 * step
        below = model.loss(images)
    assert weight.grad[5, 7].item() == pytest.approx(((above - below) / (2 * step)).item(), rel=1e-4)


def test_the_same_seed_trains_the_same_network():
    runs = [fit(small(), pictures(), steps=5, seed=3) for _ in range(2)]
    assert runs[0] == runs[1]


def test_fit_uses_the_loss_it_is_given_and_tells_it_the_step():
    steps = []

    def loss(model, batch, step):
        steps.append(step)
        return model(batch).square().mean()

    fit(small(), pictures(), steps=3, loss=loss)
    assert steps == [0, 1, 2]


def test_codes_of_trained_pictures_come_back_nearer_than_far_away_codes():
    images = pictures(300)
    model = small(4, hidden=(64,), mean=images.mean(dim=0))
    fit(model, images, steps=500, learning_rate=5e-3)
    codes = model.encode(images).detach()
    assert cycle_error(model, codes).median() < cycle_error(model, codes * 4).median()


def test_reconstructing_in_batches_gives_what_one_batch_gives():
    model, images = small(), pictures(10)
    torch.testing.assert_close(reconstruct(model, images, batch_size=3), model(images).detach())


def test_the_latent_grid_starts_at_the_upper_left_and_ends_at_the_lower_right():
    grid = latent_grid((-1, -2), (3, 4), 5)
    assert grid.shape == (25, 2)
    assert grid[0].tolist() == [-1, 4] and grid[4].tolist() == [3, 4] and grid[-1].tolist() == [3, -2]


def test_a_walk_between_two_codes_begins_and_ends_at_them_in_equal_steps():
    start, end = torch.randn(2, 7)
    walk = interpolate(start, end, 5)
    torch.testing.assert_close(walk[0], start)
    torch.testing.assert_close(walk[-1], end)
    torch.testing.assert_close(walk.diff(dim=0), ((end - start) / 4).expand(4, -1))


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda: small().encode(torch.rand(2, 3, 9, 9)), "(batch, 3, 8, 8)"),
        (lambda: small().encode(torch.rand(3, 8, 8)), "(batch, 3, 8, 8)"),
        (lambda: small().decode(torch.rand(2, 5)), "(batch, 4)"),
        (lambda: AutoencoderConfig(latent_size=0), "at least 1"),
        (lambda: AutoencoderConfig(hidden=(16, 0)), "at least 1"),
        (lambda: principal_components(pictures(), 0), "between 1 and"),
        (lambda: principal_components(pictures(), 193), "between 1 and"),
    ],
)
def test_what_the_reader_can_mend_is_said_in_one_sentence(wrong, words):
    with pytest.raises(ReaderError) as caught:
        wrong()
    assert words in str(caught.value) and "\n" not in str(caught.value)
