"""What a code looks like: pattern told from colour, and weights that end as ordinary ones."""

import pytest
import torch
from toy import TOML, trained_folder

from dalle_edu.configs import read_config
from dalle_edu.dalle import Dalle
from dalle_edu.drawing import load
from dalle_edu.dvae import DiscreteVAE, DiscreteVAEConfig
from dalle_edu.train.appearance import appearance, learn_from_appearance, settle
from dalle_edu.train.loop import read_tensors
from dalle_edu.train.run import train_part

RED, BLUE = torch.tensor([0.9, 0.1, 0.1]), torch.tensor([0.1, 0.2, 0.9])
PIXELS = 16  # a code is 4 x 4 pixels


def inked(colour, pattern):
    """White paper with ink of one colour, as one row of pixels."""
    return (1 - (1 - colour)[:, None] * pattern).flatten()


@pytest.fixture
def features():
    """Of a dVAE whose codes are a red and a blue tip, a red and a blue ground, and paper: parts by name."""
    config = DiscreteVAEConfig(
        image_size=16, vocabulary=5, patch_size=4, groups=1, blocks_per_group=1, hidden=8, decoder_input=8,
        input_kernel=3, likelihood="mean-squared-error", patch_codebook=True,
    )  # fmt: skip
    vae = DiscreteVAE(config)
    tip, ground = (torch.arange(PIXELS) < 6).float(), torch.ones(PIXELS)
    shown = [inked(colour, pattern) for pattern in (tip, ground) for colour in (RED, BLUE)]
    vae.patch_codebook.patches.data = torch.stack([*shown, torch.ones(3 * PIXELS)])
    pixels, pattern, colour = appearance(vae).split([3 * PIXELS, PIXELS, 3], dim=1)
    return {"pixels": pixels, "pattern": pattern, "colour": colour}


def test_two_tips_agree_in_pattern_and_two_red_codes_in_colour(features):
    red_tip, blue_tip, red_ground, blue_ground, _ = range(5)
    for part, same, different in (
        ("pattern", (red_tip, blue_tip), (red_tip, red_ground)),
        ("pattern", (red_ground, blue_ground), (blue_tip, blue_ground)),
        ("colour", (red_tip, red_ground), (red_tip, blue_tip)),
        ("colour", (blue_tip, blue_ground), (red_ground, blue_ground)),
    ):
        rows = features[part]
        torch.testing.assert_close(rows[same[0]], rows[same[1]], atol=1e-4, rtol=0)
        assert (rows[different[0]] - rows[different[1]]).norm() > 0.3, (part, different)


def test_each_part_has_mean_zero_and_a_third_of_the_length(features):
    for part in features.values():
        torch.testing.assert_close(part.mean(0), torch.zeros(part.shape[1]), atol=1e-6, rtol=0)
        assert part.square().sum(1).mean().item() == pytest.approx(1 / 3)


def test_weights_are_the_sum_of_shared_and_free_and_stay_the_same_when_they_settle():
    ready = load(trained_folder())
    plain, model = Dalle(ready.config.dalle), Dalle(ready.config.dalle)
    learn_from_appearance(model, ready.vae)
    layer = model.image_logits
    parts = layer.parametrizations.weight
    wanted = appearance(ready.vae) @ parts[0].shared + parts.original
    torch.testing.assert_close(layer.weight, wanted)
    text = ready.encode_text(["a large red circle"])
    image = torch.zeros(1, ready.config.dalle.picture_length, dtype=torch.int64)
    before = model.loss(text, image)["loss"]
    before.backward()
    assert parts[0].shared.grad.abs().max() > 0 and parts.original.grad.abs().max() > 0
    settle(model)
    assert torch.equal(model.loss(text, image)["loss"], before)
    assert model.state_dict().keys() == plain.state_dict().keys()


def test_a_transformer_trained_so_resumes_bit_for_bit_and_loads_like_any_other(tmp_path):
    config = tmp_path / "looks.toml"
    config.write_text(TOML.replace("[dalle]", "[dalle]\nappearance = true", 1))
    kept = []
    for stop in (None, 3):
        out = tmp_path / f"model-{stop}"
        for part in ("dvae", "clip"):
            train_part(part, config, out, progress=False)
        if stop:
            train_part("dalle", config, out, progress=False, until=stop)
        train_part("dalle", config, out, progress=False, resume=bool(stop))
        kept.append(read_tensors(out / "dalle.safetensors"))
        assert load(out).draw("a large red circle", samples=1, seed=0).tokens.shape == (1, 16)
    assert kept[0].keys() == kept[1].keys() and read_config(config).dalle_recipe.appearance
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])
