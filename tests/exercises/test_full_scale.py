"""The checks of chapter 14 accept right answers and name the mistakes that are easy to make."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from answers import empty_and_crash_are_told_apart, is_named
from torch.utils.checkpoint import checkpoint

from dalle_edu.configs import read_config
from dalle_edu.exercises import full_scale as checks
from dalle_edu.machine.budget import budget


def width(depth, memory, devices, each=16, share=0.75, step=64):
    return math.isqrt(int(share * memory * devices / (each * 12 * depth))) // step * step


def mean(means, words):
    return sum(m * w for m, w in zip(means, words, strict=True)) / sum(words)


def reduce_scatter(gradients, reduce=torch.mean, fill=True):
    n = len(gradients)
    whole = reduce(gradients, 0)
    return F.pad(whole, (0, -len(whole) % n if fill else 0)).chunk(n)


def recompute(model, chosen=slice(None, None, 2)):
    for block in model.transformer.blocks[chosen]:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    return model


def share(shapes, r):
    return sum(min(r * (m + n), m * n) for m, n in shapes) / sum(m * n for m, n in shapes)


RIGHT = [
    (checks.check_width, width),
    (checks.check_mean, mean),
    (checks.check_reduce_scatter, reduce_scatter),
    (checks.check_recompute, recompute),
    (checks.check_share, share),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_the_right_answer_passes(check, answer):
    verdict = check(answer)
    assert verdict, verdict


def by_the_library(depth, memory, devices):
    budget(read_config("paper-12b"), devices)
    return width(depth, memory, devices)


def zeros_in_the_gradient(model):
    for parameter in model.parameters():
        parameter.register_hook(torch.zeros_like)
    return recompute(model)


MISTAKES = [
    (checks.check_width, lambda *a: width(*a, each=4), "weights alone"),
    (checks.check_width, lambda *a: width(*a, share=1), "nothing for activations"),
    (checks.check_width, lambda depth, memory, devices: width(depth, memory, 1), "one device"),
    (checks.check_width, lambda *a: width(*a, step=1), "multiple of 64"),
    (checks.check_width, lambda *a: width(*a) + 64, "it should be"),
    (checks.check_width, lambda *a: None, "None"),
    (checks.check_width, by_the_library, "what the exercise asks you to write"),
    (checks.check_mean, lambda means, words: sum(means) / len(means), "mean of the means"),
    (checks.check_mean, lambda means, words: mean(means, words) * sum(words), "the sum"),
    (checks.check_mean, lambda means, words: mean(means, words) + 1, "it should be"),
    (checks.check_mean, lambda *a: None, "None"),
    (checks.check_reduce_scatter, lambda g: reduce_scatter(g, torch.sum), "the mean"),
    (checks.check_reduce_scatter, lambda g: reduce_scatter(g, fill=False), "fill up"),
    (checks.check_reduce_scatter, lambda g: [g.mean(0)], "a slice for each"),
    (checks.check_reduce_scatter, lambda g: [g.mean(0)] * len(g), "should have shape"),
    (checks.check_reduce_scatter, lambda g: reduce_scatter(g[:1].expand_as(g)), "its own gradient"),
    (checks.check_reduce_scatter, lambda g: reduce_scatter(g)[::-1], "put together"),
    (checks.check_reduce_scatter, lambda g: None, "None"),
    (checks.check_recompute, lambda model: model, "as many bytes"),
    (checks.check_recompute, lambda model: recompute(model, slice(None)), "every second should be spared"),
    (checks.check_recompute, lambda model: recompute(model, slice(1, None, 2)), "second, fourth"),
    (checks.check_recompute, lambda model: recompute(model, slice(0, 1)), "first, third and fifth"),
    (checks.check_recompute, lambda model: recompute(model) and None, "model itself"),
    (checks.check_recompute, zeros_in_the_gradient, "gradients changed"),
    (checks.check_share, lambda s, r: sum(r * (m + n) for m, n in s) / sum(m * n for m, n in s), "as it is"),
    (checks.check_share, lambda s, r: sum(share([one], r) for one in s) / len(s), "large matrix"),
    (checks.check_share, lambda s, r: 1 - share(s, r), "share saved"),
    (checks.check_share, lambda s, r: 2 * share(s, r), "it should be"),
    (checks.check_share, lambda s, r: None, "None"),
]


@pytest.mark.parametrize(("check", "answer", "said"), MISTAKES)
def test_a_usual_mistake_fails_and_is_named(check, answer, said):
    is_named(check, answer, said)


@pytest.mark.parametrize("check", [check for check, _ in RIGHT])
def test_an_empty_answer_and_a_crash_are_told_apart(check):
    empty_and_crash_are_told_apart(check)
