"""The checks of chapter 9 accept right answers and name the mistakes that are easy to make."""

import math

import pytest
import torch
import torch.nn.functional as F
from answers import empty_and_crash_are_told_apart, is_named

from dalle_edu.exercises import dalle as checks


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


def frequency_cost(train, unseen, vocabulary, extra):
    share = train.flatten().bincount(minlength=vocabulary) + extra
    return -(share / share.sum())[unseen].log().mean()


def unsmoothed(train, unseen, vocabulary, extra):
    return frequency_cost(train, unseen, vocabulary, 0)


def too_large(train, unseen, vocabulary, extra):
    counts = train.flatten().bincount(minlength=vocabulary)
    return -((counts + extra) / counts.sum())[unseen].log().mean()


def noisy(image, exchanged, other, place):
    return torch.where(exchanged, image[other].gather(1, place), image)


def in_place(image, exchanged, other, place):
    image[exchanged] = image[other].gather(1, place)[exchanged]
    return image


RIGHT = [
    (checks.check_joint_loss, joint_loss),
    (checks.check_frequency_cost, frequency_cost),
    (checks.check_noisy, noisy),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_the_right_answer_passes(check, answer):
    verdict = check(answer)
    assert verdict, verdict


MISTAKES = [
    (checks.check_frequency_cost, unsmoothed, "infinite"),
    (checks.check_frequency_cost, too_large, "more than 1"),
    (checks.check_frequency_cost, lambda t, u, v, e: frequency_cost(t, u, v, e) * u.numel(), "sum"),
    (checks.check_frequency_cost, lambda *a: frequency_cost(*a) / math.log(2), "bits"),
    (checks.check_frequency_cost, lambda t, u, v, e: frequency_cost(t, t, v, e), "nats were expected"),
    (checks.check_frequency_cost, lambda *_: None, "None"),
    (checks.check_noisy, lambda i, x, o, p: noisy(i, ~x, o, p), "turned"),
    (checks.check_noisy, lambda i, x, o, p: noisy(i, x, torch.arange(3), p), "same picture"),
    (checks.check_noisy, lambda i, x, o, p: torch.where(x, i[o], i), "same place"),
    (checks.check_noisy, in_place, "itself was changed"),
    (checks.check_noisy, lambda i, x, o, p: i.clone(), "differ"),
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
]


@pytest.mark.parametrize(("check", "answer", "said"), MISTAKES)
def test_a_usual_mistake_fails_and_is_named(check, answer, said):
    is_named(check, answer, said)


@pytest.mark.parametrize("check", [check for check, _ in RIGHT])
def test_an_empty_answer_and_a_crash_are_told_apart(check):
    empty_and_crash_are_told_apart(check)
