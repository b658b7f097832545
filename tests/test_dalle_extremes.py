"""The smallest and the largest of everything, along the whole path: finite numbers, or one sentence."""

import pytest
import torch
from toy import TOML

from dalle_edu.dalle import Dalle, DalleConfig
from dalle_edu.drawing import load
from dalle_edu.dvae import DiscreteVAE, DiscreteVAEConfig
from dalle_edu.errors import ReaderError
from dalle_edu.files import read_tensors
from dalle_edu.masks import KINDS
from dalle_edu.sampling import sample_tokens, sample_tokens_plain
from dalle_edu.train.run import train_part

KERNEL = "kernel = 3\n\n[dalle.tr"
PATHS = {
    "a grid of one token": {"patch_size = 4": "patch_size = 16", KERNEL: KERNEL.replace("3", "1")},
    "a codebook of one": {"vocabulary = 32": "vocabulary = 1"},
    "a codebook of one, learned": {"vocabulary = 32": "vocabulary = 1", "patch_codebook = true": ""},
    "a codebook of 65,536": {
        "vocabulary = 32": "vocabulary = 65536", "patch_codebook = true": "", "steps = 6": "steps = 2",
    },
    "batches of one": {"batch_size = 4": "batch_size = 1", "batch_size = 8": "batch_size = 1"},
    "cold": {"start = 0.5": "start = 1e-6", "end = 0.0625": "end = 1e-6"},
    "hot": {"start = 0.5": "start = 1e6", "end = 0.0625": "end = 1e6"},
    "logit-Laplace, cold": {
        "mean-squared-error": "logit-laplace", "start = 0.5": "start = 1e-6", "end = 0.0625": "end = 1e-6",
    },
    "one step": {"steps = 6": "steps = 1", "steps = 4": "steps = 1", "warmup = 2": "warmup = 1"},
    "one layer of one head": {"depth = 3": "depth = 1", "heads = 2\nkernel": "heads = 1\nkernel"},
    "one picture token, one word": {"patch_size = 4": "patch_size = 16", "length = 16": "length = 1"},
    "no learning": {"learning_rate = 1e-3": "learning_rate = 0.0"},
}  # fmt: skip


@pytest.mark.parametrize("name", PATHS)
def test_trained_and_drawn_all_is_finite_or_one_sentence(tmp_path, name):
    toml = TOML
    for old, new in PATHS[name].items():
        assert old in toml, old
        toml = toml.replace(old, new)
    (tmp_path / "small.toml").write_text(toml)
    for part in ("dvae", "clip", "dalle"):
        train_part(part, tmp_path / "small.toml", tmp_path / "model", progress=False)
        tensors = read_tensors(tmp_path / "model" / f"{part}.safetensors")
        assert all(tensor.isfinite().all() for tensor in tensors.values()), part
    model = load(tmp_path / "model")
    for temperature in (1e-6, 1.0, 1e6):
        drawing = model.draw("a red circle"[: 1 if "word" in name else None], 2, temperature=temperature)
        assert drawing.images.isfinite().all() and drawing.scores.isfinite().all()
        assert 0 <= drawing.tokens.min() <= drawing.tokens.max() < model.config.dvae.vocabulary
    assert drawing.images.min() >= 0 and drawing.images.max() <= 1


@pytest.mark.parametrize("kinds", [(), *((kind,) for kind in KINDS)])
@pytest.mark.parametrize("grid", [(1, 1), (1, 7), (7, 1), (3, 7)])
def test_a_transformer_of_any_grid_learns_and_draws_with_its_cache_what_it_draws_without(grid, kinds):
    torch.manual_seed(0)
    shape = {"width": 8, "depth": 2, "heads": 2, "kernel": 1, "kinds": 2 * kinds}
    model = Dalle(DalleConfig(10, 3, 5, grid, **shape))
    text = torch.tensor([[1, 11, 12]])
    loss = model.loss(text, torch.arange(grid[0] * grid[1])[None] % 5)["loss"]
    loss.backward()
    assert loss.isfinite() and all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    model.eval()
    for temperature in (1e-6, 1.0, 1e6):
        dials = {"temperature": temperature, "generator": torch.Generator().manual_seed(1)}
        cached = sample_tokens(model, text, 1, **dials)
        dials["generator"].manual_seed(1)
        assert torch.equal(cached, sample_tokens_plain(model, text, 1, **dials))


@pytest.mark.parametrize("rows, columns", [(1, 1), (3, 7), (7, 3)])
@pytest.mark.parametrize("likelihood", ["logit-laplace", "mean-squared-error"])
@pytest.mark.parametrize("vocabulary", [1, 2, 65_536])
def test_a_dvae_codes_pictures_of_any_shape(rows, columns, likelihood, vocabulary):
    torch.manual_seed(0)
    shape = {"patch_size": 4, "groups": 1, "blocks_per_group": 1, "hidden": 8, "decoder_input": 8}
    vae = DiscreteVAE(DiscreteVAEConfig(8, vocabulary, likelihood=likelihood, input_kernel=3, **shape))
    images = torch.rand(1, 3, 4 * rows, 4 * columns)
    images[0, :, 0, 0], images[0, :, -1, -1] = 0.0, 1.0
    tokens = vae.encode(images)
    assert tokens.shape == (1, rows, columns) and vae.decode(tokens).shape == images.shape
    for temperature in (1e-6, 1.0, 1e6):
        parts = vae.loss(images, temperature, 1.0, torch.Generator().manual_seed(0))
        parts["loss"].backward()
        assert all(part.isfinite() for part in parts.values())
        assert all(p.grad.isfinite().all() for p in vae.parameters() if p.grad is not None)


def test_pictures_that_are_no_squares_are_one_sentence_in_a_configuration(tmp_path):
    (tmp_path / "small.toml").write_text(
        TOML.replace("kernel = 3\n\n[dalle.tr", "kernel = 3\ngrid = [3, 7]\n\n[dalle.tr")
    )
    with pytest.raises(
        ReaderError, match=r"grid in \[dalle\] is \(3, 7\), but the grid of the dVAE is \(4, 4\)"
    ):
        train_part("dvae", tmp_path / "small.toml", tmp_path / "model", progress=False)
