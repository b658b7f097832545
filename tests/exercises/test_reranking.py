"""The checks of chapter 12 accept right answers and name the mistakes that are easy to make."""

import math

import pytest
import torch
import torch.nn.functional as F

from dalle_edu.exercises.reranking import (
    check_any_right,
    check_keep_best,
    check_loss_without_twins,
    check_recall,
)


def recall(similarities, k):
    nearest = similarities.topk(k, dim=1).indices
    return (nearest == torch.arange(len(similarities))[:, None]).any(1).float().mean()


def loss(pictures, texts, scale, same, fill=-math.inf, keep=False):
    logits = scale * pictures @ texts.T
    twins = same if keep else same & ~torch.eye(len(same), dtype=torch.bool)
    logits, right = logits.masked_fill(twins, fill), torch.arange(len(same))
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


def one_way(pictures, texts, scale, same, turned=False):
    logits = (scale * pictures @ texts.T).masked_fill(
        same & ~torch.eye(len(same), dtype=torch.bool), -math.inf
    )
    return F.cross_entropy(logits.T if turned else logits, torch.arange(len(same)))


def shared(pictures, texts, scale, same):
    logits, target = scale * pictures @ texts.T, same / same.sum(1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def any_right(right, pool, n):
    return 1 - math.comb(pool - right, n) / math.comb(pool, n)


def keep_best(batches, k, cut=True, falling=True, together=True):
    best, scores = None, None
    for images, part in batches:
        best = images if best is None else torch.cat([best, images])
        scores = part if scores is None else torch.cat([scores, part])
        if cut:
            order = scores.argsort(descending=falling)[:k]
            best, scores = best[order if together else order.flip(0)], scores[order]
    order = scores.argsort(descending=falling)[:k]
    return (best[order], scores[order]) if together else (best[:k], scores[order])


def hoard(batches, k):
    images, scores = zip(*batches, strict=True)
    scores, one_by_one = torch.cat(scores), [image for batch in images for image in batch]
    order = scores.argsort(descending=True)[:k]
    return torch.stack([one_by_one[i] for i in order]), scores[order]


def unsorted(batches, k):
    images, scores = keep_best(batches, k)
    return images.flip(0), scores.flip(0)


RIGHT = [
    (check_recall, recall),
    (check_loss_without_twins, loss),
    (check_any_right, any_right),
    (check_keep_best, keep_best),
]
WRONG = [
    (check_recall, lambda s, k: recall(s.T, k), "dimension 1"),
    (check_recall, lambda s, k: recall(s, 1), "k is not used"),
    (check_recall, lambda s, k: recall(s, min(k + 1, len(s))), "k \\+ 1"),
    (check_recall, lambda s, k: recall(-s, k), "farthest"),
    (check_recall, lambda s, k: recall(s, k) * len(s), "how many"),
    (check_recall, lambda s, k: s.topk(k, dim=1).indices, "one number"),
    (check_recall, lambda s, k: None, "return"),
    (check_recall, lambda s, k: 0.123, "it is"),
    (check_loss_without_twins, lambda p, t, s, same: loss(p, t, s, torch.zeros_like(same)), "twins still"),
    (check_loss_without_twins, lambda *a: loss(*a, keep=True), "own caption"),
    (check_loss_without_twins, lambda *a: loss(*a, fill=0.0), "a logit of 0"),
    (check_loss_without_twins, one_way, "only the rows"),
    (check_loss_without_twins, lambda *a: one_way(*a, turned=True), "only the columns"),
    (check_loss_without_twins, lambda *a: 2 * loss(*a), "mean"),
    (check_loss_without_twins, shared, "twins still"),
    (check_loss_without_twins, lambda p, t, s, same: loss(p, t, 1.0, same), "scale"),
    (check_loss_without_twins, lambda *a: loss(*a) + 1, "it is"),
    (check_any_right, lambda r, m, n: 1 - any_right(r, m, n), "none"),
    (check_any_right, lambda r, m, n: 1 - (1 - r / m) ** n, "back"),
    (check_any_right, lambda r, m, n: min(1.0, n * r / m), "add up"),
    (check_any_right, lambda r, m, n: 0.5, "it is"),
    (check_keep_best, hoard, "are held"),
    (check_keep_best, lambda b, k: keep_best(b, k, cut=False), "cut after each batch"),
    (check_keep_best, lambda b, k: keep_best(b, k, falling=False), "worst"),
    (check_keep_best, lambda b, k: keep_best(b, k, together=False), "belong together"),
    (check_keep_best, unsorted, "best first"),
    (check_keep_best, lambda b, k: [x[:k] for x in next(b)], "not the|shape"),
    (check_keep_best, lambda b, k: keep_best(b, k)[0], "two tensors"),
    (check_keep_best, lambda b, k: None, "return"),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_a_right_answer_passes(check, answer):
    verdict = check(answer)
    assert verdict, verdict


@pytest.mark.parametrize(("check", "answer", "words"), WRONG)
def test_a_wrong_answer_fails_with_a_word_on_what_is_wrong(check, answer, words):
    import re

    verdict = check(answer)
    assert not verdict
    assert re.search(words, verdict.message), verdict


def test_any_right_may_be_a_product_of_shares_taken_one_after_the_other():
    def product(right, pool, n):
        none = 1.0
        for taken in range(n):
            none *= max(0, pool - right - taken) / (pool - taken)
        return 1 - none

    assert check_any_right(product)


def test_an_empty_answer_is_asked_for():
    def empty(*arguments):
        raise NotImplementedError

    for check, _ in RIGHT:
        assert "still to be written" in repr(check(empty))
