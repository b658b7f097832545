"""Several processes learn what one learns, from a run that may go on with another number of them."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from torchrun import done, losses, several, torchrun
from toy import TOML, trained_folder

from dalle_edu.dalle import Dalle, DalleConfig
from dalle_edu.errors import ReaderError
from dalle_edu.files import read_tensors
from dalle_edu.train.config import TrainingConfig
from dalle_edu.train.distributed import Recorded, mesh_of, shared_loss
from dalle_edu.train.run import train_part

SETTINGS = "steps = 12\nbatch_size = 8\nlearning_rate = 3e-3\ngradient_clip = 1.0\nweight_average = 0.9"
CONFIG = TOML.replace("steps = 6\nbatch_size = 4\nlearning_rate = 1e-3\nwarmup", SETTINGS + "\nwarmup")
MUON = CONFIG.replace("warmup = 2", 'warmup = 2\noptimizer = "muon"\naccumulate = 2\nrecompute = true')


def folder_with_dvae(place, text):
    """A folder in which the dVAE is trained already, and its configuration."""
    place.mkdir()
    (place / "c.toml").write_text(text)
    out = place / "model"
    shutil.copytree(trained_folder(), out, ignore=shutil.ignore_patterns("*dalle*", "*clip*", "words.json"))
    (out / "config.toml").write_text(text)
    return place / "c.toml", out


@pytest.mark.parametrize("text", [CONFIG, MUON], ids=["AdamW", "Muon, in pieces, recomputed"])
def test_four_then_two_then_one_process_have_the_curve_of_one(tmp_path, text):
    config, alone = folder_with_dvae(tmp_path / "alone", text)
    train_part("dalle", config, alone, progress=False)
    config, out = folder_with_dvae(tmp_path / "several", text)
    job = {"part": "dalle", "config": config, "out": out}
    if text == CONFIG:
        several(4, job | {"until": 4})
    several(2, job | {"until": 8, "resume": text == CONFIG})
    train_part("dalle", config, out, progress=False, resume=True)
    assert losses(out) == pytest.approx(losses(alone), abs=1e-4)
    if text == MUON:  # whose products of 16 bits make more of a rounding
        return
    ours, theirs = (read_tensors(folder / "dalle.safetensors") for folder in (out, alone))
    assert ours.keys() == theirs.keys()
    # Rounding turns a few signs of vanishing gradients, which Adam makes steps of full size: so the mean.
    assert max(float((ours[name] - theirs[name]).abs().mean()) for name in ours) < 1e-5


def test_dvae_and_clip_learn_on_two_processes_what_they_learn_on_one(tmp_path):
    (tmp_path / "c.toml").write_text(TOML)
    jobs = [{"part": p, "config": tmp_path / "c.toml", "out": tmp_path / "two"} for p in ("dvae", "clip")]
    done(torchrun(tmp_path, 2, *jobs))
    for part in ("dvae", "clip"):
        assert losses(tmp_path / "two", part) == pytest.approx(losses(trained_folder(), part), abs=1e-4)


def test_where_a_process_is_killed_the_others_end_with_a_sentence_and_the_run_goes_on(tmp_path):
    text = CONFIG.replace("steps = 12", "steps = 400").replace(
        "checkpoint_every = 2", "checkpoint_every = 20"
    )
    config, out = folder_with_dvae(tmp_path / "a", text)
    process = torchrun(tmp_path, 2, {"part": "dalle", "config": config, "out": out})
    checkpoint = out / "training-dalle" / "checkpoint.json"
    deadline = time.monotonic() + 200
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    children = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True
    ).stdout.split()
    os.kill(int(children[-1]), signal.SIGKILL)
    said, _ = process.communicate(timeout=200)
    assert process.returncode != 0 and "Another process of this training has ended" in said
    before = json.loads(checkpoint.read_text())["step"]
    assert 20 <= before < 400
    train_part("dalle", config, out, progress=False, resume=True, until=before + 3)
    assert len(losses(out)) == before + 3


def test_weights_that_are_made_one_at_a_time_are_those_of_a_model_made_at_once():
    config = DalleConfig(20, 6, 15, (4, 4), width=16, depth=3, heads=2, kernel=3)
    torch.manual_seed(3)
    whole = Dalle(config)
    with torch.device("meta"), Recorded() as recorded:
        model = Dalle(config)
    recorded.name(model)
    torch.manual_seed(3)
    model.to_empty(device="cpu")
    recorded.replay(model)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_a_weight_that_nobody_initialises_is_named():
    with torch.device("meta"), Recorded() as recorded:
        model = torch.nn.Module()
        model.own = torch.nn.Parameter(torch.empty(3))
    with pytest.raises(ReaderError, match="not known how own is initialised"):
        recorded.name(model)


def test_a_batch_that_cannot_be_shared_out_is_refused(monkeypatch):
    monkeypatch.setattr("dalle_edu.train.distributed.count", lambda: 3)
    with pytest.raises(ReaderError, match="batch_size 8 is no multiple of 3 processes"):
        mesh_of(TrainingConfig(steps=1, batch_size=8, learning_rate=0.1), "cpu")
    with pytest.raises(ReaderError, match="replicas is 2.* 3 processes"):
        mesh_of(TrainingConfig(steps=1, batch_size=9, learning_rate=0.1, replicas=2), "cpu")
    with pytest.raises(ReaderError, match="batch_size 8 is no multiple of accumulate 3"):
        TrainingConfig(steps=1, batch_size=8, learning_rate=0.1, accumulate=3)


def test_a_batch_worked_off_in_pieces_gives_the_gradient_of_the_whole(tmp_path):
    """Captions of different lengths must count by their words."""
    from dalle_edu.train.stages import Stage

    torch.manual_seed(0)
    config = DalleConfig(20, 6, 15, (4, 4), width=16, depth=2, heads=2, kernel=3)
    model = Dalle(config)
    text = torch.randint(20, (8, 6))
    text[::2, 2:] = 20 + torch.arange(2, 6)  # two words, and padding
    image = torch.randint(15, (8, 16))
    words = (text[:, 1:] < 20).sum()

    def weigh(parts, whole, own):
        share = (own[0][:, 1:] < 20).sum() * len(whole[0]) / (words * len(own[0]))
        loss = config.text_weight * parts["text"] * share + (1 - config.text_weight) * parts["image"]
        return {"loss": loss}

    stage = Stage(model, None, lambda batch, *_: batch, lambda model, own, *_: model.loss(*own), weigh)
    model.loss(text, image)["loss"].backward()
    wanted = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    settings = TrainingConfig(steps=1, batch_size=8, learning_rate=0.1, accumulate=4)
    for piece in shared_loss(stage, settings)(model, (text, image), 0, torch.Generator()):
        (piece()["loss"] / 4).backward()
    for ours, theirs in zip((p.grad for p in model.parameters()), wanted, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)


def test_the_words_of_the_launch_page_are_those_of_the_code():
    page = (Path(__file__).parents[2] / "book" / "appendix" / "launch.md").read_text(encoding="utf-8")
    assert re.search(r"torchrun --nproc-per-node=8 -m dalle_edu train dalle", page)
