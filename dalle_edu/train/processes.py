"""Which process this is, of how many, and what they say to each other; alone, all of it costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Partial, Shard

Result = TypeVar("Result")


def rank() -> int:
    """Which of the processes this is, from 0 on."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def first_only(action: Callable[[], object]) -> None:
    """`action` by the first process alone; the others wait for it."""
    if rank() == 0:
        action()
    if dist.is_initialized():
        dist.barrier()


def first_then_others(action: Callable[[], Result]) -> Result:
    """What `action` gives on this process, after the first has done it: so that what it keeps in a file is
    made once, and read by the others."""
    if rank() == 0:
        result = action()
    if dist.is_initialized():
        dist.barrier()
    return result if rank() == 0 else action()


def mean_over_processes(parts: Mapping[str, float], device: torch.device) -> dict[str, float]:
    """Each part's mean over the processes."""
    if count() == 1:
        return dict(parts)
    values = torch.tensor(list(parts.values()), dtype=torch.float64, device=device)
    dist.all_reduce(values)
    return dict(zip(parts, (values / count()).tolist(), strict=True))


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor, gathered; all processes must call it."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def of_all(tensor: Tensor) -> Tensor:
    """The tensors of all processes, equal in shape, one behind the other: (n, ...) -> (count * n, ...)."""
    if count() == 1:
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(count())]
    dist.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)


def everyone(device: torch.device) -> DeviceMesh | None:
    """All processes in a row, as PyTorch's tensors of several devices want to be told; alone, None."""
    return init_device_mesh(device.type, (count(),)) if count() > 1 else None


def of_all_with_gradient(tensor: Tensor, mesh: DeviceMesh) -> Tensor:
    """`of_all`, through which gradients come back: what all processes together have for the rows of one."""
    return DTensor.from_local(tensor, mesh, [Shard(0)], run_check=False).full_tensor(
        grad_placements=[Partial()]
    )


def any_says(yes: bool, device: torch.device) -> bool:
    """Whether one of the processes says yes."""
    if count() == 1:
        return yes
    flag = torch.tensor(int(yes), device=device)
    dist.all_reduce(flag, op=dist.ReduceOp.MAX)
    return bool(flag)
