"""The checks of chapter 4's exercises: the right answer passes, each usual mistake is named."""

import pytest
import torch
import torch.nn.functional as F
from answers import is_named, stub_is_no_traceback

from dalle_edu.exercises import gumbel as checks
from dalle_edu.gumbel import gumbel_softmax
from dalle_edu.vqvae import straight_through as library_straight_through


def gumbel_noise(uniform):
    return -torch.log(-torch.log(uniform))


def gumbel_max(logits, uniform):
    return (logits + gumbel_noise(uniform)).argmax(-1)


def relaxed(logits, noise, temperature):
    return torch.softmax((logits + noise) / temperature, dim=-1)


def straight_through(y):
    return F.one_hot(y.argmax(-1), y.shape[-1]).to(y.dtype) + y - y.detach()


def top_k(logits, uniform, k):
    return (logits + gumbel_noise(uniform)).topk(k).indices


def called_relaxed(logits, noise, temperature):
    return gumbel_softmax(logits, temperature)


def called_straight_through(relaxed):
    one_hot = torch.nn.functional.one_hot(relaxed.argmax(-1), relaxed.shape[-1]).to(relaxed.dtype)
    return library_straight_through(relaxed, one_hot)


RIGHT = [
    (checks.check_gumbel_noise, gumbel_noise),
    (checks.check_gumbel_max, gumbel_max),
    (checks.check_relaxed, relaxed),
    (checks.check_straight_through, straight_through),
    (checks.check_top_k, top_k),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_the_right_answer_passes(check, answer):
    verdict = check(answer)
    assert verdict, verdict.message


def hard(y):
    return F.one_hot(y.argmax(-1), y.shape[-1]).to(y.dtype)


WRONG = [
    (checks.check_straight_through, called_straight_through, "write the lines"),
    (checks.check_relaxed, called_relaxed, "write the lines"),
    (checks.check_gumbel_noise, lambda u: torch.log(-torch.log(u)), "minus"),
    (checks.check_gumbel_noise, lambda u: -torch.log(u), "exponential"),
    (checks.check_gumbel_noise, lambda u: -torch.log(torch.log(u)), "negative"),
    (checks.check_gumbel_noise, lambda u: -torch.log(-torch.log(1 - u)), "1 - u"),
    (checks.check_gumbel_noise, lambda u: torch.randn_like(u), "expected"),
    (checks.check_gumbel_max, lambda l, u: (l.softmax(-1) + gumbel_noise(u)).argmax(-1), "probabilities"),
    (checks.check_gumbel_max, lambda l, u: l.argmax(-1), "no effect"),
    (checks.check_gumbel_max, lambda l, u: (l + u).argmax(-1), "uniform"),
    (checks.check_gumbel_max, lambda l, u: (l - gumbel_noise(u)).argmax(-1), "subtracted"),
    (checks.check_gumbel_max, lambda l, u: l + gumbel_noise(u), "index of the largest"),
    (checks.check_gumbel_max, lambda l, u: (l + gumbel_noise(u)).argmax(0), "shape"),
    (checks.check_gumbel_max, lambda l, u: (l + gumbel_noise(u)).argmin(-1), "agree"),
    (checks.check_relaxed, lambda l, g, t: (l / t).softmax(-1), "no noise"),
    (checks.check_relaxed, lambda l, g, t: (l / t + g).softmax(-1), "logits only"),
    (checks.check_relaxed, lambda l, g, t: (l + g / t).softmax(-1), "noise only"),
    (checks.check_relaxed, lambda l, g, t: ((l + g) * t).softmax(-1), "multiplied"),
    (checks.check_relaxed, lambda l, g, t: (l + g).softmax(-1), "no effect"),
    (checks.check_relaxed, lambda l, g, t: ((l + g) / t).softmax(0), "column"),
    (checks.check_relaxed, lambda l, g, t: ((l + g) / t).exp(), "sums to"),
    (checks.check_relaxed, lambda l, g, t: ((l - g) / t).softmax(-1), "expected"),
    (checks.check_straight_through, lambda y: y, "relaxed draw"),
    (checks.check_straight_through, lambda y: hard(y), "cut off"),
    (checks.check_straight_through, lambda y: hard(y) + 0 * y, "zero"),
    (checks.check_straight_through, lambda y: hard(y) + y.detach() - y, "sign"),
    (checks.check_straight_through, lambda y: F.one_hot(y.argmin(-1), 5) + y - y.detach(), "no one-hot"),
    (checks.check_straight_through, lambda y: hard(y) + 2 * (y - y.detach()), "not the relaxed"),
    (checks.check_top_k, lambda l, u, k: l.topk(k).indices, "no noise"),
    (checks.check_top_k, lambda l, u, k: gumbel_max(l, u)[:, None].expand(-1, k), "twice"),
    (checks.check_top_k, lambda l, u, k: (l + gumbel_noise(u)).topk(k, largest=False).indices, "smallest"),
    (checks.check_top_k, lambda l, u, k: top_k(l, u, k).flip(1), "order"),
    (checks.check_top_k, lambda l, u, k: (l + gumbel_noise(u)).topk(k).values, "indices"),
    (checks.check_top_k, lambda l, u, k: (l + u).topk(k).indices, "Gumbel"),
]


@pytest.mark.parametrize(("check", "answer", "word"), WRONG)
def test_a_wrong_answer_fails_and_hears_why(check, answer, word):
    is_named(check, answer, word)


@pytest.mark.parametrize("check", [check for check, _ in RIGHT])
def test_an_answer_not_yet_written_is_no_traceback(check):
    stub_is_no_traceback(check)
