"""Two trainings into one folder: one wins, the other gets a sentence; whoever was killed blocks nobody."""

import subprocess
import sys

import pytest
from toy import TOML, write_config

from dalle_edu.errors import ReaderError
from dalle_edu.files import only_one, read_tensors
from dalle_edu.train.run import train_part

HOLD = "import sys, time\nfrom pathlib import Path\nfrom dalle_edu.files import only_one\n"
HOLD += "with only_one(Path(sys.argv[1]), 'training'):\n    print('here', flush=True)\n    time.sleep(100)\n"


def holder(folder):
    process = subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == "here"
    return process


def test_the_second_gets_one_sentence_and_a_killed_one_blocks_nobody(tmp_path):
    config = write_config(tmp_path)
    process = holder(tmp_path / "new")
    try:
        with pytest.raises(ReaderError, match="Another process is training in .*new right now"):
            train_part("dvae", config, tmp_path / "new", progress=False)
        assert [path.name for path in (tmp_path / "new").iterdir()] == [".lock"]
    finally:
        process.kill()
        process.wait()
    weights = train_part("dvae", config, tmp_path / "new", progress=False)
    assert read_tensors(weights) and not (tmp_path / "new" / ".lock").exists()


def test_a_training_that_fails_leaves_no_folder_behind(tmp_path):
    with pytest.raises(ReaderError, match="needs a finished dVAE"):
        train_part("dalle", write_config(tmp_path), tmp_path / "a" / "b", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]


def test_other_processes_of_one_torchrun_do_not_ask(tmp_path, monkeypatch):
    with only_one(tmp_path, "training"):
        monkeypatch.setenv("RANK", "1")
        with only_one(tmp_path, "training"):
            pass
        monkeypatch.setenv("RANK", "0")
        with pytest.raises(ReaderError), only_one(tmp_path, "training"):
            pass


def test_of_two_commands_at_once_one_trains_and_the_other_says_why_not(tmp_path):
    (tmp_path / "long.toml").write_text(TOML.replace("steps = 6", "steps = 300", 1))
    command = [
        sys.executable,
        "-m",
        "dalle_edu.cli",
        "train",
        "dvae",
        "--config",
        "long.toml",
        "--out",
        "new",
    ]
    processes = [subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=200)[1] for process in processes]
    codes = [process.returncode for process in processes]
    assert sorted(codes) == [0, 2], (codes, said)
    loser = said[codes.index(2)]
    assert "Another process is training in new right now" in loser or "already holds a dvae" in loser
    assert "Traceback" not in "".join(said) and read_tensors(tmp_path / "new/dvae.safetensors")


@pytest.mark.parametrize("damage", ['{"step": 0, "lo', '{"step": "one", "loss": 1}'])
def test_a_damaged_history_is_told_before_training_goes_on(tmp_path, damage):
    config = write_config(tmp_path)
    train_part("dvae", config, tmp_path / "new", progress=False, until=4)
    history = tmp_path / "new/training-dvae/history.jsonl"
    history.write_text(history.read_text() + damage)
    before = {path: path.read_bytes() for path in (tmp_path / "new").rglob("*") if path.is_file()}
    with pytest.raises(ReaderError, match=r"Line 5 of .*history\.jsonl is damaged"):
        train_part("dvae", config, tmp_path / "new", resume=True, progress=False)
    assert {path: path.read_bytes() for path in (tmp_path / "new").rglob("*") if path.is_file()} == before
    history.write_text(history.read_text()[: -len(damage)])
    assert train_part("dvae", config, tmp_path / "new", resume=True, progress=False).is_file()
