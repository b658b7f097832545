"""Seconds and memory of each chapter from a fresh kernel and of each command, which `dalle-edu doctor` reads.

    python benchmarks/book_times.py --machine "two cores of an Intel Xeon, 24 GiB"
    [--out dalle_edu/machine/times.json] [--only 08 draw] [--no-commands] [--no-solutions]

Every notebook runs in a process of its own, which starts the kernel, runs all cells and ends it, with
one thread, and as many at once as `make book` runs (`publish/run.py`); the commands come after them, one by
one. Nothing of the stored book is changed. "MiB" is the largest resident memory of one process of it (of the
kernel, for a chapter). "processor" are the seconds that all its threads computed: where they are far below
those of the clock, something waited, or another program had the cores. Run it alone on the machine.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from timing import row

from dalle_edu.machine import doctor, processor
from dalle_edu.publish.book import chapters, folder
from dalle_edu.publish.run import at_once, environment

WIDTHS = (58, 9, 10, 8)
# A process that runs one notebook, or one command; its own memory does not count, that of its child does.
RUNNER = Path(__file__).resolve()
COMMANDS = (  # what is typed, and which piece of work its time follows
    ("draw 'a red apple'", "drawing", ["draw", "a red apple", "--out", "{tmp}/apple.png"]),
    (
        "draw 'a red apple' --samples 512",
        "drawing",
        ["draw", "a red apple", "--samples", "512", "--out", "{tmp}/512.png"],
    ),
    (  # a small one: with its usual 64 captions a family it makes 8,778 drawings
        "evaluate --samples 8 --best 8",
        "drawing",
        ["evaluate", "--samples", "8", "--best", "8", "--out", "{tmp}/figures.json"],
    ),
    ("train dvae --config toy", "training", ["train", "dvae", "--config", "toy", "--out", "{tmp}/toy"]),
    ("train clip --config toy", "training", ["train", "clip", "--config", "toy", "--out", "{tmp}/toy"]),
    ("train dalle --config toy", "training", ["train", "dalle", "--config", "toy", "--out", "{tmp}/toy"]),
    ("info paper-12b", "neither", ["info", "paper-12b"]),
    ("course", "neither", ["course", "{tmp}/course"]),
    ("book", "neither", ["book"]),
)


def measure(arguments):
    """Runs a command to its end: seconds, processor seconds and MiB. SystemExit where it fails."""
    variables = environment() if arguments[0].endswith(".ipynb") else os.environ
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(RUNNER), "--child", *arguments],
        env=variables | {"HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed with exit code {done.returncode}")
    used = json.loads(done.stdout.splitlines()[-1])
    return {"seconds": round(time.perf_counter() - start, 1), **used}


def as_child(arguments):
    """Runs a notebook or a command in a child of this process and prints what that used."""
    if arguments[0].endswith(".ipynb"):
        import nbformat
        from nbclient import NotebookClient

        notebook = Path(arguments[0])
        where = {"metadata": {"path": str(notebook.parent)}}
        NotebookClient(nbformat.read(notebook, as_version=4), timeout=600, resources=where).execute()
    else:
        command = [sys.executable, "-m", "dalle_edu.cli", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    seconds = round(used.ru_utime + used.ru_stime, 1)
    print(json.dumps({"processor_seconds": seconds, "peak_mib": round(peak)}))


def pieces(arguments, temporary):
    """(name, what its time follows, what to run) of each chapter and command that is asked for."""
    book = folder()
    for notebook in chapters(book):
        solution = notebook.parent != book
        if not (solution and arguments.no_solutions):
            yield ("solutions " if solution else "chapter ") + notebook.stem, "training", [str(notebook)]
    if not arguments.no_commands:
        for name, scales, command in COMMANDS:
            yield f"dalle-edu {name}", scales, [part.format(tmp=temporary) for part in command]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machine", help="this machine in words")
    parser.add_argument("--out", type=Path, help=f"a JSON file; doctor reads {doctor.TIMES.name}")
    parser.add_argument("--only", nargs="+", help="those whose names hold one of these words")
    parser.add_argument("--no-commands", action="store_true")
    parser.add_argument("--no-solutions", action="store_true")
    parser.add_argument("--child", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.child:
        return as_child(a.child)
    print(processor.machine())
    speed = doctor.measure()
    print(f"drawing {speed.drawing:,.0f} tokens/s, training {speed.training['float32']:,.0f} tokens/s")
    row("", "seconds", "processor", "MiB", widths=WIDTHS)
    rows = []

    def table(results):
        for (name, scales, _), used in results:
            rows.append({"name": name, "scales": scales, **used})
            cells = f"{used['seconds']:.1f}", f"{used['processor_seconds']:.1f}", f"{used['peak_mib']:,}"
            row(name, *cells, widths=WIDTHS)

    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(at_once()) as pool:
        asked = [
            piece for piece in pieces(a, temporary) if not a.only or any(word in piece[0] for word in a.only)
        ]
        notebooks = [piece for piece in asked if piece[2][0].endswith(".ipynb")]
        start = time.perf_counter()
        table(zip(notebooks, pool.map(lambda piece: measure(piece[2]), notebooks), strict=True))
        whole = time.perf_counter() - start
        commands = [piece for piece in asked if piece not in notebooks]
        table((piece, measure(piece[2])) for piece in commands)
    together = f"{len(notebooks)} notebooks, {at_once()} at once"
    row(together, f"{whole:.0f}", "", f"{max(r['peak_mib'] for r in rows):,}", widths=WIDTHS)
    if a.out:
        stored = {
            "machine": a.machine or processor.machine(),
            "versions": processor.machine(),
            "drawing": round(speed.drawing),
            "training": round(speed.training["float32"]),
            "float32": round(speed.best("float32")),
            "notebooks": {"seconds": round(whole), "at_once": at_once()},
            "rows": rows,
        }
        a.out.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    return None


if __name__ == "__main__":
    main()
