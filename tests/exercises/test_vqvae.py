"""The checks of chapter 3's exercises: the right answer passes, each usual mistake is named."""

import pytest
import torch
from answers import is_named, stub_is_no_traceback

from dalle_edu import vqvae
from dalle_edu.exercises import vqvae as checks


def squared(v, c):
    return (v[:, None] - c[None]).square().sum(2)


def nearest_code(vectors, codebook):
    return squared(vectors, codebook).argmin(1)


def losses(vectors, chosen):
    return (vectors.detach() - chosen).square().mean(), (vectors - chosen.detach()).square().mean()


def moving_average(counts, sums, vectors, tokens, decay):
    one_hot = torch.nn.functional.one_hot(tokens, len(counts)).float()
    counts = decay * counts + (1 - decay) * one_hot.sum(0)
    sums = decay * sums + (1 - decay) * one_hot.T @ vectors
    return counts, sums, sums / counts[:, None]


def perplexity(tokens, vocabulary):
    p = torch.bincount(tokens.flatten(), minlength=vocabulary) / tokens.numel()
    return torch.exp(-torch.xlogy(p, p).sum()).item()


def entropy(tokens, vocabulary):
    p = torch.bincount(tokens.flatten(), minlength=vocabulary) / tokens.numel()
    return -torch.xlogy(p, p).sum()


RIGHT = [
    (checks.check_nearest_code, nearest_code),
    (checks.check_losses, losses),
    (checks.check_moving_average, moving_average),
    (checks.check_perplexity, perplexity),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_the_right_answer_passes(check, answer):
    verdict = check(answer)
    assert verdict, verdict.message


def no_decay(n, m, z, t, d):
    h = torch.nn.functional.one_hot(t, len(n)).float()
    return n + h.sum(0), m + h.T @ z, m


def swapped(n, m, z, t, d):
    return moving_average(n, m, z, t, 1 - d)


def means(n, m, z, t, d):
    h = torch.nn.functional.one_hot(t, len(n)).float()
    counts = d * n + (1 - d) * h.sum(0)
    sums = d * m + (1 - d) * (h.T @ z) / h.sum(0).clamp(min=1)[:, None]
    return counts, sums, sums / counts[:, None]


def by_batch(n, m, z, t, d):
    counts, sums, _ = moving_average(n, m, z, t, d)
    return counts, sums, sums / torch.bincount(t, minlength=len(n)).clamp(min=1)[:, None]


def nan_perplexity(tokens, vocabulary):
    p = torch.bincount(tokens.flatten(), minlength=vocabulary) / tokens.numel()
    return torch.exp(-(p * p.log()).sum())


WRONG = [
    (checks.check_nearest_code, lambda v, c: squared(v, c).argmax(1), "farthest"),
    (checks.check_nearest_code, lambda v, c: (v @ c.T).argmax(1), "dot product"),
    (checks.check_nearest_code, lambda v, c: squared(v, c), "index of the smallest"),
    (checks.check_nearest_code, lambda v, c: (v[:, None] - c[None]).sum(2).argmin(1), "cancel"),
    (checks.check_nearest_code, lambda v, c: squared(v, c).argmin(0), "shape"),
    (checks.check_nearest_code, lambda v, c: torch.zeros(len(v), dtype=torch.long), "nearest"),
    (checks.check_losses, lambda v, c: losses(v, c)[::-1], "swapped"),
    (checks.check_losses, lambda v, c: ((v - c).square().mean(), losses(v, c)[1]), "also moves the encoder"),
    (checks.check_losses, lambda v, c: (losses(v, c)[0], (v - c).square().mean()), "also moves the codebook"),
    (checks.check_losses, lambda v, c: ((v.detach() - c).square().sum(), losses(v, c)[1]), "summed"),
    (checks.check_losses, lambda v, c: (losses(v, c)[0], 0.25 * losses(v, c)[1]), "beta"),
    (checks.check_losses, lambda v, c: ((v - c).detach().square().mean(), losses(v, c)[1]), "detached"),
    (checks.check_losses, lambda v, c: losses(v, c)[0], "two numbers"),
    (checks.check_losses, lambda v, c: ((v.detach() - c).abs().mean(), losses(v, c)[1]), "should be"),
    (checks.check_moving_average, no_decay, "grow"),
    (checks.check_moving_average, swapped, "swapped"),
    (checks.check_moving_average, means, "mean of the vectors"),
    (checks.check_moving_average, by_batch, "this batch's"),
    (checks.check_moving_average, lambda n, m, z, t, d: (n, m, m / n[:, None]), "counts are not"),
    (checks.check_moving_average, lambda n, m, z, t, d: moving_average(n, m, z, t, d)[:2], "three"),
    (
        checks.check_perplexity,
        lambda t, k: (entropy(t, k) / torch.tensor(2.0).log()).exp2() - 1,
        "perplexity 1",
    ),
    (checks.check_perplexity, lambda t, k: 1 + entropy(t, k) * 2 / torch.tensor(8.0).log(), "bits"),
    (checks.check_perplexity, lambda t, k: torch.exp(-entropy(t, k)), "sign"),
    (checks.check_perplexity, lambda t, k: 2 ** entropy(t, k), "bases"),
    (checks.check_perplexity, lambda t, k: t.unique().numel(), "how often"),
    (checks.check_perplexity, lambda t, k: k if t.unique().numel() > 1 else 1, "have"),
    (checks.check_perplexity, nan_perplexity, "nan"),
    (checks.check_perplexity, lambda t, k: vqvae.perplexity(vqvae.codebook_usage(t, k)), "write the lines"),
    (checks.check_nearest_code, vqvae.nearest_code, "write the lines"),
]


@pytest.mark.parametrize(("check", "answer", "word"), WRONG)
def test_a_wrong_answer_fails_and_hears_why(check, answer, word):
    is_named(check, answer, word)


@pytest.mark.parametrize("check", [check for check, _ in RIGHT])
def test_an_answer_not_yet_written_is_no_traceback(check):
    stub_is_no_traceback(check)
