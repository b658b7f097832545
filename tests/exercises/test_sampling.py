"""The checks of chapter 11 accept right answers and name the mistakes that are easy to make."""

import pytest
import torch
import torch.nn.functional as F

from dalle_edu.exercises.sampling import (
    check_cache_bytes,
    check_cached_attention,
    check_draw_code,
    check_top_p,
    check_unseen,
)


def draw_code(shares, u):
    return min(int(torch.searchsorted(shares.cumsum(0), u, right=True)), int(shares.nonzero().max()))


def top_p(shares, p):
    ordered, order = shares.sort(descending=True)
    kept = ordered.cumsum(0) - ordered < p
    return torch.zeros(len(shares), dtype=torch.bool).scatter(0, order, kept)


def top_p_sorted(shares, p):
    ordered = shares.sort(descending=True).values
    return ordered.cumsum(0) - ordered < p


def top_p_short(shares, p):
    ordered, order = shares.sort(descending=True)
    return torch.zeros(len(shares), dtype=torch.bool).scatter(0, order, ordered.cumsum(0) <= p)


def top_p_one_short(shares, p):
    kept = top_p_short(shares, p)
    kept[shares.argmax()] = True
    return kept


def top_p_upside_down(shares, p):
    ordered, order = shares.sort()
    return torch.zeros(len(shares), dtype=torch.bool).scatter(0, order, ordered.cumsum(0) - ordered < p)


def attention(query, keys, values, scale=0.5, axis=-1):
    scores = (keys @ query[:, :, None])[:, :, 0] * scale
    return (scores.softmax(axis)[:, None] @ values).flatten()


def unseen(keep):
    flat = keep.flatten()
    return torch.where(flat, 0, flat.sum() - flat.cumsum(0)).view(keep.shape)


def cache_bytes(layers, width, text, picture, samples, size):
    return 2 * layers * width * (text + samples * picture) * size


RIGHT = [
    (check_draw_code, draw_code),
    (check_top_p, top_p),
    (check_cached_attention, attention),
    (check_unseen, unseen),
    (check_cache_bytes, cache_bytes),
]

WRONG = [
    (check_draw_code, lambda shares, u: int(shares.argmax()), "most probable"),
    (check_draw_code, lambda shares, u: int(torch.multinomial(shares, 1)), "expected|only one of"),
    (
        check_draw_code,
        lambda shares, u: int(torch.searchsorted(shares.cumsum(0), u)),
        "share of [0, 1) is empty",
    ),
    (check_draw_code, lambda shares, u: int(torch.searchsorted(shares.cumsum(0), u, right=True)), "rounding"),
    (check_draw_code, lambda shares, u: int(u * len(shares)), "share of [0, 1) is empty"),
    (check_draw_code, lambda shares, u: draw_code(shares, u) + 0.5, "whole number"),
    (check_draw_code, lambda shares, u: None, "return"),
    (check_top_p, top_p_sorted, "sorted order"),
    (check_top_p, top_p_short, "crosses p"),
    (check_top_p, top_p_one_short, "crosses p"),
    (check_top_p, top_p_upside_down, "begin with the most probable"),
    (check_top_p, lambda shares, p: torch.ones(len(shares), dtype=torch.bool), "are enough"),
    (check_top_p, lambda shares, p: top_p(shares, p).float(), "booleans"),
    (check_cached_attention, lambda q, k, v: attention(q, k, v, scale=1), "divided by the square root"),
    (check_cached_attention, lambda q, k, v: attention(q, k, v, scale=0.25), "not by its square root"),
    (check_cached_attention, lambda q, k, v: attention(q, k, v, axis=0), "over the heads"),
    (check_cached_attention, lambda q, k, v: attention(q, k[:, :-1], v[:, :-1]), "reads itself"),
    (check_cached_attention, lambda q, k, v: attention(q, k, v).view(3, 4).T.flatten(), "interleaved"),
    (check_cached_attention, lambda q, k, v: attention(q, k, v).view(3, 4), "shape"),
    (check_cached_attention, lambda q, k, v: attention(q, v, k), "not the numbers"),
    (check_unseen, lambda keep: torch.where(keep, 0, keep.flatten().cumsum(0).view(keep.shape)), "*before*"),
    (check_unseen, lambda keep: unseen(keep.T).T, "column by column"),
    (check_unseen, lambda keep: (keep.sum() - keep.flatten().cumsum(0)).view(keep.shape), "should be 0"),
    (check_unseen, lambda keep: unseen(keep).float(), "whole numbers"),
    (check_unseen, lambda keep: torch.where(keep, 0, keep.sum()), "were expected"),
    (check_cache_bytes, lambda l, w, t, p, n, s: l * w * (t + n * p) * s, "keys and values"),
    (check_cache_bytes, lambda l, w, t, p, n, s: 2 * l * w * n * (t + p) * s, "store it once"),
    (check_cache_bytes, lambda l, w, t, p, n, s: 2 * l * w * (t + n * p), "not bytes"),
    (check_cache_bytes, lambda l, w, t, p, n, s: 2 * w * (t + n * p) * s, "every layer"),
    (check_cache_bytes, lambda l, w, t, p, n, s: 2 * l * w * (t + p) * s, "were expected"),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_a_right_answer_passes(check, answer):
    verdict = check(answer)
    assert verdict, verdict


def test_the_built_in_attention_is_refused_since_the_exercise_asks_for_its_lines():
    verdict = check_cached_attention(
        lambda q, k, v: F.scaled_dot_product_attention(q[:, None], k, v)[:, 0].flatten()
    )
    assert not verdict and "scaled_dot_product_attention" in verdict.message


@pytest.mark.parametrize(("check", "answer", "words"), WRONG)
def test_a_wrong_answer_fails_with_a_word_on_what_is_wrong(check, answer, words):
    verdict = check(answer)
    assert not verdict
    assert any(word in verdict.message for word in words.split("|")), verdict


def test_an_empty_answer_is_asked_for():
    def empty(*arguments):
        raise NotImplementedError

    for check, _ in RIGHT:
        assert "still to be written" in repr(check(empty))
