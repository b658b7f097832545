"""Checks for the exercises of chapter 3, VQ-VAE."""

import math

import torch

from dalle_edu import vqvae
from dalle_edu.exercises import close, exercise, need, need_tensor


def _random(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@exercise(without=[vqvae.nearest_code, vqvae.VectorQuantizer])
def check_nearest_code(nearest_code):
    """`nearest_code(vectors, codebook)`: (N, width), (vocabulary, width) -> (N,) int64."""
    codebook = _random((11, 4), 1) * torch.linspace(0.3, 2.5, 11)[:, None]  # of very different lengths
    vectors = _random((300, 4))
    value = nearest_code(vectors, codebook)
    if isinstance(value, torch.Tensor) and value.shape == (300, 11):
        need(False, "a distance to every entry came back; take the index of the smallest in each row.")
    need_tensor(value, (300,))
    need(not value.is_floating_point(), "whole numbers were expected: the index of an entry, from argmin.")
    distance = (vectors[:, None] - codebook[None]).square().sum(2)
    wanted = distance.argmin(1)
    need(
        not torch.equal(value, distance.argmax(1)),
        "those are the farthest entries; take the smallest distance.",
    )
    need(
        not torch.equal(value, (vectors @ codebook.T).argmax(1)),
        "the largest dot product favours long entries; subtract half their squared length first.",
    )
    need(
        not torch.equal(value, (vectors[:, None] - codebook[None]).sum(2).argmin(1)),
        "differences were added with their signs, so that they cancel; square them first.",
    )
    share = (value == wanted).float().mean().item()
    need(torch.equal(value, wanted), f"only {share:.0%} of the vectors got their nearest entry.")
    return "every vector got its nearest entry."


@exercise(without=[vqvae.VectorQuantizer])
def check_losses(losses):
    """`losses(vectors, chosen)`, both (N, width) -> codebook loss, commitment loss: two scalars."""
    vectors, chosen = _random((6, 4)).requires_grad_(), _random((6, 4), 1).requires_grad_()
    value = losses(vectors, chosen)
    need(isinstance(value, tuple) and len(value) == 2, "return two numbers: codebook_loss, commitment_loss.")
    codebook_loss, commitment_loss = value
    wanted = (vectors - chosen).square().mean().detach()
    for name, loss in (("the codebook loss", codebook_loss), ("the commitment loss", commitment_loss)):
        need_tensor(loss, (), name)
        summed = (vectors - chosen).square().sum().detach()
        need(
            not close(loss.detach(), summed),
            f"{name} is summed over all numbers; average them, so that beta has one meaning.",
        )
        need(not close(loss.detach(), 0.25 * wanted), f"{name} holds beta already; leave it out here.")
        need(close(loss.detach(), wanted), f"{name} should be {wanted.item():.3f}, but is {loss.item():.3f}.")
        need(loss.requires_grad, f"{name} is detached from both sides; nothing would learn from it.")
    parts = []
    for loss in (codebook_loss, commitment_loss):
        gradients = torch.autograd.grad(loss, (vectors, chosen), retain_graph=True, allow_unused=True)
        parts.append([g is not None and bool(g.abs().max() > 0) for g in gradients])
    need(
        parts != [[True, False], [False, True]],
        "the two are swapped: the codebook loss must move the codebook.",
    )
    need(not parts[0][0], "the codebook loss also moves the encoder; detach the vectors in it.")
    need(not parts[1][1], "the commitment loss also moves the codebook; detach the chosen entries in it.")
    need(
        parts == [[False, True], [True, False]],
        "each loss must move one side: detach exactly one of the two.",
    )
    return "one value, two gradients: the first moves the codebook, the second the encoder."


@exercise(without=[vqvae.VectorQuantizer])
def check_moving_average(update):
    """`update(counts, sums, vectors, tokens, decay)` -> counts (vocabulary,), sums, codebook, all new."""
    vocabulary, width, decay = 5, 3, 0.9
    counts, sums = torch.arange(1.0, 6.0), _random((vocabulary, width), 1)
    vectors, tokens = (
        _random((40, width)),
        torch.randint(4, (40,), generator=torch.Generator().manual_seed(2)),
    )
    before = counts.clone(), sums.clone()
    value = update(counts.clone(), sums.clone(), vectors, tokens, decay)
    need(isinstance(value, tuple) and len(value) == 3, "return three tensors: counts, sums, codebook.")
    for name, tensor, shape in zip(
        ("counts", "sums", "codebook"),
        value,
        ((vocabulary,), (vocabulary, width), (vocabulary, width)),
        strict=True,
    ):
        need_tensor(tensor, shape, name)
    n = torch.bincount(tokens, minlength=vocabulary).float()
    z = torch.zeros(vocabulary, width).index_add_(0, tokens, vectors)
    new_counts, new_sums = decay * before[0] + (1 - decay) * n, decay * before[1] + (1 - decay) * z
    swapped = (1 - decay) * before[0] + decay * n
    need(
        not close(value[0], swapped),
        "the old counts should weigh `decay`, the new ones 1 - decay; they are swapped.",
    )
    need(
        not close(value[0], before[0] + n), "the counts only grow; the old ones must fade: multiply by decay."
    )
    need(
        close(value[0], new_counts),
        "the counts are not decay * old + (1 - decay) * (how often each was chosen).",
    )
    means = z / n.clamp(min=1)[:, None]
    need(
        not close(value[1], decay * before[1] + (1 - decay) * means),
        "the sums received the mean of the vectors; they need their sum, since the counts divide later.",
    )
    need(
        close(value[1], new_sums),
        "the sums are not decay * old + (1 - decay) * (sum of the vectors that chose each).",
    )
    need(
        not close(value[2], new_sums / n.clamp(min=1)[:, None]),
        "divide by the averaged counts, not by this batch's.",
    )
    need(close(value[2], new_sums / new_counts[:, None]), "the codebook should be sums / counts, row by row.")
    return "each entry follows the mean of the vectors that choose it."


@exercise(without=[vqvae.perplexity, vqvae.entropy_bits])
def check_perplexity(perplexity):
    """`perplexity(tokens, vocabulary)`: whole numbers of any shape -> a number from 1 to vocabulary."""
    one = perplexity(torch.full((3, 4, 4), 2), 8)
    need(one is not None, "it returned None; does the function end in a return?")
    need(not math.isnan(float(one)), "0 * log 0 gave nan; a code that never occurs must count as 0.")
    need(close(float(one), 1.0), f"a picture of one code alone has perplexity 1, not {float(one):.3g}.")
    equal = float(perplexity(torch.arange(8).repeat(5), 8))
    need(not close(equal, 3.0), "that is the entropy in bits; perplexity is 2 to that power.")
    need(not close(equal, math.log(8)), "that is the entropy in nats; perplexity is e to that power.")
    need(not close(equal, 1 / 8), "the sign of the entropy is turned: -sum p log p is positive.")
    need(
        not close(equal, 2 ** math.log(8)) and not close(equal, math.exp(3)),
        "the power and the logarithm have different bases; use e with log, or 2 with log2.",
    )
    need(close(equal, 8.0), f"8 codes, equally often used, have perplexity 8, not {equal:.3g}.")
    skewed = torch.tensor([0] * 6 + [1] * 2)
    wanted = 2 ** -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    value = float(perplexity(skewed, 4))
    need(not close(value, 2.0), "that counts the codes that occur; perplexity also asks how often each does.")
    need(
        close(value, wanted), f"six tokens of one code and two of another have {wanted:.3f}, not {value:.3f}."
    )
    return "from 1, all alike, to the vocabulary, all equally often."
