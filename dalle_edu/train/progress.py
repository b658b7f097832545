"""What the first process shows of a training: its loss, its speed, and what share of the machine it uses.

    share = operations a picture * pictures a second / (matrix speed of one device * devices)

The operations are those of the model alone, forward and backward: what recomputation does again counts for
nothing, as it teaches nothing (Chowdhery et al. 2022, appendix B, "model FLOPs utilization").
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from dalle_edu.machine.processor import best_rate, matrix_speed
from dalle_edu.train.config import TrainingConfig
from dalle_edu.train.processes import count, rank

SIDE = 8192  # of the matrices that a GPU multiplies to be measured


@dataclass(frozen=True)
class Work:
    """What one picture takes: `operations`, forward and backward, and `tokens` of the stream (0: it is no
    stream)."""

    operations: float
    tokens: int = 0


def device_speed(device: torch.device, precision: str, seconds: float = 0.15) -> float:
    """Operations a second of a large matrix product on one device, as measured now."""
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    if device.type == "cpu":
        return matrix_speed(kind, torch.get_num_threads(), seconds)
    matrix = torch.randn(SIDE, SIDE, device=device, dtype=kind)

    def product() -> None:
        matrix @ matrix
        torch.accelerator.synchronize(device)

    return best_rate(product, 2 * SIDE**3, seconds)


class Progress:
    """A bar for the steps of a training, on the first process alone; tqdm says how much time is left."""

    def __init__(
        self, config: TrainingConfig, step: int, work: Work | None, device: torch.device, shown: bool
    ):
        from tqdm.auto import tqdm

        self.config, self.work, shown = config, work, shown and rank() == 0
        self.peak = count() * device_speed(device, config.precision) if shown and work else 0.0
        self.bar = tqdm(total=config.steps, initial=step, disable=not shown, unit="step", mininterval=1.0)
        self.begun, self.steps = time.perf_counter(), 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error) -> None:
        self.bar.close()

    def update(self, loss: float) -> None:
        """One step is done."""
        self.steps += 1
        self.bar.update()
        pictures = self.config.batch_size * self.steps / (time.perf_counter() - self.begun)
        self.bar.set_postfix_str(self.text(loss, pictures), refresh=False)

    def text(self, loss: float, pictures: float) -> str:
        """What stands behind the bar at so many `pictures` a second."""
        said = [f"loss {loss:.3f}", f"{pictures:,.0f} pictures/s"]
        if self.work and self.work.tokens:
            said.append(f"{pictures * self.work.tokens:,.0f} tokens/s")
        if self.work and self.peak:
            share = pictures * self.work.operations / self.peak
            said.append(f"{100 * share:.0f} % of the {self.peak / 1e12:.2g} TFLOPs/s measured")
        return ", ".join(said)
