"""What chapter 14 runs live: one curve on any number of processes, memory that is counted, thin gradients."""

from pathlib import Path

import pytest
import torch

from dalle_edu.dalle import Dalle, DalleConfig
from dalle_edu.parallel import run_workers
from dalle_edu.train.config import TrainingConfig
from dalle_edu.train.several import Pairs, train_compressed, train_small

MODEL = DalleConfig(20, 6, 15, (4, 4), width=16, depth=2, heads=2, kernel=3)
TRAINING = TrainingConfig(steps=6, batch_size=8, learning_rate=3e-3, recompute=True, gradient_clip=1.0)
WEIGHTS = 4 * sum(p.numel() for p in Dalle(MODEL).parameters())


def pairs():
    generator = torch.Generator().manual_seed(1)
    text = torch.randint(20, (32, 6), generator=generator)
    text[::2, 2:] = 20 + torch.arange(2, 6)  # captions of two words, and padding
    return Pairs(text, torch.randint(15, (32, 16), generator=generator))


def test_two_processes_and_then_one_have_the_curve_of_one_and_hold_half(tmp_path):
    (alone,) = run_workers(train_small, 1, MODEL, TRAINING, pairs(), tmp_path / "alone")
    first = run_workers(train_small, 2, MODEL, TRAINING, pairs(), tmp_path / "two", 4)
    (rest,) = run_workers(train_small, 1, MODEL, TRAINING, pairs(), tmp_path / "two", None, True)
    assert len(alone["losses"]) == 6 and len(first[0]["losses"]) == 4
    assert first[0]["losses"] + rest["losses"] == pytest.approx(alone["losses"], abs=1e-4)
    for held, share in ((alone, 1), (first[0], 2)):
        wanted = {"weights": WEIGHTS, "gradients": WEIGHTS, "moments": 2 * WEIGHTS}
        assert {k: held[k] * share for k in wanted} == pytest.approx(wanted, rel=0.02)
    assert alone["on top"] > first[0]["on top"] > 0


def test_a_higher_rank_sends_more_and_errs_less():
    found = run_workers(train_compressed, 2, MODEL, TRAINING, pairs(), [None, 1, 4], 4)
    assert found[0] == found[1]  # all processes have the same weights
    plain, one, four = found[0]
    assert plain["error"] == pytest.approx(0, abs=1e-5) and plain["share"] == 1
    assert four["error"] < one["error"] and one["share"] < four["share"] < 1
    assert plain["losses"][:3] == pytest.approx(
        one["losses"][:3], abs=1e-6
    )  # the first two updates are plain


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="no peak that can be set back")
def test_of_four_processes_each_takes_less_than_half_the_memory_of_one(monkeypatch):
    """900 MB of weights, gradients and moments: nothing else on a busy machine comes near it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    from peak_memory import gathered, ledger, measured

    one, four = measured(1, steps=1), measured(4, steps=1)
    assert ledger(1) > 800e6 and gathered() < ledger(1) / 30
    assert one > 0.9 * ledger(1) and ledger(4) * 0.9 < four < one / 2, (one, four)
