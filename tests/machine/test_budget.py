"""What one of many devices holds and computes, against models and optimizers that are built."""

import pytest
import torch

from dalle_edu.configs.schema import read_config
from dalle_edu.dalle import Dalle
from dalle_edu.errors import ReaderError
from dalle_edu.machine.budget import budget, budget_table, bytes_of


def test_weights_gradients_and_moments_are_those_of_a_model_that_is_trained():
    config = read_config("toy")
    model, c = Dalle(config.dalle), config.dalle
    optimizer = torch.optim.AdamW(model.parameters())
    text = torch.zeros(1, c.text_length, dtype=torch.int64)
    model.loss(text, torch.zeros(1, c.picture_length, dtype=torch.int64))["loss"].backward()
    optimizer.step()
    one, four = budget(config, 1), budget(config, 4)
    assert one.weights == sum(p.nbytes for p in model.parameters())
    assert one.gradients == sum(p.grad.nbytes for p in model.parameters())
    moments = [t for state in optimizer.state.values() for t in (state["exp_avg"], state["exp_avg_sq"])]
    assert one.moments == sum(t.nbytes for t in moments)
    assert four.weights == one.weights / 4 and one.gathered == one.sending == 0 < four.sending


def test_twelve_billion_parameters_do_not_fit_one_device_and_fit_the_many_of_the_paper():
    config = read_config("paper-12b")
    assert "does not fit" in budget_table(config, 1, "80GB", 400, 50)
    text = budget_table(config, 1024, "80GB", 400, 50)
    assert "it fits" in text and "1280 tokens a picture" in text
    # 8 FLOPs a parameter and token with recomputation; attention and embeddings move it by a few per cent.
    b = budget(config, 1024)
    assert b.flops_a_picture == pytest.approx(8 * b.parameters * 1280, rel=0.05)
    assert b.pictures == 1 and budget(config, 1024, network=1e9).binds == "communication"
    assert budget(config, 8, network=1e12).binds == "computation"


def test_what_is_no_amount_of_memory_is_said():
    assert bytes_of("80GB") == 8e10 and bytes_of("1.5 tb") == 1.5e12
    for text in ("80", "GB", "-1GB"):
        with pytest.raises(ReaderError, match="such as 80GB"):
            bytes_of(text)
