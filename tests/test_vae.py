"""The VAE against integrals, finite differences and Monte Carlo, and against what training must beat."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dalle_edu.autoencoder import AutoencoderConfig, fit, gaussian_log_likelihood, reconstruct
from dalle_edu.errors import ReaderError
from dalle_edu.vae import (
    VariationalAutoencoder,
    active_numbers,
    gaussian_kl,
    importance_bound,
    monte_carlo_kl,
    power_spectrum,
    reparameterise,
    reparameterised_gradients,
    score_function_gradients,
    warm_up,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count=200):
    """Flat pictures of random colour: three numbers say everything."""
    return torch.rand(count, 3, 1, 1, generator=seeded()).expand(-1, -1, 4, 4).contiguous()


def small(latent_size=4, hidden=(32,), **changes):
    torch.manual_seed(0)
    config = AutoencoderConfig(size=4, latent_size=latent_size, hidden=hidden)
    return VariationalAutoencoder(config, pictures().mean(dim=0), **changes)


@settings(max_examples=30, deadline=None)
@given(mean=st.floats(-3, 3), log_variance=st.floats(-4, 2))
def test_the_closed_form_kl_is_that_of_torch_distributions(mean, log_variance):
    posterior = torch.distributions.Normal(mean, math.exp(log_variance / 2))
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
    value = gaussian_kl(torch.tensor(mean), torch.tensor(log_variance))
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)
    assert value >= -1e-6


def test_the_monte_carlo_kl_agrees_with_the_closed_form():
    means, log_variances = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([-1.0, 0.5, -2.0])
    estimate = monte_carlo_kl(means, log_variances, 100_000, seeded())
    error = estimate.std() / math.sqrt(len(estimate))
    assert abs(estimate.mean() - gaussian_kl(means, log_variances).sum()) < 4 * error


def test_draws_have_the_mean_and_the_spread_that_the_encoder_named():
    means, log_variances = torch.full((50_000, 1), 1.5), torch.full((50_000, 1), -2.0)
    draws = reparameterise(means, log_variances, seeded())
    assert draws.mean().item() == pytest.approx(1.5, abs=0.01)
    assert draws.std().item() == pytest.approx(math.exp(-1), abs=0.01)


def test_both_gradient_estimators_are_right_on_average_and_reparameterisation_varies_less():
    mean, log_variance = torch.tensor([1.0, -0.5, 0.2]), torch.zeros(3)
    estimates = {}
    for estimator in (reparameterised_gradients, score_function_gradients):
        draws = estimator(lambda z: z.square().sum(dim=1), mean, log_variance, 200_000, seeded())
        torch.testing.assert_close(draws.mean(dim=0), 2 * mean, rtol=0, atol=0.05)
        estimates[estimator] = draws.var(dim=0)
    assert (estimates[score_function_gradients] > 2 * estimates[reparameterised_gradients]).all()


def test_a_baseline_leaves_the_score_function_right_and_makes_it_vary_less():
    mean, log_variance = torch.zeros(2), torch.zeros(2)
    gradients = [
        score_function_gradients(lambda z: z.sum(dim=1) + 5, mean, log_variance, 100_000, seeded(), baseline)
        for baseline in (0.0, 5.0)
    ]
    torch.testing.assert_close(gradients[1].mean(dim=0), torch.ones(2), rtol=0, atol=0.03)
    assert (gradients[1].var(dim=0) < gradients[0].var(dim=0) / 3).all()


def test_the_loss_is_minus_the_bound_of_its_parts():
    model, images = small(beta=3.0), pictures(8)
    torch.manual_seed(1)
    means, log_variances = model.encode(images)
    latents = means + (log_variances / 2).exp() * torch.randn(means.shape)
    likelihood = gaussian_log_likelihood(images, model.decode(latents), model.sigma)
    expected = -likelihood.mean() + 3 * gaussian_kl(means, log_variances).sum(dim=1).mean()
    torch.manual_seed(1)
    torch.testing.assert_close(model.loss(images), expected)


def test_beta_and_sigma_squared_are_one_dial():
    one, other = small(sigma=1.0, beta=1.0), small(sigma=0.1, beta=100.0)
    images = pictures(8)
    gradients = []
    for model in (one, other):
        torch.manual_seed(2)
        (model.loss(images) * 2 * model.sigma**2).backward()
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters()]))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-4)


def test_the_bound_lies_below_the_exact_evidence_of_a_linear_model():
    model = small(latent_size=2, hidden=(), sigma=0.5)
    images = pictures(5)
    weight = model.decoder[0].weight.detach().double()
    offset = (model.mean.flatten() + model.decoder[0].bias.detach()).double()
    covariance = weight @ weight.T + 0.25 * torch.eye(48, dtype=torch.float64)
    exact = torch.distributions.MultivariateNormal(offset, covariance).log_prob(images.flatten(1).double())
    elbo = torch.stack([importance_bound(model, images, 1, seeded(seed)) for seed in range(300)]).mean(dim=0)
    tighter = importance_bound(model, images, 3000, seeded())
    assert (elbo < exact).all()
    assert (elbo < tighter).all()
    torch.testing.assert_close(tighter.double(), exact, rtol=0, atol=0.3)


def test_training_uses_what_the_pictures_vary_in_and_beats_the_average_picture():
    model, images = small(sigma=0.1), pictures()
    fit(model, images, steps=300, learning_rate=5e-3)
    error = (reconstruct(model, images) - images).square().mean()
    assert error < 0.2 * (images - images.mean(dim=0)).square().mean()
    assert active_numbers(model, images) >= 3


def test_a_high_price_collapses_the_posterior_and_free_nats_keep_it():
    images = pictures()
    collapsed, kept = small(beta=1e4), small(beta=1e4, free_nats=0.5)
    for model in (collapsed, kept):
        fit(model, images, steps=200, learning_rate=5e-3)
    assert active_numbers(collapsed, images) == 0
    assert active_numbers(kept, images) == 4


def test_warm_up_rises_evenly_and_then_stays():
    assert [warm_up(step, 4, 2.0) for step in (0, 1, 2, 4, 9)] == [0.0, 0.5, 1.0, 2.0, 2.0]


def test_samples_are_pictures_and_the_same_for_the_same_seed():
    model = small()
    drawn = model.sample(3, seeded(1))
    assert drawn.shape == (3, 3, 4, 4)
    assert torch.equal(drawn, model.sample(3, seeded(1)))


@pytest.mark.parametrize("waves", [1, 4, 8])
def test_a_pure_wave_has_its_power_at_its_own_fineness(waves):
    x = torch.arange(32) / 32
    wave = torch.cos(2 * math.pi * waves * x).expand(1, 1, 32, 32)
    spectrum = power_spectrum(wave)
    assert spectrum.argmax() == waves
    assert spectrum.sum() == pytest.approx(spectrum[waves].item(), rel=1e-3)


def test_blurring_takes_fine_waves_and_leaves_coarse_ones():
    noise = torch.randn(20, 3, 32, 32, generator=seeded())
    blurred = torch.nn.functional.avg_pool2d(noise, 3, stride=1, padding=1)
    kept = power_spectrum(blurred) / power_spectrum(noise)
    assert kept[1:3].mean() > 0.7 and kept[12:].mean() < 0.15


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda: small(sigma=0.0), "sigma must be above 0"),
        (lambda: small(beta=-1.0), "must not be below 0"),
        (lambda: small().encode(torch.rand(2, 3, 5, 5)), "(batch, 3, 4, 4)"),
        (lambda: small().decode(torch.rand(2, 9)), "(batch, 4)"),
    ],
)
def test_what_the_reader_can_mend_is_said_in_one_sentence(wrong, words):
    with pytest.raises(ReaderError) as caught:
        wrong()
    assert words in str(caught.value)
