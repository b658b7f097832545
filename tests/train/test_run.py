"""From a configuration to a model, part by part: in order, resumable, and never over what is there."""

import json
import shutil
import tomllib

import pytest
import torch
from toy import TOML, trained_folder, write_config

from dalle_edu.configs import read_config
from dalle_edu.data.mixture import mixture
from dalle_edu.drawing import load
from dalle_edu.dvae import DiscreteVAE
from dalle_edu.errors import ReaderError
from dalle_edu.files import rounded
from dalle_edu.train.checkpoint import checkpoint_tensors
from dalle_edu.train.loop import load_weights, read_tensors
from dalle_edu.train.run import crop_filled, precomputed_tokens, publish, train_part


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_three_parts_make_one_folder_that_can_be_loaded():
    names = {path.name for path in trained_folder().iterdir() if path.is_file()}
    weights = {"dvae.safetensors", "clip.safetensors", "dalle.safetensors"}
    assert weights | {"config.toml", "tokenizer.json", "dvae.trained.toml"} <= names
    model = load(trained_folder())
    drawing = model.draw("a large red circle", samples=3, seed=1)
    assert drawing.images.shape == (3, 3, 16, 16) and drawing.tokens.shape == (3, 16)
    assert (drawing.scores.diff() <= 0).all()


@pytest.mark.parametrize("part", ["dvae", "clip", "dalle"])
def test_a_part_that_was_stopped_and_resumed_has_the_weights_of_an_unbroken_one(tmp_path, part):
    config = write_config(tmp_path)
    out = tmp_path / "model"
    if part == "dalle":
        train_part("dvae", config, out, progress=False)
    train_part(part, config, out, progress=False, until=3)
    assert not (out / f"{part}.safetensors").exists()
    train_part(part, config, out, progress=False, resume=True)
    ours, theirs = (read_tensors(folder / f"{part}.safetensors") for folder in (out, trained_folder()))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_kept_weights_of_the_dvae_are_their_average():
    folder = trained_folder()
    state = json.loads((folder / "training-dvae/checkpoint.json").read_text())
    stored = checkpoint_tensors(folder / "training-dvae" / state["file"])
    kept = read_tensors(folder / "dvae.safetensors")
    assert all(torch.equal(kept[name], stored[f"average.{name}"]) for name in kept)


def test_the_transformer_trains_on_the_most_probable_tokens_of_the_finished_dvae():
    folder, config = trained_folder(), read_config(trained_folder() / "config.toml")
    vae = load_weights(DiscreteVAE(config.dvae), folder / "dvae.safetensors")
    data = mixture(config.data, 16)
    stored = read_tensors(folder / "training-dalle/tokens.safetensors")["tokens"]
    assert torch.equal(stored.long(), vae.encode(data.images(torch.arange(40))).flatten(1))


def test_the_transformer_can_have_pictures_of_its_own_and_the_other_parts_keep_theirs(tmp_path):
    config, out = tmp_path / "own.toml", tmp_path / "model"
    own = '[[dalle.data]]\nkind = "scenes"\nfamily = "objects"\nlength = 7\n'
    config.write_text(TOML + own)
    for part, pictures in (("dvae", 40), ("dalle", 7)):
        train_part(part, config, out, progress=False)
        assert tomllib.loads((out / f"{part}.trained.toml").read_text())["pictures"] == pictures


def test_stored_tokens_are_made_anew_for_another_dvae_and_for_a_damaged_file(tmp_path):
    folder, config = trained_folder(), read_config(trained_folder() / "config.toml")
    data, path = mixture(config.data, 16), tmp_path / "tokens.safetensors"
    vae = load_weights(DiscreteVAE(config.dvae), folder / "dvae.safetensors")
    first = precomputed_tokens(vae, data, path)
    written = path.read_bytes()
    assert torch.equal(precomputed_tokens(vae, data, path), first) and path.read_bytes() == written
    path.write_bytes(written[:40])
    assert torch.equal(precomputed_tokens(vae, data, path), first)
    torch.manual_seed(5)
    assert not torch.equal(precomputed_tokens(DiscreteVAE(config.dvae), data, path), first)


def test_stored_tokens_outlive_a_decoder_that_goes_on_learning(tmp_path):
    folder, config = trained_folder(), read_config(trained_folder() / "config.toml")
    data, path = mixture(config.data, 16), tmp_path / "tokens.safetensors"
    vae = load_weights(DiscreteVAE(config.dvae), folder / "dvae.safetensors")
    precomputed_tokens(vae, data, path)
    written = path.stat().st_mtime_ns
    with torch.no_grad():
        vae.decoder.blocks.input.weight.add_(1)
    precomputed_tokens(vae, data, path)
    assert path.stat().st_mtime_ns == written


DECODER = """
[dvae.decoder.training]
steps = 120
batch_size = 16
learning_rate = 1e-2
weight_average = 0.5
"""


def test_the_decoder_can_go_on_alone_brings_pictures_back_better_and_leaves_every_token_as_it_was(tmp_path):
    config = tmp_path / "with_decoder.toml"
    config.write_text(TOML.replace("[clip]", DECODER + "[clip]", 1))
    out = tmp_path / "model"
    with pytest.raises(ReaderError, match="decoder needs a finished dVAE"):
        train_part("decoder", config, out, progress=False)
    train_part("dvae", config, out, progress=False)
    shape = read_config(config).dvae
    images = mixture(read_config(config).data, 16).images(torch.arange(40))
    before = load_weights(DiscreteVAE(shape), out / "dvae.safetensors")
    for resume in (False, True):
        train_part("decoder", config, out, progress=False, resume=resume, until=None if resume else 60)
    after = load_weights(DiscreteVAE(shape), out / "dvae.safetensors")
    assert torch.equal(after.logits(images), before.logits(images))
    error = [(vae.decode(vae.encode(images)) - images).square().mean() for vae in (before, after)]
    assert error[1] < 0.9 * error[0], error
    with pytest.raises(ReaderError, match="already holds a decoder"):
        train_part("decoder", config, out, progress=False)


def test_what_is_trained_is_not_trained_over(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(trained_folder(), folder)
    before = contents(folder)
    for part in ("dvae", "clip", "dalle"):
        with pytest.raises(ReaderError, match=f"already holds a {part}.*--resume"):
            train_part(part, folder / "config.toml", folder, progress=False)
    other = tmp_path / "other.toml"
    other.write_text(TOML.replace("steps = 6", "steps = 7"))
    with pytest.raises(ReaderError, match="differs from"):
        train_part("dvae", other, folder, progress=False, resume=True)
    with pytest.raises(ReaderError, match="was trained on other data"):
        train_part(
            "dvae",
            folder / "config.toml",
            folder,
            [{"kind": "scenes", "length": 9}],
            resume=True,
            progress=False,
        )
    assert contents(folder) == before


@pytest.mark.parametrize("part, more, sentence", [
    ("gan", {}, "clip, dalle, decoder, dvae"),
    ("dalle", {}, "needs a finished dVAE"),
    ("dvae", {"resume": True}, "no checkpoint"),
    ("dvae", {"sources": [{"kind": "folder", "path": "no such folder"}]}, "does not exist"),
])  # fmt: skip
def test_what_cannot_begin_leaves_no_folder_behind(tmp_path, part, more, sentence):
    config = write_config(tmp_path)
    with pytest.raises(ReaderError, match=sentence):
        train_part(part, config, tmp_path / "model", progress=False, **more)
    assert not (tmp_path / "model").exists()


def test_a_configuration_without_a_part_says_so(tmp_path):
    text = TOML[: TOML.index("[clip]")] + TOML[TOML.index("[dalle]") :]
    (tmp_path / "c.toml").write_text(text)
    for part, section in (("clip", "clip.training"), ("decoder", "dvae.decoder.training")):
        with pytest.raises(ReaderError, match=rf"no \[{section}\] section"):
            train_part(part, tmp_path / "c.toml", tmp_path / "model", progress=False)


def test_crops_are_parts_of_their_pictures_at_the_grid_s_corners_and_prefer_what_is_filled():
    images = torch.ones(200, 3, 32, 32)
    images[:, :, 16:, 16:] = torch.rand(200, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    crops = crop_filled(images, 16, 4, torch.Generator().manual_seed(1))
    assert crops.shape == (200, 3, 16, 16)
    assert (crops.flatten(1).std(1) > 0.01).float().mean() > 0.85  # four tries, each at least one in four
    for image, crop in zip(images[:20], crops[:20], strict=True):
        places = [(r, c) for r in range(0, 17, 4) for c in range(0, 17, 4)]
        assert any(torch.equal(image[:, r : r + 16, c : c + 16], crop) for r, c in places)
    assert crop_filled(images, 32, 4, torch.Generator()) is images


def test_what_is_published_has_half_the_size_and_draws_as_before(tmp_path):
    folder, target = trained_folder(), tmp_path / "published"
    publish(folder, target)
    for part in ("dvae", "clip", "dalle"):
        ours, theirs = (read_tensors(where / f"{part}.safetensors") for where in (target, folder))
        assert {t.dtype for t in ours.values() if t.is_floating_point()} == {torch.float16}
        for name, tensor in theirs.items():  # 11 bits of a number: within one part in 2,048 of it, or tiny
            assert torch.allclose(ours[name].float(), tensor, rtol=2**-11, atol=1e-7)
    model, before = load(target), load(folder)
    assert {p.dtype for p in model.dalle.parameters()} == {torch.float32}
    text = model.encode_text(["a large red circle", "a small blue star"])
    image = torch.randint(0, 32, (2, 16), generator=torch.Generator().manual_seed(0))
    losses = [float(one.dalle.loss(text, image)["image"]) for one in (model, before)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)
    pictures = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    same = model.vae.encode(pictures) == before.vae.encode(pictures)
    assert same.float().mean() > 0.95
    publish(folder, tmp_path / "whole", torch.float32)
    assert (tmp_path / "whole" / "clip.safetensors").stat().st_size > 1.8 * (
        target / "clip.safetensors"
    ).stat().st_size


def test_a_number_too_large_for_sixteen_bits_is_refused_with_what_to_do():
    tensors = {"weight": torch.tensor([1e5]), "count": torch.tensor([70_000])}
    with pytest.raises(ReaderError, match="weight holds numbers .* torch.bfloat16"):
        rounded(tensors, torch.float16)
    kept = rounded(tensors, torch.bfloat16)
    assert kept["weight"].item() == pytest.approx(1e5, rel=2**-8) and kept["count"].dtype == torch.int64


def test_the_words_that_were_trained_stay_with_the_model():
    words = load(trained_folder()).words
    assert words.unknown("a small red star") == [] and words.unknown("a small gnu") == ["gnu"]
