"""Checks for the exercises of chapter 2, variational autoencoders."""

import torch

from dalle_edu import vae
from dalle_edu.exercises import close, exercise, need, need_tensor


def _posterior(seed=0, shape=(5, 3)):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)


@exercise(without=[vae.reparameterise])
def check_reparameterise(reparameterise):
    """`reparameterise(means, log_variances, generator)`: a draw of z, through which gradients flow."""
    means, log_variances = _posterior(shape=(20_000, 2))
    means, log_variances = means * 0 + 2.0, log_variances * 0 - 2.0
    means.requires_grad_(), log_variances.requires_grad_()
    value = reparameterise(means, log_variances, torch.Generator().manual_seed(1))
    need_tensor(value, means.shape, "the draw")
    again = reparameterise(means, log_variances, torch.Generator().manual_seed(1))
    need(torch.equal(value, again), "the same seed gave another draw; pass the generator to torch.randn.")
    need(value.requires_grad, "no gradient flows through the draw: was torch.normal or no_grad used?")
    centre, spread = value.mean().item(), value.std().item()
    need(spread > 1e-3, "there is no noise in it: z is not drawn, it is the mean.")
    need(abs(centre - 2.0) < 0.02, f"draws around a mean of 2 have the average {centre:.2f}.")
    need(abs(spread - 0.135) > 0.01, "the noise was multiplied by the variance; it needs its square root.")
    need(abs(spread - 2.0) > 0.05, "the noise was multiplied by the log variance; take exp of half of it.")
    need(abs(spread - 0.368) < 0.01, f"the spread should be exp(-2 / 2) = 0.37, but is {spread:.2f}.")
    value.sum().backward()
    need(
        means.grad is not None and close(means.grad, torch.ones_like(means)),
        "moving the mean by one must move z by one: its gradient should be 1.",
    )
    need(log_variances.grad is not None, "no gradient reaches the variance; do not detach the spread.")
    return "the noise stands outside, so the gradient passes through mean and spread."


@exercise(without=[vae.gaussian_kl, vae.monte_carlo_kl, torch.distributions.kl_divergence])
def check_kl(kl):
    """`kl(means, log_variances)`: KL to the standard normal, summed over latent numbers, shape (batch,)."""
    means, log_variances = _posterior()
    value = kl(means, log_variances)
    wanted = vae.gaussian_kl(means, log_variances).sum(dim=1)
    if isinstance(value, torch.Tensor) and value.shape == means.shape:
        need(False, "one value per latent number came back; independent numbers add: sum over them.")
    need_tensor(value, wanted.shape)
    need(not close(value, -wanted), "the sign is turned: a KL divergence is never negative.")
    need(not close(value, 2 * wanted), "twice what it should be: the factor 1/2 is missing.")
    need(not close(value, wanted / means.shape[1]), "averaged over the latent numbers; sum them.")
    need(
        not close(value, vae.gaussian_kl(means, 2 * log_variances).sum(dim=1)),
        "exp(log_variances) is already the variance; do not square it.",
    )
    zero = torch.zeros(1, 3)
    need(close(kl(zero, zero), torch.zeros(1)), "when q is the prior itself, the KL must be 0.")
    need(close(value, wanted), f"the first picture should cost {wanted[0]:.2f} nats, not {value[0]:.2f}.")
    return "never negative, and zero only where q is the prior."


@exercise
def check_free_nats(free_nats):
    """`free_nats(kl, nats)`: the cost of a batch, each number with `nats` for free; kl (batch, d)."""
    kl = torch.tensor([[0.0, 3.0, 0.2], [0.6, 1.0, 0.0]])
    value = free_nats(kl, 0.5)
    need_tensor(value, (), "the cost")
    wanted = torch.tensor(0.5 + 2.0 + 0.5)
    need(
        not close(value, kl.clamp(min=0.5).mean(dim=0).sum()),
        "each picture was clamped by itself; average over the batch first, then clamp.",
    )
    need(
        not close(value, kl.mean(dim=0).clamp(max=0.5).sum()),
        "clamped from above: raise to the free amount what is below it, so that it has no gradient.",
    )
    need(not close(value, kl.mean(dim=0).clamp(min=0.5).mean()), "averaged over latent numbers; sum them.")
    need(
        not close(value, kl.sum(dim=1).mean().clamp(min=0.5)),
        "the free amount belongs to each latent number, not to their sum.",
    )
    need(not close(value, kl.mean(dim=0).sum()), "nothing is free yet; that is the plain KL.")
    need(close(value, wanted), f"for the example {wanted:.1f} nats were expected, not {value:.2f}.")
    return "a number that costs less than its free nats has no reason to become useless."


@exercise
def check_fine_share(fine_share):
    """`fine_share(spectrum, waves)`: share of the power, entry 0 left out, at `waves` waves or more."""
    spectrum = torch.tensor([100.0, 4.0, 3.0, 2.0, 1.0])
    value = fine_share(spectrum, 3)
    need(isinstance(value, (float, torch.Tensor)), "the share should be a number.")
    need(
        not close(value, 3 / 110),
        "entry 0, the average brightness, was counted; it has no waves: leave it out.",
    )
    need(not close(value, 1 / 10), "a wave number equal to `waves` counts as fine: >= and not >.")
    need(not close(value, 7 / 10), "that is the coarse share, the part below `waves`.")
    need(not close(value, 3.0), "that is the power; divide it by the whole.")
    need(close(value, 0.3), f"for the example 0.3 was expected, not {float(value):.3f}.")
    need(close(fine_share(spectrum, 1), 1.0), "everything but the average has at least one wave.")
    return "a number for how fine a picture is, whatever its contrast."
