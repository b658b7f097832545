"""The checks of chapter 8 accept right answers and name the mistakes that are easy to make."""

import pytest
import torch
from answers import is_named
from torch.nn.functional import scaled_dot_product_attention as attend

from dalle_edu.exercises.sparse import check_column, check_gathered, check_merge_parts, check_parameters


def gathered(query, key, value, indices, valid, scale=True, use=True, late=False):
    scores = (query[:, :, :, None] @ key[:, :, indices].mT)[:, :, :, 0]
    scores = scores / query.shape[-1] ** 0.5 if scale else scores
    if use:
        scores = scores.masked_fill(~valid, -torch.inf)
    weights = scores.softmax(-1) * valid if late else scores.softmax(-1)
    return (weights[:, :, :, None] @ value[:, :, indices])[:, :, :, 0]


def through_a_matrix(query, key, value, indices, valid):
    mask = torch.zeros(len(indices), len(indices), dtype=torch.bool)
    for row in range(len(indices)):
        mask[row, indices[row][valid[row]]] = True
    scores = (query @ key.mT / query.shape[-1] ** 0.5).masked_fill(~mask, -torch.inf)
    return scores.softmax(-1) @ value


def column(query, key, value, grid, back=True, causal=True, scale=None):
    states = [x.unflatten(2, grid).transpose(2, 3) for x in (query, key, value)]
    mask = torch.ones(grid[0], grid[0]).tril().bool() if causal else None
    heads = [x.flatten(0, 1) for x in states]
    seen = attend(*heads, attn_mask=mask, scale=scale).unflatten(0, query.shape[:2])
    return (seen.transpose(2, 3) if back else seen).flatten(2, 3)


def column_by_mask(query, key, value, grid):
    place = torch.arange(grid[0] * grid[1])
    lag = place[:, None] - place
    scores = (query @ key.mT / query.shape[-1] ** 0.5).masked_fill(
        (lag < 0) | (lag % grid[1] > 0), -torch.inf
    )
    return scores.softmax(-1) @ value


def merged(out_1, lse_1, out_2, lse_2):
    share = torch.sigmoid(lse_1 - lse_2)[:, None]
    return share * out_1 + (1 - share) * out_2


def overflowing(out_1, lse_1, out_2, lse_2):
    one, two = lse_1.exp()[:, None], lse_2.exp()[:, None]
    return (one * out_1 + two * out_2) / (one + two)


def count(width, depth):
    return depth * (12 * width**2 + 13 * width) + 2 * width


RIGHT = [
    (check_gathered, gathered),
    (check_column, column),
    (check_merge_parts, merged),
    (check_parameters, count),
]

WRONG = [
    (check_gathered, lambda *a: gathered(*a, scale=False), "root of 4"),
    (check_gathered, lambda *a: gathered(*a, use=False), "not used"),
    (check_gathered, lambda *a: gathered(*a, use=False, late=True), "after the softmax"),
    (check_gathered, through_a_matrix, "matrix of all scores"),
    (check_gathered, lambda q, k, v, i, ok: v, "differs"),
    (check_gathered, lambda q, k, v, i, ok: gathered(q, k, v, i, ok)[:, :, 1:], "shape"),
    (check_column, lambda *a: column(*a, back=False), "transpose it back"),
    (check_column, lambda *a: column(*a, causal=False), "causal"),
    (check_column, lambda *a: column(*a, scale=1.0), "root of 4"),
    (check_column, column_by_mask, "matrix of all scores"),
    (check_column, lambda q, k, v, grid: v, "differs"),
    (check_merge_parts, lambda o1, l1, o2, l2: (o1 + o2) / 2, "average"),
    (check_merge_parts, lambda o1, l1, o2, l2: o1 + o2, "sum to 1"),
    (check_merge_parts, overflowing, "overflow"),
    (check_merge_parts, lambda o1, l1, o2, l2: merged(o1, l2, o2, l1), "differs"),
    (check_merge_parts, lambda o1, l1, o2, l2: None, "return"),
    (check_parameters, lambda w, d: 12 * w**2 * d, "matrices"),
    (check_parameters, lambda w, d: count(w, d) - 2 * w, "at the end"),
    (check_parameters, lambda w, d: count(w, d) - 2 * w * (2 * d + 1), "norms are missing"),
    (check_parameters, lambda w, d: count(w, d) - 9 * w * d, "biases of the linear"),
    (check_parameters, lambda w, d: count(w, d) + 1, "should be"),
    (check_parameters, lambda w, d: float(count(w, d)), "whole number"),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_a_right_answer_passes(check, answer):
    verdict = check(answer)
    assert verdict, verdict


@pytest.mark.parametrize(("check", "answer", "words"), WRONG)
def test_a_wrong_answer_fails_with_a_word_on_what_is_wrong(check, answer, words):
    is_named(check, answer, words)


def test_an_empty_answer_is_asked_for():
    def empty(*arguments):
        raise NotImplementedError

    for check, _ in RIGHT:
        assert "still to be written" in repr(check(empty))
