"""Checks for the exercises of chapter 13, what DALL·E can do."""

import itertools

import torch

from dalle_edu.evaluate.report import wilson
from dalle_edu.exercises import close, exercise, need, need_tensor
from dalle_edu.reranking import chance_to_win
from dalle_edu.reranking import expected_best as of_the_library


def _number(value, name="the result"):
    need(value is not None, f"{name} is None; does the function end in a return?")
    try:
        return float(value)
    except (TypeError, ValueError):
        need(False, f"{name} should be a number, not {type(value).__name__}.")


@exercise
def check_chance(chance):
    """`chance(values)`: how often a drawing made for another caption of the list is right, by luck alone."""
    value = _number(chance(["a", "b", "c", "d"]))
    need(
        value != 0.25,
        "a, b, c and d occur once each, so no *other* caption shares a value: chance is 0, not 1/4.",
    )
    need(value == 0, f"no other caption shares a value in a, b, c, d; you say {value:.2f}.")
    value = _number(chance(["red"] * 7))
    need(close(value, 1.0), f"if all captions say red, luck is always right; you say {value:.2f}.")
    values = ["noon"] * 5 + ["sunset"] * 3 + ["night"] * 2
    pairs = [a == b for a, b in itertools.permutations(values, 2)]
    value, wanted = _number(chance(values)), sum(pairs) / len(pairs)
    need(not close(value, 1 / 3), "the three values are not equally frequent: count them.")
    need(
        not close(value, 0.38),
        "the sum of squared shares lets a caption be paired with itself; leave those pairs out.",
    )
    need(
        not close(value, 0.5), "that is the share of the most frequent value: a model that always draws noon."
    )
    need(
        close(value, wanted),
        f"for five, three and two equal values it should be {wanted:.4f}, not {value:.4f}.",
    )
    return 'the judge\'s "chance": real pictures of other captions.'


@exercise
def check_captions_needed(captions_needed):
    """`captions_needed(half_width)`: the fewest captions for such a 95 % interval at a rate of 1/2."""
    for half_width in (0.2, 0.1, 0.05, 0.03):
        value = _number(captions_needed(half_width))
        need(value == int(value) and value > 0, f"a number of captions is whole and positive, not {value}.")
        wanted = next(n for n in range(1, 2000) if _half(n) <= half_width)
        case = f"for ± {half_width:.0%}"
        need(
            not abs(value - 4 * wanted) <= 12,
            f"{case}: {value:.0f} is four times too many; is it half the interval?",
        )
        need(
            not abs(value - wanted / 4) <= 3,
            f"{case}: {value:.0f} is four times too few; 1.96 standard deviations.",
        )
        need(
            value >= wanted,
            f"{case}: with {value:.0f} captions the half width is {_half(int(value)):.3f}, still too wide.",
        )
        need(value <= wanted + 4, f"{case}: {value:.0f} is enough, but fewer would do.")
    return "halving the interval costs four times the captions."


def _half(n: int) -> float:
    low, high = wilson(n / 2, n)
    return (high - low) / 2


@exercise(without=[of_the_library, chance_to_win])
def check_expected_best(expected_best):
    """`expected_best(scores, right, n)`: how often the best-scored of `n` random samples is right."""
    scores = torch.tensor([0.3, 0.9, 0.1, 0.5, 0.7, 0.2])
    right = torch.tensor([True, False, True, True, False, False])

    def enumerate_all(n):
        groups = list(itertools.combinations(range(len(scores)), n))
        return sum(bool(right[max(group, key=lambda i: float(scores[i]))]) for group in groups) / len(groups)

    for n in (1, 2, 3, 5, 6):
        value = _number(expected_best(scores, right, n))
        first = bool(right[scores[:n].argmax()])
        any_right = 1 - sum(1 for g in itertools.combinations(range(6), n) if not right[list(g)].any()) / len(
            list(itertools.combinations(range(6), n))
        )
        wanted = enumerate_all(n)
        if not close(wanted, any_right):
            need(
                not close(value, any_right),
                f"n = {n}: that is the chance that one of them is right, not that CLIP takes it.",
            )
        if not close(wanted, float(first)) and n != 6:
            need(
                not close(value, float(first)),
                f"n = {n}: those are the first n only; take the mean over all choices of n.",
            )
        if not close(wanted, right.float().mean()):
            need(
                not close(value, right.float().mean()),
                f"n = {n}: that is the rate of a single sample; the score decides.",
            )
        need(
            close(value, wanted),
            f"n = {n}: over all choices of n samples it is {wanted:.4f}, not {value:.4f}.",
        )
    many = torch.arange(64.0)
    value = _number(expected_best(many, many >= 63, 8))
    need(
        close(value, 8 / 64, 1e-3),
        f"one right sample with the best score of 64: of 8 it is there in 1/8 of cases, not {value:.3f}.",
    )
    return "best of N from all samples at once: the mean over every choice of N."


@exercise
def check_binding_error(binding_error):
    """`binding_error(asked, shown)`: right shapes and right colours, in the wrong pairs?"""
    red_star, blue_ring = ("star", "red"), ("ring", "blue")
    cases = [
        ([red_star, blue_ring], [("star", "blue"), ("ring", "red")], True, "the colours changed places"),
        ([red_star, blue_ring], [red_star, blue_ring], False, "everything is right"),
        ([red_star, blue_ring], [blue_ring, red_star], False, "everything is right, found in another order"),
        (
            [red_star, blue_ring],
            [("star", "red"), ("ring", "red")],
            False,
            "a colour is missing: another mistake",
        ),
        (
            [red_star, blue_ring],
            [("star", "blue"), ("cross", "red")],
            False,
            "a shape is wrong: another mistake",
        ),
        ([red_star, blue_ring], [("star", "blue")], False, "a thing is missing: another mistake"),
        (
            [red_star, red_star, blue_ring],
            [("star", "red"), ("star", "blue"), ("ring", "red")],
            True,
            "one pair was swapped",
        ),
        (
            [red_star, red_star, blue_ring],
            [("star", "red"), blue_ring, ("ring", "blue")],
            False,
            "two stars were asked for",
        ),
        ([red_star, blue_ring], [], False, "there is nothing"),
    ]
    for asked, shown, wanted, why in cases:
        value = binding_error(list(asked), list(shown))
        need(value is not None, "the result is None; does the function end in a return?")
        if isinstance(value, torch.Tensor):
            need_tensor(value, ())
        need(bool(value) == wanted, f"asked {asked}, shown {shown}: {why}, so it should be {wanted}.")
    return "swapped pairs are told from missing, wrong and reordered things."
