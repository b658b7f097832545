"""Sharded or recomputed, a model learns what it would have learned, with less memory on each device."""

import pytest
import torch

from dalle_edu.dalle import Dalle, DalleConfig
from dalle_edu.errors import ReaderError
from dalle_edu.parallel import recompute, run_workers, shard, stored_bytes, train_sharded

CONFIG = DalleConfig(
    text_vocabulary=20, text_length=6, image_vocabulary=15, grid=(4, 4), width=16, depth=8, heads=2, kernel=3
)


def model_and_batch():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    text = torch.randint(20, (3, 6), generator=generator)
    return Dalle(CONFIG), text, torch.randint(15, (3, 16), generator=generator)


def test_recomputation_changes_no_gradient_and_stores_a_fraction():
    model, text, image = model_and_batch()
    model.loss(text, image)["loss"].backward()
    wanted = {name: p.grad.clone() for name, p in model.named_parameters()}
    plain = stored_bytes(lambda: model.loss(text, image)["loss"])
    assert recompute(model) is model
    model.zero_grad()
    model.loss(text, image)["loss"].backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, wanted[name], atol=1e-7, rtol=1e-5)
    assert stored_bytes(lambda: model.loss(text, image)["loss"]) < plain / 3


def test_stored_bytes_counts_a_product_s_factors_once_and_no_weights():
    x, weight = torch.rand(8, 4, requires_grad=True) * 1.0, torch.rand(4, 5, requires_grad=True)
    assert stored_bytes(lambda: x @ weight) == 8 * 4 * 4  # x, for the weight's gradient
    assert stored_bytes(lambda: (x @ weight).sum() + (x * x).sum()) == 8 * 4 * 4
    assert stored_bytes(lambda: (x @ weight).exp()) == 8 * 4 * 4 + 8 * 5 * 4  # and exp keeps its output


def test_two_workers_that_keep_half_each_learn_what_one_learns():
    found = run_workers(train_sharded, 2, "toy")
    assert len(found) == 2
    for row in found:
        assert row["difference"] < 1e-4
        assert row["kept"] == pytest.approx(row["of"] / 2, rel=0.02)
    assert sum(row["kept"] for row in found) == found[0]["of"]


def test_what_cannot_be_is_said():
    with pytest.raises(ReaderError, match="no workers to shard over"):
        shard(model_and_batch()[0])
    with pytest.raises(ReaderError, match="at least one worker, not 0"):
        run_workers(train_sharded, 0, "toy")
