"""Which checkpoints are kept, how one goes back to an older one, and how they are written meanwhile."""

import shutil

import pytest
from torchrun import losses, several
from toy import TOML

from dalle_edu.train.checkpoint import Rule
from dalle_edu.train.run import train_part


def config_with(place, more):
    path = place / "c.toml"
    path.write_text(TOML.replace("[dvae.training]\nsteps = 6", f"[dvae.training]\nsteps = 12\n{more}"))
    return path


def kept(out):
    return sorted(int(path.name[-7:]) for path in (out / "training-dvae").glob("checkpoint-*"))


@pytest.mark.parametrize("rule, wanted", [
    (Rule(), [9]), (Rule(2), [8, 9]), (Rule(1, 3), [3, 6, 9]), (Rule(3, 4), [4, 7, 8, 9]),
    (Rule(20), list(range(1, 10))),
])  # fmt: skip
def test_the_last_stay_and_so_do_multiples(rule, wanted):
    names = [f"checkpoint-{step:07d}" for step in (3, 1, 2, 9, 8, 7, 6, 5, 4)]
    assert sorted(set(names) - set(rule.drops(names))) == [f"checkpoint-{step:07d}" for step in wanted]


def test_a_training_keeps_what_its_configuration_says_and_can_go_back(tmp_path):
    config = config_with(tmp_path, "keep_last = 2\nkeep_every = 4")
    train_part("dvae", config, tmp_path / "a", progress=False)
    assert kept(tmp_path / "a") == [4, 8, 10, 12]  # one every two steps
    whole, work = losses(tmp_path / "a", "dvae"), tmp_path / "a" / "training-dvae"
    shutil.copy(work / "checkpoint-0000004" / "checkpoint.json", work)
    train_part("dvae", config, tmp_path / "a", progress=False, resume=True)
    assert losses(tmp_path / "a", "dvae") == whole and kept(tmp_path / "a") == [4, 8, 10, 12]


def test_a_checkpoint_that_is_written_meanwhile_is_that_of_its_step(tmp_path):
    """Alone, and on two processes, from which one goes on."""
    config = config_with(tmp_path, "asynchronous = true")
    at_once = config_with(tmp_path, "").rename(tmp_path / "at_once.toml")
    config = config_with(tmp_path, "asynchronous = true")
    train_part("dvae", at_once, tmp_path / "at_once", progress=False)
    for name, until in (("a", 5), ("a", None)):
        train_part("dvae", config, tmp_path / name, progress=False, until=until, resume=until is None)
    wanted = losses(tmp_path / "at_once", "dvae")
    assert losses(tmp_path / "a", "dvae") == wanted and kept(tmp_path / "a") == [12]
    several(2, {"part": "dvae", "config": config, "out": tmp_path / "two", "until": 7})
    assert kept(tmp_path / "two") == [7]
    train_part("dvae", config, tmp_path / "two", progress=False, resume=True)
    assert losses(tmp_path / "two", "dvae") == pytest.approx(wanted, abs=1e-4)


def test_how_often_is_saved_and_what_is_kept_may_change_between_two_sittings(tmp_path):
    train_part("dvae", config_with(tmp_path, ""), tmp_path / "a", progress=False, until=3)
    changed = config_with(tmp_path, "keep_last = 5\nkeep_every = 2\nasynchronous = true")
    shutil.copy(changed, tmp_path / "a" / "config.toml")
    train_part("dvae", changed, tmp_path / "a", progress=False, resume=True)
    assert len(losses(tmp_path / "a", "dvae")) == 12
