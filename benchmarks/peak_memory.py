"""What one process takes at most of the machine's memory, beside the ledger of `dalle_edu.scale`: a
transformer of 57 million parameters, sharded over 1, 2 and 4 processes.

    python benchmarks/peak_memory.py

The model is made on PyTorch's meta device and gets its weights shard by shard, as `dalle-edu train dalle`
does under torchrun, and learns for two steps from a tiny batch. The system's own peak is set back after
everything has been loaded and used once, just before the model is made (Linux: /proc/self/clear_refs, VmHWM).
glibc is told to give what is freed back to the system: left alone, it learns to keep pieces of up to 32 MB
for later, among them blocks that were gathered and dropped, and what it keeps does not fall with the number.
"""

import argparse
import ctypes
import re
from pathlib import Path

import torch

from dalle_edu.dalle import Dalle, DalleConfig
from dalle_edu.parallel import run_workers
from dalle_edu.scale import count_parameters, dalle_parts
from dalle_edu.train.config import TrainingConfig
from dalle_edu.train.distributed import shared_loss
from dalle_edu.train.loop import step_generator
from dalle_edu.train.several import Pairs, small_run

SHAPE = {"text_vocabulary": 50, "text_length": 4, "image_vocabulary": 50, "grid": (2, 2), "kernel": 3}
LARGE = DalleConfig(width=512, depth=18, heads=8, **SHAPE)
SMALL = DalleConfig(width=32, depth=2, heads=2, **SHAPE)
MMAP_THRESHOLD = -3  # glibc's number for it
TRAINING = TrainingConfig(steps=2, batch_size=4, learning_rate=1e-4)


def peak(steps: int) -> dict[str, int]:
    """What each worker does: the bytes that it held before the model, and the most from then on."""
    ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, 2**17)
    learn(SMALL, 1)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    learn(LARGE, steps)
    return {"before": before, "most": _status("VmHWM")}


def learn(config: DalleConfig, steps: int) -> None:
    """Makes a model's shard, and trains it with the other workers."""
    generator = torch.Generator().manual_seed(0)
    text = torch.randint(config.text_vocabulary, (8, config.text_length), generator=generator)
    image = torch.randint(config.image_vocabulary, (8, config.picture_length), generator=generator)
    run, stage = small_run(config, TRAINING, Pairs(text, image))
    loss = shared_loss(stage, TRAINING)
    for step in range(steps):
        run.update(stage.batch(step, step_generator(0, step)), loss)


def _status(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) * 1024


def measured(processes: int, steps: int = TRAINING.steps) -> int:
    """The most bytes that the model took on any of the processes, in so many steps."""
    return max(row["most"] - row["before"] for row in run_workers(peak, processes, steps))


def ledger(processes: int) -> int:
    """Weights, gradients and two moments of 4 bytes each, shared out."""
    return 16 * sum(part.parameters for part in dalle_parts(LARGE)) // processes


def gathered() -> int:
    """Weights and gradients of one block, whole."""
    with torch.device("meta"):
        return 8 * count_parameters(Dalle(LARGE).transformer.blocks[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    print(f"{sum(part.parameters for part in dalle_parts(LARGE)):,} parameters; a block gathered with its")
    print(f"gradients: {gathered() / 1e6:.0f} MB")
    print("| processes | ledger, MB | with a gathered block, MB | measured, MB |\n|---|---|---|---|")
    for processes in parser.parse_args().processes:
        held = ledger(processes)
        row = (held, held + gathered(), measured(processes))
        print(f"| {processes} | " + " | ".join(f"{value / 1e6:.0f}" for value in row) + " |", flush=True)


if __name__ == "__main__":
    main()
