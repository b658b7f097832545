"""The discrete VAE: a picture becomes a grid of tokens out of a vocabulary, and comes back (chapter 5).

    E_q(z|x)[ln p(x | z)] - beta KL(q(z | x), uniform)     q: encoder, p: decoder, z: relaxed draws

Ramesh et al. 2021, section 2.1 and appendix A; the architecture as published in openai/DALL-E.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dalle_edu.autoencoder import check_fractions
from dalle_edu.autoencoder import psnr as peak_signal_to_noise  # noqa: F401 (the same measure, by its full name)
from dalle_edu.configs.checked import Count, Switch, checked, one_of, whole
from dalle_edu.errors import ReaderError
from dalle_edu.gumbel import gumbel_softmax
from dalle_edu.vqvae import check_tokens, codebook_usage

PIXEL_MARGIN = 0.1  # epsilon of appendix A.3: keeps pixels away from 0 and 1, where the logit is infinite


@checked("dvae")
class DiscreteVAEConfig:
    """Shape of a discrete VAE; the defaults are the paper's (A.1).

    A picture of `image_size` x `image_size` becomes a grid smaller by `patch_size` * 2 ** (groups - 1):
    patches of `patch_size` pixels are folded into channels first (1: not at all), and max-pooling halves the
    grid after each group but the last. The encoder's groups have `hidden`, 2 `hidden`, 4 `hidden`, ...
    channels, the decoder's the same in reverse. `likelihood` is "logit-laplace" (A.3) or
    "mean-squared-error". With `patch_codebook` the networks learn only what a codebook of plain patches,
    found by k-means, leaves over (see `PatchCodebook`).
    """

    image_size: Count = 256
    vocabulary: Count = 8192
    patch_size: Count = 1
    groups: whole(1, 20) = 4
    blocks_per_group: Count = 2
    hidden: whole(4) = 256
    decoder_input: Count = 128
    input_kernel: Count = 7
    likelihood: one_of("logit-laplace", "mean-squared-error") = "logit-laplace"
    patch_codebook: Switch = False

    def __post_init__(self):
        if self.input_kernel % 2 == 0:
            raise ReaderError(
                f"input_kernel is {self.input_kernel}; it must be odd, so that it has a middle."
            )
        if self.image_size % self.downsampling:
            raise ReaderError(
                f"image_size {self.image_size} is no multiple of {self.downsampling}, the factor by which "
                f"this dVAE makes the grid smaller (patch_size * 2 ** (groups - 1))."
            )

    @property
    def downsampling(self) -> int:
        """How many pixels a token is wide and high."""
        return self.patch_size * 2 ** (self.groups - 1)

    @property
    def grid(self) -> tuple[int, int]:
        """(height, width) of the token grid."""
        side = self.image_size // self.downsampling
        return side, side


def map_pixels(images: Tensor) -> Tensor:
    """[0, 1] -> [0.1, 0.9] (A.3): the logit-Laplace density is defined strictly between 0 and 1."""
    return (1 - 2 * PIXEL_MARGIN) * images + PIXEL_MARGIN


def unmap_pixels(mapped: Tensor) -> Tensor:
    """The way back, clamped to [0, 1]."""
    return ((mapped - PIXEL_MARGIN) / (1 - 2 * PIXEL_MARGIN)).clamp(0, 1)


def logit_laplace_nll(x: Tensor, mu: Tensor, ln_b: Tensor) -> Tensor:
    """-ln f(x | mu, b), f = exp(-|logit(x) - mu| / b) / (2 b x (1 - x)), for each x in (0, 1) (A.3)."""
    return math.log(2) + ln_b + torch.log(x * (1 - x)) + (torch.logit(x) - mu).abs() * torch.exp(-ln_b)


def convolution(n_in: int, n_out: int, kernel: int) -> nn.Conv2d:
    """A "same" convolution, weights normal with standard deviation 1 / sqrt(fan-in), biases zero (A.1)."""
    layer = nn.Conv2d(n_in, n_out, kernel, padding=(kernel - 1) // 2)
    nn.init.normal_(layer.weight, std=1 / math.sqrt(n_in * kernel**2))
    nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """out = id(x) + gain * res(x): four convolutions around a bottleneck of a quarter of the channels (A.1).

    `gain` is 1 / (number of blocks) ** 2, so that at the start a deep stack is close to the identity.
    """

    def __init__(self, n_in: int, n_out: int, kernels: tuple[int, int, int, int], gain: float):
        super().__init__()
        bottleneck = n_out // 4
        channels = [n_in, bottleneck, bottleneck, bottleneck, n_out]
        layers = OrderedDict()
        for i, kernel in enumerate(kernels):
            layers[f"relu_{i + 1}"] = nn.ReLU()
            layers[f"conv_{i + 1}"] = convolution(channels[i], channels[i + 1], kernel)
        self.res_path = nn.Sequential(layers)
        self.id_path = convolution(n_in, n_out, 1) if n_in != n_out else nn.Identity()
        self.gain = gain

    def forward(self, x: Tensor) -> Tensor:
        return self.id_path(x) + self.gain * self.res_path(x)


def _groups(channels: list[int], config: DiscreteVAEConfig, kernels, resize: type[nn.Module]) -> OrderedDict:
    """Groups of blocks from channels[0] to channels[-1], with a change of the grid's size between groups."""
    gain = 1 / (config.groups * config.blocks_per_group) ** 2
    groups = OrderedDict()
    for g in range(config.groups):
        blocks = OrderedDict()
        for b in range(config.blocks_per_group):
            n_in = channels[g] if b == 0 else channels[g + 1]
            blocks[f"block_{b + 1}"] = Block(n_in, channels[g + 1], kernels, gain)
        if g < config.groups - 1:
            blocks["resize"] = (
                nn.MaxPool2d(2) if resize is nn.MaxPool2d else nn.Upsample(scale_factor=2, mode="nearest")
            )
        groups[f"group_{g + 1}"] = nn.Sequential(blocks)
    return groups


class Encoder(nn.Module):
    """(batch, 3, image_size, image_size) in [0, 1], mapped -> logits (batch, vocabulary, height, width)."""

    def __init__(self, config: DiscreteVAEConfig):
        super().__init__()
        widths = [config.hidden] + [config.hidden * 2**g for g in range(config.groups)]
        layers = OrderedDict(input=convolution(3 * config.patch_size**2, config.hidden, config.input_kernel))
        layers |= _groups(widths, config, (3, 3, 3, 1), nn.MaxPool2d)
        layers["output"] = nn.Sequential(
            OrderedDict(relu=nn.ReLU(), conv=convolution(widths[-1], config.vocabulary, 1))
        )
        self.patch_size = config.patch_size
        self.blocks = nn.Sequential(layers)

    def forward(self, mapped: Tensor) -> Tensor:
        return self.blocks(F.pixel_unshuffle(mapped, self.patch_size))


class Decoder(nn.Module):
    """Codes (batch, vocabulary, height, width), one-hot or relaxed -> mu and ln b, (batch, 6, H, W).

    Its first convolution is the codebook: one-hot times a 1x1
    kernel picks one vector a code. There is no other one.
    """

    def __init__(self, config: DiscreteVAEConfig):
        super().__init__()
        widths = [config.decoder_input] + [config.hidden * 2**g for g in reversed(range(config.groups))]
        layers = OrderedDict(input=convolution(config.vocabulary, config.decoder_input, 1))
        layers |= _groups(widths, config, (1, 3, 3, 3), nn.Upsample)
        layers["output"] = nn.Sequential(
            OrderedDict(relu=nn.ReLU(), conv=convolution(widths[-1], 6 * config.patch_size**2, 1))
        )
        self.patch_size = config.patch_size
        self.blocks = nn.Sequential(layers)

    def forward(self, codes: Tensor) -> Tensor:
        return F.pixel_shuffle(self.blocks(codes), self.patch_size)


class PatchCodebook(nn.Module):
    """A start for small budgets: a patch of pixels a code, found by k-means, then trained with the rest.

    logits_k = s (2 x.c_k - |c_k|^2) = s (|x|^2 - |x - c_k|^2): the nearest patch wins, s says how clearly.
    """

    def __init__(self, vocabulary: int, patch_size: int, sharpness: float = 40.0):
        super().__init__()
        self.patch_size, self.sharpness = patch_size, sharpness
        self.patches = nn.Parameter(torch.rand(vocabulary, 3 * patch_size**2))

    def logits(self, images: Tensor) -> Tensor:
        """(batch, 3, H, W) in [0, 1] -> (batch, vocabulary, H / patch_size, W / patch_size)."""
        with torch.autocast(images.device.type, enabled=False):  # 16 bits blur which of near patches wins
            x = F.pixel_unshuffle(images, self.patch_size)
            bias = -self.patches.square().sum(1)
            return self.sharpness * F.conv2d(x, 2 * self.patches[:, :, None, None], bias)

    def pictures(self, codes: Tensor) -> Tensor:
        """(batch, vocabulary, h, w) -> (batch, 3, H, W): the patches, mixed as the codes say."""
        with torch.autocast(codes.device.type, enabled=False):
            return F.pixel_shuffle(F.conv2d(codes, self.patches.T[:, :, None, None]), self.patch_size)

    @torch.no_grad()
    def fit(self, images: Tensor, generator: torch.Generator, rounds: int = 15, limit: int = 100_000) -> None:
        """k-means over the patches of `images`; of flat patches, most of any drawing, one in ten is kept."""
        patches = F.pixel_unshuffle(images, self.patch_size).permute(0, 2, 3, 1).flatten(0, 2)
        flat = patches.view(len(patches), 3, -1).std(2).amax(1) < 0.02
        keep = ~flat | (torch.rand(len(patches), generator=generator) < 0.1)
        patches = patches[keep]
        patches = patches[torch.randperm(len(patches), generator=generator)[:limit]]
        vocabulary = len(self.patches)
        centres = patches[torch.randperm(len(patches), generator=generator)[:vocabulary]].clone()
        for _ in range(rounds):
            nearest = torch.cat([torch.cdist(p, centres).argmin(1) for p in patches.split(10_000)])
            counts = torch.zeros(len(centres)).index_add_(0, nearest, torch.ones(len(patches)))
            sums = torch.zeros_like(centres).index_add_(0, nearest, patches)
            used = counts > 0
            centres[used] = sums[used] / counts[used, None]
            again = torch.randint(len(patches), (int((~used).sum()),), generator=generator)
            centres[~used] = patches[again]  # a centre that nobody is near to starts again somewhere else
        self.patches[: len(centres)] = centres


class DiscreteVAE(nn.Module):
    """Encoder, relaxation and decoder. `images` are (batch, 3, image_size, image_size) float32 in [0, 1].

    The networks are convolutional: pictures of other sizes work too, as long as `downsampling` divides them.
    """

    def __init__(self, config: DiscreteVAEConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.patch_codebook = None
        if config.patch_codebook:
            self.patch_codebook = PatchCodebook(config.vocabulary, config.downsampling)
            for last in (self.encoder.blocks.output.conv, self.decoder.blocks.output.conv):
                nn.init.zeros_(last.weight)  # so that training starts exactly where k-means ended

    def logits(self, images: Tensor) -> Tensor:
        """(batch, vocabulary, height, width): the unnormalised log-probabilities of q(z | x).

        Raises ReaderError unless `images` are (batch, 3, H, W) with sides that `downsampling` divides.
        """
        check_fractions(images)
        factor = self.config.downsampling
        sides = images.shape[2:]
        if images.ndim != 4 or images.shape[1] != 3 or any(side % factor or not side for side in sides):
            raise ReaderError(
                f"Pictures must have shape (batch, 3, H, W) with H and W multiples of {factor}, but have "
                f"{tuple(images.shape)}; one picture alone needs a batch: picture[None]."
            )
        logits = self.encoder(map_pixels(images))
        return logits if self.patch_codebook is None else logits + self.patch_codebook.logits(images)

    def statistics(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (batch, vocabulary, h, w), one-hot or relaxed -> mu and ln b, each (batch, 3, H, W)."""
        mu, ln_b = self.decoder(codes).chunk(2, dim=1)
        if self.patch_codebook is not None:
            patches = self.patch_codebook.pictures(codes)
            if self.config.likelihood == "logit-laplace":
                patches = torch.logit(map_pixels(patches.clamp(0, 1)))
            mu = mu + patches
        return mu, ln_b

    def picture(self, mu: Tensor) -> Tensor:
        """The decoder's best guess in [0, 1]; only mu counts (A.3)."""
        return (
            unmap_pixels(torch.sigmoid(mu)) if self.config.likelihood == "logit-laplace" else mu.clamp(0, 1)
        )

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Pictures -> tokens (batch, height, width) int64: the likeliest code, no noise (section 2.2).

        Raises ReaderError for shapes that cannot be, see `logits`, and for numbers that are no shades.
        """
        check_fractions(images)
        images = images.to(next(self.parameters()).dtype)
        # Noise may leave [0, 1] by a little; 0 to 255, and numbers that are none, are a mistake.
        low, high = map(float, images.aminmax()) if images.numel() else (0, 1)
        if not -1 <= low <= high <= 2:
            raise ReaderError(
                f"The pictures reach from {low:g} to {high:g}; their numbers must lie between 0 (black) and "
                "1 (white): divide 8 bits by 255."
            )
        return self.logits(images).argmax(1)

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, height, width) -> pictures (batch, 3, H, W) in [0, 1].

        Raises ReaderError for tokens of another shape or beyond the vocabulary.
        """
        check_tokens(tokens, self.config.vocabulary)
        if tokens.ndim != 3 or 0 in tokens.shape[1:]:
            raise ReaderError(
                f"Tokens must have shape (batch, height, width), but have {tuple(tokens.shape)}."
            )
        # F.one_hot's 64-bit numbers would take twice the memory that all the rest does, and half the time.
        codes = torch.zeros(*tokens.shape, self.config.vocabulary, device=tokens.device)
        codes = codes.scatter_(-1, tokens.long()[..., None], 1.0).permute(0, 3, 1, 2)
        return self.picture(self.statistics(codes)[0])

    def codebook_usage(self, tokens: Tensor) -> Tensor:
        """How often each code occurs in `tokens` (any shape): (vocabulary,) int64."""
        return codebook_usage(tokens, self.config.vocabulary)

    def reconstruction_loss(self, images: Tensor, codes: Tensor) -> Tensor:
        """How badly `codes` (batch, vocabulary, h, w), one-hot or relaxed, bring `images` back: nats, or
        squared error, a pixel channel."""
        mu, ln_b = self.statistics(codes)
        if self.config.likelihood == "logit-laplace":
            return logit_laplace_nll(map_pixels(images), mu, ln_b).mean()
        return (mu - images).square().mean()

    def loss(
        self, images: Tensor, temperature: float, kl_weight: float, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """The negative bound a pixel channel (A.2): reconstruction + kl_weight * KL, both divided by 3 H W.

        Returns "loss", "reconstruction" (nats, or squared error, a pixel channel) and "kl" (nats a token).
        """
        logits = self.logits(images)
        reconstruction = self.reconstruction_loss(
            images, gumbel_softmax(logits, temperature, dim=1, generator=generator)
        )
        kl = kl_to_uniform(logits)
        tokens_a_channel = kl.numel() / images.numel()
        return {
            "loss": reconstruction + kl_weight * tokens_a_channel * kl.mean(),
            "reconstruction": reconstruction,
            "kl": kl.mean(),
        }


def kl_to_uniform(logits: Tensor) -> Tensor:
    """KL(q, uniform) = sum_k q_k ln q_k + ln K, nats a token: (batch, vocabulary, h, w) -> (batch, h, w)."""
    ln_q = F.log_softmax(logits, dim=1)
    return (ln_q.exp() * ln_q).sum(1) + math.log(logits.shape[1])
