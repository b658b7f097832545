"""The checks of chapter 13's exercises: the right answer passes, each usual mistake is named."""

import math
from collections import Counter

import pytest
from answers import empty_and_crash_are_told_apart, is_named

from dalle_edu.exercises import abilities as checks


def chance(values):
    counts = Counter(values).values()
    return sum(n * (n - 1) for n in counts) / (len(values) * (len(values) - 1))


def captions_needed(half_width):
    return math.ceil(1.96**2 * (1 / (4 * half_width**2) - 1))


def expected_best(scores, right, n):
    total = len(scores)
    ordered = right[scores.argsort(descending=True)]
    weights = [math.comb(total - k - 1, n - 1) / math.comb(total, n) for k in range(total)]
    return sum(weight for weight, yes in zip(weights, ordered.tolist(), strict=True) if yes)


def binding_error(asked, shown):
    def parts(things):
        return [Counter(thing[i] for thing in things) for i in (0, 1)]

    return parts(asked) == parts(shown) and Counter(asked) != Counter(shown)


RIGHT = [
    (checks.check_chance, chance),
    (checks.check_captions_needed, captions_needed),
    (checks.check_expected_best, expected_best),
    (checks.check_binding_error, binding_error),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_the_right_answer_passes(check, answer):
    verdict = check(answer)
    assert verdict, verdict


def squared_shares(values):
    return (
        sum((n / len(values)) ** 2 for n in Counter(values).values()) if len(set(values)) < len(values) else 0
    )


def any_right(scores, right, n):
    wrong = int((~right).sum())
    return 1 - math.comb(wrong, n) / math.comb(len(right), n)


MISTAKES = [
    (checks.check_chance, lambda v: sum((n / len(v)) ** 2 for n in Counter(v).values()), "other"),
    (checks.check_chance, squared_shares, "with itself"),
    (
        checks.check_chance,
        lambda v: max(Counter(v).values()) / len(v) if len(set(v)) < 4 else 0,
        "most frequent",
    ),
    (checks.check_chance, lambda v: 1 / len(set(v)) if len(set(v)) < 4 else 0, "equally frequent"),
    (checks.check_chance, lambda v: None, "None"),
    (checks.check_chance, lambda v: "half", "number"),
    (checks.check_captions_needed, lambda h: math.ceil(1.96**2 * (1 / h**2 - 1)), "half the interval"),
    (checks.check_captions_needed, lambda h: math.ceil(0.98**2 * (1 / (4 * h**2) - 1)), "too few"),
    (checks.check_captions_needed, lambda h: math.floor(1.96**2 * (1 / (4 * h**2) - 1)), "too wide"),
    (checks.check_captions_needed, lambda h: 2 * captions_needed(h), "fewer"),
    (checks.check_captions_needed, lambda h: 1.96**2 / (4 * h**2), "whole"),
    (checks.check_expected_best, any_right, "not that CLIP takes it"),
    (checks.check_expected_best, lambda s, r, n: r[s[:n].argmax()], "first n"),
    (checks.check_expected_best, lambda s, r, n: r.float().mean(), "single sample"),
    (checks.check_expected_best, lambda s, r, n: expected_best(-s, r, n), "not"),
    (checks.check_expected_best, lambda s, r, n: expected_best(s, r, min(n, 6)), "1/8"),
    (checks.check_binding_error, lambda a, b: a != b, "another order"),
    (checks.check_binding_error, lambda a, b: Counter(a) != Counter(b), "another mistake"),
    (checks.check_binding_error, lambda a, b: {s for s, _ in a} == {s for s, _ in b}, "everything is right"),
    (checks.check_binding_error, lambda a, b: None, "None"),
]


@pytest.mark.parametrize(("check", "answer", "said"), MISTAKES)
def test_a_usual_mistake_fails_and_is_named(check, answer, said):
    is_named(check, answer, said)


@pytest.mark.parametrize("check", [check for check, _ in RIGHT])
def test_an_empty_answer_and_a_crash_are_told_apart(check):
    empty_and_crash_are_told_apart(check)
