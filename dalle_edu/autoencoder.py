"""Autoencoders: a picture goes through a few numbers and comes back (chapter 1).

    z = f(x),   maximise E_p(x)[ log p(x | z) ],   p(x | z) = Normal(g(z), sigma^2)

Hinton & Salakhutdinov 2006; Goodfellow, Bengio & Courville 2016, chapter 14; linear: Baldi & Hornik 1989.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from dalle_edu.errors import ReaderError, brief


@dataclass(frozen=True)
class AutoencoderConfig:
    """`latent_size` numbers stand for a picture of `size` x `size` pixels.

    `hidden`: the widths of the hidden layers of the encoder, from the picture inwards; the decoder has the
    same in reverse. `hidden=()` leaves nothing but one matrix each way: the linear autoencoder.
    """

    size: int = 32
    latent_size: int = 32
    hidden: tuple[int, ...] = (256,)

    def __post_init__(self):
        if min(self.size, self.latent_size, *self.hidden) < 1:
            raise ReaderError("size, latent_size and every width in hidden must be at least 1.")

    @property
    def pixels(self):
        """How many numbers a picture has: three colours at each place."""
        return 3 * self.size**2


def encoder(config: AutoencoderConfig, outputs: int) -> nn.Sequential:
    """Pictures (batch, 3, size, size) to (batch, outputs); outputs = latent_size, or twice that for a VAE."""
    return nn.Sequential(nn.Flatten(), *layers([config.pixels, *config.hidden, outputs]))


def decoder(config: AutoencoderConfig) -> nn.Sequential:
    """Latents (batch, latent_size) to pictures (batch, 3, size, size): the encoder, walked backwards."""
    widths = [config.latent_size, *reversed(config.hidden), config.pixels]
    return nn.Sequential(*layers(widths), nn.Unflatten(1, (3, config.size, config.size)))


def layers(widths) -> list[nn.Module]:
    """Linear layers from each width to the next, with a ReLU between them (not after the last)."""
    modules = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        modules += [nn.Linear(inputs, outputs), nn.ReLU()]
    return modules[:-1]


class Autoencoder(nn.Module):
    """`encode` to a vector, `decode` to a picture; calling the model does both.

    `mean` (3, size, size), the average picture, is subtracted at the entry and added at the exit, so that the
    network starts by drawing the average and codes only what differs from it. It is a constant, not trained.
    """

    def __init__(self, config: AutoencoderConfig = AutoencoderConfig(), mean=None):
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(3, config.size, config.size) if mean is None else mean)
        self.encoder = encoder(config, config.latent_size)
        self.decoder = decoder(config)

    def encode(self, images):
        """(batch, 3, size, size) in [0, 1] -> latents (batch, latent_size)."""
        check_images(images, self.config.size)
        return self.encoder(images - self.mean)

    def decode(self, latents):
        """Latents (batch, latent_size) -> pictures (batch, 3, size, size), about in [0, 1]: clamp to show."""
        check_latents(latents, self.config.latent_size)
        return self.mean + self.decoder(latents)

    def forward(self, images):
        return self.decode(self.encode(images))

    def loss(self, images):
        """What training makes small: the squared error of the reconstruction, a scalar."""
        return reconstruction_error(images, self(images)).mean()


@torch.no_grad()
def principal_components(images, latent_size: int, rounds: int = 12):
    """The best linear code of these pictures, without training: the directions in which they vary most.

    images (N, 3, size, size) -> mean (3, size, size), components (latent_size, 3 * size * size): orthonormal
    rows, largest variance first. Encode: `(x - mean) @ components.T`; decode: `mean + z @ components`.
    Found by subspace iteration (Halko et al. 2011), since only a few of thousands of directions are wanted.
    """
    pixels = images[0].numel()
    if not 1 <= latent_size <= pixels:
        raise ReaderError(
            f"latent_size must lie between 1 and the number of pixels, {pixels}; it is {latent_size}."
        )
    mean = images.mean(dim=0)
    centred = (images - mean).flatten(1)  # (N, pixels)
    start = torch.randn(pixels, min(latent_size + 16, pixels), generator=torch.Generator().manual_seed(0))
    basis = torch.linalg.qr(start).Q
    for _ in range(rounds):  # each multiplication by the covariance pulls the basis towards large variance
        basis = torch.linalg.qr(centred.T @ (centred @ basis)).Q
    _, _, directions = torch.linalg.svd(centred @ basis, full_matrices=False)
    return mean, (basis @ directions.T).T[:latent_size].contiguous()


def project(images, mean, components):
    """Pictures through the linear bottleneck of `principal_components` and back, shape unchanged."""
    latents = (images - mean).flatten(1) @ components.T
    return mean + (latents @ components).unflatten(1, mean.shape)


def reconstruction_error(images, reconstructions):
    """Squared error of each picture, summed over its pixels: (batch, ...) twice -> (batch,)."""
    return (images - reconstructions).square().flatten(1).sum(dim=1)


def gaussian_log_likelihood(images, means, sigma: float):
    """log p(x | z) in nats, pixels independent and Normal(mean, sigma^2): (batch, ...) twice -> (batch,).

    -||x - mean||^2 / (2 sigma^2) - (number of pixels / 2) log(2 pi sigma^2)
    """
    pixels = images[0].numel()
    constant = pixels / 2 * math.log(2 * math.pi * sigma**2)
    return -reconstruction_error(images, means) / (2 * sigma**2) - constant


def psnr(images, reconstructions):
    """Peak signal-to-noise ratio of each picture in decibels: (batch, ...) twice -> (batch,).

    -10 log10(mean squared error), for pixels in [0, 1]. 10 dB more: a tenth of the squared error. Pictures
    that are equal have 100 dB.
    """
    mean_squared_error = (images - reconstructions).square().flatten(1).mean(dim=1)
    return -10 * torch.log10(mean_squared_error.clamp_min(1e-10))


def fit(
    model, images, steps: int, batch_size: int = 64, learning_rate: float = 3e-3, seed: int = 0, loss=None
):
    """Train `model` on `images` with Adam for `steps` random batches; returns each step's loss, a list.

    `loss(model, batch, step)` is a scalar; None means `model.loss(batch)`. The
    step size falls to zero along a half cosine, so that the last steps settle.
    The small loop of chapters 1 and 2; the one for long runs is `training.py`.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    losses = []
    model.train()
    for step in range(steps):
        batch = images[torch.randint(len(images), (batch_size,), generator=generator)]
        value = model.loss(batch) if loss is None else loss(model, batch, step)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        schedule.step()
        losses.append(value.item())
    model.eval()
    return losses


@torch.no_grad()
def reconstruct(model, images, batch_size: int = 512):
    """The model's reconstruction of many pictures, in batches and without gradients: shape unchanged."""
    return torch.cat([model(batch) for batch in images.split(batch_size)])


@torch.no_grad()
def cycle_error(model, latents):
    """How far each latent moves when it is decoded and encoded again: (N, d) -> (N,).

    As a share of how far the latents lie from their average, typically.

    Near zero where the encoder puts pictures, for the decoder
    was trained there; large in the holes between them.
    """
    centre = latents.mean(dim=0)
    moved = (model.encode(model.decode(latents)) - latents).norm(dim=1)
    return moved / (latents - centre).norm(dim=1).mean()


def latent_grid(low, high, steps: int):
    """The points of a square grid over a 2-D latent space, row by row from the top: (steps * steps, 2).

    `low` and `high`: (x, y) of the lower left and the upper right corner. For maps of decoded pictures.
    """
    x = torch.linspace(float(low[0]), float(high[0]), steps)
    y = torch.linspace(float(high[1]), float(low[1]), steps)
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns, rows], dim=-1).reshape(-1, 2)


def interpolate(start, end, steps: int):
    """Points on the straight line between two latents, ends included: (d,) twice -> (steps, d)."""
    weights = torch.linspace(0, 1, steps).unsqueeze(1)
    return (1 - weights) * start + weights * end


def check_images(images, size: int):
    """Raise `ReaderError` unless `images` are a tensor of fractions, (batch, 3, size, size)."""
    check_fractions(images)
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, size, size):
        raise ReaderError(
            f"Pictures must have shape (batch, 3, {size}, {size}), but have {tuple(images.shape)}."
        )


def check_fractions(images):
    """Raise `ReaderError` unless `images` are a tensor of fractions, as 8 bits are not."""
    if not isinstance(images, torch.Tensor) or not images.is_floating_point():
        what = f"of {images.dtype}" if isinstance(images, torch.Tensor) else brief(images)
        raise ReaderError(
            f"Pictures must be a tensor of float32 in [0, 1], but are {what}: divide 8 bits by 255."
        )


def check_latents(latents, latent_size: int):
    """Raise `ReaderError` unless `latents` are (batch, latent_size)."""
    if latents.ndim != 2 or latents.shape[1] != latent_size:
        raise ReaderError(f"Latents must have shape (batch, {latent_size}), but have {tuple(latents.shape)}.")
