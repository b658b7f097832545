"""The small networks that chapters 1 to 3 compare with: they fit their files and were worth their time."""

import json
from pathlib import Path

import pytest

import dalle_edu
from dalle_edu.autoencoder import Autoencoder, AutoencoderConfig, psnr, reconstruct
from dalle_edu.data import EmojiPictures
from dalle_edu.train.loop import load_weights
from dalle_edu.vae import VariationalAutoencoder
from dalle_edu.vqvae import VQVAE, VQVAEConfig

FOLDER = Path(dalle_edu.__file__).parent / "weights" / "longer"
# As their chapters build them.
NETWORKS = {
    "autoencoder": lambda mean: Autoencoder(AutoencoderConfig(latent_size=32, hidden=(128,)), mean),
    "vae": lambda mean: VariationalAutoencoder(
        AutoencoderConfig(latent_size=16, hidden=(128,)), mean, beta=10
    ),
    "vqvae": lambda mean: VQVAE(VQVAEConfig(width=64, blocks=2, vocabulary=256, code_width=16, sigma=0.5)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_stored_network_draws_as_well_as_its_card_says_and_better_than_early_in_its_training(name):
    unseen = EmojiPictures(32, "validation").pictures
    model = load_weights(NETWORKS[name](EmojiPictures(32).pictures.mean(0)), FOLDER / f"{name}.safetensors")
    stored = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    reached = psnr(unseen, reconstruct(model, unseen)).mean().item()
    assert reached == pytest.approx(stored["curve"][-1]["unseen"], abs=0.02)
    assert reached > stored["curve"][2]["unseen"] + 1  # at a twentieth of its steps
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"{name}.safetensors" in card and f"{reached:.1f} dB" in card
    assert (FOLDER / f"{name}.safetensors").stat().st_size < 2_000_000
