"""The checks of chapter 10 accept right answers and name the mistakes that are easy to make."""

import math

import pytest
import torch
from answers import empty_and_crash_are_told_apart, is_named

from dalle_edu.exercises import costs as checks


def cosine(step, peak, final, steps):
    return final + (peak - final) * (1 + math.cos(math.pi * min(step / steps, 1))) / 2


def rate(step, peak, final, warmup, steps):
    if step < warmup:
        return peak * (step + 1) / warmup
    return cosine(step - warmup, peak, final, steps - warmup)


def straight(step, peak, final, warmup, steps):
    if step < warmup:
        return rate(step, peak, final, warmup, steps)
    return peak + (final - peak) * (step - warmup) / (steps - warmup)


def adamw(w, g, m, v, step, rate, beta_1, beta_2, decay, correct=True, apart=True, by_rate=True):
    g = g if apart else g + decay * w
    m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
    a, b = (1 - beta_1**step, 1 - beta_2**step) if correct else (1, 1)
    shrink = (rate if by_rate else 1) * decay * w if apart else 0
    return w - shrink - rate * (m / a) / ((v / b).sqrt() + 1e-8), m, v


def next_scale(scale, finite, since, grow=2 ** (1 / 1000), divisor=2**0.5, pause=125):
    if finite:
        return min(scale * grow, 2.0**24)
    return max(scale / divisor, 2.0**7) if since >= pause else scale


def compress(gradient, error, q, feed=True, orthonormal=True, keep=True):
    whole = gradient + error if feed else gradient
    p = whole @ q
    p = torch.linalg.qr(p).Q if orthonormal else p
    q = whole.T @ p
    sent = p @ q.T
    return sent, (gradient + error if keep else gradient) - sent, q


RIGHT = [
    (checks.check_rate, rate),
    (checks.check_adamw_step, adamw),
    (checks.check_next_scale, next_scale),
    (checks.check_compress, compress),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_the_right_answer_passes(check, answer):
    verdict = check(answer)
    assert verdict, verdict


MISTAKES = [
    (checks.check_rate, lambda s, p, f, w, n: p * s / w if s < w else rate(s, p, f, w, n), "step 0"),
    (checks.check_rate, lambda s, p, f, w, n: p * (s + 1) / (2 * w) if s < w else p, "warm-up is off"),
    (checks.check_rate, lambda s, p, f, w, n: rate(s, p, f, w, n) if s < w else cosine(s, p, f, n), "ends"),
    (checks.check_rate, lambda s, p, f, w, n: rate(s, p, 0.0, w, n), "at the end"),
    (checks.check_rate, straight, "after the warm-up"),
    (checks.check_rate, lambda *_: None, "None"),
    (checks.check_adamw_step, lambda *a: adamw(*a, correct=False), "too small at first"),
    (checks.check_adamw_step, lambda *a: adamw(*a, apart=False), "Adam with L2"),
    (checks.check_adamw_step, lambda *a: adamw(*a, by_rate=False), "not multiplied"),
    (checks.check_adamw_step, lambda *a: adamw(*a[:-1], 0.0), "decay is missing"),
    (checks.check_adamw_step, lambda *a: adamw(*a)[0], "three tensors"),
    (checks.check_adamw_step, lambda w, g, m, *a: adamw(w, g, m + 0.1, *a), "m should be"),
    (checks.check_adamw_step, lambda w, g, m, v, *a: (*adamw(w, g, m, v, *a)[:2], v + g), "v should be"),
    (checks.check_adamw_step, lambda w, *a: (w.clone(), *adamw(w, *a)[1:]), "differ from torch"),
    (checks.check_next_scale, lambda s, f, n: next_scale(s, not f, n), "grow"),
    (checks.check_next_scale, lambda s, f, n: next_scale(s, f, n, grow=2), "doubles"),
    (checks.check_next_scale, lambda s, f, n: next_scale(s, f, n, grow=1.01), "2^(1/1000)"),
    (checks.check_next_scale, lambda s, f, n: next_scale(s, f, n, divisor=2), "halved"),
    (checks.check_next_scale, lambda s, f, n: next_scale(s, f, n, divisor=1.1), "square root"),
    (checks.check_next_scale, lambda s, f, n: next_scale(s, f, n, divisor=0.5), "lower"),
    (checks.check_next_scale, lambda s, f, n: next_scale(s, f, n, pause=0), "60 updates ago"),
    (checks.check_next_scale, lambda s, f, n: s if n < 125 else next_scale(s, f, n), "still"),
    (checks.check_next_scale, lambda s, f, n: s * 2 ** (1 / 1000) if f else next_scale(s, f, n), "beyond"),
    (checks.check_next_scale, lambda s, f, n: next_scale(s, f, n) if f or n < 125 else s / 2**0.5, "below"),
    (checks.check_compress, lambda *a: compress(*a, feed=False), "forgotten"),
    (checks.check_compress, lambda *a: compress(*a, orthonormal=False), "orthonormal"),
    (checks.check_compress, lambda *a: compress(*a, keep=False), "leaves the old one out"),
    (checks.check_compress, lambda g, e, q: (2 * g, *compress(g, e, q)[1:]), "sent should be"),
    (checks.check_compress, lambda g, e, q: (compress(g, e, q)[0], e, compress(g, e, q)[2]), "was not sent"),
    (checks.check_compress, lambda g, e, q: (*compress(g, e, q)[:2], q), "next step"),
    (checks.check_compress, lambda g, e, q: compress(g, e, q)[0], "three tensors"),
]


@pytest.mark.parametrize(("check", "answer", "said"), MISTAKES)
def test_a_usual_mistake_fails_and_is_named(check, answer, said):
    is_named(check, answer, said)


@pytest.mark.parametrize("check", [check for check, _ in RIGHT])
def test_an_empty_answer_and_a_crash_are_told_apart(check):
    empty_and_crash_are_told_apart(check)
