"""Training that begins with a finished model: the same function at first, and in its record with which."""

import tomllib

import pytest
import torch
from torchrun import losses, several
from toy import TOML, trained_folder, write_config

from dalle_edu.dalle import Dalle
from dalle_edu.drawing import load
from dalle_edu.errors import ReaderError
from dalle_edu.files import files_digest
from dalle_edu.train.appearance import appearance, learn_from_appearance, settle, shared_and_free
from dalle_edu.train.loop import read_tensors, write_tensors
from dalle_edu.train.run import publish, train_part
from dalle_edu.train.start import begin_with


def toy(tmp_path, *changes):
    """A configuration like the toy's, with some `changes` to its text."""
    text = TOML
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "more.toml"
    path.write_text(text)
    return path


def loss_of(model, ready):
    image = torch.arange(ready.config.dalle.picture_length)[None] % ready.config.dvae.vocabulary
    return model.eval().loss(ready.encode_text(["a large red circle"]), image)["loss"].detach()


@pytest.mark.parametrize("looks", [False, True])
def test_a_training_begins_with_the_very_function_that_it_starts_with(looks):
    ready = load(trained_folder())
    model = Dalle(ready.config.dalle)
    if looks:
        learn_from_appearance(model, ready.vae)
    assert not torch.allclose(loss_of(model, ready), loss_of(ready.dalle, ready))
    begin_with(model, trained_folder() / "dalle.safetensors")
    torch.testing.assert_close(loss_of(model, ready), loss_of(ready.dalle, ready))
    settle(model)
    for name, weight in ready.dalle.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight, atol=1e-5, rtol=1e-5)


def test_what_the_looks_of_the_codes_explain_of_a_weight_is_found_and_what_is_left_has_none_of_it():
    features = appearance(load(trained_folder()).vae)
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(features.shape[1], 5, generator=generator)
    noise = 0.01 * torch.randn(len(features), 5, generator=generator)
    shared, free = shared_and_free(features, features @ truth + noise)
    torch.testing.assert_close(features @ shared + free, features @ truth + noise)
    assert free.norm() < 1.05 * noise.norm()
    assert shared.norm() < 1.05 * truth.norm()  # no huge numbers that cancel each other


def test_it_goes_on_from_there_with_other_data_and_says_so_in_its_record(tmp_path):
    more = toy(tmp_path, ("[dalle.training]", "[dalle.training]\nseed = 7"))
    published, out = tmp_path / "published", tmp_path / "model"
    publish(trained_folder(), published)  # what a reader has: weights in 16 bits, no checkpoints
    train_part("dalle", more, out, start=published, progress=False, until=2)
    train_part("dalle", more, out, resume=True, progress=False)
    whole = tmp_path / "whole"
    train_part("dalle", more, whole, start=published, progress=False)
    ours, theirs = (read_tensors(folder / "dalle.safetensors") for folder in (out, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)  # stopped and resumed, as elsewhere
    assert any(
        not torch.equal(ours[name], t) for name, t in read_tensors(published / "dalle.safetensors").items()
    )
    record = tomllib.loads((out / "dalle.trained.toml").read_text())
    assert record["start"] == files_digest([published / "dalle.safetensors"])
    assert "start" not in tomllib.loads((out / "clip.trained.toml").read_text())
    for name in ("dvae.safetensors", "clip.safetensors", "tokenizer.json", "dvae.trained.toml"):
        assert (out / name).read_bytes() == (published / name).read_bytes()
    publish(out, tmp_path / "again")
    assert (tmp_path / "again/dvae-history.jsonl").read_bytes() == (
        published / "dvae-history.jsonl"
    ).read_bytes()
    assert load(out).draw("a large red circle", samples=1, seed=0).tokens.shape == (1, 16)


@pytest.mark.parametrize("part", ["dvae", "clip"])
def test_the_other_parts_begin_so_too_and_at_a_learning_rate_of_nothing_stay_as_they_were(tmp_path, part):
    out, still = tmp_path / "model", tmp_path / "still.toml"
    still.write_text(TOML.replace("learning_rate = 1e-3", "learning_rate = 1e-12"))
    train_part(part, still, out, start=trained_folder(), progress=False)
    before, after = (read_tensors(folder / f"{part}.safetensors") for folder in (trained_folder(), out))
    for key, tensor in before.items():
        torch.testing.assert_close(after[key], tensor, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("looks", [False, True], ids=["made in shards", "by looks"])
def test_two_processes_begin_as_one_does(tmp_path, looks):
    more = toy(tmp_path, ("[dalle]", "[dalle]\nappearance = " + str(looks).lower()))
    train_part("dalle", more, tmp_path / "one", start=trained_folder(), progress=False)
    job = {"part": "dalle", "config": more, "out": tmp_path / "two", "start": trained_folder()}
    several(2, job)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-4)


def test_a_start_that_cannot_be_is_one_sentence_and_leaves_nothing(tmp_path):
    config, out = write_config(tmp_path), tmp_path / "model"
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(ReaderError, match="holds no finished dalle"):
        train_part("dalle", config, out, start=empty, progress=False)
    with pytest.raises(ReaderError, match="leave --start out"):
        train_part("dalle", config, out, start=trained_folder(), resume=True, progress=False)
    assert not out.exists()


def test_weights_of_another_shape_are_refused_and_so_are_numbers_that_are_none(tmp_path):
    ready = load(trained_folder())
    tensors = dict(ready.dalle.state_dict())
    name = next(name for name, tensor in tensors.items() if tensor.dim() == 2)
    write_tensors(tmp_path / "other.safetensors", tensors | {name: torch.zeros(3, 3)})
    with pytest.raises(ReaderError, match="of another configuration"):
        begin_with(Dalle(ready.config.dalle), tmp_path / "other.safetensors")
    tensors[name] = torch.full_like(tensors[name], float("nan"))
    write_tensors(tmp_path / "none.safetensors", tensors)
    with pytest.raises(ReaderError, match="numbers that are none"):
        begin_with(Dalle(ready.config.dalle), tmp_path / "none.safetensors")
