"""The checks of chapter 1 accept right answers, and tell each usual mistake what it is."""

import math

import pytest
import torch

from dalle_edu import autoencoder
from dalle_edu.exercises import Verdict
from dalle_edu.exercises.autoencoder import (
    check_best_linear,
    check_blank_out,
    check_log_likelihood,
    check_psnr,
)


def psnr(images, reconstructions):
    return -10 * torch.log10(mse(images, reconstructions))


def log_likelihood(images, means, sigma):
    return torch.distributions.Normal(means, sigma).log_prob(images).flatten(1).sum(dim=1)


def best_linear(images, latent_size):
    rows = images.flatten(1)
    mean = rows.mean(dim=0)
    directions = torch.linalg.svd(rows - mean, full_matrices=False).Vh[:latent_size]
    return (mean + (rows - mean) @ directions.T @ directions).reshape(images.shape)


def called_best_linear(images, latent_size):
    return autoencoder.project(images, *autoencoder.principal_components(images, latent_size))


def blank_out(images, share, generator):
    number, _, height, width = images.shape
    return images.masked_fill(torch.rand(number, 1, height, width, generator=generator) < share, 0.0)


def mse(images, reconstructions):
    return (images - reconstructions).square().flatten(1).mean(dim=1)


def squared(images, means):
    return (images - means).square().flatten(1).sum(dim=1)


def uncentred(images, latent_size):
    rows = images.flatten(1)
    directions = torch.linalg.svd(rows, full_matrices=False).Vh[:latent_size]
    return (rows @ directions.T @ directions).reshape(images.shape)


def smallest_directions(images, latent_size):
    rows = images.flatten(1)
    mean = rows.mean(dim=0)
    directions = torch.linalg.svd(rows - mean, full_matrices=False).Vh[5 - latent_size : 5]
    return (mean + (rows - mean) @ directions.T @ directions).reshape(images.shape)


def blank_in_place(images, share, generator):
    number, _, height, width = images.shape
    return images.masked_fill_(torch.rand(number, 1, height, width, generator=generator) < share, 0.0)


RIGHT = [
    (check_psnr, psnr),
    (check_log_likelihood, log_likelihood),
    (check_best_linear, best_linear),
    (check_blank_out, blank_out),
]

WRONG = [
    (check_psnr, autoencoder.psnr, "write the lines yourself"),
    (check_log_likelihood, autoencoder.gaussian_log_likelihood, "write the lines yourself"),
    (check_best_linear, called_best_linear, "write the lines yourself"),
    (check_psnr, lambda x, y: -10 * torch.log10((x - y).square().mean()), "whole batch"),
    (check_psnr, lambda x, y: 10 * torch.log10(mse(x, y)), "sign"),
    (check_psnr, lambda x, y: -10 * torch.log(mse(x, y)), "natural logarithm"),
    (check_psnr, lambda x, y: -torch.log10(mse(x, y)), "bels"),
    (check_psnr, lambda x, y: -10 * torch.log10(mse(x, y).sqrt()), "square root"),
    (check_psnr, lambda x, y: -10 * torch.log10(squared(x, y)), "mean over the pixels"),
    (check_psnr, lambda x, y: None, "return"),
    (check_psnr, lambda x, y: mse(x, y) + 7, "expected"),
    (check_log_likelihood, lambda x, m, s: -squared(x, m) / (2 * s**2), "constant is missing"),
    (
        check_log_likelihood,
        lambda x, m, s: -squared(x, m) / (2 * s**2) - math.log(2 * math.pi * s**2) / 2,
        "every pixel",
    ),
    (check_log_likelihood, lambda x, m, s: -log_likelihood(x, m, s), "NEGATIVE"),
    (
        check_log_likelihood,
        lambda x, m, s: torch.distributions.Normal(m, s).log_prob(x).flatten(1).mean(dim=1),
        "averaged",
    ),
    (check_log_likelihood, lambda x, m, s: squared(x, m), "nats"),
    (check_best_linear, lambda images, latent_size: images, "nothing was lost"),
    (check_best_linear, uncentred, "mean picture"),
    (check_best_linear, smallest_directions, "LARGEST"),
    (check_best_linear, lambda images, latent_size: images.flatten(1), "shape"),
    (check_blank_out, blank_in_place, "in place"),
    (check_blank_out, lambda x, share, g: x * (torch.rand(x.shape, generator=g) > share), "all its colours"),
    (check_blank_out, lambda x, share, g: blank_out(x, 1 - share, g), "turned"),
    (check_blank_out, lambda x, share, g: blank_out(x, share / 2, g), "where 30 %"),
    (
        check_blank_out,
        lambda x, share, g: x.masked_fill(torch.rand(1, 1, *x.shape[2:], generator=g) < share, 0.0),
        "every picture",
    ),
    (check_blank_out, lambda x, share, g: blank_out(x, share, None), "generator"),
    (check_blank_out, lambda x, share, g: blank_out(x, share, g) * 0.5, "stay as they were"),
]


@pytest.mark.parametrize("check, answer", RIGHT)
def test_a_right_answer_passes(check, answer):
    verdict = check(answer)
    assert verdict, verdict
    assert repr(verdict).startswith("Right.")


@pytest.mark.parametrize("check, answer, words", WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(check, answer, words):
    verdict = check(answer)
    assert isinstance(verdict, Verdict) and not verdict
    assert words in verdict.message, verdict
    assert repr(verdict).startswith("Not yet:")


def test_an_answer_not_yet_written_and_one_that_breaks_end_in_a_sentence_not_in_a_traceback():
    def unwritten(*_):
        raise NotImplementedError

    def broken(*_):
        return 1 / 0

    for check, _ in RIGHT:
        assert "NotImplementedError" in check(unwritten).message
        assert "ZeroDivisionError" in check(broken).message
