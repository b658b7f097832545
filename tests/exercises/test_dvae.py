"""The checks of chapter 5's exercises: the right answer passes, each usual mistake is named."""

import math

import pytest
import torch
import torch.nn.functional as F
from answers import empty_and_crash_are_told_apart, is_named

from dalle_edu.dvae import Block, kl_to_uniform
from dalle_edu.exercises import dvae as checks


def multiplied(weight, bias, tokens):
    one_hot = F.one_hot(tokens, weight.shape[1]).permute(0, 3, 1, 2).float()
    return F.conv2d(one_hot, weight, bias)


def counted(n_in, n_out, kernels):
    return sum(part.numel() for part in Block(n_in, n_out, kernels, 1.0).parameters())


def look_up(weight, bias, tokens):
    return (weight[:, :, 0, 0].T[tokens] + bias).permute(0, 3, 1, 2)


def block_parameters(n_in, n_out, kernels, flat=None):
    flat = n_out // 4
    channels = [n_in, flat, flat, flat, n_out]
    count = sum(channels[i] * channels[i + 1] * kernels[i] ** 2 + channels[i + 1] for i in range(4))
    return count + (n_in * n_out + n_out if n_in != n_out else 0)


def draw_pixels(mu, ln_b, uniform):
    u = uniform - 0.5
    return torch.sigmoid(mu - ln_b.exp() * u.sign() * torch.log1p(-2 * u.abs()))


def bits_saved(logits):
    ln_q = logits.log_softmax(1)
    return (math.log(logits.shape[1]) + (ln_q.exp() * ln_q).sum(1)) / math.log(2)


def detail_share(images):
    grey = images.mean(1)
    energy = torch.fft.fft2(grey - grey.mean((1, 2), keepdim=True)).abs().square()
    frequency = torch.fft.fftfreq(images.shape[-1])
    fine = (frequency[:, None].square() + frequency.square()).sqrt() > 0.25
    return (energy * fine).sum((1, 2)) / energy.sum((1, 2))


RIGHT = [
    (checks.check_look_up, look_up),
    (checks.check_block_parameters, block_parameters),
    (checks.check_draw_pixels, draw_pixels),
    (checks.check_bits_saved, bits_saved),
    (checks.check_detail_share, detail_share),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_the_right_answer_passes(check, answer):
    verdict = check(answer)
    assert verdict, verdict


def wave_share(images, power=2, mean=True, absolute=False):
    grey = images.mean(1)
    grey = grey - grey.mean((1, 2), keepdim=True) if mean else grey
    energy = torch.fft.fft2(grey).abs() ** power
    size = images.shape[-1]
    frequency = torch.arange(size) / size if absolute else torch.fft.fftfreq(size)
    fine = (frequency[:, None].square() + frequency.square()).sqrt() > 0.25
    return (energy * fine).sum((1, 2)) / energy.sum((1, 2))


MISTAKES = [
    (checks.check_look_up, lambda w, b, t: w[:, :, 0, 0].T[t] + b, "channels stand last"),
    (checks.check_look_up, lambda w, b, t: w[:, :, 0, 0].T[t].permute(0, 3, 1, 2), "bias"),
    (checks.check_look_up, lambda w, b, t: look_up(w, b, (t + 1) % 7), "column k"),
    (checks.check_look_up, lambda w, b, t: look_up(w, b, t.mT).mT[:, :, :, :3], "shape"),
    (checks.check_look_up, lambda w, b, t: None, "None"),
    (checks.check_block_parameters, lambda i, o, k: block_parameters(i, o, k) - o - 3 * (o // 4), "biases"),
    (checks.check_block_parameters, lambda i, o, k: block_parameters(i, o, (1, 1, 1, 1)), "it is"),
    (checks.check_block_parameters, lambda i, o, k: block_parameters(o, o, k) + i * o + o, "identity path"),
    (checks.check_block_parameters, lambda i, o, k: None, "None"),
    (checks.check_block_parameters, lambda i, o, k: block_parameters(i, o, k) + 0.5, "whole number"),
    (checks.check_draw_pixels, lambda m, b, u: torch.logit(draw_pixels(m, b, u)), "sigmoid"),
    (checks.check_draw_pixels, lambda m, b, u: torch.sigmoid(m), "not a draw"),
    (checks.check_draw_pixels, lambda m, b, u: draw_pixels(m, b.exp().log() * 0, u), "tenth"),
    (checks.check_draw_pixels, lambda m, b, u: draw_pixels(m, b.abs().log(), u), "ln b"),
    (
        checks.check_draw_pixels,
        lambda m, b, u: torch.sigmoid(m + b.exp() * torch.distributions.Normal(0, 1).icdf(u)),
        "tenth",
    ),
    (checks.check_bits_saved, lambda x: bits_saved(x) * math.log(2), "nats"),
    (checks.check_bits_saved, lambda x: math.log2(x.shape[1]) - bits_saved(x), "entropy"),
    (checks.check_bits_saved, lambda x: bits_saved(x) - math.log2(x.shape[1]), "log2"),
    (checks.check_bits_saved, lambda x: bits_saved(x).mean(), "shape"),
    (
        checks.check_bits_saved,
        lambda x: math.log2(x.shape[1]) + (x.softmax(1) * x.softmax(1).log2()).sum(1),
        "nan",
    ),
    (checks.check_detail_share, lambda x: wave_share(x, power=1), "energy is their square"),
    (checks.check_detail_share, lambda x: wave_share(x, mean=False), "mean"),
    (checks.check_detail_share, lambda x: wave_share(x, absolute=True), "negative"),
    (checks.check_detail_share, lambda x: wave_share(x).mean(), "shape"),
    (checks.check_bits_saved, lambda logits: kl_to_uniform(logits) / math.log(2), "write the lines"),
    (checks.check_look_up, multiplied, "write the lines"),
    (checks.check_block_parameters, counted, "write the lines"),
]


@pytest.mark.parametrize(("check", "answer", "said"), MISTAKES)
def test_a_usual_mistake_fails_and_is_named(check, answer, said):
    is_named(check, answer, said)


@pytest.mark.parametrize("check", [check for check, _ in RIGHT])
def test_an_empty_answer_and_a_crash_are_told_apart(check):
    empty_and_crash_are_told_apart(check)


def test_the_look_up_is_the_layer_of_the_shipped_kind_of_decoder():
    from dalle_edu.dvae import Decoder, DiscreteVAEConfig

    torch.manual_seed(0)
    decoder = Decoder(DiscreteVAEConfig(image_size=16, vocabulary=32, hidden=8, decoder_input=8))
    torch.nn.init.normal_(decoder.blocks.input.bias)
    tokens = torch.randint(32, (2, 2, 2))
    layer = decoder.blocks.input
    wanted = layer(F.one_hot(tokens, 32).permute(0, 3, 1, 2).float())
    assert torch.allclose(look_up(layer.weight, layer.bias, tokens), wanted, atol=1e-6)
