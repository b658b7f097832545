"""Runs what hangs on the shipped weights, command by command: `python tools/after_weights.py [--list]`.

With other weights the figures of these files are others. A command that has run with the weights that it
hangs on (for some the dVAE alone) is not run again: each one that ended well is a row of
`experiments/after_weights.jsonl`, with the digest of those weights, its seconds and the machine. Interrupted
(Ctrl-C), the same line goes on with the command that was stopped; one that fails ends all, and says so.
`--list` says what would run, and how long each took last. Afterwards the chapters that load the model are run
again, looked at, and told anew (CONTRIBUTING.md).
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from dalle_edu.drawing import FOLDER
from dalle_edu.files import files_digest, write_text
from dalle_edu.machine.processor import machine

ROOT = Path(__file__).parents[1]
LOG = ROOT / "experiments" / "after_weights.jsonl"
MODEL = "picturebook"
SHIPPED = f"dalle_edu/weights/{MODEL}"
DRAWS = ("*.safetensors", "tokenizer.json")
ENCODES = ("dvae.safetensors", "tokenizer.json")  # and trains a transformer of its own on the tokens
COMMANDS = {
    f"-m dalle_edu.cli evaluate --model {SHIPPED} --best 8 --out {SHIPPED}/evaluation.json": DRAWS,
    f"tools/model_card.py {SHIPPED}": DRAWS,
    "tools/ten_prompts.py": DRAWS,  # the picture in README.md
    "experiments/sampling_dials.py": DRAWS,
    "experiments/what_first.py --out experiments/09-what-first.json": ENCODES,
    "experiments/mask_curves.py --out experiments/08-mask-curves.json": ENCODES,
    "benchmarks/sampling_speed.py --out experiments/11-sampling-speed.json": ("config.toml",),  # sizes
    "experiments/best_of_n.py --captions 2": DRAWS,
    "experiments/scaling.py --out experiments/10-crossing.json": ENCODES,
    "experiments/drawn_codes.py": ("clip.safetensors",),  # chapter 2: its judge
    "experiments/shown_elsewhere.py": DRAWS,
    "experiments/things_shown.py --captions 64 --out experiments/13-things-shown.json": DRAWS,
    f"experiments/guidance.py --model {MODEL} --captions 24 --seeds 0 --temperatures 0.5 1 "
    "--out experiments/11-guidance.json": DRAWS,
}


def rows(log: Path) -> list[dict]:
    """What a JSON-lines file holds, oldest first; nothing where there is no file."""
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.is_file() else []


def digests(folder: Path) -> dict[str, str]:
    """Of each command the digest of what it hangs on in a model's `folder`."""
    return {
        command: files_digest([path for pattern in patterns for path in folder.glob(pattern)])
        for command, patterns in COMMANDS.items()
    }


def still_to_run(commands: Mapping[str, str], done: list[dict]) -> list[str]:
    """The commands that have not ended well with the weights of their digest, in their order."""
    finished = {(row["command"], row["weights"]) for row in done}
    return [command for command in commands if (command, commands[command]) not in finished]


def run_all(commands: Mapping[str, str], log: Path) -> None:
    """Runs what is still to run in the repository's root; raises SystemExit at the first that fails."""
    for command in still_to_run(commands, rows(log)):
        print(f"python {command}", flush=True)
        start = time.monotonic()
        code = subprocess.run([sys.executable, *command.split()], cwd=ROOT).returncode
        if code:
            raise SystemExit(f"This ended with {code}: python {command}. The same line goes on with it.")
        took = {"seconds": round(time.monotonic() - start), "machine": machine()}
        row = {"command": command, "weights": commands[command]} | took
        write_text(log, "\n".join(json.dumps(row) for row in [*rows(log), row]) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="say what would run, and run nothing")
    options = parser.parse_args()
    commands = digests(FOLDER / MODEL)
    if not options.list:
        run_all(commands, LOG)
        return
    took = {row["command"]: row["seconds"] for row in rows(LOG)}
    for command in still_to_run(commands, rows(LOG)):
        last = f"took {took[command]:,} s" if command in took else "never timed"
        print(f"{last:>15}  python {command}")


if __name__ == "__main__":
    main()
