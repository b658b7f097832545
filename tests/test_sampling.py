"""Drawing tokens: the right distribution, the same with and without the cache, and what was given stays."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dalle_edu.dalle import Dalle, DalleConfig
from dalle_edu.errors import ReaderError
from dalle_edu.masks import KINDS
from dalle_edu.sampling import (
    adjust_logits,
    draw_from,
    first_rows,
    guided,
    outside_rectangle,
    sample_tokens,
    sample_tokens_plain,
)

SIZES = {
    "text_vocabulary": 12,
    "text_length": 4,
    "image_vocabulary": 10,
    "grid": (3, 4),
    "width": 12,
    "depth": 2,
    "heads": 2,
    "kernel": 3,
}


def dalle(seed=0, **changes):
    torch.manual_seed(seed)
    model = Dalle(DalleConfig(**{**SIZES, **changes})).eval()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape)
    return model


def prompts(count=1, text_length=4, seed=0):
    text = torch.randint(12, (count, text_length), generator=torch.Generator().manual_seed(seed))
    text[:, text_length - 1] = 12 + text_length - 1
    return text


def g(seed=0):
    return torch.Generator().manual_seed(seed)


# ---- the whole drawing


@settings(deadline=None, max_examples=30)
@given(
    grid=st.tuples(st.integers(1, 4), st.integers(1, 4)), text_length=st.integers(1, 5),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=3), kernel=st.sampled_from([1, 3, 11]),
    count=st.integers(1, 3), samples=st.integers(1, 3), seed=st.integers(0, 99),
    dials=st.sampled_from([{}, {"temperature": 0.3}, {"top_k": 3}, {"top_p": 0.6}, {"temperature": 2.0,
    "top_k": 5, "top_p": 0.9}]),
)  # fmt: skip
def test_with_the_cache_every_token_is_the_one_without_it(
    grid, text_length, kinds, kernel, count, samples, seed, dials
):
    model = dalle(
        seed, grid=grid, text_length=text_length, kinds=kinds, depth=len(kinds), kernel=kernel
    ).double()
    text = prompts(count, text_length, seed)
    fast = sample_tokens(model, text, samples, generator=g(seed), **dials)
    slow = sample_tokens_plain(model, text, samples, generator=g(seed), **dials)
    assert fast.shape == (count * samples, grid[0] * grid[1]) and torch.equal(fast, slow)


@pytest.mark.parametrize("guidance", [0.0, 1.0, 1.7, 3.0])
def test_with_guidance_too_the_cache_changes_nothing(guidance):
    model, text = dalle(), prompts(2)
    dials = {"temperature": 0.8, "guidance": guidance}
    cached = sample_tokens(model, text, 3, generator=g(4), **dials)
    assert cached.shape == (6, 12)
    assert torch.equal(cached, sample_tokens_plain(model, text, 3, generator=g(4), **dials))


def test_guidance_goes_from_the_empty_caption_through_the_caption_and_beyond():
    logits = torch.tensor([[2.0, 0.0], [1.0, 1.0]])  # with the caption, without
    assert torch.equal(guided(logits, 0.0), torch.tensor([[1.0, 1.0]]))
    assert torch.equal(guided(logits, 2.0), torch.tensor([[3.0, -1.0]]))
    assert torch.equal(guided(logits[:1], 1.0), logits[:1])
    model, text = dalle(), prompts(1)
    other = prompts(1, seed=9)
    alone = sample_tokens(model, text, 4, guidance=0.0, generator=g())
    assert torch.equal(
        alone, sample_tokens(model, other, 4, guidance=0.0, generator=g())
    )  # no caption at all
    as_it_is = sample_tokens(model, text, 4, generator=g())
    assert torch.equal(as_it_is, sample_tokens(model, text, 4, guidance=1.0, generator=g()))


def test_given_tokens_stay_with_guidance():
    keep = first_rows((3, 4), 1)
    given_tokens = torch.arange(12) % 10
    drawn = sample_tokens(dalle(), prompts(), 3, guidance=2.0, given=given_tokens, keep=keep, generator=g())
    assert torch.equal(drawn[:, :4], given_tokens[:4].expand(3, 4))


def test_the_same_seed_draws_the_same_tokens_and_samples_differ():
    model = dalle()
    first, again, other = (sample_tokens(model, prompts(), 8, generator=g(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert len(first.unique(dim=0)) > 1


def test_the_first_token_follows_the_model_s_own_distribution():
    model, text = dalle(), prompts()
    drawn = sample_tokens(model, text, 4000, generator=g())[:, 0]
    with torch.no_grad():
        expected = model(text, torch.zeros(1, 0, dtype=torch.int64))[1][0, 0].softmax(-1).double().numpy()
    assert chi_square(drawn, expected) < 9 + 5 * math.sqrt(2 * 9)


def test_on_step_is_told_every_token_in_order():
    seen = []
    tokens = sample_tokens(
        dalle(), prompts(2), 2, generator=g(), on_step=lambda j, token: seen.append((j, token.clone()))
    )
    assert [j for j, _ in seen] == list(range(12))
    assert torch.equal(torch.stack([token for _, token in seen], dim=1), tokens)


# ---- pictures given in part


@pytest.mark.parametrize(
    "keep", [first_rows((3, 4), 0), first_rows((3, 4), 2), outside_rectangle((3, 4), 1, 2)]
)
def test_what_is_given_stays_and_the_rest_is_drawn_after_it(keep):
    model, given = dalle(), torch.randint(10, (12,), generator=g(7))
    tokens = sample_tokens(model, prompts(), 6, given=given, keep=keep, generator=g())
    assert (tokens[:, keep] == given[keep]).all()
    assert len(tokens[:, ~keep].unique(dim=0)) > 1


def test_each_sample_may_be_given_its_own_tokens():
    given, keep = torch.randint(10, (4, 12), generator=g(7)), first_rows((3, 4), 1)
    tokens = sample_tokens(dalle(), prompts(2), 2, given=given, keep=keep, generator=g())
    assert torch.equal(tokens[:, keep], given[:, keep])


def test_drawn_tokens_depend_on_the_given_ones_before_them():
    model, keep = dalle(), first_rows((3, 4), 1)
    a, b = (
        sample_tokens(model, prompts(), 30, given=torch.full((12,), k), keep=keep, generator=g())
        for k in (1, 8)
    )
    assert not torch.equal(a[:, 4:], b[:, 4:])


def test_the_rows_and_rectangles_that_are_kept():
    assert first_rows((3, 4), 0).sum() == 0
    assert first_rows((3, 4), 2).view(3, 4).tolist() == [[True] * 4, [True] * 4, [False] * 4]
    assert outside_rectangle((3, 4), 1, 2).view(3, 4).tolist() == [
        [True, True, True, True], [True, True, False, False], [True, True, False, False],
    ]  # fmt: skip
    assert not outside_rectangle((3, 4), 0, 0).any()


# ---- the distribution of one token


def chi_square(drawn, expected):
    count = np.bincount(drawn.numpy(), minlength=len(expected))
    assert not count[expected == 0].any()
    expected = expected * len(drawn)
    return ((count - expected) ** 2 / np.where(expected > 0, expected, 1)).sum()


def by_hand(logits, temperature=1.0, top_k=0, top_p=1.0):
    """Probabilities of one row, in numpy."""
    p = np.exp(logits / temperature - (logits / temperature).max())
    p /= p.sum()
    order = np.argsort(-p, kind="stable")
    if top_k:
        p[order[top_k:]] = 0
        p /= p.sum()
    if top_p < 1:
        held = 0.0
        for k in order:
            if held >= top_p:
                p[k] = 0
            else:
                held += p[k]
        p /= p.sum()
    return p


@settings(deadline=None, max_examples=200)
@given(
    logits=st.lists(st.integers(-800, 800), min_size=2, max_size=12, unique=True),
    temperature=st.floats(0.2, 5),
    top_k=st.integers(0, 14), top_p=st.floats(0.05, 1),
)  # fmt: skip
def test_the_dials_give_the_probabilities_that_numpy_gives(logits, temperature, top_k, top_p):
    row = np.array(logits) / 100
    ours = adjust_logits(torch.tensor(row), temperature, top_k, top_p).softmax(-1).numpy()
    assert np.allclose(ours, by_hand(row, temperature, top_k, top_p), atol=1e-9)


def test_rows_are_adjusted_one_by_one_and_at_least_one_code_is_left():
    logits = torch.randn(5, 7, 9, generator=g())
    together = adjust_logits(logits, 0.7, 4, 0.5)
    assert all(
        torch.equal(together[i, j], adjust_logits(logits[i, j], 0.7, 4, 0.5))
        for i in range(5)
        for j in range(7)
    )
    one = adjust_logits(logits, top_p=1e-6)
    assert (one.isfinite().sum(-1) == 1).all() and torch.equal(one.argmax(-1), logits.argmax(-1))
    assert torch.equal(adjust_logits(logits, top_k=1).argmax(-1), logits.argmax(-1))


def test_equal_logits_do_not_smuggle_in_more_than_k():
    assert adjust_logits(torch.zeros(6), top_k=2).isfinite().sum() == 2


def test_draws_have_the_frequencies_of_the_softmax():
    logits = torch.tensor([2.0, 0.0, -1.0, 1.0, -math.inf, 0.5])
    drawn = draw_from(logits.expand(40_000, 6), g())
    assert chi_square(drawn, logits.softmax(-1).double().numpy()) < 4 + 5 * math.sqrt(2 * 4)


@pytest.mark.parametrize("dials", [{"temperature": 0}, {"temperature": -1}, {"temperature": math.nan},
{"temperature": math.inf},
                                   {"top_k": -1}, {"top_p": 0}, {"top_p": 1.1},
                                   {"guidance": -1}, {"guidance": math.nan}, {"guidance": math.inf},
                                   {"top_p": math.nan}])  # fmt: skip
def test_dials_that_cannot_be_are_refused_before_any_work(dials):
    with pytest.raises(ReaderError):
        sample_tokens(dalle(), prompts(), **dials, on_step=lambda *_: pytest.fail("it had begun"))


@pytest.mark.parametrize("given, keep, sentence", [
    (torch.zeros(12, dtype=torch.int64), None, "go together"),
    (None, torch.ones(12, dtype=torch.bool), "go together"),
    (torch.zeros(11, dtype=torch.int64), torch.ones(12, dtype=torch.bool), "has 11 tokens"),
    (torch.zeros(12, dtype=torch.int64), torch.ones(9, dtype=torch.bool), "`keep` 9"),
    (torch.full((12,), 10), torch.ones(12, dtype=torch.bool), "outside the vocabulary of 10"),
    (torch.zeros(3, 12, dtype=torch.int64), torch.ones(12, dtype=torch.bool), "one a sample"),
])  # fmt: skip
def test_given_tokens_that_do_not_fit_are_refused(given, keep, sentence):
    with pytest.raises(ReaderError, match=sentence):
        sample_tokens(dalle(), prompts(), given=given, keep=keep)


@pytest.mark.parametrize("call", [lambda: first_rows((3, 4), 3), lambda: first_rows((3, 4), -1),
                                  lambda: outside_rectangle((3, 4), 3, 0), lambda: outside_rectangle((3, 4),
                                  0, -1)])  # fmt: skip
def test_places_outside_the_grid_are_refused(call):
    with pytest.raises(ReaderError):
        call()
