"""kill -9 at random moments of training, checkpointing, caching, drawing, shard-making and export: what is on
the disk afterwards loads, and what goes on ends exactly where an unbroken run ends.

    python tests/kills.py --kills 200 --seed 21        (make kills)

Each piece of work runs in a fork of this process, which has imported everything already, and is killed after
a random share of the time that it needs.
"""

from __future__ import annotations

import argparse
import base64
import collections
import hashlib
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dalle_edu.data import emoji
from dalle_edu.data.shards import Shards, write_shards
from dalle_edu.errors import ReaderError
from dalle_edu.files import read_history, read_tensors
from dalle_edu.page.export import export
from dalle_edu.train.run import train_part

PATIENCE = 120  # seconds for work of seconds: what has not ended then hangs


def in_a_fork(work, seconds: float | None) -> bool:
    """Runs `work` in a fork; killed after `seconds`, unless it was faster. Returns whether it was
    finished. Raises AssertionError where it should have been and was not."""
    sys.stdout.flush(), sys.stderr.flush()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            torch.set_num_threads(1)
            work()
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + (PATIENCE if seconds is None else seconds)
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            assert status == 0, f"the work itself failed with status {status}"
            return True
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    finished = os.waitpid(child, 0)[1] == 0
    assert finished or seconds is not None, f"what nobody killed did not end in {PATIENCE} seconds"
    return finished


class Training:
    """All parts of the small model; whatever was killed goes on with --resume where there is a checkpoint."""

    PARTS = ("dvae", "clip", "dalle")

    def __init__(self, place: Path):
        from toy import write_config

        self.sound = place / "unbroken"  # the first run, which nobody kills
        self.config = write_config(place)
        self.folder = place / "model"

    def begin(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def work(self):
        for part in self.PARTS:
            if (self.folder / f"{part}.trained.toml").is_file():
                continue
            resume = (self.folder / f"training-{part}" / "checkpoint.json").is_file()
            train_part(part, self.config, self.folder, resume=resume, progress=False)

    def check(self, finished: bool):
        """Whole files or none; and the same weights as without any kill."""
        for path in self.folder.glob("*.safetensors") if self.folder.is_dir() else ():
            read_tensors(path)
        for path in self.folder.glob("training-*/history.jsonl") if self.folder.is_dir() else ():
            read_history(path)
        if finished and not self.sound.exists():
            shutil.copytree(self.folder, self.sound)
        if finished:
            for part in self.PARTS:
                ours, theirs = (read_tensors(f / f"{part}.safetensors") for f in (self.folder, self.sound))
                assert all(torch.equal(ours[name], theirs[name]) for name in theirs), part
                assert (self.folder / f"training-{part}").is_dir()


class Writing:
    """Shards: each is there whole or not at all."""

    def __init__(self, place: Path):
        self.folder = place / "shards"
        generator = torch.Generator().manual_seed(0)
        self.items = [(torch.rand(3, 48, 48, generator=generator), f"number {i}") for i in range(120)]

    def begin(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def work(self):
        write_shards(self.items, self.folder, per_shard=10)

    def check(self, finished: bool):
        captions = [c for path in sorted(self.folder.glob("*.tar")) for _, c in Shards(path, 8)]
        assert captions == [c for _, c in self.items[: len(captions)]] and len(captions) % 10 == 0
        assert not finished or len(captions) == len(self.items)
        if not finished:
            self.begin()


class Caching:
    """The emoji that are drawn once and kept; four sizes one after another."""

    def __init__(self, place: Path):
        self.folder = place / "cache"
        rng = np.random.default_rng(0)
        self.drawn = rng.integers(0, 255, (400, 16, 16, 3), dtype=np.uint8), ["x"] * 400, ["red apple"] * 400
        self.original = emoji._draw_all

    def begin(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def work(self):
        emoji._draw_all = lambda size, rendering="averaged": self.drawn
        for _ in range(8):
            pixels = emoji.EmojiPictures(16, "all", self.folder)._pixels
            assert np.array_equal(pixels.permute(0, 2, 3, 1).numpy(), self.drawn[0])
            next(self.folder.glob("*.npz")).unlink()
        emoji.EmojiPictures(16, "all", self.folder)

    def check(self, finished: bool):
        emoji._draw_all = lambda size, rendering="averaged": self.drawn
        try:
            pixels = emoji.EmojiPictures(16, "all", self.folder)._pixels
        finally:
            emoji._draw_all = self.original
        assert np.array_equal(pixels.permute(0, 2, 3, 1).numpy(), self.drawn[0])


class Drawing:
    """A drawing is a whole PNG, or the one from before."""

    def __init__(self, place: Path):
        from toy import loaded_model

        self.file, self.model = place / "drawing.png", loaded_model()
        self.model.draw("a red circle", samples=1)

    def begin(self):
        Image.new("RGB", (5, 5)).save(self.file)

    def work(self):
        self.model.draw("a red circle", samples=40, batch=40).save(self.file, scale=8)

    def check(self, finished: bool):
        with Image.open(self.file) as picture:
            picture.load()
            assert picture.size != (5, 5) or not finished


class Exporting:
    """A page that draws with another model each time: what its index names is there and whole."""

    def __init__(self, place: Path):
        from toy import loaded_model

        self.folder, self.before, self.after = place / "page", loaded_model(), loaded_model()
        with torch.no_grad():
            self.after.dalle.text_embedding.weight += 1

    def begin(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        export(self.before, self.folder)

    def work(self):
        export(self.after, self.folder)

    def check(self, finished: bool):
        index = (self.folder / "index.html").read_text(encoding="utf-8")
        digest = re.search(r"model-([0-9a-f]{12})\.safetensors", index)[1]
        weights = (self.folder / f"model-{digest}.safetensors").read_bytes()
        assert hashlib.sha256(weights).hexdigest().startswith(digest)
        text = (self.folder / f"model-{digest}.js").read_text(encoding="utf-8")
        assert base64.b64encode(weights).decode() in text and text.endswith("\n")
        codes = (self.folder / f"model-{digest}-codes.js").read_text(encoding="utf-8")
        assert codes.startswith("globalThis.dalleCodes") and codes.endswith('";\n')
        assert not finished or len(list(self.folder.glob("model-*"))) == 3


def run(kills: int, seed: int, place: Path, say=lambda line: None) -> collections.Counter:
    """Kills until `kills` pieces of work were killed. Returns how many of each kind, and how often each was
    finished in spite of it."""
    rng, counts = random.Random(seed), collections.Counter()
    shares = {Training: 0.5, Writing: 0.15, Caching: 0.1, Drawing: 0.1, Exporting: 0.15}
    for kind, share in shares.items():
        job = kind(place)
        job.begin()
        started = time.monotonic()
        assert in_a_fork(job.work, None)
        job.check(True)
        needs = time.monotonic() - started
        wanted, killed = max(1, round(kills * share)), 0
        job.begin()
        while killed < wanted:
            finished = in_a_fork(job.work, rng.uniform(0, needs))
            killed += not finished
            counts[kind.__name__, "finished" if finished else "killed"] += 1
            job.check(finished)
            if finished:
                job.begin()
        assert in_a_fork(job.work, None)
        job.check(True)
        say(f"{kind.__name__}: {killed} kills, whole each time; unbroken it takes {needs:.2f} s")
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=21)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="dalle-edu-kills-") as place:
        try:
            counts = run(arguments.kills, arguments.seed, Path(place), lambda line: print(line, flush=True))
        except (AssertionError, ReaderError) as error:
            sys.exit(f"what was on the disk after a kill: {error}")
    print(sum(count for (_, how), count in counts.items() if how == "killed"), "kills in all")


if __name__ == "__main__":
    main()
