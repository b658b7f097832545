"""What a code looks like, told to the transformer: a help for small models and small data (chapter 9).

    e_k = U f_k + r_k

e_k: the embedding of code k, or its row of the logits. f_k: what the decoder draws for code k alone. r_k:
what is learned of code k by itself, which is all that an ordinary embedding has. To an ordinary embedding the
tip of a red star and that of a blue one are two numbers with nothing in common; U learns once what a tip is
and what blue is. Ours, not the paper's: among 250 million pictures every code is seen often enough.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from dalle_edu.dalle import Dalle
from dalle_edu.dvae import DiscreteVAE

SPREAD = 0.14  # standard deviation at which U starts
FREE = 0.005  # and r_k


@torch.no_grad()
def appearance(vae: DiscreteVAE) -> Tensor:
    """f_k for all codes, (vocabulary, 3 * n + n + 3) with n pixels a code: the pixels; how much ink there is
    at each; and the colour of the ink.

    Pattern and colour are the nearest product of the two (the first singular pair of ink, which is white
    minus pixel, as a 3 x n matrix), so that a red tip and a blue tip agree in one and differ in the other.
    Each of the three parts has mean zero and, in the mean square, a third of the row's length of one.
    """
    codes = torch.arange(vae.config.vocabulary, device=next(vae.parameters()).device)
    pictures = torch.cat([vae.decode(some[:, None, None]) for some in codes.split(256)])
    ink = (1 - pictures).flatten(2)  # (vocabulary, 3, n)
    left, strength, right = torch.linalg.svd(ink, full_matrices=False)
    sign = right[:, 0].sum(1, keepdim=True).sign()
    pattern, colour = right[:, 0] * sign, left[:, :, 0] * sign * strength[:, :1]
    fullest = pattern.abs().amax(1, keepdim=True)
    pattern, colour = pattern / fullest, colour * fullest  # 1 where there is most ink
    enough = colour.norm(dim=1, keepdim=True).clamp(max=0.3) / 0.3  # hardly any ink shows no pattern
    parts = [ink.flatten(1), pattern * enough, colour]
    parts = [part - part.mean(0) for part in parts]
    return torch.cat([part / part.square().sum(1).mean().sqrt() for part in parts], 1) / len(parts) ** 0.5


class FromAppearance(nn.Module):
    """The sum above, as a parametrization of a weight (vocabulary, width): r_k in, e_k out."""

    def __init__(self, features: Tensor, width: int):
        super().__init__()
        self.register_buffer("features", features, persistent=False)
        self.shared = nn.Parameter(torch.randn(features.shape[1], width) * SPREAD)

    def forward(self, free: Tensor) -> Tensor:
        return self.features @ self.shared + free


def learn_from_appearance(model: Dalle, vae: DiscreteVAE) -> None:
    """Makes the embeddings and the logits of picture tokens functions of what the codes look like."""
    features = appearance(vae)
    for layer in (model.image_embedding, model.image_logits):
        nn.init.normal_(layer.weight, std=FREE)
        shared = FromAppearance(features, layer.weight.shape[1])
        parametrize.register_parametrization(layer, "weight", shared)


def shared_and_free(features: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The other way round, for a training that begins with settled weights: U, which by least squares
    explains as much of `weight` (vocabulary, width) as the `features` can, and r, what is left. Directions in
    which codes look almost the same are left to r: U would need huge numbers there."""
    found = torch.linalg.lstsq(features.double(), weight.double(), rcond=1e-3, driver="gelsd")
    shared = found.solution.to(weight.dtype)
    return shared, weight - features @ shared


def settle(model: nn.Module) -> None:
    """Ends it: each weight becomes the numbers that it stands for, and the model one like any other."""
    for layer in model.modules():
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
