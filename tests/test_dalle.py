"""DALL·E: what is predicted where, how the losses are weighed, and the paper's 12 billion."""

import math

import pytest
import torch
import torch.nn.functional as F

from dalle_edu.dalle import Dalle, DalleConfig, empty_captions, with_noise, without_some_captions
from dalle_edu.errors import ReaderError
from dalle_edu.train.loop import Run, TrainingConfig, train

SIZES = {
    "text_vocabulary": 20,
    "text_length": 6,
    "image_vocabulary": 15,
    "grid": (3, 3),
    "width": 16,
    "depth": 3,
    "heads": 2,
    "kernel": 3,
}


def dalle(seed=0, **changes):
    torch.manual_seed(seed)
    model = Dalle(DalleConfig(**{**SIZES, **changes})).eval()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape)
    return model


def stream(batch=3, seed=0, captions=(2, 6, 4)):
    generator = torch.Generator().manual_seed(seed)
    text = torch.randint(20, (batch, 6), generator=generator)
    for row, length in enumerate(captions):
        text[row, length:] = 20 + torch.arange(length, 6)
    return text, torch.randint(15, (batch, 9), generator=generator)


@torch.no_grad()
def test_no_logits_change_with_a_later_token():
    model = dalle()
    text, image = stream()
    text_logits, image_logits = model(text, image)
    assert text_logits.shape == (3, 5, 20) and image_logits.shape == (3, 9, 15)
    for j in range(9):
        other = image.clone()
        other[:, j] = (other[:, j] + 1) % 15
        text_moved, image_moved = model(text, other)
        assert torch.equal(text_moved, text_logits), "the text saw the picture"
        same = (image_moved - image_logits).abs().amax(dim=(0, 2)) < 1e-6
        assert same[: j + 1].all(), "logits of a token depend on itself or on a later one"
        assert j == 8 or not same[j + 1], "the next token must feel it"
    for i in range(6):
        other = text.clone()
        other[:, i] = (other[:, i] + 1) % 20
        text_moved, image_moved = model(other, image)
        same = (text_moved - text_logits).abs().amax(dim=(0, 2)) < 1e-6
        assert same[:i].all() and not same[i:].any()
        assert ((image_moved - image_logits).abs().amax(dim=(0, 2)) > 1e-6).all(), (
            "every picture token sees all text"
        )


@torch.no_grad()
def test_the_first_tokens_of_a_picture_give_the_first_logits_of_the_whole():
    model, (text, image) = dalle(), stream()
    whole = model(text, image)[1]
    for n in range(9):
        part = model(text, image[:, :n])[1]
        assert part.shape == (3, n + 1, 15) and torch.allclose(part, whole[:, : n + 1], atol=1e-5)


def test_a_text_position_is_its_token_plus_its_place_and_padding_has_a_vector_for_each_place():
    model, (text, _) = dalle(), stream()
    embedded = model.embed_text(text)
    assert model.text_embedding.num_embeddings == 20 + 6
    for row, length in enumerate((2, 6, 4)):
        for i in range(6):
            token = text[row, i]
            assert (token >= 20) == (i >= length) and (token < 20 or token == 20 + i)
            assert torch.allclose(
                embedded[row, i], model.text_embedding.weight[token] + model.text_position.weight[i]
            )


def test_a_picture_position_is_its_row_plus_its_column():
    model = dalle(grid=(2, 4))
    positions = model.picture_positions()
    for row in range(2):
        for column in range(4):
            expected = model.row_position.weight[row] + model.column_position.weight[column]
            assert torch.equal(positions[4 * row + column], expected)
    image = torch.arange(8)[None]
    assert torch.allclose(model.embed_image(image)[0], model.image_embedding.weight[:8] + positions)


def test_the_loss_is_an_eighth_text_and_seven_eighths_picture_each_by_its_own_count():
    model, (text, image) = dalle(), stream()
    parts = model.loss(text, image)
    text_logits, image_logits = (logits.log_softmax(-1) for logits in model(text, image))
    of_text = [
        -text_logits[b, i - 1, text[b, i]].item() for b in range(3) for i in range(1, 6) if text[b, i] < 20
    ]
    of_image = [-image_logits[b, j, image[b, j]].item() for b in range(3) for j in range(9)]
    assert len(of_text) == 1 + 5 + 3
    assert parts["text"].item() == pytest.approx(sum(of_text) / len(of_text), rel=1e-5)
    assert parts["image"].item() == pytest.approx(sum(of_image) / len(of_image), rel=1e-5)
    assert parts["loss"].item() == pytest.approx(
        parts["text"].item() / 8 + parts["image"].item() * 7 / 8, rel=1e-5
    )


def test_padding_is_never_a_target_but_its_vectors_learn_from_the_picture():
    model, (text, image) = dalle(), stream(captions=(2, 2, 2))
    parts = model.loss(text, image)
    parts["text"].backward(retain_graph=True)
    assert not model.text_embedding.weight.grad[22:].any(), "text before it cannot feel padding"
    model.zero_grad()
    parts["image"].backward()
    assert model.text_embedding.weight.grad[22:26].abs().amax(1).all()
    assert not model.text_embedding.weight.grad[20:22].any(), "places 0 and 1 hold words here"


def test_captions_of_one_token_have_no_text_loss_and_still_train():
    model, (text, image) = dalle(), stream(captions=(1, 1, 1))
    parts = model.loss(text, image)
    assert parts["text"] == 0 and parts["loss"].item() == pytest.approx(7 / 8 * parts["image"].item())


def test_at_the_start_every_token_costs_about_the_logarithm_of_its_vocabulary():
    torch.manual_seed(0)
    parts = Dalle(DalleConfig(**SIZES)).loss(*stream())
    assert parts["text"].item() == pytest.approx(math.log(20), abs=0.3)
    assert parts["image"].item() == pytest.approx(math.log(15), abs=0.3)


def test_it_learns_one_batch_by_heart():
    torch.manual_seed(0)
    model = Dalle(DalleConfig(**{**SIZES, "width": 32}))
    pair = stream()
    run = Run(model, TrainingConfig(steps=150, batch_size=3, learning_rate=5e-3))
    train(run, lambda *_: pair, lambda model, pair, *_: model.loss(*pair), progress=False)
    with torch.no_grad():
        logits = model(*pair)[1]
    assert (
        torch.equal(logits.argmax(-1), pair[1])
        and F.cross_entropy(logits.flatten(0, 1), pair[1].flatten()) < 0.1
    )


def test_the_paper_s_model_builds_without_memory_and_has_its_12_billion_parameters():
    config = DalleConfig.from_name("paper-12b")
    with torch.device("meta"):
        model = Dalle(config)
    count = sum(p.numel() for p in model.parameters())
    w = 62 * 64
    layer = (3 * w * w + 3 * w) + (w * w + w) + (4 * w * w + 4 * w) + (4 * w * w + w) + 4 * w
    embeddings = (16_384 + 256 + 256 + 8_192 + 32 + 32) * w
    assert count == 64 * layer + 2 * w + embeddings + (16_384 + 8_192) * w
    assert round(count / 1e9, 2) == 12.29
    assert config.length == 1280 and (config.width, config.depth, config.heads) == (3968, 64, 62)
    kinds = [block.attention.kind for block in model.transformer.blocks]
    assert [kinds.count(kind) for kind in ("row", "column", "conv")] == [47, 16, 1] and kinds[-1] == "conv"


def test_text_of_another_length_is_refused():
    with pytest.raises(ReaderError, match="Text has 5 positions, this model reads 6"):
        dalle()(torch.zeros(1, 5, dtype=torch.int64), torch.zeros(1, 0, dtype=torch.int64))


def test_noise_exchanges_up_to_the_share_of_tokens_for_those_of_one_picture_of_the_batch():
    image = (torch.arange(400)[:, None] * 1000 + torch.arange(256)).long()  # a token tells where it is from
    seen = with_noise(image, 0.2, torch.Generator().manual_seed(0))
    other = seen // 1000 != torch.arange(400)[:, None]
    shares = other.double().mean(1)
    assert shares.mean().item() == pytest.approx(0.1, abs=0.01)
    assert shares.min() < 0.02 and 0.17 < shares.max() < 0.3
    for row, source in zip(other[:50], (seen // 1000)[:50], strict=True):
        assert len(source[row].unique()) <= 1
    places = (seen % 1000)[other]
    assert torch.bincount(places // 64, minlength=4).double().div(len(places)).sub(0.25).abs().max() < 0.03
    assert len((seen // 1000)[other].unique()) > 370  # every picture lends its tokens to one


def test_no_noise_is_the_picture_itself_and_too_much_is_refused():
    image = torch.randint(15, (4, 9), generator=torch.Generator().manual_seed(0))
    assert torch.equal(with_noise(image, 0.0, torch.Generator()), image)
    for most in (-0.1, 1.1):
        with pytest.raises(ReaderError, match="a share of the picture's tokens, from 0 to 1"):
            with_noise(image, most, torch.Generator())


@torch.no_grad()
def test_what_is_seen_is_not_what_is_predicted():
    model = dalle()
    text, image = stream()
    seen = image.clone()
    seen[:, 2] = (seen[:, 2] + 1) % 15
    image_logits = model(text, seen)[1]
    expected = F.cross_entropy(image_logits.flatten(0, 1), image.flatten())
    found = model.loss(text, image, seen)
    assert found["image"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert found["text"] == model.loss(text, image)["text"]
    assert found["image"] != model.loss(text, image)["image"]


def test_the_share_of_captions_that_is_dropped_becomes_the_empty_caption():
    config = DalleConfig(20, 5, 8, (2, 2), width=8, depth=1, heads=1)
    text = torch.randint(0, 20, (4000, 5), generator=torch.Generator().manual_seed(0))
    some = without_some_captions(text, 0.3, config, torch.Generator().manual_seed(1))
    dropped = (some == empty_captions(1, config)).all(1)
    assert dropped.float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert torch.equal(some[~dropped], text[~dropped])
    assert empty_captions(2, config).tolist() == [[20, 21, 22, 23, 24]] * 2  # padding alone
    assert torch.equal(without_some_captions(text, 0.0, config, torch.Generator()), text)
    with pytest.raises(ReaderError, match="caption_dropout"):
        without_some_captions(text, 1.5, config, torch.Generator())
