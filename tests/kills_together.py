"""kill -9 of one of several processes that train together: the others end by themselves with a sentence, and
the run goes on from its last checkpoint, on another number of processes, to where an unbroken one ends.
Checkpoints are written at once, or while training goes on.

    python tests/kills_together.py --kills 20 --seed 21
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from pathlib import Path

import torch

from dalle_edu.errors import ReaderError
from dalle_edu.files import read_history
from dalle_edu.train.run import train_part

COUNTS = (1, 2, 4)
PATIENCE = 60  # seconds until a process that the others have left must have ended
TOLD = 3  # exit status of one that said a sentence
SETTINGS = "steps = 60\nbatch_size = 8\nlearning_rate = 3e-3\ngradient_clip = 1.0\nweight_average = 0.9"


def fork_one(rank: int, count: int, port: int, work, said: Path) -> int:
    """Starts `work` in a fork as torchrun would start it; what it says goes to the file `said`. Returns the
    fork's number."""
    sys.stdout.flush(), sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        sys.stderr = os.fdopen(2, "w", closefd=False)  # a test's own catches what it is told elsewhere
        torch.set_num_threads(1)
        if count > 1:
            names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
            names |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "kills"}
            os.environ.update({name: str(value) for name, value in names.items()})
        work()
        code = 0
    except ReaderError as error:
        code = TOLD if "ended" in str(error) else 1
        print(error, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def together(count: int, work, said: Path, victim: int | None = None, seconds: float = 0) -> list[int]:
    """Runs `work` on `count` processes; the `victim` is killed after `seconds`. Returns how each ended: an
    exit status, or minus the signal. As torchrun does, tells the others to end soon after one has ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [fork_one(rank, count, port, work, said / f"{rank}.txt") for rank in range(count)]
    ended: dict[int, int] = {}
    started, failed_at = time.monotonic(), None
    while len(ended) < count:
        for rank, child in enumerate(children):
            if rank not in ended:
                pid, status = os.waitpid(child, os.WNOHANG)
                if pid:
                    ended[rank] = os.waitstatus_to_exitcode(status)
        now = time.monotonic()
        if victim is not None and victim not in ended and now - started > seconds:
            os.kill(children[victim], signal.SIGKILL)
            victim = None
        if failed_at is None and any(ended.values()):
            failed_at = now
            for rank in set(range(count)) - set(ended):
                os.kill(children[rank], signal.SIGTERM)
        if failed_at is not None and now - failed_at > PATIENCE:
            for rank in set(range(count)) - set(ended):
                os.kill(children[rank], signal.SIGKILL)
            raise AssertionError(f"a process that was left alone did not end in {PATIENCE} seconds")
        time.sleep(0.005)
    return [ended[rank] for rank in range(count)]


def run(kills: int, seed: int, place: Path, say=lambda line: None) -> collections.Counter:
    """Kills until `kills` processes were killed, then lets the run end. Returns on how many processes it was
    killed how often."""
    from toy import TOML, trained_folder

    text = TOML.replace("steps = 6\nbatch_size = 4\nlearning_rate = 1e-3\nwarmup", SETTINGS + "\nwarmup")
    config = place / "c.toml"
    config.write_text(text, encoding="utf-8")
    sound, broken = place / "sound", place / "broken"
    for out in (sound, broken):
        hidden = shutil.ignore_patterns("*dalle*", "*clip*", "words.json")
        shutil.copytree(trained_folder(), out, ignore=hidden)
        (out / "config.toml").write_text(text, encoding="utf-8")

    def work(out: Path):
        resume = (out / "training-dalle" / "checkpoint.json").is_file()
        train_part("dalle", config, out, resume=resume, progress=False)

    started = time.monotonic()
    assert together(1, lambda: work(sound), place) == [0]
    needs, rng, counts = time.monotonic() - started, random.Random(seed), collections.Counter()
    while sum(counts.values()) < kills:
        saving = rng.choice(("false", "true"))  # may change between two sittings
        for path in (config, broken / "config.toml"):
            path.write_text(text.replace(SETTINGS, f"{SETTINGS}\nasynchronous = {saving}"), encoding="utf-8")
        if (broken / "dalle.trained.toml").is_file():  # it was faster than its killers: once more
            check(broken, sound)
            shutil.rmtree(broken / "training-dalle")
            for name in ("dalle.trained.toml", "dalle.safetensors", "words.json"):
                (broken / name).unlink()
        count = rng.choice(COUNTS)
        victim = rng.randrange(count)
        codes = together(count, lambda: work(broken), place, victim, rng.uniform(0, 2 * needs))
        if codes[victim] == -signal.SIGKILL:
            counts[count] += 1
            others = [code for rank, code in enumerate(codes) if rank != victim]
            for rank, code in enumerate(codes):
                words = (place / f"{rank}.txt").read_text(encoding="utf-8", errors="replace")
                assert rank == victim or code in (0, TOLD, -signal.SIGTERM), f"{codes}, rank {rank}: {words}"
            how = {"false": "at once", "true": "meanwhile"}[saving]
            say(f"killed rank {victim} of {count}, saving {how}; the others ended with {others or 'nothing'}")
        else:
            assert codes == [0] * count, codes
    if not (broken / "dalle.trained.toml").is_file():
        assert together(2, lambda: work(broken), place) == [0, 0]
    check(broken, sound)
    return counts


def check(broken: Path, sound: Path) -> None:
    """The curve of the unbroken run, without a gap, to 1e-4."""
    ours, theirs = (read_history(out / "training-dalle" / "history.jsonl") for out in (broken, sound))
    assert [row["step"] for row in ours] == [row["step"] for row in theirs]
    furthest = max(abs(a["loss"] - b["loss"]) for a, b in zip(ours, theirs, strict=True))
    assert furthest < 1e-4, furthest


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=21)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="dalle-edu-kills-") as place:
        counts = run(arguments.kills, arguments.seed, Path(place), lambda line: print(line, flush=True))
    of = ", ".join(f"{kills} of {count}" for count, kills in sorted(counts.items()))
    print(f"{sum(counts.values())} kills ({of} processes); the curve is that of an unbroken run")


if __name__ == "__main__":
    main()
