"""A check notices that the answer calls the function that the exercise asks to write, however it is named."""

import contextlib
import sys

import torch

from dalle_edu import vae
from dalle_edu.autoencoder import principal_components
from dalle_edu.exercises import Wrong, exercise, need, unavailable


@exercise(without=[vae.gaussian_kl, torch.cdist, torch.nn.functional.gumbel_softmax, torch.nn.Linear])
def check(answer):
    need(float(answer(torch.ones(3))) == float(vae.gaussian_kl(torch.ones(3), torch.ones(3)).sum()), "no")
    return "yes"


def right(x):
    return (-0.5 * (1 + x - x.square() - x.exp())).sum()


def test_an_answer_in_its_own_words_passes_though_the_check_itself_calls_the_function():
    assert check(right), check(right)


def test_the_function_is_noticed_under_any_name():
    another = vae.gaussian_kl
    for answer in (
        lambda x: vae.gaussian_kl(x, x).sum(),
        lambda x: another(x, x).sum(),
        lambda x: sum(map(another, [x], [x])).sum(),
    ):
        verdict = check(answer)
        assert not verdict and "gaussian_kl" in verdict.message
    assert not check(vae.gaussian_kl)


def test_an_answer_that_hides_the_complaint_is_found_out():
    def sly(x):
        with contextlib.suppress(Exception):
            vae.gaussian_kl(x, x)
        return right(x)

    assert "gaussian_kl" in check(sly).message


def test_built_in_functions_decorated_ones_and_classes_are_noticed():
    x = torch.ones(1, 2)
    assert "cdist" in check(lambda _: torch.cdist(x, x)).message
    assert "gumbel_softmax" in check(lambda _: torch.nn.functional.gumbel_softmax(x)).message
    assert "Linear" in check(lambda _: torch.nn.Linear(2, 2)(x)).message
    try:
        with unavailable(principal_components):
            principal_components(torch.rand(4, 3, 2, 2), 1)
    except Wrong as wrong:
        assert "principal_components" in str(wrong)
    else:
        raise AssertionError("it was not noticed")


def test_afterwards_everything_is_as_before():
    before = sys.getprofile()
    check(lambda x: vae.gaussian_kl(x, x).sum())
    assert sys.getprofile() is before
    assert torch.isfinite(vae.gaussian_kl(torch.ones(3), torch.ones(3))).all()
