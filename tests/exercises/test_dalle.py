"""The checks of chapter 9 accept right answers and name the mistakes that are easy to make."""

import pytest
import torch
import torch.nn.functional as F

from dalle_edu.exercises import dalle as checks
from dalle_edu.train.loop import TrainingConfig, cosine, learning_rate


def parts(text_logits, image_logits, text, image):
    pieces = text_logits.shape[-1]
    targets = text[:, 1:].masked_fill(text[:, 1:] >= pieces, -100)
    return F.cross_entropy(text_logits.mT, targets), F.cross_entropy(image_logits.mT, image)


def joint_loss(text_logits, image_logits, text, image, weight):
    text_loss, image_loss = parts(text_logits, image_logits, text, image)
    return weight * text_loss + (1 - weight) * image_loss


def each_token(text_logits, text):
    targets = text[:, 1:].masked_fill(text[:, 1:] >= text_logits.shape[-1], -100)
    return F.cross_entropy(text_logits.mT, targets, reduction="none"), targets >= 0


def per_place(text_logits, image_logits, text, image, weight):
    each, _ = each_token(text_logits, text)
    return weight * each.mean() + (1 - weight) * F.cross_entropy(image_logits.mT, image)


def per_caption(text_logits, image_logits, text, image, weight):
    each, written = each_token(text_logits, text)
    text_loss = (each.sum(1) / written.sum(1)).mean()
    return weight * text_loss + (1 - weight) * F.cross_entropy(image_logits.mT, image)


def pooled(text_logits, image_logits, text, image, weight):
    each, written = each_token(text_logits, text)
    image_each = F.cross_entropy(image_logits.mT, image, reduction="none")
    return (each.sum() + image_each.sum()) / (written.sum() + image.numel())


def off_by_one(text_logits, image_logits, text, image, weight):
    return joint_loss(text_logits, image_logits, text[:, [0, *range(text.shape[1] - 1)]], image, weight)


def summed(text_logits, image_logits, text, image, weight):
    image_sum = F.cross_entropy(image_logits.mT, image, reduction="sum")
    return weight * each_token(text_logits, text)[0].sum() + (1 - weight) * image_sum


def rate(step, peak, final, warmup, steps):
    return learning_rate(step, TrainingConfig(steps, 1, peak, final, warmup))


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
    (checks.check_joint_loss, joint_loss),
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
    (checks.check_joint_loss, lambda a, b, t, i, w: joint_loss(a, b, t, i, 1 - w), "swapped"),
    (checks.check_joint_loss, per_place, "padding included"),
    (checks.check_joint_loss, per_caption, "each caption first"),
    (checks.check_joint_loss, pooled, "mean of its own"),
    (checks.check_joint_loss, lambda a, b, t, i, w: sum(parts(a, b, t, i)), "mean of its own"),
    (checks.check_joint_loss, off_by_one, "off by one"),
    (checks.check_joint_loss, summed, "sums where means"),
    (checks.check_joint_loss, lambda a, b, t, i, w: joint_loss(a, b, t, i, w / 2), "it is"),
    (checks.check_joint_loss, lambda *_: None, "None"),
    (checks.check_joint_loss, lambda a, b, t, i, w: joint_loss(a, b, t, i, w).expand(2), "shape"),
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
    verdict = check(answer)
    assert not verdict
    assert said in verdict.message, verdict.message


@pytest.mark.parametrize("check", [check for check, _ in RIGHT])
def test_an_empty_answer_and_a_crash_are_told_apart(check):
    def empty(*_):
        raise NotImplementedError

    assert "still to be written" in check(empty).message
    assert "raised TypeError" in check(lambda: None).message
