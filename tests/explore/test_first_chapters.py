"""What the small figures of chapters 1 to 5 calculate in the browser, and the schematic figures."""

import matplotlib.pyplot as plt
import pytest
import torch
import torch.nn.functional as F
from explore.javascript import node_test

from dalle_edu.errors import ReaderError
from dalle_edu.explore import schematics
from dalle_edu.gumbel import gumbel_noise
from dalle_edu.vae import gaussian_kl, reparameterise
from dalle_edu.vqvae import codebook_usage, nearest_code


def test_the_small_figures_calculate_what_the_library_does(tmp_path):
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(*shape, generator=generator)

    convolutions = []
    for transposed, operate in ((False, F.conv2d), (True, F.conv_transpose2d)):
        for stride, padding, side in ((1, 0, 3), (1, 1, 3), (2, 1, 3), (2, 0, 3), (3, 2, 5)):
            image, kernel = random(6, 7), random(side, side)
            output = operate(image[None, None], kernel[None, None], stride=stride, padding=padding)[0, 0]
            how = {"stride": stride, "padding": padding, "transposed": transposed}
            convolutions.append({"image": image, "kernel": kernel, "how": how, "output": output})
    gaussians, z = [], torch.linspace(-4, 4, 9)
    for mean, log_variance in ((0.0, 0.0), (1.5, -2.0), (-0.7, 1.3)):
        m, v = torch.tensor([mean]), torch.tensor([log_variance])
        noise = reparameterise(torch.zeros(5), torch.zeros(5), torch.Generator().manual_seed(1))
        draws = reparameterise(m.expand(5), v.expand(5), torch.Generator().manual_seed(1))
        densities = torch.distributions.Normal(m, (v / 2).exp()).log_prob(z).exp()
        gaussians.append(
            {
                "mean": mean,
                "logVariance": log_variance,
                "kl": gaussian_kl(m, v).item(),
                "noise": noise,
                "draws": draws,
                "z": z,
                "densities": densities,
            }  # fmt: skip
        )
    codebook, codes = random(8, 2), random(200, 2)
    tokens = nearest_code(codes, codebook)
    logits, noise = random(5), gumbel_noise(torch.empty(50, 5), generator)
    winners = (logits + noise).argmax(1)
    cases = {
        "convolutions": convolutions,
        "gaussians": gaussians,
        "nearest": {"codebook": codebook, "codes": codes, "tokens": tokens,
                    "counts": codebook_usage(tokens, 8)},
        "race": {"logits": logits, "noise": noise, "temperature": 0.7,
                 "shares": ((logits + noise) / 0.7).softmax(1), "winners": winners,
                 "wins": torch.bincount(winners, minlength=5)},
    }  # fmt: skip
    node_test("first_chapters", cases, tmp_path)


@pytest.mark.parametrize("transposed", [False, True])
def test_the_drawn_convolution_shows_the_numbers_of_pytorch(transposed):
    image = torch.tensor([[1.0, 2], [0, 3]]) if transposed else torch.arange(36.0).reshape(6, 6)
    kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])
    operate = F.conv_transpose2d if transposed else F.conv2d
    padding = 0 if transposed else 1
    schematics.plot_convolution(image, kernel, stride=2, padding=padding, at=(0, 1), transposed=transposed)
    shown = [text.get_text() for text in plt.gca().texts]
    output = operate(image[None, None], kernel[None, None], stride=2, padding=padding)[0, 0]
    numbers = [f"{value:g}" for value in output.flatten().tolist()]
    assert "".join(numbers) in "".join(shown)
    assert f"output, {output.shape[0]} × {output.shape[1]}" in shown
    plt.close("all")


def test_a_place_outside_of_the_output_is_refused():
    with pytest.raises(ReaderError, match="outside"):
        schematics.plot_convolution(torch.ones(4, 4), torch.ones(3, 3), at=(9, 0))


@pytest.mark.parametrize("draw", ["plot_autoencoder", "plot_elbo", "plot_dvae_block"])
def test_every_scheme_brings_its_own_words(draw):
    getattr(schematics, draw)()
    assert len(plt.gcf().alt) > 60
    plt.close("all")
