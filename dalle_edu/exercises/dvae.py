"""Checks for the exercises of chapter 5, the discrete VAE."""

import math

import torch
import torch.nn.functional as F

from dalle_edu.dvae import Block, kl_to_uniform
from dalle_edu.exercises import close, exercise, need, need_tensor


def _generator(seed):
    return torch.Generator().manual_seed(seed)


@exercise(without=[F.conv2d, torch.conv2d, torch.matmul, F.linear])
def check_look_up(look_up):
    """`look_up(weight, bias, tokens)`: what the decoder's first 1x1 convolution says, without multiplying."""
    weight = torch.randn(5, 7, 1, 1, generator=_generator(0))  # (channels, vocabulary, 1, 1)
    bias = torch.randn(5, generator=_generator(1))
    tokens = torch.randint(7, (2, 3, 4), generator=_generator(2))
    value = look_up(weight, bias, tokens)
    wanted = F.conv2d(F.one_hot(tokens, 7).permute(0, 3, 1, 2).float(), weight, bias)
    if isinstance(value, torch.Tensor) and tuple(value.shape) == (2, 3, 4, 5):
        need(False, "the channels stand last; a convolution has them second: .permute(0, 3, 1, 2).")
    need_tensor(value, (2, 5, 3, 4))
    need(not close(value, wanted - bias[:, None, None]), "the bias is missing: it is added to every vector.")
    turned = F.conv2d(F.one_hot(tokens, 7).permute(0, 3, 2, 1).float(), weight, bias)
    need(
        turned.shape != value.shape or not close(value, turned.reshape(value.shape)),
        "rows and columns are swapped.",
    )
    need(
        close(value, wanted),
        "these are not the vectors that belong to the tokens: code k is column k, weight[:, k, 0, 0].",
    )
    return "the same as the convolution: the decoder's first layer is the codebook."


@exercise(without=[Block])
def check_block_parameters(block_parameters):
    """`block_parameters(n_in, n_out, kernels)`: how many weights and biases a residual block has, an int."""
    for n_in, n_out, kernels in (
        (256, 256, (3, 3, 3, 1)),
        (64, 128, (3, 3, 3, 1)),
        (128, 512, (1, 3, 3, 3)),
        (16, 16, (1, 3, 3, 3)),
    ):
        value = block_parameters(n_in, n_out, kernels)
        need(value is not None, "the result is None; does the function end in a return?")
        need(float(value) == int(value), f"a count is a whole number, not {value}.")
        with torch.device("meta"):
            block = Block(n_in, n_out, kernels, 1.0)
        wanted = sum(p.numel() for p in block.parameters())
        weights = sum(p.numel() for p in block.parameters() if p.ndim == 4)
        of_id = sum(p.numel() for p in block.id_path.parameters())
        case = f"for {n_in} -> {n_out} channels with kernels {kernels}"
        need(value != weights, "the biases are missing: one number for each channel that comes out.")
        need(
            not (of_id and value == wanted - of_id),
            f"{case} the 1x1 convolution on the identity path is missing; it is there when channels change.",
        )
        need(
            not (n_in == n_out and value == wanted + n_in * n_out + n_out),
            "where the channels stay, the identity path has no weights at all.",
        )
        flat = n_out // 4
        channels = [n_in, flat, flat, flat, n_out]
        once = sum(
            a * b * k + b for a, b, k in zip(channels[:-1], channels[1:], kernels, strict=True)
        )  # fmt: skip
        need(
            value not in (once, once + of_id),
            "a kernel of size 3 has 3 x 3 numbers a pair of channels.",
        )
        need(int(value) == wanted, f"{case} it is {wanted:,}, not {int(value):,}.")
    return "the bottleneck makes blocks cheap: a plain 3x3 convolution on 256 channels has 590,080 numbers."


@exercise
def check_draw_pixels(draw_pixels):
    """`draw_pixels(mu, ln_b, uniform)`: draws from the logit-Laplace density, shaped like `mu`."""
    uniform = (torch.arange(20_000) + 0.5) / 20_000
    for location, scale in ((-1.0, 2.0), (1.5, 0.3), (0.0, 1.0)):
        mu, ln_b = torch.full_like(uniform, location), torch.full_like(uniform, math.log(scale))
        value = draw_pixels(mu, ln_b, uniform)
        need_tensor(value, uniform.shape)
        laplace = torch.distributions.Laplace(location, scale).icdf(uniform)
        need(not close(value, laplace, 1e-3), "these are logits; the last step is a sigmoid, into (0, 1).")
        need(
            bool(((value >= 0) & (value <= 1)).all()),
            f"pixels from {value.min():.2f} to {value.max():.2f} came out; a sigmoid keeps them in (0, 1).",
        )
        middle = torch.sigmoid(mu)
        need(
            scale < 0.5 or not close(value, middle, 1e-3),
            "every pixel is sigmoid(mu): that is the decoder's best guess, not a draw. Use `uniform`.",
        )
        wrong_scale = torch.sigmoid(
            torch.distributions.Laplace(location, abs(math.log(scale)) + 1e-9).icdf(uniform)
        )
        need(
            scale == 1.0 or not close(value, wrong_scale, 1e-3),
            "the network gives ln b; the width is exp(ln_b).",
        )
        # Only the distribution counts: u and 1 - u are equally good, so sorted values are compared.
        tenth = torch.sigmoid(laplace)[2000]
        need(
            close(value.sort().values, torch.sigmoid(laplace), 2e-3),
            f"for mu = {location}, b = {scale} a tenth of the draws should lie below {tenth:.2f}; "
            f"of yours, {(value < tenth).float().mean():.0%} do.",
        )
    return "a Laplace draw in the logit, then a sigmoid: never outside the range of a pixel."


@exercise(without=[kl_to_uniform])
def check_bits_saved(bits_saved):
    """`bits_saved(logits)`: ln K minus the entropy, in BITS a token: (batch, K, h, w) -> (batch, h, w)."""
    logits = 3 * torch.randn(2, 16, 3, 4, generator=_generator(3))
    value = bits_saved(logits)
    need_tensor(value, (2, 3, 4))
    nats = kl_to_uniform(logits)
    need(not close(value, nats), "those are nats; a bit is ln 2 = 0.693 of them, so divide by math.log(2).")
    need(not close(value, nats * math.log(2)), "multiplied by ln 2 where it should be divided.")
    need(
        not close(value, nats / math.log(2) - 4) and not close(value, nats - math.log(16)),
        "that is minus the entropy, below zero; log2(K) is missing.",
    )
    need(not close(value, 4 - nats / math.log(2)), "that is the entropy; KL is what is missing from log2(K).")
    wrong = F.log_softmax(logits, dim=-1)
    wrong = ((wrong.exp() * wrong).sum(1) + math.log(16)) / math.log(2)
    need(not close(value, wrong), "the softmax runs over the width; the codes are dimension 1.")
    first, wanted = value[0, 0, 0], nats[0, 0, 0] / math.log(2)
    need(close(value, nats / math.log(2)), f"the first token should get {wanted:.3f} bits, not {first:.3f}.")
    sharp = torch.zeros(1, 8192, 1, 1)
    sharp[0, 5] = 200.0
    extreme = bits_saved(sharp)
    need(
        bool(torch.isfinite(extreme).all()),
        "a very sure posterior gives nan: 0 * log(0). Take log_softmax, not the log of a softmax.",
    )
    need(close(extreme, torch.full((1, 1, 1), 13.0), 1e-3), "a sure token of 8,192 carries 13 bits.")
    return "0 bits when all codes are equally likely, log2(K) when one is certain."


@exercise
def check_detail_share(detail_share):
    """`detail_share(images)`: share of the spectrum's energy, mean left out, above 1/4 cycle a pixel."""
    size = 32
    position = torch.arange(size) / size
    for cycles, wanted in ((3, 0.0), (7, 0.0), (9, 1.0), (15, 1.0)):
        wave = 0.5 + 0.4 * torch.cos(2 * math.pi * cycles * position)
        for name, plane in (("columns", wave.expand(size, size)), ("rows", wave[:, None].expand(size, size))):
            value = detail_share(plane.expand(1, 3, size, size))
            need_tensor(value, (1,))
            need(
                not (wanted == 1.0 and close(value, torch.tensor([0.0]), 1e-3)),
                f"a wave of {cycles} cycles along the {name} counts as coarse; in a picture of {size} pixels "
                f"frequencies go up to {size // 2}, and half of that is {size // 4}.",
            )
            need(
                not (wanted == 1.0 and value.item() < 0.9),
                f"of a wave of {cycles} cycles only {value.item():.0%} count; was the mean left in?",
            )
            need(
                not (wanted == 0.0 and value.item() > 1e-3),
                f"a wave of {cycles} cycles along the {name} counts as detail ({value.item():.0%}). The "
                "upper half of what `fft2` gives are the negative frequencies: use torch.fft.fftfreq.",
            )
    mixed = 0.5 + 0.2 * torch.cos(2 * math.pi * 3 * position) + 0.1 * torch.cos(2 * math.pi * 12 * position)
    value = detail_share(torch.stack([mixed.expand(3, size, size), wave.expand(3, size, size)]))
    need_tensor(value, (2,))
    need(not close(value[0], 1 / 3, 1e-2), "those are amplitudes; energy is their square.")
    need(
        close(value, torch.tensor([0.2, 1.0]), 1e-2),
        f"a picture with a fifth of it in detail gave {value[0]:.2f}.",
    )
    return "waves along rows and along columns, coarse and fine, land on the right side."
