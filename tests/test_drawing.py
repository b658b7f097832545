"""A sentence becomes ranked pictures: what a loaded model gives, and what it refuses."""

import dataclasses
import shutil
import warnings
import weakref

import pytest
import torch
from PIL import Image
from toy import loaded_model, trained_folder

import dalle_edu
from dalle_edu.configs.schema import DrawingConfig
from dalle_edu.drawing import contact_sheet, load
from dalle_edu.errors import ReaderError
from dalle_edu.sampling import sample_tokens


def test_the_package_itself_loads_a_model():
    assert dalle_edu.load(trained_folder()).config.dvae.grid == (4, 4)


def test_a_drawing_is_ranked_best_first_and_its_pictures_are_its_tokens():
    model = loaded_model()
    drawing = model.draw("a red circle", samples=5, seed=3)
    assert drawing.images.shape == (5, 3, 16, 16) and drawing.images.dtype == torch.float32
    assert drawing.tokens.shape == (5, 16) and drawing.tokens.dtype == torch.int64
    assert drawing.scores.shape == (5,) and (drawing.scores.diff() <= 0).all()
    assert torch.equal(model.pictures(drawing.tokens), drawing.images)
    assert torch.allclose(model.score(drawing.images, "a red circle"), drawing.scores, atol=1e-6)
    assert drawing.images.min() >= 0 and drawing.images.max() <= 1


def test_the_same_seed_draws_the_same_and_the_prompt_matters():
    model = loaded_model()
    first = model.draw("a red circle", samples=4, seed=3)
    assert torch.equal(first.tokens, model.draw("A RED circle ", samples=4, seed=3).tokens)
    assert not torch.equal(first.tokens, model.draw("a red circle", samples=4, seed=4).tokens)


def test_a_model_draws_with_its_own_dials_unless_others_are_given():
    model = load(trained_folder())
    asked = {"prompt": "a red circle", "samples": 4, "seed": 3}
    plain, dialled = model.draw(**asked), model.draw(**asked, temperature=0.4, guidance=1.5)
    model.config = dataclasses.replace(model.config, drawing=DrawingConfig(temperature=0.4, guidance=1.5))
    assert torch.equal(model.draw(**asked).tokens, dialled.tokens)
    assert not torch.equal(plain.tokens, dialled.tokens)
    assert torch.equal(model.draw(**asked, temperature=1.0, guidance=1.0).tokens, plain.tokens)


def test_samples_beyond_one_batch_are_drawn_in_several():
    drawing = loaded_model().draw("a red circle", samples=7, batch=3)
    assert (
        len(drawing) == 7
        and len(drawing.best(2)) == 2
        and torch.equal(drawing.best(2).scores, drawing.scores[:2])
    )


def test_a_picture_is_finished_from_its_first_rows():
    model = loaded_model()
    start = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    drawing = model.draw("a red circle", samples=4, start=start, keep_rows=2)
    assert (drawing.tokens[:, :8] == model.vae.encode(start[None]).flatten()[:8]).all()
    corner = torch.ones(16, dtype=torch.bool)
    corner[[10, 11, 14, 15]] = False
    anew = model.draw("a red circle", samples=4, start=start, keep=corner)
    assert (anew.tokens[:, corner] == model.vae.encode(start[None]).flatten()[corner]).all()


@pytest.mark.parametrize("more, sentence", [
    ({"prompt": ""}, "empty"), ({"prompt": "x" * 300}, "at most 16 fit"), ({"samples": 0}, "samples is 0"),
    ({"seed": 1.5}, "whole number"), ({"seed": -1}, "whole number"), ({"seed": True}, "whole number"),
    ({"temperature": 0}, "temperature is 0"), ({"top_k": -3}, "top_k"), ({"keep_rows": 2}, "of no picture"),
    ({"start": torch.zeros(3, 16, 16), "keep_rows": 4}, "keep 0 to 3"),
    ({"start": torch.zeros(3, 20, 16), "keep_rows": 1}, "this model's are \\(3, 16, 16\\).*read_picture"),
])  # fmt: skip
def test_wishes_that_cannot_be_are_refused(more, sentence):
    with pytest.raises(ReaderError, match=sentence):
        loaded_model().draw(**{"prompt": "a red circle", "samples": 1, **more})


def test_ctrl_c_keeps_what_is_finished():
    model, batches = loaded_model(), []

    def impatient(j, token):
        batches.append(j)
        if batches.count(15) == 2 and j == 5:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="4 of 20 samples"):
        drawing = model.draw("a red circle", samples=20, batch=2, on_step=lambda j, t: impatient(j, t))
    assert len(drawing) == 4

    def at_once(j, token):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.draw("a red circle", samples=4, on_step=at_once)


def test_ctrl_c_while_a_batch_is_decoded_or_ranked_keeps_the_batches_before_it(monkeypatch):
    model = loaded_model()
    whole = model.draw("a red circle", samples=6, seed=1, batch=2)
    for step in ("pictures", "score"):
        calls, original = [], getattr(model, step)

        def impatient(*arguments, original=original, calls=calls):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return original(*arguments)

        monkeypatch.setattr(model, step, impatient)
        with pytest.warns(UserWarning, match="4 of 6 samples"):
            kept = model.draw("a red circle", samples=6, seed=1, batch=2, workers=1)
        monkeypatch.undo()
        assert len(kept) == 4 and (kept.scores.diff() <= 0).all()
        assert all((whole.tokens == row).all(1).any() for row in kept.tokens)


def test_each_batch_is_reported_ranked_with_all_before_it():
    seen = []
    drawing = loaded_model().draw("a red circle", samples=5, batch=2, on_batch=seen.append)
    assert [len(part) for part in seen] == [2, 4, 5]
    assert all((part.scores.diff() <= 0).all() for part in seen)
    assert torch.equal(seen[-1].tokens, drawing.tokens) and torch.equal(seen[-1].scores, drawing.scores)


@pytest.mark.parametrize("workers", [1, 2])
def test_five_hundred_and_twelve_samples_need_no_more_working_memory_than_one_batch(monkeypatch, workers):
    """What is alive at a time: the key-value cache, and the largest batch that dVAE and CLIP are given."""
    model = loaded_model()
    prefill, decode, scores = model.dalle.transformer.prefill, model.vae.decode, model.clip.scores
    alive, most, batches = weakref.WeakSet(), [0], []

    def counted_prefill(*arguments):
        states, cache = prefill(*arguments)
        alive.update(tensor for layer in cache for tensor in layer.values())
        most[0] = max(most[0], sum(tensor.nbytes for tensor in alive))
        return states, cache

    monkeypatch.setattr(model.dalle.transformer, "prefill", counted_prefill)
    monkeypatch.setattr(model.vae, "decode", lambda tokens: batches.append(len(tokens)) or decode(tokens))
    monkeypatch.setattr(model.clip, "scores", lambda p, t: batches.append(len(p)) or scores(p, t))
    model.draw("a red circle", samples=32, batch=32, workers=1)
    one_batch = most[0]
    assert one_batch > 0
    assert len(model.draw("a red circle", samples=512, batch=32, workers=workers)) == 512
    # Two workers have half of a batch each, and the caption's keys once each.
    assert most[0] <= one_batch * (1 if workers == 1 else 1.05) and max(batches) == 32


def test_the_bar_counts_every_token_of_every_sample(capsys):
    loaded_model().draw("a red circle", samples=5, batch=2, progress=True)
    assert "80.0/80.0" in capsys.readouterr().err  # 5 samples of 16 tokens
    loaded_model().draw("a red circle", samples=5, batch=2)
    assert capsys.readouterr().err == ""


def test_under_autocast_tokens_are_sampled_in_sixteen_bits(monkeypatch):
    model, kinds = loaded_model(), []
    step = model.dalle.transformer.blocks[0].mlp[0].forward

    def seen(x):
        out = step(x)
        kinds.append(out.dtype)
        return out

    monkeypatch.setattr(model.dalle.transformer.blocks[0].mlp[0], "forward", seen)
    text = model.encode_text("a red circle")
    with torch.autocast("cpu", torch.bfloat16):
        tokens = sample_tokens(model.dalle, text, 3)
    assert set(kinds) == {torch.bfloat16} and tokens.dtype == torch.int64
    kinds.clear()
    model.draw("a red circle", samples=3)
    assert set(kinds) == {torch.float32}


def test_a_sheet_holds_every_picture_and_is_a_png_with_its_prompt(tmp_path):
    drawing = loaded_model().draw("a red circle", samples=5)
    drawing.save(tmp_path / "d.png", columns=2, scale=3)
    with Image.open(tmp_path / "d.png") as sheet:
        assert sheet.size == (3 * (2 * 18 + 2), 3 * (3 * 18 + 2)) and sheet.text["Title"] == "a red circle"
        assert "Source" not in sheet.text  # scenes belong to nobody
    plain = contact_sheet(drawing.images, columns=2, scale=1)
    pixel = torch.tensor(plain.getpixel((2, 2))) / 255
    assert torch.allclose(pixel, drawing.images[0, :, 0, 0], atol=0.003)
    assert drawing._repr_png_()[0].startswith(b"\x89PNG") and "red circle" in drawing._repr_png_()[1]["alt"]


def test_a_model_without_clip_draws_in_the_order_of_drawing(tmp_path):
    shutil.copytree(trained_folder(), tmp_path / "m", ignore=shutil.ignore_patterns("clip.*", "training-*"))
    drawing = load(tmp_path / "m").draw("a red circle", samples=3)
    assert drawing.scores.isnan().all() and len(drawing) == 3


@pytest.mark.parametrize("name", ["config.toml", "tokenizer.json", "dvae.safetensors", "dalle.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut short"])
def test_a_part_that_is_missing_or_damaged_is_named(tmp_path, name, damage):
    shutil.copytree(trained_folder(), tmp_path / "m", ignore=shutil.ignore_patterns("training-*"))
    path = tmp_path / "m" / name
    content = path.read_bytes()
    path.unlink() if damage == "missing" else path.write_bytes(content[: len(content) // 2])
    with warnings.catch_warnings(), pytest.raises(ReaderError) as caught:
        load(tmp_path / "m")
    assert str(tmp_path) in str(caught.value)


def test_an_unknown_model_lists_the_known_ones():
    with pytest.raises(ReaderError, match="no model named 'picturebok'.*any folder"):
        load("picturebok")


def test_pictures_of_a_model_of_emoji_carry_their_licence(tmp_path):
    shutil.copytree(trained_folder(), tmp_path / "m", ignore=shutil.ignore_patterns("training-*"))
    config = tmp_path / "m" / "config.toml"
    config.write_text(
        config.read_text().replace('kind = "scenes"\nfamily = "attributes"\nlength = 40', 'kind = "emoji"')
    )
    drawing = load(tmp_path / "m").draw("a red circle", samples=3, batch=2)
    drawing.best(2).save(tmp_path / "d.png")
    with Image.open(tmp_path / "d.png") as sheet:
        assert "CC BY-SA 4.0" in sheet.text["Source"]
