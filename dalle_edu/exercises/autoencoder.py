"""Checks for the exercises of chapter 1, autoencoders."""

import math

import torch

from dalle_edu import autoencoder
from dalle_edu.exercises import close, exercise, need, need_tensor


def _pictures(seed=0, count=6, size=8):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


@exercise(without=[autoencoder.psnr])
def check_psnr(psnr):
    """`psnr(images, reconstructions)`: the peak signal-to-noise ratio of each picture, shape (batch,)."""
    images = _pictures()
    noise = 0.1 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    noise = noise * torch.linspace(0.2, 2, len(images)).reshape(-1, 1, 1, 1)
    worse = images + noise
    value = psnr(images, worse)
    wanted = autoencoder.psnr(images, worse)
    if isinstance(value, float) or isinstance(value, torch.Tensor) and value.ndim == 0:
        need(False, "one number came back for the whole batch; average over the pixels of each picture only.")
    need_tensor(value, (len(images),))
    need(not close(value, -wanted), "the sign is turned: a smaller error must give a larger ratio.")
    need(
        not close(value, wanted * math.log(10)),
        "that is the natural logarithm; decibels count powers of ten: torch.log10.",
    )
    need(not close(value, wanted / 10), "those are bels; a decibel is a tenth of one: multiply by 10.")
    need(
        not close(value, wanted / 2),
        "half of what it should be: was the square root taken (10 log10 of the mean SQUARED error)?",
    )
    summed = -10 * torch.log10(noise.square().flatten(1).sum(1))
    need(not close(value, summed), "that is the summed squared error; take the mean over the pixels.")
    need(
        close(value, wanted), f"for these pictures {wanted[0]:.2f} dB was expected first, not {value[0]:.2f}."
    )
    return "a tenth of the squared error is 10 dB more, for each picture by itself."


@exercise(without=[autoencoder.gaussian_log_likelihood])
def check_log_likelihood(log_likelihood):
    """`log_likelihood(images, means, sigma)`: Gaussian log density of each picture, shape (batch,)."""
    images, means = _pictures(0), _pictures(1)
    for sigma in (0.5, 0.1, 2.0):
        value = log_likelihood(images, means, sigma)
        need_tensor(value, (len(images),))
        wanted = torch.distributions.Normal(means, sigma).log_prob(images).flatten(1).sum(dim=1)
        error = (images - means).square().flatten(1).sum(dim=1)
        pixels = images[0].numel()
        need(
            not close(value, -error / (2 * sigma**2)),
            "the constant is missing: without -(pixels / 2) log(2 pi sigma^2) this is no density.",
        )
        need(
            not close(value, -error / (2 * sigma**2) - math.log(2 * math.pi * sigma**2) / 2),
            f"the constant counts once for every pixel: here {pixels} times.",
        )
        need(not close(value, -wanted), "that is the NEGATIVE log-likelihood, the loss.")
        need(
            not close(value, wanted / pixels),
            "averaged over the pixels; a joint density multiplies, so sum the logs.",
        )
        need(
            close(value, wanted),
            f"with sigma = {sigma} the first picture should get {wanted[0]:.2f} nats, not {value[0]:.2f}.",
        )
    return "the same as torch.distributions.Normal, summed over the pixels."


@exercise(without=[autoencoder.principal_components, autoencoder.project])
def check_best_linear(best_linear):
    """`best_linear(images, latent_size)`: the pictures after the best linear bottleneck, shape unchanged."""
    pattern = torch.Generator().manual_seed(2)
    basis = torch.randn(5, 3 * 8 * 8, generator=pattern)
    sizes = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.5])
    images = ((torch.randn(40, 5, generator=pattern) * sizes) @ basis + 3.0).reshape(40, 3, 8, 8)
    for latent_size in (1, 3, 5):
        value = best_linear(images, latent_size)
        need_tensor(value, images.shape)
        mean, components = autoencoder.principal_components(images, latent_size)
        wanted = autoencoder.reconstruction_error(images, autoencoder.project(images, mean, components)).sum()
        got = autoencoder.reconstruction_error(images, value).sum()
        raw = images.flatten(1)
        u, s, v = torch.linalg.svd(raw, full_matrices=False)
        uncentred = ((u[:, :latent_size] * s[:latent_size]) @ v[:latent_size]).reshape(images.shape)
        if latent_size < 5:
            need(got > 1e-3 * wanted, "nothing was lost; are you using more than latent_size directions?")
            need(
                not close(value, uncentred, 1e-3),
                "the mean picture was not subtracted first (and added at the end).",
            )
            rows = torch.linalg.matrix_rank((value - value.mean(dim=0)).flatten(1), rtol=1e-4).item()
            need(rows <= latent_size, f"{rows} directions are in use, but latent_size is {latent_size}.")
        need(
            got <= wanted * 1.01 + 1e-2,
            f"with {latent_size} numbers a squared error of {wanted:.1f} is possible; yours has {got:.1f}. "
            "Are these the directions of LARGEST variance?",
        )
    return "no linear code of that size loses less (Baldi & Hornik 1989)."


@exercise
def check_blank_out(blank_out):
    """`blank_out(images, share, generator)`: whole pixels set to 0, each with chance `share`."""
    images = _pictures(3, count=8, size=32) + 0.01
    before = images.clone()
    value = blank_out(images, 0.3, torch.Generator().manual_seed(4))
    need_tensor(value, images.shape)
    need(torch.equal(images, before), "the reader's pictures were changed in place; work on a copy.")
    blank = (value == 0).float()
    need(
        torch.equal(value[blank == 0], images[blank == 0]),
        "pixels that are not blanked out must stay as they were.",
    )
    need(
        (blank == blank[:, :1]).all(),
        "a pixel must vanish with all its colours: draw one mask of shape (batch, 1, height, width).",
    )
    need((blank[0] != blank[1]).any(), "every picture lost the same pixels; draw a mask for each.")
    share = blank.mean().item()
    need(
        abs(share - 0.7) > 0.03, "70 % of the pixels went blank where 30 % should: the comparison is turned."
    )
    need(abs(share - 0.3) < 0.03, f"{share:.0%} of the pixels went blank where 30 % should.")
    need(torch.equal(blank_out(images, 0.0, torch.Generator()), images), "with share 0 nothing may change.")
    need((blank_out(images, 1.0, torch.Generator()) == 0).all(), "with share 1 everything must go.")
    again = blank_out(images, 0.3, torch.Generator().manual_seed(4))
    need(torch.equal(value, again), "the same seed gave other pixels; pass the generator to torch.rand.")
    return "pictures with holes, the same ones for the same seed."
