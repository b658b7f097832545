"""Trainings on several processes of this machine: as torchrun starts them, and the same without its start."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import torch

from dalle_edu.files import read_history
from dalle_edu.parallel import start_method
from dalle_edu.train.distributed import together
from dalle_edu.train.run import train_part

SCRIPT = """
import json, sys
from torchrun import work
work(json.loads(sys.argv[1]))
"""


def work(jobs):
    """What each process does: the jobs, one after the other."""
    with together("cpu"):
        for job in jobs:
            job = dict(job)  # a copy, without what it gives away
            train_part(job.pop("part"), job.pop("config"), Path(job.pop("out")), progress=False, **job)


def torchrun(place, count, *jobs):
    """Starts `count` processes that do the jobs together, by torchrun."""
    (place / "jobs.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    here = Path(__file__).parent
    settings = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONFAULTHANDLER": "1",  # a process that is killed by a signal says what its threads did
        "PYTHONPATH": os.pathsep.join([str(here.parent), str(here)]),
    }
    text = json.dumps(jobs, default=str)
    return subprocess.Popen(
        [*command, place / "jobs.py", text],
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def several(count, *jobs):
    """The same on copies of one process that has imported everything: seconds instead of a minute."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(
        _as_by_torchrun, (count, port, jobs), nprocs=count, start_method=start_method()
    )


def _as_by_torchrun(rank, count, port, jobs):
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    told |= {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in told.items()})
    work(jobs)


def done(process):
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said[-3000:]


def losses(out, part="dalle"):
    return [row["loss"] for row in read_history(out / f"training-{part}" / "history.jsonl")]
