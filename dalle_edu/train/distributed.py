"""The same training on several devices, each with a process of its own, as torchrun starts them (chapter 14).

    torchrun --nproc-per-node=4 -m dalle_edu train dalle --config toy --out runs/toy

All processes draw the same batch from the same generator and take their slice of it, so that n processes see
what one sees. Weights, gradients and moments are sharded by PyTorch's fully_shard. The models know nothing of
it.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.utils._python_dispatch import TorchDispatchMode

from dalle_edu.errors import ReaderError
from dalle_edu.parallel import PATIENCE
from dalle_edu.train.config import TrainingConfig
from dalle_edu.train.processes import count, rank
from dalle_edu.train.stages import Stage

# What PyTorch says where a process does not answer any more.
LOST = ("Connection closed by peer", "Connection reset", "Timed out waiting", "Application timeout", "NCCL")
SOME = 2**20  # random numbers that are passed over at once: 8 MiB


def started_by_torchrun() -> bool:
    """Whether this process is one of several that torchrun started."""
    return dist.is_torchelastic_launched()


@contextmanager
def together(device: str) -> Iterator[str]:
    """A context in which the processes that torchrun started can talk; gives the device of this one. Without
    torchrun it does nothing."""
    if not started_by_torchrun() or dist.is_initialized():
        yield device
        return
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(max(1, torch.get_num_threads() // int(os.environ.get("LOCAL_WORLD_SIZE", 1))))
    # Files and Python objects go through the processors, also where the training is on GPUs.
    backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    told: list[int] = []

    def told_to_end(number, frame):
        told.append(number)
        raise _alone_now()

    before = signal.signal(signal.SIGTERM, told_to_end)  # what torchrun sends when one process has ended
    try:
        dist.init_process_group(backend, timeout=timedelta(seconds=PATIENCE))
        yield device
    except Exception as error:
        # Raised in the midst of PyTorch's own work, the sentence may come out wrapped in another error.
        lost = isinstance(error, RuntimeError) and any(sign in str(error) for sign in LOST)
        raise (_alone_now() if told or lost else error) from error
    finally:
        try:
            # What holds the group in a circle (a sharded model does) would else go when Python has ended,
            # and the group's threads may not touch it any more: once in some fifty runs a process died of it.
            gc.collect()
            if dist.is_initialized():
                dist.destroy_process_group()
        finally:  # and not before: who is told while it takes its leave has its sentence to say, too
            signal.signal(signal.SIGTERM, before)


def _alone_now() -> ReaderError:
    return ReaderError(
        "Another process of this training has ended, so this one ends, too: go on from the last "
        "checkpoint with --resume."
    )


def mesh_of(config: TrainingConfig, device: str) -> DeviceMesh:
    """All processes as (replicas, shards). Raises ReaderError where they do not divide."""
    n = count()
    if n % config.replicas:
        raise ReaderError(f"replicas is {config.replicas}, which does not divide the {n} processes.")
    if config.batch_size % (n * config.accumulate):
        raise ReaderError(
            f"batch_size {config.batch_size} is no multiple of {n} processes times accumulate "
            f"{config.accumulate}: choose one that is."
        )
    shape = (config.replicas, n // config.replicas)
    return init_device_mesh(torch.device(device).type, shape, mesh_dim_names=("replicas", "shards"))


def spread(model: nn.Module, config: TrainingConfig, device: str, initialise: Recorded | None = None):
    """Shards a model over all processes, block by block where it has blocks; the same model comes back.

    A model that was made on the meta device gets its weights afterwards, one at a time: `initialise`.
    """
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

    mesh = mesh_of(config, device)
    half = torch.bfloat16 if config.precision == "bfloat16" and device.startswith("cuda") else None
    policy = MixedPrecisionPolicy(param_dtype=half, reduce_dtype=torch.float32 if half else None)
    for block in getattr(getattr(model, "transformer", None), "blocks", ()):
        fully_shard(block, mesh=mesh, mp_policy=policy)
    scalars = {parameter for parameter in model.parameters() if parameter.dim() == 0}
    fully_shard(model, mesh=mesh, mp_policy=policy, ignored_params=scalars)
    for parameter in scalars:  # CLIP's scale: too small to split, so each process keeps it
        parameter.register_post_accumulate_grad_hook(_mean_gradient)
    for method in ("loss", "embed_pictures"):
        if hasattr(model, method):
            register_fsdp_forward_method(model, method)
    if initialise is not None:
        model.to_empty(device=device)
        initialise.replay(model)
    return model


def _mean_gradient(parameter: Tensor) -> None:
    dist.all_reduce(parameter.grad)
    parameter.grad /= count()


class Recorded(TorchDispatchMode):
    """Notes how the weights of a model on the meta device would be initialised, and does it later, one weight
    at a time, so that no process ever holds the whole model.

    Every operation is repeated in its order, also those whose result is written over: the random numbers are
    those of a model that is made at once.
    """

    FILLS = ("aten.normal_", "aten.uniform_", "aten.zero_", "aten.fill_")

    def __init__(self):
        super().__init__()
        self.steps: list[tuple] = []

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        named = named or {}
        if str(function).startswith(self.FILLS):
            self.steps.append((function, arguments[0], arguments[1:], named))
        return function(*arguments, **named)

    def name(self, model: nn.Module) -> None:
        """Puts names in place of the tensors, which sharding will replace. Raises ReaderError where a weight
        is not initialised by one of FILLS."""
        names = {id(tensor): name for name, tensor in model.named_parameters()}
        filled = {names.get(id(target)) for _, target, _, _ in self.steps}
        missing = set(names.values()) - filled
        if missing:
            raise ReaderError(f"It is not known how {sorted(missing)[0]} is initialised.")
        self.steps = [
            (function, names.get(id(target)), tuple(target.shape), target.dtype, rest, named)
            for function, target, rest, named in self.steps
        ]

    @torch.no_grad()
    def replay(self, model: nn.Module) -> None:
        """Fills the weights of the sharded `model` with PyTorch's random numbers of the processor."""
        parameters = dict(model.named_parameters())
        last = {name: index for index, (_, name, *_) in enumerate(self.steps)}
        for index, (function, name, shape, dtype, rest, named) in enumerate(self.steps):
            whole = function(torch.empty(shape, dtype=dtype), *rest, **named)
            if name is not None and last[name] == index:
                _copy(parameters[name], whole)


def _copy(parameter: Tensor, whole: Tensor) -> None:
    from torch.distributed.tensor import DTensor, distribute_tensor

    if isinstance(parameter, DTensor):
        whole = whole.to(parameter.device)
        parameter.copy_(
            distribute_tensor(whole, parameter.device_mesh, parameter.placements, src_data_rank=None)
        )
    else:
        parameter.copy_(whole)


def shared_loss(stage: Stage, config: TrainingConfig) -> Callable:
    """The loss of a stage as `train` wants it, of this process's slice of a batch, piece by piece.

    Returns a function that gives one function for each piece, which computes its parts; the mean over pieces
    and processes is that of the whole batch.
    """

    def loss(model: nn.Module, batch: object, step: int, generator: torch.Generator):
        whole = stage.see(batch, step, generator)
        if not stage.splits:
            return [partial(stage.compute, model, whole, step, generator)]
        size = len(whole[0]) // (config.accumulate * (1 if stage.own else count()))
        first = rank() * config.accumulate
        if stage.noise:
            _pass_over(first * stage.noise(size), generator, first)

        def compute(piece: int) -> Mapping[str, Tensor]:
            own = tuple(tensor[piece * size : (piece + 1) * size] for tensor in whole)
            parts = stage.compute(model, own, step, generator)
            return parts if stage.weigh is None else stage.weigh(parts, whole, own)

        before = 0 if stage.own else first
        return [partial(compute, before + piece) for piece in range(config.accumulate)]

    return loss


def _pass_over(numbers: int, generator: torch.Generator, first: int) -> None:
    """Brings `generator` to where the pieces before the `first` of this process leave it, which draw so many
    numbers. On a processor that is exact; a GPU's numbers depend on how it shares out its work, so there each
    process goes on with a seed of its own."""
    if generator.device.type == "cpu":
        for begin in range(0, numbers, SOME):
            torch.rand(min(SOME, numbers - begin), dtype=torch.float64, generator=generator)
    elif first:
        seeds = torch.randint(2**62, (first,), device=generator.device, generator=generator)
        generator.manual_seed(int(seeds[-1]))
