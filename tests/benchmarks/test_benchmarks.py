"""The benchmarks run, at the smallest sizes, and compare what they say they compare. No time is judged."""

import importlib
import sys
from pathlib import Path

import torch

from dalle_edu.machine.processor import Limits

FOLDER = Path(__file__).parents[2] / "benchmarks"
SIZES = ["--side", "3", "--text", "4", "--width", "8", "--depth", "4", "--heads", "2", "--repeats", "1"]


def printed(name, arguments, monkeypatch, capsys):
    """What a benchmark prints on a machine of a million GFLOP/s: measuring this one would take seconds."""
    monkeypatch.syspath_prepend(str(FOLDER))
    speeds = dict.fromkeys(("float32", "oneDNN", "bfloat16"), 1e15)
    share = importlib.import_module("share")
    monkeypatch.setattr(share, "possible", lambda threads=None: Limits(speeds, 1e15))
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    importlib.import_module(name).main()
    return capsys.readouterr().out


def rates(table, name):
    """Numbers in the lines that begin with `name`."""
    lines = [line for line in table.splitlines() if line.startswith(name)]
    return [
        float(word.replace(",", ""))
        for line in lines
        for word in line.split()
        if word[0].isdigit() and word[-1] != "%"
    ]


def test_sampling_is_timed_in_every_form(monkeypatch, capsys):
    table = printed("sampling", [*SIZES, "--batch", "1", "2", "--peer-repeats", "1"], monkeypatch, capsys)
    for name in ("sparse mixture, plain", "dense, float32", "dense, bfloat16", "sparse mixture, float32"):
        assert rates(table, name), f"no line for {name} in\n{table}"


def test_training_is_timed_in_every_precision_and_leaves_pytorch_s_own_behind(monkeypatch, capsys):
    before = torch.get_float32_matmul_precision()
    dvae = ["--dvae-batch", "1", "--dvae-size", "8"]
    table = printed("training", [*SIZES, "--batch", "2", *dvae], monkeypatch, capsys)
    for kind in ("float32", "oneDNN", "bfloat16"):
        assert table.count(kind) >= 2
    assert "exponential_noise" in table
    assert torch.get_float32_matmul_precision() == before


def test_the_peer_is_left_out_where_it_is_not_installed(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    peer = importlib.import_module("peer")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert peer.peer_dalle(("row",), 2, 8, 1, 2, 4, 8, 8) is None


def test_the_work_of_a_layer_is_counted_in_operations_and_bytes(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    share = importlib.import_module("share")
    x, weight = torch.randn(8, 16), torch.randn(4, 16)
    for context in (torch.inference_mode, torch.no_grad, torch.enable_grad):
        with context():
            work = share.work_of(lambda: torch.nn.functional.linear(x, weight))
        assert work == share.Work(2 * 8 * 16 * 4, 4 * (8 * 16 + 4 * 16 + 8 * 4))
    one = share.work_of(lambda: torch.relu(x))
    assert one == share.Work(0, 0)


def test_fused_attention_counts_the_scores_that_are_needed(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    share = importlib.import_module("share")
    states = [torch.randn(2, 3, 64, 16, requires_grad=True) for _ in range(3)]

    def attend(causal, back=False):
        out = torch.nn.functional.scaled_dot_product_attention(*states, is_causal=causal)
        if back:
            torch.autograd.grad(out.sum(), states)

    whole = 4 * 2 * 3 * 64 * 64 * 16
    assert share.work_of(lambda: attend(False)).operations == whole
    assert share.work_of(lambda: attend(True)).operations == whole / 2
    assert share.work_of(lambda: attend(False, back=True)).operations == whole * 3.5


def test_drawing_with_a_cache_counts_less_work_than_without(monkeypatch):
    from dalle_edu.dalle import Dalle, DalleConfig
    from dalle_edu.sampling import sample_tokens, sample_tokens_plain

    monkeypatch.syspath_prepend(str(FOLDER))
    share = importlib.import_module("share")
    model = Dalle(DalleConfig(8, 4, 8, (3, 3), 8, 2, 2)).eval()
    text = torch.ones(1, 4, dtype=torch.int64)
    cached, plain = (
        share.work_of(lambda draw=draw: draw(model, text, 2)) for draw in (sample_tokens, sample_tokens_plain)
    )
    assert 0 < 2 * cached.operations < plain.operations


def test_each_benchmark_prints_its_share_of_what_is_possible(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(FOLDER))
    small = {
        "sampling": [*SIZES, "--batch", "2", "--no-plain", "--peers"],
        "training": [*SIZES, "--batch", "1", "--no-dvae"],
        "sparse_attention": ["--sides", "4", "--text", "2", "--heads", "1", "--repeats", "1"],
        "step": ["--batch", "1", "--steps", "1"],
    }
    for name, arguments in small.items():
        table = printed(name, arguments, monkeypatch, capsys)
        assert "1,000,000 GFLOP/s float32" in table and "of possible" in table, table
        assert any(line.rstrip().endswith("%") or "% " in line for line in table.splitlines()), table


def test_reading_shards_is_set_beside_what_training_takes(monkeypatch, capsys):
    arguments = ["--pictures", "32", "--sides", "16", "--batches", "2", "--tflops", "100"]
    table = printed("shards", arguments, monkeypatch, capsys)
    for name in ("pictures, 16 x 16", "tokens, 16 x 16", "tokens, 32 x 32"):
        assert rates(table, name)[-1] > 0, f"no line for {name} in\n{table}"
    (taken,) = rates(table, "paper-12b")[2:]
    assert 0.5 < taken < 2.5  # 1e14 over 6 FLOPs for 12e9 parameters and 1,280 tokens: 1.1
