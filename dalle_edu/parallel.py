"""A model on many devices, and with less memory on each: applied from outside, the models do not know
(chapter 14).

Sharded, each of n workers keeps 1/n of the weights, the gradients and the optimizer's moments. A block's
weights are gathered just before it computes and dropped after; gradients are summed and scattered on the way
back. With recomputation, a block's inner activations are dropped after the forward pass and computed again
when backward needs them. Both are PyTorch's own; Ramesh et al. 2021, section 2.5 and appendices D and E, had
to build theirs.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dalle_edu.dalle import Dalle
from dalle_edu.errors import ReaderError

PATIENCE = 300  # seconds until a worker that hears nothing of the others gives up


def recompute(model: Dalle) -> Dalle:
    """Makes each block forget its inner activations until backward asks for them; the same model comes back.

    Outputs and gradients stay what they were. Of a block only its input is kept, (batch, length, width), and
    a training step costs one more forward pass: four thirds of the arithmetic.
    """
    for block in model.transformer.blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    return model


def shard(model: Dalle, devices: dist.device_mesh.DeviceMesh | None = None) -> Dalle:
    """Splits all weights over the workers of `devices` (None: all there are); the same model comes back.

    Every worker must call it with equal weights, and make its optimizer afterwards. `model.loss` then wants
    each worker's own part of the batch, all of one size, and leaves in each worker's gradients its share of
    the mean over all parts. Raises ReaderError where no workers were started.
    """
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    if not dist.is_initialized():
        raise ReaderError("There are no workers to shard over: start them first (run_workers, or torchrun).")
    for block in model.transformer.blocks:
        fully_shard(block, mesh=devices)
    fully_shard(model, mesh=devices)  # what the blocks do not hold: embeddings, the last norm, logits
    register_fsdp_forward_method(model, "loss")
    return model


def whole_weights(model: nn.Module) -> dict[str, Tensor]:
    """The state of a sharded model, gathered: what one worker alone would have. All workers must call it."""
    state = model.state_dict()
    return {name: t.full_tensor() if hasattr(t, "full_tensor") else t for name, t in state.items()}


def stored_bytes(forward: Callable[[], Tensor]) -> int:
    """Bytes that `forward()` leaves stored for its backward pass, weights apart, each tensor counted once.

    Weights, which are there anyway, are told by being leaves of the graph that want a gradient.
    """
    seen: dict[int, Tensor] = {}  # kept alive here, or a freed tensor's place would be counted as the next's

    def pack(tensor: Tensor) -> Tensor:
        whole = tensor if tensor._base is None else tensor._base
        if not (whole.is_leaf and whole.requires_grad):
            seen[whole.untyped_storage().data_ptr()] = whole
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        forward()
    return sum(tensor.untyped_storage().nbytes() for tensor in seen.values())


def peak_bytes(action: Callable[[], object]) -> int:
    """The most bytes of the processor's memory that tensors take during `action()`, beyond what was there
    before, by PyTorch's own count of allocations: the same however busy the machine is."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or it tells of every GPU that is not there
    with torch.profiler.profile(profile_memory=True) as profile:
        action()
    now = most = 0
    for event in sorted(profile.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most


def start_method() -> str:
    """How a process of this machine starts without what the caller has in memory: as a copy of one that has
    done nothing but import the libraries, once; on Windows, which cannot copy a process, from nothing."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return "spawn"
    multiprocessing.set_forkserver_preload(["dalle_edu.train.several", "dalle_edu.train.run"])
    return "forkserver"


def run_workers(function: Callable, count: int, *arguments) -> list:
    """`function(*arguments)` on `count` processes of this machine that can talk to each other, on the CPU.

    Returns what each returned, in the order of ranks. `function` must be importable from a module, as the
    processes start afresh. Raises ReaderError for a count below 1; an error of one worker ends them all.
    """
    if count < 1:
        raise ReaderError(f"There must be at least one worker, not {count}.")
    with tempfile.TemporaryDirectory() as folder:
        work = (count, Path(folder), function, arguments)
        torch.multiprocessing.start_processes(_worker, work, nprocs=count, start_method=start_method())
        return [torch.load(Path(folder) / f"{rank}.pt", weights_only=True) for rank in range(count)]


def _worker(rank: int, count: int, folder: Path, function: Callable, arguments: tuple) -> None:
    torch.set_num_threads(1)  # the workers share one machine's cores
    store = dist.FileStore(str(folder / "store"), count)
    dist.init_process_group(
        "gloo", store=store, rank=rank, world_size=count, timeout=timedelta(seconds=PATIENCE)
    )
    try:
        torch.save(function(*arguments), folder / f"{rank}.pt")
    finally:
        dist.destroy_process_group()


def train_sharded(config_name: str, steps: int = 3, batch: int = 4, seed: int = 0) -> dict:
    """What a worker of a small proof does: trains one model of random tokens twice, sharded and whole.

    Sharded, each worker sees its part of the batch; whole, each sees all of it, with a model of its own.
    Returns how many weights this worker kept, of how many, and the largest difference between the two models
    after `steps` updates.
    """
    from dalle_edu.configs import read_config

    config = read_config(config_name).dalle
    rank, count = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(seed)  # equal weights everywhere
    whole, split = Dalle(config), Dalle(config)
    split.load_state_dict(whole.state_dict())
    recompute(shard(split))
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in (whole, split)]
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        text = torch.randint(config.text_vocabulary, (batch, config.text_length), generator=generator)
        image = torch.randint(config.image_vocabulary, (batch, config.picture_length), generator=generator)
        mine = slice(rank * batch // count, (rank + 1) * batch // count)
        whole.loss(text, image)["loss"].backward()
        split.loss(text[mine], image[mine])["loss"].backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    gathered = whole_weights(split)
    difference = max(float((gathered[name] - t).abs().max()) for name, t in whole.state_dict().items())
    kept = sum(p.to_local().numel() for p in split.parameters())
    return {"kept": kept, "of": sum(p.numel() for p in whole.parameters()), "difference": difference}
