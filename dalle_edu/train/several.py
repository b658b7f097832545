"""What chapter 14 runs live on several processes of one machine: a small transformer's training, what one of
its updates takes of memory, and gradients sent as thin products.

    run_workers(train_small, 4, model, training, pairs, out)      the same curve as on 1

The training is that of `dalle-edu train dalle` under torchrun: `spread`, `shared_loss`, `train`, with its
checkpoints. PowerSGD is PyTorch's own hook (Vogels et al. 2019; Ramesh et al. 2021, section 2.5, appendix E).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook as power_sgd
from torch.nn.parallel import DistributedDataParallel

from dalle_edu.dalle import Dalle, DalleConfig
from dalle_edu.parallel import peak_bytes, recompute
from dalle_edu.train.config import TrainingConfig
from dalle_edu.train.distributed import Recorded, shared_loss, spread
from dalle_edu.train.loop import Run, step_generator, train
from dalle_edu.train.stages import Stage


@dataclass(frozen=True)
class Pairs:
    """Captions and pictures as tokens: text (N, text_length), image (N, picture_length), both int64."""

    text: Tensor
    image: Tensor

    def batch(self, size: int, step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """`size` pairs, drawn with `generator`."""
        drawn = torch.randint(len(self.text), (size,), generator=generator)
        return self.text[drawn], self.image[drawn]


def train_small(
    model: DalleConfig,
    training: TrainingConfig,
    pairs: Pairs,
    out: str | Path,
    until: int | None = None,
    resume: bool = False,
) -> dict:
    """What each worker does: makes its shard of a model, trains it, and leaves a checkpoint in `out`.

    `until`, `resume`: stop early, and go on from the checkpoint, with any number of workers. Returns the
    "losses" of its steps and, measured in one more update that nothing keeps, the bytes on this worker of
    "weights", "gradients", "moments", and the most that came on top of these three ("on top").
    """
    run, stage = small_run(model, training, pairs)
    if resume:
        run.restore(Path(out))
    loss = shared_loss(stage, training)
    history = train(run, stage.batch, loss, Path(out), progress=False, until=until)
    held = {
        "weights": _local_bytes(run.model.parameters()),
        "moments": _local_bytes(t for o in run.optimizers for s in o.state.values() for t in s.values()),
    }
    run.model.zero_grad(set_to_none=True)
    batch = stage.batch(run.step, step_generator(training.seed, run.step))
    most = peak_bytes(lambda: run.update(batch, loss))
    held["gradients"] = _local_bytes(p.grad for p in run.model.parameters())
    return {"losses": [row["loss"] for row in history], **held, "on top": most - held["gradients"]}


def small_run(model: DalleConfig, training: TrainingConfig, pairs: Pairs) -> tuple[Run, Stage]:
    """This worker's shard of a model, never whole, in a training that has not begun, and its stage."""
    torch.manual_seed(training.seed)
    with torch.device("meta"), Recorded() as recorded:
        dalle = Dalle(model)
    recorded.name(dalle)
    spread(dalle, training, "cpu", recorded)
    if training.recompute:
        recompute(dalle)

    def batch(step: int, generator: torch.Generator):
        return pairs.batch(training.batch_size, step, generator)

    def weigh(parts, whole, own):
        """Captions differ in length: the text's mean is over words, of which a slice may hold more."""
        words = [(one[0][:, 1:] < model.text_vocabulary).sum() for one in (whole, own)]
        text = parts["text"] * words[1] * len(whole[0]) / (words[0].clamp_min(1) * len(own[0]))
        return {"loss": model.text_weight * text + (1 - model.text_weight) * parts["image"]}

    stage = Stage(dalle, batch, lambda drawn, *_: drawn, lambda dalle, own, *_: dalle.loss(*own), weigh)
    return Run(dalle, training), stage


def _local_bytes(tensors) -> int:
    """Bytes of what this process holds of `tensors`, sharded or not; single numbers (a counter) left out."""
    local = (t.to_local() if hasattr(t, "to_local") else t for t in tensors)
    return sum(t.numel() * t.element_size() for t in local if t.dim() > 0)


class _Loss(nn.Module):
    """A model whose `forward` is its loss, as DistributedDataParallel wants it."""

    def __init__(self, dalle: Dalle):
        super().__init__()
        self.dalle = dalle

    def forward(self, text: Tensor, image: Tensor) -> Tensor:
        return self.dalle.loss(text, image)["loss"]


def train_compressed(
    model: DalleConfig, training: TrainingConfig, pairs: Pairs, ranks: list[int | None], measure_at: int
) -> list[dict]:
    """What each worker does: trains a whole model with the others once for each rank, gradients sent as
    products of that rank by PyTorch's PowerSGD (None: as they are).

    Returns for each rank the "losses" of the whole batch; the "share" of the numbers that was sent, by
    PyTorch's count; and the "error" at step `measure_at`: of each matrix of the blocks the compressed
    gradient against the mean of the workers' gradients, relative to that; the mean over matrices. The first
    two steps go uncompressed, as the hook asks for.
    """
    return [_compressed(model, training, pairs, rank, measure_at) for rank in ranks]


def _compressed(model, training, pairs, rank, measure_at) -> dict:
    torch.manual_seed(training.seed)
    # One bucket: gloo gives no order to the products of several that are under way at a time.
    parallel = DistributedDataParallel(_Loss(Dalle(model)), bucket_cap_mb=1000)
    state = None
    if rank is not None:
        state = power_sgd.PowerSGDState(
            None, matrix_approximation_rank=rank, start_powerSGD_iter=2, min_compression_rate=1
        )
        parallel.register_comm_hook(state, power_sgd.powerSGD_hook)
    optimizer = torch.optim.AdamW(parallel.parameters(), training.learning_rate, betas=(0.9, 0.96))
    losses, error = [], 0.0
    for step in range(training.steps):
        text, image = pairs.batch(training.batch_size, step, step_generator(training.seed, step))
        own = slice(dist.get_rank(), None, dist.get_world_size())
        wanted = _mean_gradients(parallel, text[own], image[own]) if step == measure_at else None
        optimizer.zero_grad(set_to_none=True)
        loss = parallel(text[own], image[own])
        loss.backward()
        if wanted is not None:
            both = [(p.grad, g) for p, g in zip(_matrices(parallel), wanted, strict=True)]
            error = sum(float((sent - true).norm() / true.norm()) for sent, true in both) / len(both)
        optimizer.step()
        mean = loss.detach().clone()
        dist.all_reduce(mean)
        losses.append(float(mean) / dist.get_world_size())
    share = 1.0 if state is None else state.compression_stats()[2] / state.compression_stats()[1]
    return {"losses": losses, "error": error, "share": share}


def _matrices(parallel: DistributedDataParallel) -> list[nn.Parameter]:
    """The matrices of the transformer's blocks."""
    return [p for name, p in parallel.named_parameters() if ".blocks." in name and p.dim() == 2]


def _mean_gradients(parallel: DistributedDataParallel, text: Tensor, image: Tensor) -> list[Tensor]:
    """The mean of the workers' gradients of each of `_matrices`, uncompressed."""
    gradients = torch.autograd.grad(parallel.module(text, image), _matrices(parallel))
    for gradient in gradients:
        dist.all_reduce(gradient)
    return [gradient / dist.get_world_size() for gradient in gradients]
