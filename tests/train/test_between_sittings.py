"""A model in training, kept small from one sitting to the next: what is left, and how training goes on."""

import shutil
from pathlib import Path

import pytest
import torch
from between_sittings import go_on, keep
from torchrun import losses
from toy import TOML

from dalle_edu.drawing import load
from dalle_edu.errors import ReaderError
from dalle_edu.files import read_history, read_tensors
from dalle_edu.train.checkpoint import checkpoint_tensors
from dalle_edu.train.run import train_part

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=["", "weight_average = 0.9\noptimizer = 'muon'\n"])
def sittings(request, tmp_path_factory):
    """The folders of a run stopped after 12 of 16 steps, what was kept of it, and where it goes on."""
    place = tmp_path_factory.mktemp("sittings")
    text = TOML.replace("[dalle.training]\nsteps = 6", f"[dalle.training]\n{request.param}steps = 16")
    dalle = text.index("[dalle]")
    text = text[:dalle] + text[dalle:].replace("kernel = 3", "kernel = 3\nappearance = true")
    (config := place / "c.toml").write_text(text, encoding="utf-8")
    for part, until in (("dvae", None), ("clip", None), ("dalle", 12)):
        train_part(part, config, place / "first", progress=False, until=until)
    keep(place / "first", place / "kept")
    go_on(place / "kept", place / "second")
    return config, place


def state(folder):
    return checkpoint_tensors(folder / "training-dalle" / "checkpoint-0000012")


def test_what_is_kept_is_small_and_goes_on_from_the_averaged_weights(sittings):
    config, place = sittings
    before, after = state(place / "first"), state(place / "second")
    averaged = any(name.startswith("average.") for name in before)
    for name in (name for name in before if name.startswith("model.")):
        kept = before["average." + name.removeprefix("model.")] if averaged else before[name]
        assert torch.allclose(after[name], kept, rtol=1e-3, atol=1e-6), name  # 16 bits
    moments = [t for name, t in after.items() if "exp_avg" in name or "momentum" in name]
    assert moments and not any(moment.any() for moment in moments)
    size = [sum(t.numel() * t.element_size() for t in tensors.values()) for tensors in (
        read_tensors(place / "kept" / "dalle.unfinished.safetensors"), before)]  # fmt: skip
    assert size[0] < size[1] / 5
    card = (place / "kept" / "README.md").read_text(encoding="utf-8")
    assert "| dvae | 6 |" in card and "| clip | 4 |" in card and "| dalle | 12 of 16 |" in card
    assert "in training |" in card


def test_the_card_says_when_a_transformer_is_at_its_last_step(sittings, tmp_path):
    config, place = sittings
    shutil.copytree(place / "first", tmp_path / "first")
    train_part("dalle", config, tmp_path / "first", progress=False, resume=True)
    keep(tmp_path / "first", tmp_path / "kept")
    assert "| at its last step |" in (tmp_path / "kept" / "README.md").read_text(encoding="utf-8")


def test_training_goes_on_where_it_was_and_ends_as_a_model_that_draws(sittings):
    config, place = sittings
    train_part("dalle", config, place / "second", progress=False, resume=True)
    steps = [row["step"] for row in read_history(place / "second" / "training-dalle" / "history.jsonl")]
    assert steps == [0, 10, 12, 13, 14, 15]
    train_part("dalle", config, place / "first", progress=False, resume=True)
    unbroken, broken = losses(place / "first")[12:], losses(place / "second")[2:]
    assert broken == pytest.approx(unbroken, rel=0.02)  # the same batches, at nearly the same weights
    pictures = load(place / "second").draw("a red square", samples=2, seed=0).images
    assert pictures.shape == (2, 3, 16, 16)


def test_nothing_is_overwritten_and_what_is_missing_is_said(sittings, tmp_path):
    config, place = sittings
    with pytest.raises(ReaderError, match="is there already"):
        go_on(place / "kept", place / "second")
    with pytest.raises(ReaderError, match="no checkpoint"):
        keep(tmp_path, tmp_path / "kept")
    with pytest.raises(ReaderError, match="no checkpoint"):
        go_on(tmp_path, tmp_path / "new")
