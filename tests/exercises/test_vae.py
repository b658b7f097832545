"""The checks of chapter 2 accept right answers, and tell each usual mistake what it is."""

import pytest
import torch
from answers import is_named

from dalle_edu import vae
from dalle_edu.exercises.vae import check_fine_share, check_free_nats, check_kl, check_reparameterise


def reparameterise(means, log_variances, generator):
    return means + (log_variances / 2).exp() * noise(means, generator)


def each_kl(means, log_variances):
    return 0.5 * (means.square() + log_variances.exp() - 1 - log_variances)


def kl(means, log_variances):
    return each_kl(means, log_variances).sum(dim=1)


def free_nats(kl, nats):
    return kl.mean(dim=0).clamp(min=nats).sum()


def fine_share(spectrum, waves):
    return spectrum[waves:].sum() / spectrum[1:].sum()


def noise(means, generator):
    return torch.randn(means.shape, generator=generator)


RIGHT = [
    (check_reparameterise, reparameterise),
    (check_kl, kl),
    (check_free_nats, free_nats),
    (check_fine_share, fine_share),
]

WRONG = [
    (check_reparameterise, lambda m, v, g: m + v.exp() * noise(m, g), "variance"),
    (check_reparameterise, lambda m, v, g: m + v * noise(m, g), "log variance"),
    (check_reparameterise, lambda m, v, g: m + 0 * v, "no noise"),
    (check_reparameterise, lambda m, v, g: m.detach() + (v.detach() / 2).exp() * noise(m, g), "gradient"),
    (check_reparameterise, lambda m, v, g: reparameterise(m, v, None), "generator"),
    (check_reparameterise, lambda m, v, g: m + (v.detach() / 2).exp() * noise(m, g), "variance"),
    (check_reparameterise, lambda m, v, g: (v / 2).exp() * noise(m, g), "average"),
    (check_kl, each_kl, "sum over them"),
    (check_kl, lambda m, v: vae.gaussian_kl(m, v).sum(dim=1), "write the lines yourself"),
    (check_reparameterise, vae.reparameterise, "write the lines yourself"),
    (check_kl, lambda m, v: -kl(m, v), "sign"),
    (check_kl, lambda m, v: 2 * kl(m, v), "1/2"),
    (check_kl, lambda m, v: kl(m, v) / m.shape[1], "averaged"),
    (check_kl, lambda m, v: kl(m, 2 * v), "square"),
    (check_kl, lambda m, v: kl(m, v) + 1, "must be 0"),
    (check_kl, lambda m, v: m.square().sum(dim=1) / 2, "nats"),
    (check_free_nats, lambda k, n: k.clamp(min=n).mean(dim=0).sum(), "by itself"),
    (check_free_nats, lambda k, n: k.mean(dim=0).clamp(max=n).sum(), "from above"),
    (check_free_nats, lambda k, n: k.mean(dim=0).clamp(min=n).mean(), "sum them"),
    (check_free_nats, lambda k, n: k.sum(dim=1).mean().clamp(min=n), "each latent number"),
    (check_free_nats, lambda k, n: k.mean(dim=0), "shape"),
    (check_fine_share, lambda s, w: s[w:].sum() / s.sum(), "leave it out"),
    (check_fine_share, lambda s, w: s[w + 1 :].sum() / s[1:].sum(), ">="),
    (check_fine_share, lambda s, w: s[1:w].sum() / s[1:].sum(), "coarse"),
    (check_fine_share, lambda s, w: s[w:].sum(), "divide"),
    (check_fine_share, lambda s, w: "much", "number"),
]


@pytest.mark.parametrize("check, answer", RIGHT)
def test_a_right_answer_passes(check, answer):
    verdict = check(answer)
    assert verdict, verdict


@pytest.mark.parametrize("check, answer, words", WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(check, answer, words):
    is_named(check, answer, words)


def test_an_answer_not_yet_written_ends_in_a_sentence():
    def unwritten(*_):
        raise NotImplementedError

    for check, _ in RIGHT:
        assert "NotImplementedError" in check(unwritten).message
