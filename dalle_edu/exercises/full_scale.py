"""Checks for the exercises of chapter 14, full scale."""

import copy
import math
from functools import partial

import torch
import torch.distributed as dist
from torch.utils.checkpoint import checkpoint

from dalle_edu import parallel
from dalle_edu.dalle import Dalle, DalleConfig
from dalle_edu.exercises import close, exercise, need, need_tensor, unavailable
from dalle_edu.machine import budget
from dalle_edu.parallel import stored_bytes
from dalle_edu.scale import dalle_parts


def _generator(seed):
    return torch.Generator().manual_seed(seed)


@exercise(without=[budget.budget, dalle_parts])
def check_width(width):
    """`width(depth, memory, devices)`: the widest transformer, in 64s, whose 16 bytes a parameter leave a
    quarter of each device's memory free."""

    def widest(depth, memory, devices, bytes_each=16, share=0.75):
        return math.isqrt(int(share * memory * devices / (bytes_each * 12 * depth))) // 64 * 64

    for depth, memory, devices in ((24, 16e9, 1), (64, 16e9, 8), (64, 80e9, 8), (1, 16e9, 4)):
        found = width(depth, memory, devices)
        need(found is not None, "the result is None; does the function end in a return?")
        wanted = widest(depth, memory, devices)
        need(
            found != widest(depth, memory, devices, bytes_each=4), "that counts the weights alone: 16 bytes."
        )
        need(
            found != widest(depth, memory, devices, share=1),
            "that leaves nothing for activations, or counts one of Adam's two moments only.",
        )
        need(
            devices == 1 or found != widest(depth, memory, 1),
            "that is the width for one device; sharded, each holds 1 / devices of everything.",
        )
        need(found % 64 == 0, f"{found} is no multiple of 64; round down.")
        need(
            found == wanted,
            f"{depth} blocks, {memory / 1e9:.0f} GB, {devices} devices: it should be {wanted}, not {found}.",
        )
    return "you can say what fits before anybody pays for it."


@exercise
def check_mean(mean):
    """`mean(means, words)`: the mean over all words, of processes that have different numbers of them."""
    for means, words in (([2.0, 4.0], [30, 10]), ([1.0, 0.0, 5.0], [8, 0, 2]), ([3.0], [7])):
        found = mean(list(means), list(words))
        need(found is not None, "the result is None; does the function end in a return?")
        wanted = sum(m * w for m, w in zip(means, words, strict=True)) / sum(words)
        plain = sum(means) / len(means)
        need(
            math.isclose(plain, wanted) or not math.isclose(float(found), plain, rel_tol=1e-9),
            "that is the mean of the means: a process with few words counts as much as one with many.",
        )
        need(
            not math.isclose(float(found), wanted * sum(words), rel_tol=1e-9) or sum(words) == 1,
            "that is the sum; divide by the number of all words.",
        )
        need(
            math.isclose(float(found), wanted, rel_tol=1e-9),
            f"means {means} of {words} words: it should be {wanted:g}, not {float(found):g}.",
        )
    return "what each process adds to a sum is what it must send."


@exercise(without=[dist.reduce_scatter, dist.reduce_scatter_tensor])
def check_reduce_scatter(reduce_scatter):
    """`reduce_scatter(gradients)`, (processes, numbers) -> a list of slices of the mean, one a process."""
    for processes, numbers in ((2, 8), (3, 10), (4, 9)):
        gradients = torch.randn(processes, numbers, generator=_generator(numbers))
        size = -(-numbers // processes)
        whole = torch.cat((gradients.mean(0), torch.zeros(size * processes - numbers)))
        found = reduce_scatter(gradients.clone())
        need(found is not None, "the result is None; does the function end in a return?")
        slices = list(found)
        need(
            len(slices) == processes,
            f"there should be a slice for each of {processes} processes, not {len(slices)}.",
        )
        need(
            numbers % processes == 0 or len({len(s) for s in slices}) == 1,
            f"{numbers} numbers on {processes} processes: the slices differ in size; fill up with zeros.",
        )
        for rank, part in enumerate(slices):
            need_tensor(part, (size,), f"the slice of process {rank}")
        together = torch.cat(slices)
        need(
            not close(together, whole * processes),
            "that is the sum over processes; it should be the mean.",
        )
        need(
            not close(together[:size], gradients[0, :size]) or close(gradients[0], gradients.mean(0)),
            "each process got back its own gradient; it should be the mean over all.",
        )
        need(
            close(together, whole), "put together, the slices should be the mean gradient and zeros after it."
        )
    return "nobody keeps the whole gradient, and nothing of it is lost."


@exercise
def check_recompute(recompute):
    """`recompute(model)`: blocks 1, 3, 5, ... keep their inputs only; the model comes back."""
    torch.manual_seed(0)
    plain = Dalle(DalleConfig(20, 4, 15, (4, 4), width=16, depth=5, heads=2, kernel=3))
    text = torch.randint(20, (2, 4), generator=_generator(0))
    image = torch.randint(15, (2, 16), generator=_generator(1))

    def bytes_of(model):
        return stored_bytes(lambda: model.loss(text, image)["loss"])

    def some(chosen):
        model = copy.deepcopy(plain)
        for block in model.transformer.blocks[chosen]:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        return bytes_of(model)

    model = copy.deepcopy(plain)
    with unavailable(parallel.recompute):
        returned = recompute(model)
    need(returned is model, "the model itself should come back.")
    found, nothing = bytes_of(model), bytes_of(plain)
    need(found != nothing, "as many bytes are stored as before: is each block's forward replaced?")
    need(found != some(slice(None)), "every block is recomputed; every second should be spared.")
    need(
        found != some(slice(1, None, 2)),
        "the second, fourth, ... are recomputed; they should be the ones that are spared.",
    )
    need(
        found == some(slice(None, None, 2)),
        f"{found:,} bytes are stored; with the first, third and fifth block recomputed it should be "
        f"{some(slice(None, None, 2)):,}.",
    )
    for one in (plain, model):
        one.loss(text, image)["loss"].backward()
    same = all(close(a.grad, b.grad) for a, b in zip(plain.parameters(), model.parameters(), strict=True))
    need(same, "the gradients changed; recomputation should leave them as they are.")
    return "half of the memory back, for a sixth more arithmetic."


@exercise
def check_share(share):
    """`share(shapes, r)`: the share of the numbers of all matrices (m, n) that PowerSGD of rank r sends."""
    for shapes, r in (
        ([(64, 192), (64, 64), (256, 64)], 4),
        ([(64, 192), (8, 8)], 6),
        ([(3968, 3968)], 896),
        ([(16, 16)], 8),
    ):
        found = share(list(shapes), r)
        need(found is not None, "the result is None; does the function end in a return?")
        found = float(found)
        numbers = sum(m * n for m, n in shapes)
        wanted = sum(min(r * (m + n), m * n) for m, n in shapes) / numbers
        uncapped = sum(r * (m + n) for m, n in shapes) / numbers
        of_means = sum(min(r * (m + n), m * n) / (m * n) for m, n in shapes) / len(shapes)
        need(
            math.isclose(uncapped, wanted) or not math.isclose(found, uncapped, rel_tol=1e-9),
            "a small matrix costs more as two thin ones than as it is; it should be sent as it is.",
        )
        need(
            math.isclose(of_means, wanted) or not math.isclose(found, of_means, rel_tol=1e-9),
            "that is the mean of the matrices' shares; a large matrix should count for more.",
        )
        need(
            not math.isclose(found, 1 - wanted, rel_tol=1e-9) or math.isclose(wanted, 0.5),
            "that is the share saved; it should be the share sent.",
        )
        need(
            math.isclose(found, wanted, rel_tol=1e-9),
            f"{shapes} at rank {r}: it should be {wanted:.4f}, not {found:.4f}.",
        )
    return "thin products pay for large matrices, and only there."
