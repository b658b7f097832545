"""VQ-VAE: the latent vector at each position is replaced by the nearest entry of a codebook (chapter 3).

loss = -ln p(x | z_q) + ||sg[z_e] - e||^2 + beta ||z_e - sg[e]||^2, where
sg lets no gradient pass (van den Oord, Vinyals & Kavukcuoglu 2017, arXiv
1711.00937, equations 1 to 3; the averaged codebook: appendix A.1).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dalle_edu.autoencoder import check_images
from dalle_edu.errors import ReaderError, brief


class Quantized(NamedTuple):
    """What a `VectorQuantizer` makes of its input."""

    vectors: Tensor  # (batch, width, rows, columns): codebook entries, with the encoder's gradient
    tokens: Tensor  # (batch, rows, columns) int64: which entry
    codebook_loss: (
        Tensor  # scalar, ||sg[z_e] - e||^2 averaged: moves the codebook (nothing where it is an average)
    )
    commitment_loss: Tensor  # scalar, ||z_e - sg[e]||^2 averaged: moves the encoder; not yet weighted by beta


def straight_through(vectors: Tensor, quantized: Tensor) -> Tensor:
    """The value of `quantized`, the gradient of `vectors`: rounding unseen by the gradient (section 3.2)."""
    return vectors + (quantized - vectors).detach()


def nearest_code(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Vectors (N, width), codebook (vocabulary, width) -> (N,) int64: the nearest entry (equation 1).

    ||z - e||^2 = ||z||^2 - 2 z.e + ||e||^2, and the first
    term is the same for every entry, so it is left out.
    """
    return (2 * vectors @ codebook.T - codebook.square().sum(1)).argmax(1)


class VectorQuantizer(nn.Module):
    """A codebook of `vocabulary` vectors of `width` numbers, and the rounding to it.

    decay: how the codebook learns. A number (0.99 in the paper) makes each
    entry the moving average of the encoder vectors that chose it (appendix
    A.1), N <- decay N + (1 - decay) n for their number, m <- decay m + (1 -
    decay) sum z for their sum, e = m / N. None makes it a parameter, moved by
    the codebook loss. revive_below: an entry chosen less often than this in an
    average batch is dead, and starts again from a random vector of the current
    batch (Jukebox, arXiv 2005.00341, section 3.1). 0 leaves the dead alone.
    """

    def __init__(self, vocabulary: int, width: int, decay: float | None = 0.99, revive_below: float = 0.0):
        super().__init__()
        if vocabulary < 2 or width < 1:
            raise ReaderError(
                f"A codebook needs 2 entries and 1 number at least, not {vocabulary} of {width}."
            )
        if decay is not None and not 0 <= decay < 1:
            raise ReaderError(
                f"decay is {decay}; it must lie in [0, 1), or be None to learn by the codebook loss."
            )
        self.vocabulary, self.width, self.decay, self.revive_below = vocabulary, width, decay, revive_below
        # A common start. The authors' code draws with variance 1 / width, and from a standard normal for the
        # moving average; chapter 3 measures how many codes survive each.
        codebook = torch.empty(vocabulary, width).uniform_(-1 / vocabulary, 1 / vocabulary)
        if decay is None:
            self.codebook = nn.Parameter(codebook)
        else:
            self.register_buffer("codebook", codebook)
            self.register_buffer(
                "sums", codebook.clone()
            )  # m: what chose an entry, summed and averaged over time
        self.register_buffer("counts", torch.ones(vocabulary))  # N: how often an entry is chosen in a batch

    def forward(self, vectors: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """Vectors (batch, width, rows, columns) -> `Quantized`. In training mode the averages move, too.

        `generator` draws the vectors from which dead entries start again.
        """
        if vectors.ndim != 4 or vectors.shape[1] != self.width:
            raise ReaderError(
                f"Vectors must have shape (batch, {self.width}, rows, columns), not {tuple(vectors.shape)}."
            )
        vectors = vectors.to(self.codebook.dtype)  # under autocast, too: 16 bits blur near entries
        flat = vectors.detach().movedim(1, -1).flatten(0, 2)  # (batch * rows * columns, width)
        with torch.no_grad(), torch.autocast(vectors.device.type, enabled=False):
            tokens = nearest_code(flat, self.codebook)
        grid = tokens.unflatten(0, (vectors.shape[0], *vectors.shape[2:]))
        chosen = self.lookup(grid)
        result = Quantized(
            vectors=straight_through(vectors, chosen.detach()),
            tokens=grid,
            codebook_loss=F.mse_loss(chosen, vectors.detach()),
            commitment_loss=F.mse_loss(vectors, chosen.detach()),
        )
        # A batch that is not finite has no average: the loop refuses its step, and the codebook stays as it
        # was.
        if self.training and flat.isfinite().all():
            self.update(flat, tokens, generator)
        return result

    def lookup(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, rows, columns) -> their codebook entries (batch, width, rows, columns)."""
        return self.codebook[tokens.long()].movedim(-1, 1)

    @torch.no_grad()
    def update(self, vectors: Tensor, tokens: Tensor, generator: torch.Generator | None = None):
        """One step of the averages: vectors (N, width) chose tokens (N,). Then the dead are revived."""
        decay = 0.99 if self.decay is None else self.decay
        chosen = torch.zeros_like(self.counts).index_add_(0, tokens, torch.ones_like(vectors[:, 0]))
        self.counts.lerp_(chosen, 1 - decay)
        if self.decay is not None:
            self.sums.lerp_(torch.zeros_like(self.sums).index_add_(0, tokens, vectors), 1 - decay)
            total = self.counts.sum()
            # As in the authors' code: a little is added to each count, so that no entry is divided by zero.
            counts = (self.counts + 1e-5) / (total + self.vocabulary * 1e-5) * total
            self.codebook.copy_(self.sums / counts.unsqueeze(1))
        if self.revive_below > 0:
            self.revive(vectors, self.counts < self.revive_below, generator)

    @torch.no_grad()
    def revive(self, vectors: Tensor, dead: Tensor, generator: torch.Generator | None = None):
        """Entries marked in `dead` (vocabulary,) start again at random rows of `vectors` (N, width)."""
        rows = torch.randint(len(vectors), (int(dead.sum()),), generator=generator, device=vectors.device)
        self.codebook[dead] = vectors[rows].to(self.codebook.dtype)
        self.counts[dead] = (
            1.0  # the count of a start: about -ln(revive_below) / (1 - decay) batches to prove itself
        )
        if self.decay is not None:
            self.sums[dead] = self.codebook[dead]


class ResidualBlock(nn.Module):
    """x + conv1x1(relu(conv3x3(relu(x)))): shape unchanged (section 4.1)."""

    def __init__(self, width: int):
        super().__init__()
        self.spread = nn.Conv2d(width, width, 3, padding=1)
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x):
        return x + self.mix(F.relu(self.spread(F.relu(x))))


@dataclass(frozen=True)
class VQVAEConfig:
    """Pictures of `size` x `size` become (size / patch) x (size / patch) tokens of a `vocabulary`.

    `code_width`: numbers in a codebook entry. `commitment`: beta. `sigma`:
    standard deviation of a pixel around what the decoder says, which sets
    what an error costs. `decay`, `revive_below`: see `VectorQuantizer`.
    """

    size: int = 32
    patch: int = 4
    width: int = 64
    blocks: int = 2
    vocabulary: int = 256
    code_width: int = 16
    commitment: float = 0.25
    sigma: float = 0.1
    decay: float | None = 0.99
    revive_below: float = 1.0

    def __post_init__(self):
        if self.patch < 1 or self.size % self.patch:
            raise ReaderError(f"size must be a multiple of patch, but {self.size} is none of {self.patch}.")

    @property
    def grid(self):
        """(height, width) of the token grid."""
        return (self.size // self.patch,) * 2


class VQVAE(nn.Module):
    """Encoder, `VectorQuantizer`, decoder. `encode` makes tokens, `decode` pictures; calling it does both."""

    def __init__(self, config: VQVAEConfig = VQVAEConfig()):
        super().__init__()
        self.config = config
        width = config.width
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width, config.patch, stride=config.patch),  # (batch, width, *grid)
            *[ResidualBlock(width) for _ in range(config.blocks)],
            nn.ReLU(),
            nn.Conv2d(width, config.code_width, 1),  # (batch, code_width, *grid)
        )
        self.quantizer = VectorQuantizer(
            config.vocabulary, config.code_width, config.decay, config.revive_below
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(config.code_width, width, 3, padding=1),
            *[ResidualBlock(width) for _ in range(config.blocks)],
            nn.ReLU(),
            nn.ConvTranspose2d(width, 3, config.patch, stride=config.patch),  # one patch of pixels a position
            nn.Sigmoid(),
        )

    def encode(self, images: Tensor) -> Tensor:
        """(batch, 3, size, size) in [0, 1] -> tokens (batch, *grid) int64."""
        check_images(images, self.config.size)
        vectors = self.encoder(images).to(self.quantizer.codebook.dtype)
        flat = vectors.movedim(1, -1)  # (batch, *grid, code_width)
        return nearest_code(flat.flatten(0, 2), self.quantizer.codebook).unflatten(0, flat.shape[:3])

    def decode(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, rows, columns) -> pictures (batch, 3, rows * patch, columns * patch) in (0, 1)."""
        check_tokens(tokens, self.config.vocabulary)
        return self.decoder(self.quantizer.lookup(tokens))

    def forward(self, images: Tensor) -> Tensor:
        return self.decode(self.encode(images))

    def parts(self, images: Tensor, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """The loss, "loss", and what it is the sum of; "commitment" and "codebook" before their weights.

        All are averages over numbers, not sums, so that `commitment` means the same for every picture size.
        """
        check_images(images, self.config.size)
        quantized = self.quantizer(self.encoder(images), generator)
        error = F.mse_loss(self.decoder(quantized.vectors), images)
        reconstruction = error / (2 * self.config.sigma**2)  # -ln p(x | z_q) a pixel, but for a constant
        loss = reconstruction + self.config.commitment * quantized.commitment_loss
        if self.config.decay is None:
            loss = loss + quantized.codebook_loss
        return {
            "loss": loss,
            "reconstruction": reconstruction,
            "codebook": quantized.codebook_loss,
            "commitment": quantized.commitment_loss,
        }

    def loss(self, images: Tensor) -> Tensor:
        """What training makes small, a scalar."""
        return self.parts(images)["loss"]

    def codebook_usage(self, tokens: Tensor) -> Tensor:
        """How often each code occurs in `tokens` of any shape: (vocabulary,) int64."""
        return codebook_usage(tokens, self.config.vocabulary)


def codebook_usage(tokens: Tensor, vocabulary: int) -> Tensor:
    """How often each code occurs in `tokens` of any shape: (vocabulary,) int64."""
    check_tokens(tokens, vocabulary)
    return torch.bincount(tokens.flatten().long(), minlength=vocabulary)


def entropy_bits(usage: Tensor) -> float:
    """Entropy of a code in bits, from how often each occurs: -sum p log2 p. At most log2(vocabulary)."""
    if usage.sum() <= 0:
        raise ReaderError("No token was counted, so there is no distribution: pass at least one token.")
    share = usage.double() / usage.sum()
    return -torch.xlogy(share, share).sum().item() / math.log(2)


def perplexity(usage: Tensor) -> float:
    """2 ** entropy: how many codes, equally often used, would be as hard to guess. 1 to the vocabulary."""
    return 2 ** entropy_bits(usage)


def check_tokens(tokens: Tensor, vocabulary: int):
    """Raise `ReaderError` unless `tokens` are whole numbers from 0 to `vocabulary` - 1."""
    if not isinstance(tokens, Tensor):
        raise ReaderError(f"Tokens must be a tensor of whole numbers (int64), but are {brief(tokens)}.")
    if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
        raise ReaderError(f"Tokens must be whole numbers (int64), but are {tokens.dtype}.")
    if tokens.numel() == 0:
        return
    # As numbers of Python: a tensor of 8 bits would compare itself with the vocabulary in 8 bits.
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high >= vocabulary:
        raise ReaderError(
            f"Tokens must lie in 0..{vocabulary - 1}, but reach from {low} to {high}: is this another "
            "model's "
            "vocabulary?"
        )
