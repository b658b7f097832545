"""What hangs on the shipped weights runs again when they change, each command once; stopped, it goes on."""

import sys

import after_weights
import pytest
import torch
from safetensors.torch import save_file

HELLO = "-c print(1)"


def test_a_command_has_another_digest_for_other_weights_that_it_hangs_on_and_for_no_others(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    seen = []
    for dvae, transformer in ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0)):
        save_file({"weight": torch.full((2,), dvae)}, tmp_path / "dvae.safetensors")
        save_file({"weight": torch.full((2,), transformer)}, tmp_path / "dalle.safetensors")
        found = after_weights.digests(tmp_path)
        assert set(found) == set(after_weights.COMMANDS)
        commands = "tools/ten_prompts.py", masks_command(), "experiments/drawn_codes.py"
        seen.append([found[command] for command in commands])
    (draws, encodes, ranks), other_transformer, other_dvae, again = seen
    assert again == seen[0]
    assert other_transformer[0] != draws and other_transformer[1:] == [encodes, ranks]
    assert other_dvae[0] not in (draws, other_transformer[0])
    assert other_dvae[1] != encodes and other_dvae[2] == ranks


def masks_command() -> str:
    return next(command for command in after_weights.COMMANDS if "mask_curves" in command)


def test_a_command_runs_once_for_the_same_weights_and_again_for_others(tmp_path):
    log, counted = tmp_path / "log.jsonl", tmp_path / "counted"
    script = tmp_path / "count.py"
    script.write_text(f"open({str(counted)!r}, 'a').write('x')\n", encoding="utf-8")
    for weights in ("a", "a", "b"):
        after_weights.run_all({str(script): weights}, log)
    assert counted.read_text() == "xx"
    assert [row["weights"] for row in after_weights.rows(log)] == ["a", "b"]


def test_a_command_that_fails_ends_all_and_the_next_run_begins_with_it(tmp_path):
    log, fails = tmp_path / "log.jsonl", tmp_path / "fails.py"
    first, last = HELLO, "-c print(3)"
    commands = dict.fromkeys([first, str(fails), last], "a")
    fails.write_text("raise SystemExit(7)\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="ended with 7"):
        after_weights.run_all(commands, log)
    assert after_weights.still_to_run(commands, after_weights.rows(log)) == [str(fails), last]


def test_every_command_names_a_script_or_a_module_that_is_there():
    for command in after_weights.COMMANDS:
        first, *rest = command.split()
        assert (after_weights.ROOT / first).is_file() or (first, rest[0]) == ("-m", "dalle_edu.cli"), command


def test_the_list_says_what_would_run_and_how_long_it_took(monkeypatch, capsys):
    done = {"command": next(iter(after_weights.COMMANDS)), "weights": "others", "seconds": 1234}
    monkeypatch.setattr(after_weights, "rows", lambda log: [done])
    monkeypatch.setattr(sys, "argv", ["after_weights.py", "--list"])
    after_weights.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(after_weights.COMMANDS)
    assert "took 1,234 s" in lines[0]
    assert "never timed" in lines[1]
