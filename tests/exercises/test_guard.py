"""A check notices that the answer calls the function that the exercise asks to write, however it is named."""

import contextlib
import sys

import pytest
import torch

from dalle_edu import masks, parallel, tokens, vae
from dalle_edu.autoencoder import principal_components
from dalle_edu.exercises import (
    Wrong,
    abilities,
    costs,
    exercise,
    full_scale,
    need,
    reranking,
    sampling,
    sparse,
    unavailable,
)
from dalle_edu.exercises import masks as mask_checks
from dalle_edu.exercises import tokens as token_checks
from dalle_edu.reranking import expected_best
from dalle_edu.sampling import adjust_logits, draw_from
from dalle_edu.sparse import sparse_attention
from dalle_edu.train import loop
from dalle_edu.transformer import Transformer, TransformerConfig


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


def counted_by_the_library(width, depth):
    config = TransformerConfig(text_length=2, grid=(2, 2), width=width, depth=depth, heads=2)
    return sum(parameter.numel() for parameter in Transformer(config).parameters())


def rate_of_the_library(step, peak, final, warmup, steps):
    config = loop.TrainingConfig(steps, 1, peak, final_learning_rate=final, warmup=warmup)
    return loop.learning_rate(step, config)


def adamw_of_the_library(w, g, m, v, step, rate, beta_1, beta_2, decay):
    weight = torch.nn.Parameter(w)
    weight.grad = g
    torch.optim.AdamW([weight], lr=rate, betas=(beta_1, beta_2), weight_decay=decay).step()
    return weight.detach(), m, v


CALLS = {
    "row": (mask_checks.check_row_mask, lambda h, w: masks.attention_mask("row", 0, (h, w))),
    "conv": (
        mask_checks.check_conv_mask,
        lambda h, w, kernel: masks.attention_mask("conv", 0, (h, w), kernel),
    ),
    "layers": (mask_checks.check_layers_needed, lambda stack, a, b: int(masks.arrival(stack, a)[b])),
    "column": (sparse.check_column, lambda q, k, v, grid: sparse_attention(q, k, v, "column", 0, grid)),
    "parameters": (sparse.check_parameters, counted_by_the_library),
    "best pair": (token_checks.check_best_pair, lambda s, c: tokens.count_pairs(s, c).most_common(1)[0][0]),
    "join": (token_checks.check_join, tokens.join),
    "rate": (costs.check_rate, rate_of_the_library),
    "AdamW": (costs.check_adamw_step, adamw_of_the_library),
    "draw": (sampling.check_draw_code, lambda shares, u: int(draw_from(shares.log()[None]))),
    "top-p": (sampling.check_top_p, lambda shares, p: adjust_logits(shares.log(), top_p=p).isfinite()),
    "cached attention": (
        sampling.check_cached_attention,
        lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q[:, None], k, v).flatten(),
    ),
    "recompute": (full_scale.check_recompute, parallel.recompute),
    "best of N": (abilities.check_expected_best, lambda s, right, n: expected_best(s, right.float(), n)),
    "any right": (
        reranking.check_any_right,
        lambda right, pool, n: expected_best(
            1.0 - torch.arange(pool) / pool, (torch.arange(pool) < right).float(), n
        ),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_chapters_6_to_14_do_not_accept_their_own_library_as_an_answer(name):
    check, answer = CALLS[name]
    verdict = check(answer)
    assert not verdict and "what the exercise asks you to write" in verdict.message, verdict
