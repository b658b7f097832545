"""The discrete VAE: the paper's sizes, its likelihood and its loss, against independent calculations."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dalle_edu.data import Scenes
from dalle_edu.dvae import (
    DiscreteVAE,
    DiscreteVAEConfig,
    PatchCodebook,
    kl_to_uniform,
    logit_laplace_nll,
    map_pixels,
    peak_signal_to_noise,
    unmap_pixels,
)
from dalle_edu.errors import ReaderError
from dalle_edu.train.loop import Run, TrainingConfig, train

SMALL = {
    "image_size": 16,
    "vocabulary": 12,
    "groups": 2,
    "blocks_per_group": 1,
    "hidden": 8,
    "decoder_input": 8,
    "input_kernel": 3,
}
PATCHES = dict(SMALL, groups=1, patch_size=4, patch_codebook=True)


def pictures(count=4, size=16, seed=0):
    scenes = Scenes("attributes", size=size, seed=seed, length=count)
    return torch.stack([scenes[i][0] for i in range(count)])


def small(seed=0, **changes):
    torch.manual_seed(seed)
    return DiscreteVAE(DiscreteVAEConfig(**{**SMALL, **changes}))


# ---- sizes


def convolution(n_in, n_out, kernel):
    return n_in * n_out * kernel * kernel + n_out


def block(n_in, n_out, kernels):
    b = n_out // 4
    path = sum(
        convolution(*c, k) for c, k in zip([(n_in, b), (b, b), (b, b), (b, n_out)], kernels, strict=True)
    )
    return path + (convolution(n_in, n_out, 1) if n_in != n_out else 0)


def test_the_paper_s_encoder_and_decoder_have_the_parameters_that_its_numbers_give():
    # Appendix A.1: 7x7 to 256 channels, four groups of two blocks, a 1x1 convolution to 8,192 logits.
    encoder = convolution(3, 256, 7) + convolution(2048, 8192, 1)
    for n_in, n_out in [(256, 256), (256, 512), (512, 1024), (1024, 2048)]:
        encoder += block(n_in, n_out, (3, 3, 3, 1)) + block(n_out, n_out, (3, 3, 3, 1))
    decoder = convolution(8192, 128, 1) + convolution(256, 6, 1)
    for n_in, n_out in [(128, 2048), (2048, 1024), (1024, 512), (512, 256)]:
        decoder += block(n_in, n_out, (1, 3, 3, 3)) + block(n_out, n_out, (1, 3, 3, 3))
    with torch.device("meta"):
        vae = DiscreteVAE(DiscreteVAEConfig())
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert count(vae.encoder) == encoder == 53_786_240
    assert count(vae.decoder) == decoder == 43_829_766
    assert vae.config.grid == (32, 32) and vae.config.downsampling == 8


def test_the_paper_s_shapes_on_the_meta_device():
    with torch.device("meta"):
        vae = DiscreteVAE(DiscreteVAEConfig())
        assert vae.logits(torch.empty(1, 3, 256, 256)).shape == (1, 8192, 32, 32)
        assert vae.decoder(torch.empty(1, 8192, 32, 32)).shape == (1, 6, 256, 256)


@pytest.mark.parametrize(
    "changes, grid", [({}, 8), ({"groups": 3}, 4), ({"patch_size": 2}, 4), (PATCHES, 4), ({"groups": 1}, 16)]
)
def test_pictures_become_a_grid_of_tokens_and_come_back(changes, grid):
    vae = small(**changes)
    tokens = vae.encode(pictures())
    assert vae.config.grid == (grid, grid) and tokens.shape == (4, grid, grid) and tokens.dtype == torch.int64
    assert tokens.min() >= 0 and tokens.max() < 12
    back = vae.decode(tokens)
    assert back.shape == (4, 3, 16, 16) and back.min() >= 0 and back.max() <= 1
    assert vae.codebook_usage(tokens).sum() == tokens.numel() and vae.codebook_usage(tokens).shape == (12,)


def test_other_sizes_work_as_long_as_the_grid_divides_them():
    vae = small()
    assert vae.decode(vae.encode(pictures(size=32))).shape == (4, 3, 32, 32)


def test_the_names_of_weights_are_the_published_ones():
    names = DiscreteVAE(DiscreteVAEConfig(**SMALL)).encoder.state_dict().keys()
    assert {
        "blocks.input.weight",
        "blocks.group_1.block_1.res_path.conv_1.weight",
        "blocks.output.conv.bias",
    } <= names
    assert (
        "blocks.group_2.block_1.id_path.weight" in names
        and "blocks.group_1.block_1.id_path.weight" not in names
    )


def test_a_block_starts_close_to_the_identity():
    vae = DiscreteVAE(DiscreteVAEConfig(**{**SMALL, "groups": 4, "image_size": 32, "blocks_per_group": 2}))
    block = vae.encoder.blocks.group_1.block_1
    x = torch.randn(2, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    assert block.gain == 1 / 64 and (block(x) - x).abs().max() < 0.1
    assert torch.allclose(block(x), x + block.res_path(x) / 64)


@pytest.mark.parametrize(
    "changes", [{"likelihood": "gauss"}, {"image_size": 31}, {"image_size": 18, "groups": 3}]
)
def test_shapes_and_names_that_do_not_fit_are_refused(changes):
    with pytest.raises(ReaderError):
        DiscreteVAEConfig(**{**SMALL, **changes})


@pytest.mark.parametrize("token", [-1, 12])
def test_a_token_outside_the_vocabulary_is_refused(token):
    tokens = torch.full((1, 8, 8), token)
    for use in (small().decode, small().codebook_usage):
        with pytest.raises(ReaderError, match="in 0..11"):
            use(tokens)


# ---- likelihood, KL, loss


def test_pixels_are_mapped_as_the_appendix_says_and_back():
    assert torch.allclose(map_pixels(torch.tensor([0.0, 0.5, 1.0])), torch.tensor([0.1, 0.5, 0.9]))
    x = torch.rand(100, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(unmap_pixels(map_pixels(x)), x, atol=1e-6)
    assert unmap_pixels(torch.tensor([0.02, 0.99])).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("mu, b", [(0.0, 1.0), (1.3, 0.4), (-2.0, 0.2), (0.5, 2.0)])
def test_the_logit_laplace_density_has_mass_one_between_0_and_1(mu, b):
    # In t = logit(x), dx = x (1 - x) dt: the integral over x becomes one that a grid can do, tails included.
    t = torch.linspace(-60, 60, 400_001, dtype=torch.float64)
    x = torch.sigmoid(t)
    inside = (x > 1e-13) & (x < 1 - 1e-13)
    x, t = x[inside], t[inside]
    density = torch.exp(-logit_laplace_nll(x, torch.tensor(mu).double(), torch.tensor(math.log(b)).double()))
    assert torch.trapezoid(density * x * (1 - x), t).item() == pytest.approx(1, abs=1e-4)


@settings(deadline=None, max_examples=100)
@given(st.floats(0.1, 0.9), st.floats(-4, 4), st.floats(0.05, 5))
def test_the_logit_laplace_is_a_laplace_seen_through_a_sigmoid(x, mu, b):
    # scipy-free and independent: change of variables from torch's own Laplace distribution.
    laplace = torch.distributions.Laplace(torch.tensor(mu).double(), torch.tensor(b).double())
    through = torch.distributions.TransformedDistribution(laplace, torch.distributions.SigmoidTransform())
    value = torch.tensor(x, dtype=torch.float64)
    ours = logit_laplace_nll(value, torch.tensor(mu).double(), torch.tensor(b).double().log())
    assert ours.item() == pytest.approx(-through.log_prob(value).item(), abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 9), st.integers(0, 1000))
def test_the_kl_to_the_uniform_prior_is_the_sum_written_out(vocabulary, seed):
    logits = 3 * torch.randn(2, vocabulary, 2, 3, generator=torch.Generator().manual_seed(seed)).double()
    kl = kl_to_uniform(logits)
    q = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    brute = sum(q[:, k] * np.log(q[:, k] * vocabulary) for k in range(vocabulary))
    assert kl.shape == (2, 2, 3) and np.allclose(kl.numpy(), brute) and (kl >= -1e-12).all()


def test_the_kl_is_zero_for_the_uniform_and_ln_k_for_a_certain_code():
    uniform, certain = (
        torch.zeros(1, 8, 1, 1),
        1e3 * F.one_hot(torch.tensor([[[3]]]), 8).permute(0, 3, 1, 2).float(),
    )
    assert kl_to_uniform(uniform).item() == pytest.approx(0, abs=1e-6)
    assert kl_to_uniform(certain).item() == pytest.approx(math.log(8), abs=1e-5)


def test_at_the_paper_s_size_a_token_s_kl_weighs_beta_over_192():
    # The paper's factor of 8 between picture and grid, in a small network: 3 * 8 * 8 = 192 numbers a token.
    vae = small(groups=4, image_size=32, likelihood="mean-squared-error")
    images = pictures(size=32)
    parts = [vae.loss(images, 1.0, beta, torch.Generator().manual_seed(0)) for beta in (0.0, 6.6)]
    assert parts[0]["loss"] == parts[0]["reconstruction"]
    weighed = (parts[1]["loss"] - parts[0]["loss"]).item()
    assert weighed == pytest.approx(6.6 / 192 * parts[0]["kl"].item(), rel=1e-4)
    # ... which is the sum over the picture's tokens divided by its 3 * 32 * 32 numbers.
    total = kl_to_uniform(vae.logits(images)).flatten(1).sum(1).mean().item()
    assert weighed == pytest.approx(6.6 * total / (3 * 32 * 32), rel=1e-4)


def test_the_loss_is_the_density_of_the_relaxed_code_s_picture():
    vae, images = small(), pictures()
    parts = vae.loss(images, 0.7, 1.0, torch.Generator().manual_seed(5))
    logits = vae.logits(images)
    noise = -torch.empty(logits.shape).exponential_(generator=torch.Generator().manual_seed(5)).log()
    codes = ((logits + noise) / 0.7).softmax(1)
    mu, ln_b = vae.decoder(codes).split(3, dim=1)
    x = 0.8 * images + 0.1
    density = torch.exp(-(torch.log(x / (1 - x)) - mu).abs() / ln_b.exp()) / (2 * ln_b.exp() * x * (1 - x))
    assert parts["reconstruction"].item() == pytest.approx(-density.log().mean().item(), rel=1e-4)


@pytest.mark.parametrize("changes", [{}, {"likelihood": "mean-squared-error"}, PATCHES])
def test_gradients_of_the_loss_agree_with_finite_differences(changes):
    vae = small(**changes).double()
    images = 0.05 + 0.9 * torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)).double()
    noise = torch.Generator().manual_seed(2)
    for parameter in vae.parameters():  # away from zero, where a ReLU has two slopes
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=noise).double()
    if vae.patch_codebook is not None:
        vae.patch_codebook.sharpness = 1.0  # or the softmax is flat to the last digit

    def value():
        return vae.loss(images, 0.9, 0.5, torch.Generator().manual_seed(3))["loss"]

    value().backward()
    rng = np.random.default_rng(0)
    for parameter in vae.parameters():
        i = int(rng.integers(parameter.numel()))
        flat, slope = parameter.data.view(-1), parameter.grad.view(-1)[i].item()
        start, step = flat[i].item(), 1e-6
        ends = []
        for sign in (1, -1):
            flat[i] = start + sign * step
            ends.append(value().item())
        flat[i] = start
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope, rel=1e-3, abs=1e-7)


def test_the_same_generator_gives_the_same_loss_and_another_one_does_not():
    vae, images = small(), pictures()
    draws = [
        vae.loss(images, 1.0, 1.0, torch.Generator().manual_seed(s))["reconstruction"].item()
        for s in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_decoding_is_the_picture_of_the_one_hot_codes():
    vae = small()
    tokens = torch.randint(12, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    codes = torch.zeros(2, 12, 8, 8).scatter_(1, tokens[:, None], 1.0)
    mu = vae.decoder(codes)[:, :3]
    assert torch.allclose(vae.decode(tokens), ((torch.sigmoid(mu) - 0.1) / 0.8).clamp(0, 1), atol=1e-6)


def test_the_decoder_s_first_convolution_is_the_codebook():
    vae = small()
    tokens = torch.randint(12, (1, 4, 4), generator=torch.Generator().manual_seed(0))
    codes = F.one_hot(tokens, 12).permute(0, 3, 1, 2).float()
    first = vae.decoder.blocks.input
    vectors = first.weight[:, :, 0, 0].T[tokens] + first.bias
    assert torch.allclose(first(codes), vectors.permute(0, 3, 1, 2), atol=1e-6)


# ---- the start from patches


@pytest.mark.parametrize("likelihood", ["mean-squared-error", "logit-laplace"])
def test_a_patch_codebook_starts_as_nearest_neighbour_quantisation(likelihood):
    vae = small(**PATCHES, likelihood=likelihood)
    images = pictures(20)
    vae.patch_codebook.fit(images, torch.Generator().manual_seed(0))
    patches = vae.patch_codebook.patches.detach().view(12, 3, 4, 4).numpy()
    tokens, picture = vae.encode(images[:3]), vae.decode(vae.encode(images[:3]))
    for n in range(3):
        for row in range(4):
            for column in range(4):
                here = np.s_[n, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
                distances = ((images.numpy()[here] - patches) ** 2).sum((1, 2, 3))
                assert distances[tokens[n, row, column]] <= distances.min() + 1e-4
                assert np.allclose(picture[here], patches[tokens[n, row, column]].clip(0, 1), atol=1e-4)


def test_k_means_beats_patches_that_were_picked_at_random_and_reaches_fixed_points():
    images = pictures(60)
    patches = F.pixel_unshuffle(images, 4).permute(0, 2, 3, 1).flatten(0, 2)

    def error(rounds):
        book = PatchCodebook(12, 4)
        book.fit(images, torch.Generator().manual_seed(0), rounds=rounds)
        return torch.cdist(patches, book.patches.detach()).min(1).values.square().mean().item()

    assert error(15) < 0.8 * error(0)


def test_fewer_patches_than_codes_do_no_harm():
    book = PatchCodebook(500, 4)
    book.fit(pictures(2), torch.Generator().manual_seed(0))
    assert book.patches.isfinite().all()


# ---- learning


def test_a_short_training_beats_the_picture_of_the_mean_colour_and_the_k_means_start():
    vae = small(
        **PATCHES | {"image_size": 32, "vocabulary": 32, "hidden": 32, "likelihood": "mean-squared-error"}
    )
    images, unseen = pictures(200, 32), pictures(40, 32, seed=1)
    vae.patch_codebook.fit(images, torch.Generator().manual_seed(0))
    before = peak_signal_to_noise(vae.decode(vae.encode(unseen)), unseen).mean()
    mean = peak_signal_to_noise(images.mean(0, keepdim=True).expand_as(unseen), unseen).mean()
    config = TrainingConfig(steps=100, batch_size=16, learning_rate=3e-3, gradient_clip=1.0)
    batch = lambda step, g: images[torch.randint(200, (16,), generator=g)]  # noqa: E731
    train(Run(vae, config), batch, lambda vae, x, step, g: vae.loss(x, 0.1, 0.0, g), progress=False)
    after = peak_signal_to_noise(vae.decode(vae.encode(unseen)), unseen).mean()
    assert after > mean + 5 and after > before + 0.1, (mean, before, after)


def test_the_peak_signal_to_noise_ratio_is_20_decibels_for_an_error_of_a_tenth():
    a = torch.full((2, 3, 4, 4), 0.5)
    assert peak_signal_to_noise(a, a + torch.tensor([0.1, 0.01]).view(2, 1, 1, 1)).tolist() == pytest.approx(
        [20, 40], abs=1e-3
    )
    assert peak_signal_to_noise(a, a).isfinite().all()


def test_which_patch_is_nearest_does_not_depend_on_autocast():
    """In 16 bits a logit of a thousand is one of many within four: another patch would win."""
    generator = torch.Generator().manual_seed(0)
    codebook = PatchCodebook(vocabulary=256, patch_size=4)
    images = torch.rand(4, 3, 16, 16, generator=generator)
    codebook.fit(images.repeat(8, 1, 1, 1), generator, rounds=2)
    plain = codebook.logits(images)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(codebook.logits(images), plain)
        assert codebook.pictures(plain.softmax(1)).dtype == torch.float32
    rough = plain.to(torch.bfloat16).argmax(1) == plain.argmax(1)
    assert rough.float().mean() < 1  # what the test is about
