"""Chapter 4's module, against the definition of a Gumbel number, exact draws, and finite differences."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dalle_edu.errors import ReaderError
from dalle_edu.gumbel import exponential_noise, gumbel_max, gumbel_noise, gumbel_softmax


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_noise_follows_the_gumbel_distribution_function():
    noise = gumbel_noise(torch.empty(200_000), seeded())
    for g in (-1.5, -0.5, 0.0, 1.0, 3.0):
        assert (noise <= g).float().mean().item() == pytest.approx(math.exp(-math.exp(-g)), abs=0.005)
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.01)
    assert noise.std().item() == pytest.approx(math.pi / math.sqrt(6), abs=0.01)


def test_the_noise_is_finite_even_where_the_uniform_number_is_zero(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda shape, generator, **how: torch.zeros(shape, **how))
    assert gumbel_noise(torch.empty(4)).isfinite().all()


@pytest.mark.parametrize("shape", [(), (1,), (15,), (16,), (3, 7, 5), (200_000,), (0,)])
def test_the_noise_is_torch_s_own_exponential_draw_to_the_last_bit(shape):
    generator, own = seeded(3), seeded(3)
    drawn = exponential_noise(torch.empty(shape), generator)
    assert torch.equal(drawn, torch.empty(shape).exponential_(generator=own))
    assert torch.equal(generator.get_state(), own.get_state()), "what is drawn next must be the same as well"
    assert drawn.dtype == torch.float32
    double = exponential_noise(torch.empty(shape, dtype=torch.float64), seeded(4))
    expected = torch.empty(shape, dtype=torch.float64).exponential_(generator=seeded(4))
    torch.testing.assert_close(double, expected, rtol=1e-15, atol=0)


def test_sixteen_bit_logits_get_noise_of_thirty_two_bits():
    logits = torch.zeros(100_000, dtype=torch.bfloat16)
    noise = gumbel_noise(logits, seeded())
    assert noise.dtype == torch.float32
    assert noise.unique().numel() > 50_000
    assert gumbel_softmax(logits[None], 1.0).dtype == torch.float32


def test_gumbel_max_draws_each_category_as_often_as_softmax_says():
    probabilities = torch.tensor([0.05, 0.15, 0.3, 0.5])
    draws = gumbel_max(probabilities.log().expand(200_000, 4), generator=seeded())
    frequencies = torch.bincount(draws, minlength=4) / draws.numel()
    torch.testing.assert_close(frequencies, probabilities, atol=0.005, rtol=0)


def test_gumbel_max_ignores_a_constant_added_to_the_logits():
    logits = torch.randn(50, 7, generator=seeded())
    assert torch.equal(gumbel_max(logits, generator=seeded(1)), gumbel_max(logits + 3.0, generator=seeded(1)))


def test_the_same_generator_state_draws_the_same_and_another_draws_differently():
    logits = torch.randn(8, 16, generator=seeded())
    first, again, other = (gumbel_softmax(logits, 0.5, generator=seeded(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_relaxed_draw_is_the_equation_of_the_paper():
    logits = torch.randn(5, 6, generator=seeded())
    g = gumbel_noise(logits, seeded(3))
    scaled = torch.exp((logits.log_softmax(-1) + g) / 0.7)
    expected = scaled / scaled.sum(-1, keepdim=True)
    torch.testing.assert_close(gumbel_softmax(logits, 0.7, generator=seeded(3)), expected)


def test_noise_is_what_makes_two_draws_differ():
    """The formula in circulation has no noise: it is a softmax, the same vector every time."""
    logits = torch.randn(6, generator=seeded()).expand(100, 6)
    assert gumbel_softmax(logits, 1.0, generator=seeded()).std(0).min() > 0.05
    assert (logits / 1.0).softmax(-1).std(0).max() < 1e-6


@settings(max_examples=50, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(2, 9), st.integers(1, 4), st.integers(1, 4)),
    temperature=st.floats(0.05, 20.0),
    seed=st.integers(0, 2**31 - 1),
    hard=st.booleans(),
)
def test_every_draw_is_a_point_of_the_simplex_with_its_peak_at_the_exact_draw(shape, temperature, seed, hard):
    logits = 3 * torch.randn(shape, generator=seeded(seed))
    draw = gumbel_softmax(logits, temperature, dim=1, hard=hard, generator=seeded(seed))
    assert draw.shape == logits.shape
    assert (draw >= 0).all()
    torch.testing.assert_close(draw.sum(1), torch.ones_like(draw.sum(1)))
    exact = gumbel_max(logits, dim=1, generator=seeded(seed))
    # Ties of the float32 softmax aside, the largest entry stands where the exact draw fell.
    torch.testing.assert_close(draw.gather(1, exact[:, None])[:, 0], draw.amax(1))


def test_temperature_leads_from_uniform_to_one_hot():
    logits = torch.randn(100, 5, generator=seeded())
    hot = gumbel_softmax(logits, 1e4, generator=seeded(1))
    torch.testing.assert_close(hot, torch.full_like(hot, 0.2), atol=1e-3, rtol=0)
    cold = gumbel_softmax(logits, 1e-4, generator=seeded(1))
    one_hot = F.one_hot(gumbel_max(logits, generator=seeded(1)), 5).float()
    assert (cold - one_hot).abs().max(-1).values.median() < 1e-6
    peaks = [gumbel_softmax(logits, t, generator=seeded(1)).amax(-1).mean() for t in (4.0, 1.0, 0.25, 0.0625)]
    assert peaks == sorted(peaks)


def test_the_gradient_agrees_with_finite_differences():
    logits = torch.randn(3, 4, dtype=torch.float64, generator=seeded()).requires_grad_()
    assert torch.autograd.gradcheck(lambda l: gumbel_softmax(l, 0.6, generator=seeded(5)), logits)


def test_straight_through_has_the_one_hot_value_and_the_relaxed_gradient():
    logits = torch.randn(4, 6, generator=seeded()).requires_grad_()
    weights = torch.randn(6, generator=seeded(1))
    hard = gumbel_softmax(logits, 0.5, hard=True, generator=seeded(2))
    assert torch.equal(hard, F.one_hot(gumbel_max(logits, generator=seeded(2)), 6).float())
    (hard_gradient,) = torch.autograd.grad((hard @ weights).sum(), logits)
    soft = gumbel_softmax(logits, 0.5, generator=seeded(2))
    (soft_gradient,) = torch.autograd.grad((soft @ weights).sum(), logits)
    torch.testing.assert_close(hard_gradient, soft_gradient)


def test_a_colder_draw_has_a_gradient_of_less_bias_and_more_variance():
    logits = torch.tensor([0.5, 0.0, -0.5, 0.3])
    values = torch.tensor([1.0, -1.0, 0.5, 2.0])
    p = logits.softmax(-1)
    true = p * (values - (p * values).sum())  # of the expectation of a linear function of the draw

    def gradients(temperature):
        rows = logits.expand(100_000, 4).clone().requires_grad_()
        (gumbel_softmax(rows, temperature, generator=seeded()) @ values).sum().backward()
        return rows.grad

    cold, hot = gradients(0.2), gradients(5.0)
    assert (cold.mean(0) - true).norm() < (hot.mean(0) - true).norm()
    assert cold.var(0).sum() > hot.var(0).sum()


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_not_above_zero_is_refused_in_one_sentence(temperature):
    with pytest.raises(ReaderError, match="above 0"):
        gumbel_softmax(torch.zeros(3), temperature)
