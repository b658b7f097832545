"""Judging an answer apart from the notebook that holds it: another process, other random inputs, no files.

A student's cells run in a process of their own that has a limit of time and of memory, may open no file and
start no program, and holds the exercises' checks as they are in the package. What the answer prints is thrown
away; the verdict goes back by a way that the answer does not know. This contains carelessness and common
tricks. It is no prison: who needs one grades in a container without a network (the teacher's guide).
"""

from __future__ import annotations

import ast
import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

from dalle_edu.exercises import Verdict

SECONDS = 60  # for one exercise; the longest answer of the book takes about two
MEMORY = 6 * 2**30  # bytes of address space, most of which PyTorch takes without using it
SEED = 1000  # added to every seed of a check's inputs, so that remembered results are of no use

# fmt: off
ALLOWED = {"torch", "math", "numpy", "collections", "itertools", "functools", "statistics", "typing",
           "dataclasses"}
FORBIDDEN = {"open", "eval", "exec", "compile", "globals", "vars", "setattr", "delattr", "breakpoint",
             "__import__"}
SHUT = ("subprocess.", "socket.", "shutil.", "ctypes.", "os.system", "os.exec", "os.posix_spawn", "os.fork",
        "os.remove", "os.rename")
# fmt: on


@dataclass(frozen=True)
class Answer:
    """What is judged: the function `name`, defined by `cells`, with `imports` run before them."""

    module: str
    check: str
    name: str
    imports: str
    cells: tuple[str, ...]


def refused(source: str) -> str | None:
    """Why a cell is no answer of one's own, in one sentence: imports and names that no exercise needs.

    None where there is nothing against it.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return f"the cell is no Python: {error.msg} in line {error.lineno}."
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or "."]
        for module in modules:
            if module.split(".")[0] not in ALLOWED:
                return f"it imports {module}; an answer is written with torch, numpy and Python alone."
        if isinstance(node, ast.Name) and node.id in FORBIDDEN:
            return f"it uses {node.id}, which no exercise needs."
        if isinstance(node, ast.Attribute) and node.attr.startswith("__"):
            return f"it reaches for {node.attr}, which no exercise needs."
    changed = changes(source)
    return f"it changes {changed}, which belongs to a library." if changed else None


def changes(source: str) -> str | None:
    """What a cell assigns to inside a library, such as `torch.rand`, or None."""
    tree = ast.parse(source)
    imported = (alias for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))
                for alias in node.names)  # fmt: skip
    libraries = ALLOWED | {"F", "np"} | {alias.asname or alias.name.split(".")[0] for alias in imported}
    for node in ast.walk(tree):
        root = node
        while isinstance(root, ast.Attribute):
            root = root.value
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, (ast.Store, ast.Del))
            and isinstance(root, ast.Name)
            and root.id in libraries
        ):
            return ast.unparse(node)
    return None


def judge(answer: Answer, seconds: float = SECONDS, memory: int = MEMORY, seed: int = SEED) -> Verdict:
    """Runs `answer` in a process of its own and returns the verdict of its check.

    An answer that computes for more than `seconds` of processor time is ended, and so is one that waits; one
    that wants more than `memory` bytes gets an error. These, and a process that dies, are verdicts too.
    (Where the system cannot count a process's seconds, on Windows, those of the clock decide.)
    """
    for cell in answer.cells:
        reason = refused(cell)
        if reason:
            return Verdict(False, reason)
    secret = os.urandom(16).hex()
    limits = {"seconds": seconds, "memory": memory}
    job = {**answer.__dict__, **limits, "seed": seed, "secret": secret}
    stopped = Verdict(False, f"your code was stopped: it took longer than {seconds:g} seconds.")
    at_most = 1.5 * seconds + 20  # by the clock: the libraries are loaded first, and others may use the cores
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryDirectory() as empty:
        command = [sys.executable, "-P", "-m", "dalle_edu.course.judge"]
        try:
            done = subprocess.run(
                command, input=json.dumps(job), cwd=empty, env=environment, timeout=at_most,
                capture_output=True, text=True, encoding="utf-8",
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return stopped
    if done.returncode and done.returncode == -getattr(signal, "SIGXCPU", 0):
        return stopped
    for line in done.stdout.splitlines():
        if line.startswith(secret):
            verdict = json.loads(line.removeprefix(secret))
            return Verdict(verdict["passed"], verdict["message"])
    return Verdict(False, f"your code ended the process that judged it (exit status {done.returncode}).")


def judge_here(answer: Answer, seed: int = SEED) -> Verdict:
    """The verdict in this process, without its walls: for answers that are trusted, such as the solutions."""
    import importlib

    module = importlib.import_module(f"dalle_edu.exercises.{answer.module}")
    check = getattr(module, answer.check)
    names: dict = {"__name__": "answer"}
    with _other_inputs(module, seed):
        try:
            for source in (answer.imports, *answer.cells):
                exec(compile(source, f"<{answer.name}>", "exec"), names)  # noqa: S102
        except Exception as error:  # noqa: BLE001 (whatever it is, the student shall read it)
            return Verdict(False, f"your code raised {type(error).__name__}: {error}")
        if answer.name not in names:
            return Verdict(False, f"there is no function {answer.name}.")
        return check(names[answer.name])


@contextlib.contextmanager
def _other_inputs(module, seed: int):
    """While it lasts, generators that `module` seeds draw other numbers than those that students see."""
    import torch

    class Generator(torch.Generator):
        def manual_seed(self, number):
            return super().manual_seed(number + seed)

    class Torch:
        def __getattr__(self, name):
            return Generator if name == "Generator" else getattr(torch, name)

    before, module.torch = module.torch, Torch()
    try:
        yield
    finally:
        module.torch = before


def _limit(seconds: float, memory: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits: there, use a container
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    ends = math.ceil(time.process_time() + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (ends, ends + 1))


def _shut(folders: Sequence[str]) -> None:
    """From here on, this process opens files below `folders` only, to read, and starts nothing."""
    places = tuple(os.path.realpath(folder) + os.sep for folder in folders)

    def hook(event: str, arguments: tuple) -> None:
        if event == "open":
            path, mode, _ = arguments
            if isinstance(path, int):
                return
            readable = os.path.realpath(os.fsdecode(path)).startswith(places)
            if not readable or (isinstance(mode, str) and set(mode) & set("wax+")):
                raise PermissionError(f"an answer opens no files: {path}")
        elif event.startswith(SHUT):
            raise PermissionError(f"an answer starts no programs and looks into no folders ({event})")

    sys.addaudithook(hook)


def _child() -> None:
    job = json.loads(sys.stdin.read())
    secret, seconds, memory, seed = (job.pop(name) for name in ("secret", "seconds", "memory", "seed"))
    answer = Answer(**job | {"cells": tuple(job["cells"])})
    way_back = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the answer prints is nobody's verdict

    import importlib
    import linecache  # noqa: F401 (before files are shut)
    import traceback  # noqa: F401

    import torch

    import dalle_edu

    module = importlib.import_module(f"dalle_edu.exercises.{answer.module}")
    before = dict(vars(module))
    torch.set_num_threads(1)
    _limit(seconds, memory)
    _shut([sys.prefix, sys.base_prefix, os.path.dirname(dalle_edu.__file__)])
    verdict = judge_here(answer, seed)
    changed = [name for name in before if name != "torch" and vars(module).get(name) is not before[name]]
    if changed:
        verdict = Verdict(False, f"it changes {answer.module}.{changed[0]}, which belongs to the check.")
    way_back.write(secret + json.dumps({"passed": bool(verdict), "message": verdict.message}) + "\n")
    way_back.close()


if __name__ == "__main__":
    _child()
