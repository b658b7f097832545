"""A process dies while a checkpoint is being written in the background: the one before it is whole, it is
what --resume takes, and the run ends as one that nobody killed."""

import json
import os
import signal
import threading
from pathlib import Path

import pytest
import torch
from kills_together import TOLD, together
from torch.distributed.checkpoint import HuggingFaceStorageWriter
from torchrun import losses
from toy import TOML

from dalle_edu.errors import ReaderError
from dalle_edu.files import read_tensors
from dalle_edu.train.checkpoint import checkpoint_tensors
from dalle_edu.train.loop import Run
from dalle_edu.train.processes import rank
from dalle_edu.train.run import train_part

pytestmark = [pytest.mark.skipif(os.name == "nt", reason="no fork"), pytest.mark.fresh_process]
WHILE = 8  # the checkpoint, one every two steps, in whose writing a process dies
BEFORE = "checkpoint-0000006"


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The configuration, and the folder of a run that nobody kills."""
    place = tmp_path_factory.mktemp("unbroken")
    (place / "c.toml").write_text(
        TOML.replace("[dvae.training]\nsteps = 6", "[dvae.training]\nsteps = 12\nasynchronous = true")
    )
    train_part("dvae", place / "c.toml", place / "model", progress=False)
    return place / "c.toml", place / "model"


def die_while_saving(moment, victim):
    """From now on, in this process: where the `victim` is to write the checkpoint WHILE, it waits in the
    background until one more step is done, and is killed then: before a byte, in the midst, or after the last
    one."""
    went_on = threading.Event()
    update, write = Run.update, HuggingFaceStorageWriter.write_data

    def updating(run, *arguments):
        parts = update(run, *arguments)
        if run.step == WHILE + 1:
            went_on.set()
        return parts

    def writing(writer, plan, planner):
        dies = str(writer.path).endswith(f"{WHILE:07d}") and rank() == victim
        if dies:
            assert threading.current_thread() is not threading.main_thread() and went_on.wait(60)
        if dies and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        written = write(writer, plan, planner)
        if dies and moment == "in the midst":
            for path in Path(writer.path).glob("*.safetensors"):
                os.truncate(path, path.stat().st_size // 2)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return written

    Run.update, HuggingFaceStorageWriter.write_data = updating, writing


def kill(count, victim, moment, config, out, place):
    def work():
        die_while_saving(moment, victim)
        train_part("dvae", config, out, progress=False)

    codes = together(count, work, place)
    assert codes[victim] == -signal.SIGKILL
    return [code for number, code in enumerate(codes) if number != victim]


@pytest.mark.parametrize("moment", ["before", "in the midst", "after"])
def test_one_process_dies_while_its_checkpoint_is_written(tmp_path, unbroken, moment):
    config, sound = unbroken
    out, work = tmp_path / "model", tmp_path / "model" / "training-dvae"
    kill(1, 0, moment, config, out, tmp_path)
    half = work / f"checkpoint-{WHILE:07d}"
    assert len(list(half.glob("*.safetensors"))) == (moment != "before")
    about = json.loads((work / "checkpoint.json").read_text())
    assert (about["step"], about["file"]) == (6, BEFORE)
    assert len(losses(out, "dvae")) >= WHILE  # the curve is further than what can be gone on from
    if moment == "in the midst":
        with pytest.raises(Exception, match="incomplete|Truncated|larger|size"):
            checkpoint_tensors(half)
    before = checkpoint_tensors(work / BEFORE)
    assert {name.partition(".")[0] for name in before} == {"model", "average", "optimizer"}
    train_part("dvae", config, out, progress=False, resume=True)
    assert losses(out, "dvae") == losses(sound, "dvae")
    ours, theirs = (read_tensors(folder / "dvae.safetensors") for folder in (out, sound))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("victim", [0, 1])
def test_one_of_two_processes_dies_while_their_checkpoint_is_written(tmp_path, unbroken, victim):
    """The other ends with a sentence, and the run goes on with one alone."""
    config, sound = unbroken
    out = tmp_path / "model"
    others = kill(2, victim, "in the midst", config, out, tmp_path)
    said = (tmp_path / f"{1 - victim}.txt").read_text()
    assert others == [-signal.SIGTERM] or (others == [TOLD] and "Another process of this" in said), said
    assert json.loads((out / "training-dvae" / "checkpoint.json").read_text())["file"] == BEFORE
    train_part("dvae", config, out, progress=False, resume=True)
    assert losses(out, "dvae") == pytest.approx(losses(sound, "dvae"), abs=1e-4)


def test_a_run_that_goes_on_at_its_last_step_leaves_its_checkpoint_alone(tmp_path, unbroken, monkeypatch):
    """To write it again would take it away first, and who dies then has none."""
    config, sound = unbroken
    out = tmp_path / "model"
    train_part("dvae", config, out, progress=False, until=WHILE)

    def full(writer, plan, planner):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(HuggingFaceStorageWriter, "write_data", full)
        train_part("dvae", config, out, progress=False, resume=True, until=WHILE)
        with pytest.raises(ReaderError, match="could not be written"):
            train_part("dvae", config, out, progress=False, resume=True)
    train_part("dvae", config, out, progress=False, resume=True)
    assert losses(out, "dvae") == losses(sound, "dvae")
