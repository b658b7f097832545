"""Tests that fork run in a process of their own, on one thread from its start.

A fork takes only the thread that forks along. Where others had worked before it (PyTorch's, xdist's), a lock
that one of them held stays held in the child for ever, and the child hangs: rarely, and then until somebody
ends the whole suite. A file whose `pytestmark` has `pytest.mark.fresh_process` is therefore run once, by
another pytest without xdist; each of its tests tells here what it told there.
"""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

INSIDE = "DALLE_EDU_FRESH_PROCESS"
PATIENCE = 600  # seconds until what has not ended is taken to hang


def said_by(command: list[str], root: Path, patience: float = PATIENCE) -> str:
    """Everything that `command` said, run in the folder `root`; what has not ended after `patience` seconds
    is killed with its children, and that is said in the last line."""
    environment = {**os.environ, INSIDE: "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, cwd=root, env=environment, text=True, errors="replace", start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        return process.communicate(timeout=patience)[0]
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return f"{process.communicate()[0]}\nIt had not ended after {patience:g} seconds, and was killed."


@functools.cache
def failures(nodes: tuple[str, ...], root: Path) -> tuple[dict[str, str | None], str]:
    """Of each of the tests `nodes`, which are of one file: None, or why it did not pass (to be skipped is not
    to pass); and all that was said."""
    with tempfile.TemporaryDirectory(prefix="dalle-edu-fresh-") as place:
        report = Path(place) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-v", "-p", "no:xdist", "--junitxml", str(report), *nodes]
        said = said_by(command, root)
        cases = ElementTree.parse(report).iter("testcase") if report.exists() else ()
    of = {}
    for case in cases:
        bad = [str(part.text) for part in case if part.tag in ("failure", "error", "skipped")]
        of[case.attrib["name"]] = "\n".join(bad) if bad else None
    return of, said


def run_fresh(item: pytest.Function) -> bool | None:
    """Runs what is marked in a fresh process, as pytest's hook `pytest_pyfunc_call`; None leaves the test to
    pytest."""
    if item.get_closest_marker("fresh_process") is None or INSIDE in os.environ:
        return None
    nodes = tuple(other.nodeid for other in item.session.items if other.path == item.path)
    of, said = failures(nodes, item.config.rootpath)
    if item.name not in of:
        ending = "did not come to its end in a process of its own, which said:"
        pytest.fail(f"{item.nodeid} {ending}\n{said[-6000:]}", pytrace=False)
    if of[item.name] is not None:
        pytest.fail(of[item.name], pytrace=False)
    return True
