"""What hangs on the shipped weights runs again when they change, each command once; stopped, it goes on."""

import sys

import after_weights
import pytest
import torch
from safetensors.torch import save_file

from dalle_edu.files import model_digest

HELLO = "-c print(1)"


def test_other_weights_have_another_digest_and_the_same_ones_the_same(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    seen = []
    for value in (0.0, 1.0, 0.0):
        save_file({"weight": torch.full((2,), value)}, tmp_path / "dalle.safetensors")
        seen.append(model_digest(tmp_path))
    assert seen[0] == seen[2] != seen[1]


def test_a_command_runs_once_for_the_same_weights_and_again_for_others(tmp_path):
    log, counted = tmp_path / "log.jsonl", tmp_path / "counted"
    script = tmp_path / "count.py"
    script.write_text(f"open({str(counted)!r}, 'a').write('x')\n", encoding="utf-8")
    for weights in ("a", "a", "b"):
        after_weights.run_all([str(script)], weights, log)
    assert counted.read_text() == "xx"
    assert [row["weights"] for row in after_weights.rows(log)] == ["a", "b"]


def test_a_command_that_fails_ends_all_and_the_next_run_begins_with_it(tmp_path):
    log, fails = tmp_path / "log.jsonl", tmp_path / "fails.py"
    first, last = HELLO, "-c print(3)"
    fails.write_text("raise SystemExit(7)\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="ended with 7"):
        after_weights.run_all([first, str(fails), last], "a", log)
    assert after_weights.still_to_run([first, str(fails), last], "a", after_weights.rows(log)) == [
        str(fails),
        last,
    ]


def test_every_command_names_a_script_or_a_module_that_is_there():
    for command in after_weights.COMMANDS:
        first, *rest = command.split()
        assert (after_weights.ROOT / first).is_file() or (first, rest[0]) == ("-m", "dalle_edu.cli"), command


def test_the_list_says_what_would_run_and_how_long_it_took(monkeypatch, capsys):
    done = {"command": after_weights.COMMANDS[0], "weights": "others", "seconds": 1234}
    monkeypatch.setattr(after_weights, "rows", lambda log: [done])
    monkeypatch.setattr(sys, "argv", ["after_weights.py", "--list"])
    after_weights.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(after_weights.COMMANDS)
    assert "took 1,234 s" in lines[0]
    assert "never timed" in lines[1]
