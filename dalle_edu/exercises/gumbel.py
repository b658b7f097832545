"""Checks for the exercises of chapter 4, Gumbel-softmax."""

import torch

from dalle_edu import gumbel, vqvae
from dalle_edu.exercises import close, exercise, need, need_tensor


def _uniform(shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)).clamp(1e-6, 1 - 1e-6)


def _logits(shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _noise(uniform):
    return -(-uniform.log()).log()


@exercise(without=[gumbel.gumbel_noise])
def check_gumbel_noise(gumbel_noise):
    """`gumbel_noise(uniform)`: numbers in (0, 1), any shape -> standard Gumbel numbers of that shape."""
    uniform = _uniform((50, 7))
    value = gumbel_noise(uniform)
    need_tensor(value, (50, 7))
    wanted = _noise(uniform)
    need(not torch.isnan(value).any(), "the logarithm of a negative number: -ln u is positive, ln u is not.")
    need(
        not close(value, -wanted),
        "the outer minus is missing: these are mirrored, with the long tail to the left.",
    )
    need(not close(value, -uniform.log()), "those are exponential numbers; one more -ln makes them Gumbel.")
    need(
        not close(value, -(-(1 - uniform).log()).log()),
        "right in distribution, but for 1 - u; use u itself, so that the same u gives the same draw.",
    )
    need(close(value, wanted), "-ln(-ln u) was expected, with natural logarithms.")
    return "its mean is near 0.577, and its right tail is longer than its left."


@exercise(without=[gumbel.gumbel_max])
def check_gumbel_max(draw):
    """`draw(logits, uniform)`, both (batch, K) -> (batch,) int64: the category of the largest sum."""
    logits, uniform = _logits((400, 5)), _uniform((400, 5))
    value = draw(logits, uniform)
    if isinstance(value, torch.Tensor) and value.shape == (400, 5):
        need(False, "scores came back for every category; take the index of the largest in each row.")
    need_tensor(value, (400,))
    need(
        not value.is_floating_point(), "whole numbers were expected: the index of the category, from argmax."
    )
    noise = _noise(uniform)
    wanted = (logits + noise).argmax(1)
    share = (value == wanted).float().mean().item()
    need(
        not torch.equal(value, (logits.softmax(1) + noise).argmax(1)),
        "the noise was added to probabilities; it belongs to their logarithms, the logits.",
    )
    need(
        not torch.equal(value, logits.argmax(1)),
        "the noise has no effect: the largest logit wins every time.",
    )
    need(
        not torch.equal(value, (logits + uniform).argmax(1)),
        "uniform noise was added as it is; turn it into Gumbel noise first.",
    )
    need(
        not torch.equal(value, (logits - noise).argmax(1)),
        "the noise was subtracted; it must be added to the logits.",
    )
    need(torch.equal(value, wanted), f"only {share:.0%} of the rows agree with argmax of logits + noise.")
    many = draw(torch.tensor([0.1, 0.2, 0.7]).log().expand(50_000, 3), _uniform((50_000, 3), 2))
    need(
        close(torch.bincount(many, minlength=3) / 50_000, torch.tensor([0.1, 0.2, 0.7]), 0.01),
        "the frequencies of many draws are not those of the softmax.",
    )
    return "50,000 draws come out as often as the softmax says."


@exercise(without=[gumbel.gumbel_softmax, torch.nn.functional.gumbel_softmax])
def check_relaxed(relaxed):
    """`relaxed(logits, noise, temperature)`, both (batch, K) -> (batch, K): the Gumbel-softmax draw."""
    logits, noise = _logits((20, 6)), _noise(_uniform((20, 6)))
    for temperature in (0.3, 1.0, 4.0):
        value = relaxed(logits, noise, temperature)
        need_tensor(value, (20, 6))
        total = value.sum(1)
        if not close(total, torch.ones(20)):
            need(
                not close(value.sum(0), torch.ones(6)),
                "each column sums to 1; the softmax must run along a row.",
            )
            need(
                False,
                f"the first row sums to {total[0]:.3f}; a draw is a point of the simplex and sums to 1.",
            )
        if temperature == 1.0:
            need(
                not close(value, logits.softmax(1)),
                "there is no noise in it: this is the softmax, the same vector every time.",
            )
            need(
                close(value, (logits + noise).softmax(1)),
                "at temperature 1 softmax(logits + noise) was expected.",
            )
            continue
        wrong = {
            "there is no noise in it: this is a softmax with temperature, the same vector every time.": logits
            / temperature,
            "the temperature divides the logits only; it must divide the noise as well.": logits / temperature
            + noise,
            "the temperature divides the noise only; it must divide the logits as well.": logits
            + noise / temperature,
            "the sum was multiplied by the temperature; it must be divided by it.": (logits + noise)
            * temperature,
            "the temperature has no effect.": logits + noise,
        }
        for message, scores in wrong.items():
            need(not close(value, scores.softmax(1)), message)
        need(
            close(value, ((logits + noise) / temperature).softmax(1)),
            f"at temperature {temperature} softmax((logits + noise) / temperature) was expected.",
        )
    return "points of the simplex, sharper as the temperature falls."


@exercise(without=[vqvae.straight_through])
def check_straight_through(straight_through):
    """`straight_through(relaxed)`, (batch, K) -> (batch, K): a one-hot with the gradient of `relaxed`."""
    logits = _logits((8, 5)).requires_grad_()
    weights = _logits((5,), 3)
    relaxed = ((logits + _noise(_uniform((8, 5)))) / 0.7).softmax(1)
    value = straight_through(relaxed)
    need_tensor(value, (8, 5))
    one_hot = torch.nn.functional.one_hot(relaxed.argmax(1), 5).float()
    need(
        not close(value.detach(), relaxed.detach()),
        "the value is the relaxed draw; going forward it must be the one-hot.",
    )
    need(close(value.detach(), one_hot), "the value is no one-hot of each row's largest entry.")
    need(value.requires_grad, "no gradient comes back: the one-hot alone is cut off from the logits.")
    (gradient,) = torch.autograd.grad((value @ weights).sum(), logits, retain_graph=True, allow_unused=True)
    need(gradient is not None, "no gradient reaches the logits.")
    (wanted,) = torch.autograd.grad((relaxed @ weights).sum(), logits)
    need(
        bool(gradient.abs().max() > 1e-6),
        "the gradient is zero: one `detach` too many, or on the wrong term.",
    )
    need(
        not close(gradient, -wanted),
        "the gradient has the wrong sign; add the relaxed draw, subtract its copy.",
    )
    need(close(gradient, wanted), "the gradient is not the relaxed draw's.")
    return "one-hot going forward, relaxed coming back."


@exercise
def check_top_k(top_k):
    """`top_k(logits, uniform, k)`, both (batch, K) -> (batch, k) int64: k categories, none twice."""
    logits, uniform = _logits((300, 6)), _uniform((300, 6))
    value = top_k(logits, uniform, 3)
    need_tensor(value, (300, 3))
    need(not value.is_floating_point(), "whole numbers were expected: indices, not scores.")
    need(
        all(len(set(row)) == 3 for row in value.tolist()),
        "some row holds a category twice; draw without putting back: one noise for all k, not k new ones.",
    )
    need(
        not torch.equal(value, logits.topk(3).indices), "there is no noise in it: the same three every time."
    )
    wanted = (logits + _noise(uniform)).topk(3).indices
    need(
        not torch.equal(value, (logits + _noise(uniform)).topk(3, largest=False).indices),
        "those are the three smallest; take the largest.",
    )
    need(
        torch.equal(value, wanted) or not torch.equal(value.sort(1).values, wanted.sort(1).values),
        "the right categories in the wrong order: first drawn first, so the largest score first.",
    )
    need(
        torch.equal(value, wanted), "the k largest of logits + Gumbel noise were expected, the largest first."
    )
    return "k draws without putting back, from one throw of the noise."
