"""The benchmarks run, at the smallest sizes, and compare what they say they compare. No time is judged."""

import importlib
import sys
from pathlib import Path

import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"
SIZES = ["--side", "3", "--text", "4", "--width", "8", "--depth", "4", "--heads", "2", "--repeats", "1"]


def printed(name, arguments, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    importlib.import_module(name).main()
    return capsys.readouterr().out


def rates(table, name):
    """Numbers in the lines that begin with `name`."""
    lines = [line for line in table.splitlines() if line.startswith(name)]
    return [float(word.replace(",", "")) for line in lines for word in line.split() if word[0].isdigit()]


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
