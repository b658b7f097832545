"""What is told of tests that run in a process of their own, and what they inherit."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import fresh_process
import pytest

THREE = """
import os, pytest, threading, torch

def test_good():
    assert os.environ["OMP_NUM_THREADS"] == "1" and torch.get_num_threads() == 1
    assert threading.active_count() == 1  # a fork loses nobody

def test_bad():
    assert [1, 2] == [1, 3], "not the same"

def test_skipped():
    pytest.skip("no tool")

def test_last(request):
    assert "xdist" not in request.config.pluginmanager.list_name_plugin()
"""


def test_each_test_tells_what_it_told_there(tmp_path):
    (tmp_path / "test_three.py").write_text(THREE)
    names = ("test_good", "test_bad", "test_skipped", "test_last")
    of, said = fresh_process.failures(tuple(f"test_three.py::{name}" for name in names), tmp_path)
    assert of["test_good"] is None and of["test_last"] is None, said
    assert "not the same" in of["test_bad"] and "test_three.py:9" in of["test_bad"]
    assert "no tool" in of["test_skipped"]


def test_a_process_that_dies_leaves_nobody_taken_for_good(tmp_path):
    (tmp_path / "test_dies.py").write_text(
        "import os\ndef test_good(): pass\ndef test_dies(): os._exit(3)\ndef test_after(): pass\n"
    )
    of, said = fresh_process.failures(("test_dies.py",), tmp_path)
    assert of == {} and "test_dies.py::test_dies" in said


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to look at")
def test_what_hangs_is_killed_with_its_children_and_said(tmp_path):
    hangs = r"import os, time; os.fork(); os.write(1, b'%d\n' % os.getpid()); time.sleep(600)"
    *numbers, last = fresh_process.said_by([sys.executable, "-c", hangs], tmp_path, patience=2).splitlines()
    assert last == "It had not ended after 2 seconds, and was killed."
    numbers = [int(number) for number in numbers if number]
    assert len(numbers) == 2
    deadline = time.monotonic() + 30
    while any(map(runs, numbers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(runs, numbers))


def runs(number: int) -> bool:
    """Whether there is such a process that is more than killed and not yet collected by its parent."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


SETTINGS = Path(__file__).parents[1] / "pyproject.toml"
HEARD = """
import subprocess, sys

def test_heard():
    asked = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    assert subprocess.check_output([sys.executable, "-c", asked], text=True) == "True\\n"
"""


def test_tests_in_a_shell_s_background_hear_ctrl_c(tmp_path):
    (tmp_path / "test_heard.py").write_text(HEARD)
    (tmp_path / "conftest.py").write_text((Path(__file__).parent / "conftest.py").read_text("utf-8"), "utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-c", str(SETTINGS), str(tmp_path)],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN), capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
