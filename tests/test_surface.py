"""Python's own surface: what a reader passes by mistake is one sentence that names it, or is right."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from toy import loaded_model, trained_folder

from dalle_edu.configs import FOLDER
from dalle_edu.drawing import load
from dalle_edu.dvae import DiscreteVAE, DiscreteVAEConfig
from dalle_edu.errors import ReaderError
from dalle_edu.files import read_history, write_tensors
from dalle_edu.gumbel import gumbel_softmax
from dalle_edu.reranking import PretrainedClip
from dalle_edu.sampling import sample_tokens
from dalle_edu.tokens import CaptionTokenizer, merges_of, split
from dalle_edu.vqvae import VectorQuantizer, check_tokens


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"prompt": ["a", "b"]}, r"prompt is \['a', 'b'\]; draw takes one text"),
        ({"prompt": None}, "prompt is None"),
        ({"prompt": b"a"}, "prompt is b'a'"),
        ({"prompt": "x" * 1_000_000}, "1,000,000 characters"),
        ({"prompt": "\ud83d"}, "half a character"),
        ({"samples": 2.0}, r"samples is 2\.0; it must be a whole number from 1"),
        ({"samples": None}, "samples is None"),
        ({"samples": True}, "samples is True"),
        ({"batch": 1.5}, r"batch is 1\.5"),
        ({"batch": 0}, "batch is 0"),
        ({"top_k": 2.5}, r"top_k is 2\.5"),
        ({"top_k": None}, "top_k is None"),
        ({"top_p": "1"}, "top_p is '1'"),
        ({"temperature": "1"}, "temperature is .1."),
        ({"temperature": 1e-40}, "from 1e-6"),
        ({"temperature": 1e300}, "to 1e6"),
        ({"seed": "0"}, "seed is '0'"),
        ({"seed": 2**63}, "seed is"),
        ({"start": "a.png", "keep_rows": 1}, "a.png.*or read a file with"),
        ({"start": torch.full((3, 16, 16), torch.nan), "keep_rows": 1}, "reaches from nan"),
        ({"start": torch.full((3, 16, 16), 255.0), "keep_rows": 1}, "255; its numbers must lie between 0"),
        ({"start": torch.full((3, 16, 16), 255, dtype=torch.uint8), "keep_rows": 1}, "divide 8 bits by 255"),
        ({"start": torch.zeros(3, 16, 16), "keep_rows": 1.5}, r"rows to keep is 1\.5"),
        ({"start": torch.zeros(3, 16, 16), "keep": [True] * 16}, "`keep` a tensor of True and False"),
        ({"start": torch.zeros(3, 16, 16), "keep": torch.ones(16)}, "`keep` a tensor of True and False"),
    ],
)
def test_what_draw_cannot_take_is_named(arguments, sentence):
    with pytest.raises(ReaderError, match=sentence) as error:
        loaded_model().draw(**{"prompt": "a red circle", "samples": 1, **arguments})
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "I;16"])
def test_a_pillow_picture_of_any_size_and_mode_can_be_the_start(mode):
    numbers = np.linspace(0, 255, 40 * 30).reshape(40, 30).astype(np.uint8)
    picture = Image.fromarray(numbers) if mode != "I;16" else Image.fromarray(numbers.astype(np.uint16) * 257)
    picture = picture if mode == "I;16" else picture.convert(mode)
    drawing = loaded_model().draw("a red circle", samples=2, start=picture, keep_rows=2)
    assert torch.equal(drawing.tokens[0, :8], drawing.tokens[1, :8])


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("part", ["dvae", "dalle", "clip"])
def test_weights_that_are_no_numbers_are_refused_by_name(tmp_path, part, value):
    shutil.copytree(trained_folder(), tmp_path / "m", ignore=shutil.ignore_patterns("training-*"))
    path = tmp_path / "m" / f"{part}.safetensors"
    tensors = load_file(path)
    name = max((n for n in tensors if tensors[n].is_floating_point()), key=lambda n: tensors[n].numel())
    tensors[name].view(-1)[3] = value
    save_file(tensors, path)
    with pytest.raises(ReaderError, match=rf"{part}\.safetensors holds numbers that are none \({name}"):
        load(tmp_path / "m").draw("a red circle", samples=1)


@pytest.mark.parametrize("name", ["", "\0", "x" * 5000, None, 7, "~nobody-of-this-name/x", "\ud800"])
def test_a_model_that_cannot_be_is_one_sentence(name):
    with pytest.raises(ReaderError):
        load(name)


def test_one_picture_without_its_batch_and_sides_that_do_not_divide_are_refused():
    vae = DiscreteVAE(
        DiscreteVAEConfig(16, 8, patch_size=4, groups=1, blocks_per_group=1, hidden=8, decoder_input=8)
    )
    for shape in ((3, 16, 16), (1, 3, 18, 16), (1, 1, 16, 16), (1, 3, 0, 16), (0,)):
        with pytest.raises(ReaderError, match=r"multiples of 4.*picture\[None\]"):
            vae.encode(torch.zeros(shape))
    for shape in ((4, 4), (1, 0, 4), (16,)):
        with pytest.raises(ReaderError, match="shape"):
            vae.decode(torch.zeros(shape, dtype=torch.int64))


@pytest.mark.parametrize("kind", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_tokens_of_few_bits_are_compared_and_looked_up_as_numbers(kind):
    tokens = torch.tensor([[[0, 1], [2, 3]]], dtype=kind)
    check_tokens(tokens, 256)
    vae = DiscreteVAE(
        DiscreteVAEConfig(8, 256, patch_size=4, groups=1, blocks_per_group=1, hidden=8, decoder_input=8)
    )
    assert torch.equal(vae.decode(tokens), vae.decode(tokens.long()))
    assert vae.codebook_usage(tokens).tolist()[:5] == [1, 1, 1, 1, 0]
    quantizer = VectorQuantizer(256, 3)
    assert torch.equal(quantizer.lookup(tokens), quantizer.lookup(tokens.long()))
    with pytest.raises(ReaderError, match=r"0\.\.2, but reach from 0 to 3"):
        check_tokens(tokens, 3)


def test_a_pixel_that_is_no_number_leaves_the_codebook_as_it_was():
    quantizer = VectorQuantizer(8, 3, revive_below=0.5).train()
    before = {name: tensor.clone() for name, tensor in quantizer.state_dict().items()}
    vectors = torch.randn(2, 3, 4, 4)
    vectors[0, 1, 2, 3] = torch.nan
    quantizer(vectors)
    assert all(torch.equal(tensor, before[name]) for name, tensor in quantizer.state_dict().items())


def test_white_space_in_a_prompt_is_one_space_as_in_captions():
    tokenizer = loaded_model().tokenizer
    plain = tokenizer.encode("a red circle", 16)
    for prompt in ("a  red circle", "a\nred\tcircle\n", "\u2003a\u2028red\x85circle", " a red\r\n circle "):
        assert torch.equal(tokenizer.encode(prompt, 16), plain)
        assert tokenizer.pieces(prompt) == tokenizer.pieces("a red circle")
        assert split(prompt, merges_of(tokenizer)) == split("a red circle", merges_of(tokenizer))


@pytest.mark.parametrize("text", ["ΣΊΣΥΦΟΣ", "ὈΔΥΣΣΕΎΣ ΚΑΊ ΣΟΦΌΣ", "İSTANBUL", "STRASSE ẞ", "ǅ Ⅷ"])
def test_small_letters_by_hand_are_those_of_tokenizers(text):
    tokenizer = CaptionTokenizer.train(["σίσυφος οδυσσεύς", "istanbul"], 300)
    by_hand = b"".join(split(text, merges_of(tokenizer))).decode().strip()
    assert by_hand == tokenizer.decode(tokenizer.encode(text, 100)[0])


@pytest.mark.parametrize("texts", [None, [None], ["a", 7], b"a", [["a"]]])
def test_what_is_no_text_is_refused_by_the_tokenizer(texts):
    with pytest.raises((ReaderError, TypeError), match="text|NoneType"):
        loaded_model().tokenizer.encode(texts, 16)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"step": 0, "loss": 1.0}\n{"step": 1, "lo', "Line 2 of .* is damaged"),
        (b'{"step": "one"}', "Line 1"),
        (b'{"step": -5}', "Line 1"),
        (b"[]", "Line 1"),
        (b'{"loss": 1}', "Line 1"),
        (b'{"step": 1.5}', "Line 1"),
        (b'{"step": Infinity}', "Line 1"),
        (b'{"step": true}', "Line 1"),
        (b"[" * 100_000, "Line 1"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_damaged_history_is_named_with_its_line(tmp_path, content, sentence):
    (tmp_path / "history.jsonl").write_bytes(content)
    with pytest.raises(ReaderError, match=sentence):
        read_history(tmp_path / "history.jsonl")


def test_the_shipped_training_curves_can_be_read():
    paths = sorted((FOLDER.parent / "weights" / "picturebook").glob("*-history.jsonl"))
    assert len(paths) >= 4
    for path in paths:
        assert len(read_history(path)) > 10


def test_given_tokens_of_other_kinds_are_refused_or_converted():
    model = loaded_model()
    text, keep = model.encode_text("a red circle"), torch.arange(16) < 8
    given = torch.arange(16) % 8
    first = sample_tokens(model.dalle, text, given=given, keep=keep)
    assert torch.equal(
        sample_tokens(model.dalle, text, given=given.to(torch.uint8), keep=keep)[:, :8], first[:, :8]
    )
    for wrong in (given.float(), [0] * 16, torch.tensor(3)):
        with pytest.raises(ReaderError):
            sample_tokens(model.dalle, text, given=wrong, keep=keep)
    for samples in (0, 1.5, None):
        with pytest.raises(ReaderError, match="samples is"):
            sample_tokens(model.dalle, text, samples)


@pytest.mark.parametrize("temperature", [1e-6, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("vocabulary", [1, 2, 65_536])
def test_relaxed_draws_and_their_gradients_are_finite(temperature, vocabulary):
    logits = (10 * torch.randn(1, vocabulary, generator=torch.Generator().manual_seed(1))).requires_grad_()
    for hard in (False, True):
        soft = gumbel_softmax(logits, temperature, hard=hard, generator=torch.Generator().manual_seed(2))
        (soft * torch.arange(vocabulary)).sum().backward()
        assert (
            soft.isfinite().all()
            and logits.grad.isfinite().all()
            and abs(float(soft.sum().detach()) - 1) < 1e-4
        )


def test_a_full_disk_is_one_sentence_and_leaves_the_weights_that_were_there(tmp_path, monkeypatch):
    from safetensors import SafetensorError

    import dalle_edu.files as files

    path = tmp_path / "a.safetensors"
    write_tensors(path, {"a": torch.ones(3)})

    def full(tensors, name, metadata):
        name.write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(files, "save_file", full)
    with pytest.raises(ReaderError, match="could not be written .*No space left on device"):
        write_tensors(path, {"a": torch.zeros(3)})
    assert load_file(path)["a"].sum() == 3 and [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 cut", b"\x80\x02]q\x00."])
def test_a_damaged_file_for_the_pretrained_clip_is_one_sentence(tmp_path, content):
    path = tmp_path / "clip.pt"
    path.write_bytes(content)
    with pytest.raises(ReaderError, match="holds no weights of ViT-B-32"):
        PretrainedClip("ViT-B-32", path)


MISTAKES = {
    "8 bits encoded": (lambda m: m.vae.encode(torch.zeros(1, 3, 16, 16, dtype=torch.uint8)), "divide 8 bits"),
    "0 to 255 encoded": (lambda m: m.vae.encode(torch.full((1, 3, 16, 16), 255.0)), "reach from 255 to 255"),
    "NaN encoded": (lambda m: m.vae.encode(torch.full((1, 3, 16, 16), torch.nan)), "reach from nan"),
    "a list encoded": (lambda m: m.vae.encode([1, 2]), "tensor of float32"),
    "one picture scored": (lambda m: m.score(torch.rand(3, 16, 16), "a"), "shape"),
    "another size scored": (lambda m: m.score(torch.rand(1, 3, 8, 8), "a"), "shape"),
    "NaN scored": (lambda m: m.score(torch.full((2, 3, 16, 16), torch.nan), "a"), "no score"),
    "two texts for three": (
        lambda m: m.clip.scores(torch.rand(3, 3, 16, 16), m.encode_text(["a", "b"])), "2 texts for 3",
    ),
    "tokens of a part": (lambda m: m.pictures(torch.zeros(3, 5, dtype=torch.int64)), r"\(samples, 16\)"),
    "a grid for a row": (lambda m: m.pictures(torch.zeros(3, 4, 4, dtype=torch.int64)), r"\(samples, 16\)"),
    "no text": (lambda m: m.encode_text(5), "The text is 5"),
    "none of the best": (lambda m: m.draw("a", 1).best(0), "count is 0"),
    "no pixels a pixel": (lambda m: m.draw("a", 1).sheet(scale=0), "scale is 0"),
    "half a column": (lambda m: m.draw("a", 1).sheet(columns=1.5), r"columns is 1\.5"),
    "another vocabulary": (
        lambda m: m.dalle.loss(m.encode_text("a"), torch.full((1, 16), 99)), r"0\.\.31, but reach from 99",
    ),
    "another text": (
        lambda m: m.dalle(torch.full((1, 16), 9999), torch.zeros(1, 16).long()), "reach from 9999",
    ),
    "a loss of a part": (
        lambda m: m.dalle.loss(m.encode_text("a"), torch.zeros(1, 3, dtype=torch.int64)), "whole pictures",
    ),
    "a text without its batch": (
        lambda m: m.dalle(m.encode_text("a")[0], torch.zeros(16, 16, dtype=torch.int64)), "give it a batch",
    ),
    "a picture too many": (
        lambda m: m.dalle(m.encode_text(["a", "b"]), torch.zeros(3, 16, dtype=torch.int64)), "2 texts for 3",
    ),
    "a picture too long": (
        lambda m: m.dalle(m.encode_text("a"), torch.zeros(1, 17, dtype=torch.int64)), "n up to 16",
    ),
    "fractions for tokens": (lambda m: m.dalle(m.encode_text("a"), torch.zeros(1, 16)), "whole numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_what_a_part_cannot_take_is_one_sentence(name):
    call, sentence = MISTAKES[name]
    with pytest.raises(ReaderError, match=sentence):
        call(loaded_model())


def test_numbers_of_numpy_and_fractions_of_other_lengths_are_taken():
    model = loaded_model()
    drawing = model.draw("a red circle", np.int64(2), temperature=np.float32(0.5), top_k=np.int32(3))
    assert len(drawing.best(np.int64(1))) == 1
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model.vae.encode(images.double()), model.vae.encode(images))
    assert model.vae.encode(images.half()).shape == (2, 4, 4)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_a_transformer_takes_tokens_of_few_bits_as_numbers(kind):
    model = loaded_model()
    text, tokens = model.encode_text("a red circle"), torch.arange(16)[None] % 7
    small, wide = (model.dalle.loss(text, some)["loss"] for some in (tokens.to(kind), tokens))
    assert torch.equal(small, wide)


def test_more_codes_than_16_bits_hold_are_stored_as_they_are(tmp_path):
    """From 32,769 codes on, which 16 bits with a sign cannot count, through the cache and through shards."""
    import io
    import random

    from dalle_edu.data.make_shards import _encoded
    from dalle_edu.data.mixture import Mixture
    from dalle_edu.data.readers import TOKENS, TokenReader
    from dalle_edu.train.run import precomputed_tokens

    for vocabulary in (32_768, 32_769, 65_536, 65_537):
        config = DiscreteVAEConfig(8, vocabulary, patch_size=4, groups=1, blocks_per_group=1, hidden=4)
        vae = DiscreteVAE(config).eval()
        torch.nn.init.zeros_(vae.encoder.blocks.output.conv.weight)
        with torch.no_grad():
            vae.encoder.blocks.output.conv.bias[-1] = 1.0  # the last code wins everywhere
        data = Mixture(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), [["red"]] * 3, torch.ones(3))
        for _ in range(2):  # computed, and read again
            tokens = precomputed_tokens(vae, data, tmp_path / f"{vocabulary}.safetensors")
            assert tokens.long().unique().tolist() == [vocabulary - 1]
        (sample,) = _encoded(vae, [torch.zeros(3, 8, 8)], ["red"])
        content = sample[TOKENS.lstrip(".")]
        assert np.load(io.BytesIO(content)).dtype.itemsize == (2 if vocabulary <= 65_536 else 8)
        sample = {"__key__": "a", "__url__": "a.tar", "files": {TOKENS: content, ".txt": b"red"}}
        read, _ = TokenReader((2, 2), vocabulary)(sample, random.Random(0))
        assert read.tolist() == [vocabulary - 1] * 4
