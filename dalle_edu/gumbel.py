"""Gumbel-softmax: a draw of one category, softened until a gradient can pass through it (chapter 4).

y_k = exp((l_k + g_k) / temperature) / sum_j exp((l_j + g_j) / temperature), g = -ln(-ln u), u uniform
(Jang, Gu & Poole 2017, arXiv 1611.01144, equation 2; Maddison, Mnih & Teh 2017, arXiv 1611.00712, 3.2).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dalle_edu.errors import ReaderError


def exponential_noise(
    like: Tensor, generator: torch.Generator | Sequence[torch.Generator] | None = None
) -> Tensor:
    """Independent exponential numbers of mean 1, one for each entry of `like`, on its device.

    They are -ln(1 - u) for a uniform u in [0, 1), drawn with 53 bits, so that small ones, which win races,
    are exact as well. With a sequence of generators, one for each `like[i]`, an entry's noise does not depend
    on what it stands beside. Returns `like`'s shape in float32, or float64 where `like` is float64.
    """
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    if isinstance(generator, Sequence):
        uniform = torch.empty(like.shape, dtype=torch.float64)
        for row, own in zip(uniform, generator, strict=True):
            row.uniform_(generator=own)
        return torch.sub(1, uniform, out=uniform).log_().neg_().to(like.device, dtype)
    where = like.device if generator is None else generator.device
    if where.type != "cpu":
        return torch.empty(like.shape, dtype=dtype, device=like.device).exponential_(generator=generator)
    # `exponential_` on a CPU takes its logarithms one by one. Here the same uniform numbers go through a
    # logarithm of many at a time: in float32 the same noise to the last bit, in less than half the time.
    uniform = torch.rand(like.shape, dtype=torch.float64, generator=generator)
    return torch.sub(1, uniform, out=uniform).log_().neg_().to(like.device, dtype)


def gumbel_noise(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Independent standard Gumbel numbers, one for each entry of `like`, on its device.

    A Gumbel number is g = -ln(-ln u) for a uniform u (Jang et al. 2017, section 2.1), so -ln of an
    exponential number. Mean 0.5772 (Euler's constant), standard deviation pi / sqrt(6) = 1.2825.

    Returns `like`'s shape in float32, or float64 where `like` is float64: 16 bits are too coarse for noise.
    """
    exponential = exponential_noise(like, generator)
    # A uniform number of exactly zero would give infinite noise, and the softmax of infinity is not a number.
    return exponential.clamp_(min=torch.finfo(exponential.dtype).tiny).log_().neg_()


def gumbel_max(logits: Tensor, generator: torch.Generator | None = None, dim: int = -1) -> Tensor:
    """An exact draw from the categories with probabilities softmax(logits): argmax of logits plus noise.

    logits: (..., K), K along `dim`, unnormalised log-probabilities. Returns int64 indices, `logits`' shape
    without `dim`. No gradient passes: argmax is flat wherever it is not a jump (Maddison et al. 2017, 3.1).
    """
    return (logits + gumbel_noise(logits, generator)).argmax(dim)


def gumbel_softmax(
    logits: Tensor,
    temperature: float = 1.0,
    dim: int = -1,
    hard: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """A relaxed draw, softmax((logits + g) / temperature) along `dim`: the logits receive a gradient.

    logits: (..., K), unnormalised log-probabilities; `dim=1` for (batch, vocabulary, height, width).
    temperature: above 0. Towards 0 the result is the one-hot of `gumbel_max`, with gradients that vary
    wildly; towards infinity it is 1 / K everywhere, with gradients that are steady and wrong. DALL·E
    anneals from 1 to 1/16 (arXiv 2102.12092, appendix A.2).
    hard: straight-through (Jang et al. 2017, section 2.2): the value is the exact one-hot, the gradient that
    of the relaxed draw. DALL·E's discrete VAE relaxes in both directions instead (section 2.1).

    Returns the shape of `logits`, not negative, sum 1 along `dim`; float32 for 16-bit logits.
    Raises ReaderError for a temperature that isn't above 0.
    """
    if not temperature > 0:
        raise ReaderError(
            f"The temperature is {temperature}, but a softmax can only be divided by one above 0; "
            "for the limit of temperature 0 use gumbel_max."
        )
    relaxed = ((logits + gumbel_noise(logits, generator)) / temperature).softmax(dim)
    if not hard:
        return relaxed
    one_hot = torch.zeros_like(relaxed).scatter_(dim, relaxed.argmax(dim, keepdim=True), 1.0)
    # The bracket is exactly zero: the value stays a one-hot to the last bit, the gradient is the relaxed
    # one's.
    return one_hot + (relaxed - relaxed.detach())
