"""Whose decoded draws look like drawings: an autoencoder's, a noisy autoencoder's, or a VAE's? (Chapter 2.)

    OMP_NUM_THREADS=1 python experiments/drawn_codes.py
    OMP_NUM_THREADS=1 python experiments/drawn_codes.py --steps 50 --seeds 1 --out /tmp/try.json

Four networks of one architecture, one size and the same training: an autoencoder; one that gets the noise
of the VAE with beta 10 on its codes (normalised, so that it cannot escape by scaling them up) but pays
nothing for them; VAEs with beta 1 and 10. From an autoencoder, codes are drawn from the Gaussian with the
mean and the covariance of the codes of all training pictures, which helps it; from a VAE, from the prior. A
judge that knows none of the four, the image half of the CLIP that the package ships, says how far the
drawings are from the training pictures: the Fréchet distance between its features (Heusel et al. 2017,
arXiv 1706.08500), 1,000 drawings against 1,181.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from torch import nn

from dalle_edu.autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    cycle_error,
    fit,
    psnr,
    reconstruct,
    reconstruction_error,
)
from dalle_edu.data import EmojiPictures
from dalle_edu.drawing import load
from dalle_edu.machine.processor import machine
from dalle_edu.train.loop import write_text
from dalle_edu.vae import VariationalAutoencoder

OUT = Path(__file__).with_name("02-drawn-codes.json")
CONFIG = AutoencoderConfig(latent_size=16, hidden=(128,))


class NoisyAutoencoder(Autoencoder):
    """An autoencoder whose codes have mean 0 and variance 1 over a batch, and get noise on the way.

    `noise` (latent_size,): the standard deviation on each number.
    """

    def __init__(self, config, mean, noise):
        super().__init__(config, mean)
        self.normalise = nn.BatchNorm1d(config.latent_size, affine=False)
        self.register_buffer("noise", noise)

    def encode(self, images):
        return self.normalise(super().encode(images))

    def loss(self, images):
        codes = self.encode(images)
        return reconstruction_error(images, self.decode(codes + self.noise * torch.randn(codes.shape))).mean()


class Judge:
    """Features (N, 128) of pictures by the shipped CLIP, and distances between sets of them."""

    def __init__(self):
        self.clip = load("picturebook").clip.clip

    @torch.inference_mode()
    def features(self, images):
        large = nn.functional.interpolate(images.clamp(0, 1), size=(64, 64), mode="nearest")
        return torch.cat([self.clip.encode_image(part * 2 - 1) for part in large.split(100)]).double()

    @staticmethod
    def frechet(one, other):
        """The Fréchet distance of two Gaussians with the means and covariances of the features."""
        first, second = one.T.cov(), other.T.cov()
        root = torch.linalg.eigvals(first @ second).real.clamp(min=0).sqrt().sum()
        gap = (one.mean(0) - other.mean(0)).square().sum()
        return float(gap + first.trace() + second.trace() - 2 * root)

    @staticmethod
    def nearest(some, pictures):
        """The cosine of each with the most similar picture, on average: how far the judge finds it known."""
        unit = nn.functional.normalize
        return float((unit(some) @ unit(pictures).T).max(dim=1).values.mean())


def networks(pictures, mean, steps, seed):
    """name -> trained network; the noise of the second comes from the last."""

    def trained(make):
        torch.manual_seed(seed)
        model = make()
        fit(model, pictures, steps, seed=seed)
        return model

    plain = trained(lambda: Autoencoder(CONFIG, mean))
    bound = trained(lambda: VariationalAutoencoder(CONFIG, mean, beta=1))
    variational = trained(lambda: VariationalAutoencoder(CONFIG, mean, beta=10))
    with torch.no_grad():
        noise = (variational.encode(pictures)[1] / 2).exp().mean(dim=0)
    noisy = trained(lambda: NoisyAutoencoder(CONFIG, mean, noise))
    return {
        "autoencoder": plain,
        "autoencoder with noise": noisy,
        "VAE, beta 1": bound,
        "VAE, beta 10": variational,
    }


@torch.no_grad()
def draws(model, pictures, number, generator):
    """Codes to decode: of the prior, or of the Gaussian that fits an autoencoder's codes."""
    noise = torch.randn(number, model.config.latent_size, generator=generator)
    if isinstance(model, VariationalAutoencoder):
        return noise
    codes = model.encode(pictures)
    return codes.mean(dim=0) + noise @ torch.linalg.cholesky(codes.T.cov()).T


@torch.no_grad()
def measure(model, judge, pictures, unseen, known, number=1000):
    codes = draws(model, pictures, number, torch.Generator().manual_seed(1))
    drawn = judge.features(model.decode(codes))
    back = judge.features(reconstruct(model, pictures[1::3]))
    untrained = torch.randn(number, model.config.latent_size, generator=torch.Generator().manual_seed(1))
    row = {
        "psnr": psnr(unseen, reconstruct(model, unseen)).mean().item(),
        "drawn": judge.frechet(known, drawn),
        "standard_normal": judge.frechet(known, judge.features(model.decode(untrained))),
        "reconstructed": judge.frechet(known, back),
        "drawn_nearest": judge.nearest(drawn, known),
        "reconstructed_nearest": judge.nearest(back, known),
    }
    if not isinstance(model, VariationalAutoencoder):
        row["cycle"] = cycle_error(model, codes).median().item()
    return row


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    pictures, unseen = EmojiPictures(32).pictures, EmojiPictures(32, "validation").pictures
    mean, judge, started = pictures.mean(dim=0), Judge(), time.perf_counter()
    known = judge.features(pictures[::3])
    others = judge.features(pictures[1::3])
    rows = {
        "other pictures": {
            "drawn": judge.frechet(known, others[:1000]),
            "drawn_nearest": judge.nearest(others, known),
        }
    }
    about = {"steps": chosen.steps, "latent_size": CONFIG.latent_size, "seeds": chosen.seeds}
    for seed in range(chosen.seeds):
        for name, model in networks(pictures, mean, chosen.steps, seed).items():
            rows.setdefault(name, []).append(measure(model, judge, pictures, unseen, known))
            print(seed, name, {key: round(value, 2) for key, value in rows[name][-1].items()}, flush=True)
        about["seconds"] = round(time.perf_counter() - started)
        about["machine"] = machine()
        write_text(chosen.out, json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
