"""Runs the chapters, each in a fresh kernel, as many at once as this machine has cores and memory for.

Chapters do not wait for each other, so each has one core and one thread: two cores then run the book in half
of the time, while two threads within one chapter gain little (its models are small, `machine/workers.py`).
"""

import asyncio
import hashlib
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dalle_edu.errors import ReaderError
from dalle_edu.machine.processor import CHAPTER_NEEDS, memory
from dalle_edu.machine.workers import cores

LONGEST_CELL = 300  # seconds; a chapter takes two minutes at most

_PACKAGE = Path(__file__).resolve().parents[1]


def at_once() -> int:
    """How many chapters run at the same time: one a core, as far as the memory reaches."""
    return max(1, min(cores(), (memory() or CHAPTER_NEEDS) // CHAPTER_NEEDS))


def environment() -> dict[str, str]:
    """The environment in which a chapter runs: with one core, and without a matplotlib backend from outside,
    which would take the figures away from the notebook."""
    kept = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    return kept | {"OMP_NUM_THREADS": "1", "DALLE_EDU_WORKERS": "1"}


def run_chapters(targets: dict[Path, Path]) -> None:
    """Runs every notebook and stores it, with what came out, as its target; one that was stored so before is
    left alone while neither the notebook nor the package has changed.

    Raises `ReaderError` for the first cell that fails or takes too long; what else was running then is ended.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(_run_all(targets))
    else:  # as in a notebook, whose own loop cannot run a second one
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _run_all(targets)).result()


async def _run_all(targets: dict[Path, Path]) -> None:
    free = asyncio.Semaphore(at_once())
    package = _package_state()
    try:
        async with asyncio.TaskGroup() as group:
            for notebook, target in targets.items():
                group.create_task(_run_chapter(notebook, target, package, free))
    except* ReaderError as failed:
        raise failed.exceptions[0] from None


async def _run_chapter(notebook: Path, target: Path, package: bytes, free: asyncio.Semaphore) -> None:
    key = hashlib.sha256(notebook.read_bytes() + package).hexdigest()
    stamp = target.with_suffix(".key")
    if target.exists() and stamp.exists() and stamp.read_text() == key:
        print(f"{notebook.stem}: unchanged", flush=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    async with free:
        print(f"{notebook.stem}: running", flush=True)
        start = time.perf_counter()
        await _execute(notebook, target)
    stamp.write_text(key)
    print(f"{notebook.stem}: {time.perf_counter() - start:.0f} s", flush=True)


async def _execute(notebook: Path, target: Path) -> None:
    """Through nbconvert, in a process of its own: on Ctrl-C it ends its kernel itself."""
    options = [f"timeout={LONGEST_CELL}", "record_timing=False"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--log-level=WARN"),
        *(f"--ExecutePreprocessor.{option}" for option in options),
        *("--output", str(target.resolve()), str(notebook)),
        env=environment(),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if process.returncode:
        error = re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).strip()
        error = error.rpartition("nbclient.exceptions.")[2]  # without the calls of nbconvert before it
        raise ReaderError(f"{notebook.name} stopped: {error.splitlines()[-1]}\n{error}")


def _package_state() -> bytes:
    """A hash of what every notebook's outputs depend on beside itself: the package and its weights."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(str(path.relative_to(_PACKAGE)).encode())
            digest.update(path.read_bytes())
    return digest.digest()
