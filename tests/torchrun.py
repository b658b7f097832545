"""Trainings on several processes of this machine, as torchrun starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from dalle_edu.files import read_history

SCRIPT = """
import json, sys
from pathlib import Path
from dalle_edu.train.distributed import together
from dalle_edu.train.run import train_part
with together("cpu"):
    for job in json.loads(sys.argv[1]):
        train_part(job.pop("part"), job.pop("config"), Path(job.pop("out")), progress=False, **job)
"""


def torchrun(place, count, *jobs, script=SCRIPT):
    """Starts `count` processes that do the jobs together."""
    (place / "jobs.py").write_text(script)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    settings = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    text = json.dumps(jobs, default=str)
    return subprocess.Popen(
        [*command, place / "jobs.py", text],
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def done(process):
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said[-3000:]


def losses(out, part="dalle"):
    return [row["loss"] for row in read_history(out / f"training-{part}" / "history.jsonl")]
