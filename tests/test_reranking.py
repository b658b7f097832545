"""CLIP: the contrastive loss, the order it gives, and the real thing's loading path on a file made here."""

import contextlib
import math

import pytest
import torch
import torch.nn.functional as F

from dalle_edu.configs import ClipConfig
from dalle_edu.errors import ReaderError
from dalle_edu.reranking import (
    PictureClip,
    PretrainedClip,
    build_clip,
    chance_to_win,
    expected_best,
    rank,
)
from dalle_edu.train.loop import Run, TrainingConfig, train
from dalle_edu.train.stages import scores_written_down

CONFIG = ClipConfig(
    embedding=8,
    width=16,
    depth=1,
    heads=2,
    patch_size=8,
    image_size=16,
    text_width=16,
    text_depth=1,
    text_heads=2,
    text_length=5,
)


@pytest.fixture
def clip():
    torch.manual_seed(0)
    return PictureClip(CONFIG, vocabulary=20).eval()


def pairs(count=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    text = torch.randint(20, (count, 5), generator=generator)
    for row in range(count):
        text[row, 1 + row % 5 :] = 20 + torch.arange(1 + row % 5, 5)
    return torch.rand(count, 3, 16, 16, generator=generator), text


def test_the_loss_is_the_symmetric_cross_entropy_of_the_cosines(clip):
    images, text = pairs()
    pictures, texts = (
        F.normalize(x, dim=-1)
        for x in (clip.clip.encode_image(images * 2 - 1), clip.clip.encode_text(clip.text_tokens(text)))
    )
    cosines = clip.clip.logit_scale.exp() * pictures @ texts.T
    rows = -sum(cosines[i].log_softmax(0)[i] for i in range(6)) / 6
    columns = -sum(cosines[:, i].log_softmax(0)[i] for i in range(6)) / 6
    parts = clip.loss(images, text)
    assert parts["loss"].item() == pytest.approx((rows + columns).item() / 2, rel=1e-5)
    right = sum(int(cosines[i].argmax() == i) for i in range(6)) / 6
    assert parts["accuracy"].item() == pytest.approx(right)


def test_pictures_that_no_text_wants_stand_beside_the_right_one_where_a_text_looks_for_its_own(clip):
    images, text = pairs()
    wrong = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(9))
    counts = torch.tensor([True, False, True])
    with torch.no_grad():
        pictures, texts, scale = clip(torch.cat((images, wrong)), text)
        cosines = scale * pictures @ texts.T  # (9, 6)
        rows = -sum(cosines[i].log_softmax(0)[i] for i in range(6)) / 6
        quiz = cosines[[0, 1, 2, 3, 4, 5, 6, 8]]  # the second wrong one is not in it
        columns = -sum(quiz[:, i].log_softmax(0)[i] for i in range(6)) / 6
        found = clip.loss(images, text, wrong, counts)["loss"]
        every = clip.loss(images, text, wrong)["loss"]
    assert found.item() == pytest.approx((rows + columns).item() / 2, rel=1e-5)
    assert clip.loss(images, text)["loss"] < found < every
    none = clip.loss(images, text, wrong, torch.zeros(3, dtype=torch.bool))["loss"]
    assert none.item() == pytest.approx(clip.loss(images, text)["loss"].item(), rel=1e-5)


@pytest.mark.parametrize("spoilt", [False, True])
def test_slices_of_a_batch_add_up_to_its_loss_its_accuracy_and_its_gradient(spoilt):
    """Of 7 pairs, in slices of 3, 3, 1 and none."""
    generator = torch.Generator().manual_seed(2)
    ours = F.normalize(torch.randn(3, 7, 4, generator=generator), dim=-1).requires_grad_()
    counts = torch.tensor([True, False, True, True, True, False, True])
    more = (ours[2], counts) if spoilt else (None, None)
    scale = torch.tensor(9.0)
    whole = PictureClip.compare(ours[0], ours[1], scale, *more)
    rows = [slice(start, min(7, start + 3)) for start in (0, 3, 6, 7)]
    pieces = [PictureClip.compare(ours[0], ours[1], scale, *more, part) for part in rows]
    for name in ("loss", "accuracy"):
        assert sum(piece[name].item() for piece in pieces) == pytest.approx(whole[name].item(), rel=1e-5)
    (wanted,) = torch.autograd.grad(whole["loss"], ours, retain_graph=True)
    (found,) = torch.autograd.grad(sum(piece["loss"] for piece in pieces), ours)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-4)


def test_the_learned_scale_starts_at_1_over_0_07_and_stops_at_100(clip):
    images, text = pairs()
    assert clip(images, text)[2].item() == pytest.approx(1 / 0.07, rel=1e-4)
    clip.clip.logit_scale.data.fill_(10.0)
    assert clip(images, text)[2].item() == 100


def test_a_text_ends_with_its_end_and_is_empty_after_it(clip):
    text = torch.tensor([[3, 4, 22, 23, 24], [5, 6, 7, 8, 9], [1, 21, 22, 23, 24]])
    assert clip.text_tokens(text).tolist() == [
        [3, 4, 21, 20, 20, 20],
        [5, 6, 7, 8, 9, 21],
        [1, 21, 20, 20, 20, 20],
    ]


def test_padding_of_any_position_means_the_same(clip):
    images, text = pairs(2)
    text[:] = torch.tensor([3, 4, 22, 23, 24])
    other = torch.tensor(
        [[3, 4, 40, 41, 42]] * 2
    )  # where a model's text_vocabulary is larger than the tokenizer's
    assert torch.equal(clip.scores(images, text), clip.scores(images, other))


def test_scores_are_cosines_and_do_not_depend_on_the_batch(clip):
    images, text = pairs(6)
    scores = clip.scores(images, text)
    assert scores.shape == (6,) and scores.abs().max() <= 1 + 1e-5
    assert torch.allclose(clip.scores(images, text, batch=2), scores, atol=1e-6)
    assert torch.allclose(clip.scores(images, text[:1], batch=4)[0], scores[0], atol=1e-6)


def test_ranking_puts_the_best_first_and_keeps_the_order_of_equals():
    scores = torch.tensor([0.2, 0.9, 0.2, -0.5, 0.9, 0.2])
    assert rank(scores).tolist() == [1, 4, 0, 2, 5, 3]
    assert rank(torch.zeros(100)).tolist() == list(range(100))


@pytest.mark.parametrize("n", range(1, 7))
def test_best_of_n_is_the_mean_over_all_ways_to_take_n_of_the_pool(n):
    from itertools import combinations

    generator = torch.Generator().manual_seed(n)
    scores, values = torch.rand(2, 6, generator=generator)
    every = [max(some, key=lambda i: scores[i]) for some in combinations(range(6), n)]
    mean = sum(float(values[i]) for i in every) / len(every)
    assert expected_best(scores, values, n) == pytest.approx(mean)


def test_best_of_one_is_a_plain_mean_and_best_of_all_is_the_best():
    scores, values = torch.tensor([0.1, 0.9, 0.5]), torch.tensor([1.0, 0.0, 0.5])
    assert expected_best(scores, values, 1) == pytest.approx(0.5)
    assert expected_best(scores, values, 3) == 0
    assert expected_best(values, values, 3) == 1


@pytest.mark.parametrize("n", [1, 2, 31, 256, 511, 512])
def test_chances_to_win_sum_to_one_and_fall_with_the_rank(n):
    chances = chance_to_win(512, n)
    assert chances.sum().item() == pytest.approx(1, abs=1e-12)
    assert chances[0].item() == pytest.approx(n / 512)
    assert bool((chances.diff() <= 0).all())


def test_a_best_that_cannot_be_taken_is_named():
    for n in (0, 4):
        with pytest.raises(ReaderError, match=f"best of {n} cannot be taken from a pool of 3"):
            expected_best(torch.rand(3), torch.rand(3), n)
    with pytest.raises(ReaderError, match="one number a sample"):
        expected_best(torch.rand(3), torch.rand(4), 2)


def test_a_little_training_finds_the_right_caption_for_each_picture(clip):
    images, text = pairs(8)
    images = torch.rand(8, 3, 1, 1, generator=torch.Generator().manual_seed(1)).expand(
        -1, -1, 16, 16
    )  # eight colours
    text = torch.arange(8)[:, None] * torch.ones(1, 5, dtype=torch.int64)
    run = Run(clip, TrainingConfig(steps=150, batch_size=8, learning_rate=3e-3, gradient_clip=1.0))
    train(run, lambda *_: (images, text), lambda model, pair, *_: model.loss(*pair), progress=False)
    with torch.no_grad():
        assert clip.loss(images, text)["accuracy"] == 1 and clip.loss(images, text)["loss"] < 0.3 * math.log(
            8
        )


def test_a_configuration_without_clip_says_so():
    with pytest.raises(ReaderError, match=r"no \[clip\] section"):
        build_clip(None, None)


# ---- open_clip's own models

TINY = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A file of weights as a reader may have one: random, small, for a model that open_clip lists."""
    import json

    import open_clip

    folder = tmp_path_factory.mktemp("open_clip")
    (folder / "ViT-tiny-for-tests.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-tiny-for-tests")
    torch.save(model.state_dict(), folder / "weights.pt")
    yield folder / "weights.pt", model.eval()
    (folder / "ViT-tiny-for-tests.json").unlink()


def test_weights_from_a_file_give_open_clip_s_own_scores(checkpoint):
    import open_clip
    from torchvision.transforms.functional import to_pil_image

    path, model = checkpoint
    ours = PretrainedClip("ViT-tiny-for-tests", path)
    images, captions = pairs(3)[0], ["a red apple", "a green heart", "a house"]
    preprocess = open_clip.image_transform(32, is_train=False)
    with torch.no_grad():
        pictures = model.encode_image(torch.stack([preprocess(to_pil_image(image)) for image in images]))
        texts = model.encode_text(open_clip.get_tokenizer("ViT-tiny-for-tests")(captions))
    expected = F.cosine_similarity(pictures, texts)
    assert torch.allclose(ours.scores(images, captions), expected, atol=1e-4)
    assert torch.allclose(ours.scores(images, captions, batch=2), expected, atol=1e-4)
    twice = ours.scores(images[:1].expand(2, -1, -1, -1), captions[:1])
    assert torch.allclose(twice, expected[:1].expand(2), atol=1e-4)


def test_unknown_models_and_missing_files_are_named():
    with pytest.raises(ReaderError, match="no model 'ViT-Q-99'.*'ViT-B-32'"):
        PretrainedClip("ViT-Q-99", "openai")
    with pytest.raises(
        ReaderError, match="'nowhere.pt' is neither a file nor published weights of ViT-B-32 .*openai"
    ):
        PretrainedClip("ViT-B-32", "nowhere.pt")


def test_a_file_that_is_no_checkpoint_is_named(checkpoint, tmp_path):
    (tmp_path / "w.pt").write_bytes(b"no weights")
    with pytest.raises(ReaderError, match="w.pt holds no weights"):
        PretrainedClip("ViT-tiny-for-tests", tmp_path / "w.pt")


def test_scores_written_down_give_the_gradients_of_fused_attention_and_only_where_it_is_slow(clip):
    """In bfloat16 on a processor; in float32, and on other devices, PyTorch chooses as ever."""
    images, text = pairs()

    def gradient(way):
        clip.zero_grad()
        with torch.autocast("cpu", torch.bfloat16), way:
            clip.loss(images, text)["loss"].backward()
        return torch.cat([p.grad.flatten() for p in clip.parameters() if p.grad is not None])

    with torch.autocast("cpu", torch.bfloat16):
        here, elsewhere = scores_written_down(torch.device("cpu")), scores_written_down(torch.device("cuda"))
    with here:
        assert torch.backends.cuda.math_sdp_enabled() and not torch.backends.cuda.flash_sdp_enabled()
    for way in (elsewhere, scores_written_down(torch.device("cpu"))):
        with way:
            assert torch.backends.cuda.flash_sdp_enabled()
    with torch.autocast("cpu", torch.bfloat16):
        written = gradient(scores_written_down(torch.device("cpu")))
    fused = gradient(contextlib.nullcontext())
    assert F.cosine_similarity(written, fused, dim=0) > 0.999
