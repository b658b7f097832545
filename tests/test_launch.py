"""The files that start training on many devices are valid, and what they start is a command of ours."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from dalle_edu.cli import app
from dalle_edu.configs import read_config

LAUNCH = Path(__file__).parents[1] / "launch"
SCRIPTS = sorted(path for path in LAUNCH.iterdir() if path.suffix in (".sh", ".sbatch"))
VALUES = {
    "part": "dalle", "PART": "dalle", "OUT": "runs/model", "CONFIG": "paper-12b", "DATA": "/data/train-*.tar",
}  # fmt: skip


def job():
    return yaml.safe_load((LAUNCH / "kubernetes.yaml").read_text(encoding="utf-8"))


def texts():
    found = {path.name: path.read_text(encoding="utf-8") for path in SCRIPTS}
    pod = job()["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]
    return found | {"kubernetes.yaml": pod["containers"][0]["args"][0]}


def started(text):
    """What `python -m dalle_edu` is given, with the shell's variables filled in and --resume as on a second
    call."""
    line = re.search(r"-m dalle_edu (.*)", text.replace("\\\n", " ")).group(1)
    line = re.sub(r"\$\{DATA:\+(.*?)\} ", r"\1 ", line)
    line = re.sub(r'"?\$\{resume\[@\]\}"?|\$resume', "--resume", line)
    for name, value in VALUES.items():
        line = line.replace(f"${name}", value)
    assert "$" not in line, line
    return shlex.split(line)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_the_scripts_are_valid_shell(path):
    done = subprocess.run(["bash", "-n", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "set -euo pipefail" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(texts()))
def test_each_starts_a_training_that_the_command_line_accepts(name):
    command, *arguments = started(texts()[name])
    assert command == "train"
    known = typer.main.get_command(app).commands["train"]
    context = known.make_context("train", list(arguments))
    assert context.params["resume"] and context.params["part"] == "dalle"
    assert read_config(context.params["config"]).dalle.picture_length > 0
    assert context.params["device"] == "cuda" and context.params["data"] == ["shards:/data/train-*.tar"]


def test_slurm_starts_one_torchrun_a_machine_and_a_process_a_gpu():
    text = texts()["slurm.sbatch"]
    settings = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)", text, re.M))
    assert settings["ntasks-per-node"] == "1" and int(settings["gpus-per-node"]) >= 1
    assert '--nproc-per-node="$SLURM_GPUS_ON_NODE"' in text and '--nnodes="$SLURM_NNODES"' in text
    assert "#SBATCH --requeue" in text


def test_kubernetes_asks_for_as_many_gpus_as_it_starts_processes():
    spec = job()["spec"]
    worker = spec["pytorchReplicaSpecs"]["Worker"]
    elastic = spec["elasticPolicy"]
    assert elastic["minReplicas"] <= worker["replicas"] <= elastic["maxReplicas"]
    pod = worker["template"]["spec"]
    container = pod["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == int(spec["nprocPerNode"])
    assert container["name"] == "pytorch"  # the name that the operator looks for
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_a_script_goes_on_where_a_checkpoint_is_and_starts_afresh_where_none_is(tmp_path):
    """one-machine.sh with a `torchrun` that only says how it was called."""
    fake = tmp_path / "bin" / "torchrun"
    fake.parent.mkdir()
    fake.write_text('#!/bin/bash\necho "$@"\n')
    fake.chmod(0o755)
    model = tmp_path / "a model"
    (model / "training-clip").mkdir(parents=True)
    (model / "training-clip" / "checkpoint.json").write_text("{}")
    (model / "dvae.trained.toml").write_text("")
    environment = {"PATH": f"{fake.parent}:/usr/bin:/bin", "GPUS": "2"}
    command = ["bash", LAUNCH / "one-machine.sh", model, "toy"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    clip, dalle = done.stdout.splitlines()
    assert "train clip --config toy" in clip and clip.endswith("--resume")
    assert "train dalle" in dalle and "--resume" not in dalle and "--nproc-per-node=2" in dalle
