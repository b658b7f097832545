"""How long a reader waits before anything happens: imports, `--help`, and a drawing from a cold start.

    python benchmarks/startup.py [--repeats 5] [--samples 8]

Each line is a new process, timed from its start to its end; the first of each, which fills the file cache, is
not counted, so "cold" means a new process and not a machine that has just been switched on. The budgets: what
`import dalle_edu` adds to `import torch`, 0.3 s; `dalle-edu --help`, 0.5 s; `dalle-edu draw` of 8 samples, to
a written file, 8 s.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import median_seconds, row

from dalle_edu.machine.processor import machine

WIDTHS = (52, 9, 12)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--samples", type=int, default=8)
    a = parser.parse_args()
    print(machine())
    row("", "seconds", "beyond torch", widths=WIDTHS)
    command = [sys.executable, "-m", "dalle_edu.cli"]

    def run(*arguments):
        return median_seconds(lambda: subprocess.run(arguments, check=True, capture_output=True), a.repeats)

    torch_alone = run(sys.executable, "-c", "import torch")
    row("import torch", f"{torch_alone:.2f}", "", widths=WIDTHS)
    for statement in ("import torch, dalle_edu", "import dalle_edu, torch; dalle_edu.load"):
        seconds = run(sys.executable, "-c", statement)
        more = f"{seconds - torch_alone:+.2f}"
        row(statement, f"{seconds:.2f}", more, widths=WIDTHS)
    row("import dalle_edu", f"{run(sys.executable, '-c', 'import dalle_edu'):.2f}", "", widths=WIDTHS)
    row("dalle-edu --help", f"{run(*command, '--help'):.2f}", "", widths=WIDTHS)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "drawing.png"
        drawn = run(*command, "draw", "a red apple", "--samples", str(a.samples), "--out", str(out))
        assert out.stat().st_size > 0
    name = f"dalle-edu draw 'a red apple' --samples {a.samples}"
    row(name, f"{drawn:.2f}", f"{drawn - torch_alone:+.2f}", widths=WIDTHS)


if __name__ == "__main__":
    main()
