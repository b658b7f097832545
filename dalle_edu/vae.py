"""Variational autoencoders: a latent space with a known density (chapter 2).

    log p(x) >= E_q(z|x)[ log p(x | z) ] - beta KL( q(z | x) || p(z) )
    q(z | x) = Normal(m(x), s(x)^2),   p(z) = Normal(0, 1)

Kingma & Welling 2014; Rezende, Mohamed & Wierstra 2014; beta: Higgins et al. 2017. The bound for
beta = 1, a looser one above, none below.
"""

import math

import torch
from torch import nn

from dalle_edu.autoencoder import (
    AutoencoderConfig,
    check_images,
    check_latents,
    decoder,
    encoder,
    gaussian_log_likelihood,
)
from dalle_edu.errors import ReaderError

DEFAULT = AutoencoderConfig(latent_size=16)


class VariationalAutoencoder(nn.Module):
    """The networks of chapter 1, but the encoder answers
    with a Gaussian: a mean and a variance for each number.

    `sigma`: standard deviation of a pixel around what the decoder says. `beta`: weight
    of the KL term. Both act only through beta * sigma^2, up to the scale of the loss.
    `free_nats`: what each latent number may cost on average before the KL term counts
    (Kingma et al. 2016), 0 for the plain bound. `mean`: as in `Autoencoder`.
    """

    def __init__(
        self,
        config: AutoencoderConfig = DEFAULT,
        mean=None,
        sigma: float = 0.3,
        beta: float = 1.0,
        free_nats: float = 0.0,
    ):
        super().__init__()
        if sigma <= 0 or beta < 0 or free_nats < 0:
            raise ReaderError("sigma must be above 0, beta and free_nats must not be below 0.")
        self.config, self.sigma, self.beta, self.free_nats = config, sigma, beta, free_nats
        self.register_buffer("mean", torch.zeros(3, config.size, config.size) if mean is None else mean)
        self.encoder = encoder(config, 2 * config.latent_size)
        self.decoder = decoder(config)

    def encode(self, images):
        """(batch, 3, size, size) -> mean and log variance of q(z | x), each (batch, latent_size)."""
        check_images(images, self.config.size)
        means, log_variances = self.encoder(images - self.mean).chunk(2, dim=1)
        return means, log_variances

    def decode(self, latents):
        """Latents (batch, latent_size) -> the mean of p(x | z), (batch, 3, size, size), about in [0, 1]."""
        check_latents(latents, self.config.latent_size)
        return self.mean + self.decoder(latents)

    def forward(self, images):
        """The reconstruction from the mean of the posterior, without noise."""
        return self.decode(self.encode(images)[0])

    def terms(self, images, generator: torch.Generator | None = None):
        """The two terms of the bound, estimated with one draw of z for each picture.

        -> log p(x | z) (batch,) in nats, and KL (batch, latent_size), exact, in nats a latent number.
        """
        means, log_variances = self.encode(images)
        latents = reparameterise(means, log_variances, generator)
        log_likelihood = gaussian_log_likelihood(images, self.decode(latents), self.sigma)
        return log_likelihood, gaussian_kl(means, log_variances)

    def loss(self, images, beta: float | None = None):
        """What training makes small: minus the bound, averaged over the batch; `beta` overrides the model."""
        log_likelihood, kl = self.terms(images)
        cost = kl.mean(dim=0).clamp(min=self.free_nats).sum()
        return -log_likelihood.mean() + (self.beta if beta is None else beta) * cost

    @torch.no_grad()
    def sample(self, number: int, generator: torch.Generator | None = None):
        """New pictures: z from the prior, decoded; (number, 3, size, size)."""
        return self.decode(torch.randn(number, self.config.latent_size, generator=generator))


def reparameterise(means, log_variances, generator: torch.Generator | None = None):
    """z = mean + standard deviation * epsilon, epsilon ~
    Normal(0, 1): a draw that gradients pass (section 2.4).
    """
    noise = torch.randn(means.shape, generator=generator, dtype=means.dtype, device=means.device)
    return means + (log_variances / 2).exp() * noise


def gaussian_kl(means, log_variances):
    """KL( Normal(mean, variance) || Normal(0, 1) ) in nats, elementwise (Kingma & Welling 2014, appendix B).

    -1/2 (1 + log variance - mean^2 - variance)
    """
    return -0.5 * (1 + log_variances - means.square() - log_variances.exp())


def monte_carlo_kl(means, log_variances, samples: int, generator: torch.Generator | None = None):
    """The same KL as an average of log q(z) - log p(z) over draws from q: (d,) twice -> `samples` values
    summed over d.
    """
    shape = (samples, *means.shape)
    latents = reparameterise(means.expand(shape), log_variances.expand(shape), generator)
    posterior = torch.distributions.Normal(means, (log_variances / 2).exp())
    prior = torch.distributions.Normal(torch.zeros_like(means), torch.ones_like(means))
    return (posterior.log_prob(latents) - prior.log_prob(latents)).sum(dim=-1)


def reparameterised_gradients(function, mean, log_variance, samples: int, generator=None):
    """Single-draw estimates of d/d mean of E_q[function(z)] through the draw itself: -> (samples, d).

    function: (n, d) -> (n,), differentiable. mean, log_variance: (d,).
    """
    means = mean.detach().expand(samples, -1).clone().requires_grad_()
    latents = reparameterise(means, log_variance.expand(samples, -1), generator)
    return torch.autograd.grad(function(latents).sum(), means)[0]


@torch.no_grad()
def score_function_gradients(function, mean, log_variance, samples: int, generator=None, baseline=0.0):
    """The same gradient without touching `function`:
    (function(z) - baseline) d/d mean log q(z); -> (samples, d).

    REINFORCE (Williams 1992). Needs values only, so it also works where z is a category; the price is
    variance. A baseline that does not depend on z leaves the expectation as it is.
    """
    latents = reparameterise(mean.expand(samples, -1), log_variance.expand(samples, -1), generator)
    score = (latents - mean) / log_variance.exp()  # the gradient of log q with respect to its mean
    return (function(latents) - baseline).unsqueeze(1) * score


def warm_up(step: int, steps: int, final: float = 1.0) -> float:
    """A weight that rises evenly from 0 at step 0 to `final` at step `steps` and stays there."""
    return final * min(1.0, step / max(steps, 1))


@torch.no_grad()
def active_numbers(model, images, nats: float = 0.05) -> int:
    """How many latent numbers carry more than `nats` of information a picture, on average over `images`."""
    kl = gaussian_kl(*model.encode(images)).mean(dim=0)
    return int((kl > nats).sum())


@torch.no_grad()
def importance_bound(model, images, samples: int, generator: torch.Generator | None = None):
    """A bound on log p(x) that tightens with `samples`
    (Burda et al. 2016): (batch,) nats; samples=1: the ELBO.

    log 1/S sum_s p(x | z_s) p(z_s) / q(z_s | x), z_s ~ q(z | x)
    """
    means, log_variances = model.encode(images)
    prior = torch.distributions.Normal(0.0, 1.0)
    posterior = torch.distributions.Normal(means, (log_variances / 2).exp())
    weights = []
    for _ in range(samples):
        latents = reparameterise(means, log_variances, generator)
        ratio = (prior.log_prob(latents) - posterior.log_prob(latents)).sum(dim=1)
        weights.append(gaussian_log_likelihood(images, model.decode(latents), model.sigma) + ratio)
    return torch.logsumexp(torch.stack(weights), dim=0) - math.log(samples)


@torch.no_grad()
def power_spectrum(images):
    """How much of the pictures' variation lies at each
    fineness: (N, C, size, size) -> (size // 2 + 1,) powers.

    Entry f: the squared Fourier coefficients with f waves across the picture (rounded), averaged over
    directions, colours and pictures. Entry 0 is the average brightness; the last, a wave every two pixels.
    """
    size = images.shape[-1]
    power = torch.fft.fft2(images, norm="ortho").abs().square().mean(dim=(0, 1))  # (size, size)
    waves = torch.fft.fftfreq(size) * size
    radius = (waves[:, None].square() + waves[None, :].square()).sqrt().round().long()
    bins = size // 2 + 1
    inside = radius < bins
    total = torch.zeros(bins).index_add_(0, radius[inside], power[inside])
    return total / torch.bincount(radius[inside], minlength=bins)
