"""The one training loop of the book: AdamW, warm-up and cosine, optional weight average, checkpoints that
resume exactly.

    w  <-  w - rate(step) * (m / (sqrt(v) + 1e-8) + weight_decay * w)

Loshchilov & Hutter 2019 (AdamW); Ramesh et al. 2021, appendices A.2 and B.2, for what DALL·E used.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from dalle_edu.data.stream import ShardStream, gathered
from dalle_edu.errors import ReaderError
from dalle_edu.files import (  # noqa: F401 (who trains also loads, and the chapters import both from here)
    append_history,
    load_weights,
    read_history,
    read_tensors,
    replacing,
    write_tensors,
    write_text,
)
from dalle_edu.train.checkpoint import Rule, read_about, read_checkpoint, state_of, write_checkpoint
from dalle_edu.train.config import TrainingConfig
from dalle_edu.train.processes import any_says, mean_over_processes, rank, whole
from dalle_edu.train.progress import Progress, Work

# A loss function gets (model, batch, step, generator) and returns its parts by name; the part "loss" is
# minimised.
# Where a batch is worked off in pieces, it returns a function for each, which gives the parts.
LossFunction = Callable[
    [nn.Module, object, int, torch.Generator], Mapping[str, Tensor] | Sequence[Callable[[], Mapping]]
]
# A batch is a pure function of (step, generator), which is what makes an interrupted run go on exactly.
BatchFunction = Callable[[int, torch.Generator], object]


def cosine(step: int, start: float, end: float, steps: int) -> float:
    """The cosine schedule of A.2: `start` at step 0, `end` from `steps` on, level at both ends."""
    progress = min(step / steps, 1.0) if steps > 0 else 1.0
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * progress))


def learning_rate(step: int, config: TrainingConfig) -> float:
    """The learning rate of step `step`, counted from 0: a straight line up, then a cosine down."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    after = config.steps - config.warmup
    return cosine(step - config.warmup, config.learning_rate, config.final_learning_rate, after)


def step_generator(seed: int, step: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for one step alone: a run that is resumed at step s draws what an unbroken run draws. It
    draws on `device`, as tensors there can take numbers from no other; two kinds of device draw different
    ones."""
    return torch.Generator(device).manual_seed(seed * 1_000_003 + step)


def optimizers_for(model: nn.Module, config: TrainingConfig) -> list[torch.optim.Optimizer]:
    """AdamW with decay on matrices and kernels only: shrinking a bias or a norm's gain has no use. With
    "muon", the matrices of the blocks go to Muon instead, whose updates are scaled to the size of AdamW's, so
    that both share a learning rate."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in named if config.optimizer == "muon" and "blocks." in name and p.dim() == 2]
    taken = {id(p) for p in matrices}
    parameters = [p for _, p in named if id(p) not in taken]
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizers = [
        torch.optim.AdamW(
            groups, lr=config.learning_rate, betas=(config.beta_1, config.beta_2), eps=1e-8, fused=True
        )
    ]
    if matrices:
        optimizers.append(
            torch.optim.Muon(
                matrices,
                lr=config.learning_rate,
                weight_decay=config.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return optimizers


class Run:
    """A model in training: its optimizer, its averaged weights, the step it is at, the stream of shards that
    it reads from, if there is one, and how to store and restore all of them."""

    def __init__(
        self,
        model: nn.Module,
        config: TrainingConfig,
        description: Mapping | None = None,
        stream: ShardStream | None = None,
    ):
        self.model, self.stream = model, stream
        self._saving: Callable[[], None] | None = None  # what waits for the checkpoint that is being written
        self._saved: tuple[Path, int] | None = None  # where the last one is, and of which step
        self.config = config
        self.description = json.loads(
            json.dumps(description or {})
        )  # what a checkpoint must agree with to be resumed
        self.optimizers = optimizers_for(model, config)
        self.average = (
            {n: p.detach().clone() for n, p in model.named_parameters()} if config.weight_average else {}
        )
        self.step = 0
        self.seconds = 0.0

    def update(self, batch, loss_function: LossFunction) -> dict[str, float]:
        """One update: loss, gradient, clipping, AdamW, average. Returns the loss's parts as numbers.

        Raises ReaderError for a loss or a gradient that is no finite number, with the weights as they were
        before.
        """
        config = self.config
        rate = learning_rate(self.step, config)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        device = next(self.model.parameters()).device
        autocast = torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16")
        self.model.zero_grad(set_to_none=True)
        with autocast:
            # Its own stream of randomness, apart from the batch's, so that drawing a batch differently leaves
            # it alone.
            generator = step_generator(config.seed + 1, self.step, device)
            found = loss_function(self.model, batch, self.step, generator)
        pieces = [lambda: found] if isinstance(found, Mapping) else found
        sums: dict[str, float] = {}
        for piece in pieces:
            with autocast:
                parts = piece()
            (parts["loss"] / len(pieces)).backward()
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / len(pieces)
        parts = mean_over_processes(sums, device)
        if not math.isfinite(parts["loss"]):
            raise ReaderError(f"The loss became {parts['loss']} at step {self.step}: {_remedy(batch)}")
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if not math.isfinite(length := float(whole(norm))):
            raise ReaderError(f"The gradient became {length} at step {self.step}: {_remedy(batch)}")
        if config.gradient_clip:
            nn.utils.clip_grads_with_norm_(self.model.parameters(), config.gradient_clip, norm)
        for optimizer in self.optimizers:
            optimizer.step()
        if self.average:
            # A young average trusts new weights more: with a fixed decay it would remember the random start
            # for long.
            decay = min(config.weight_average, (1 + self.step) / (10 + self.step))
            now = dict(self.model.named_parameters())
            move = get_ema_multi_avg_fn(decay)
            move([self.average[name] for name in now], list(now.values()), self.step)
        self.step += 1
        return parts

    def weights(self) -> dict[str, Tensor]:
        """The state to keep, whole: the averaged weights where there is an average, else the weights
        themselves. Of several processes, all must call it, and the first gets it, the others nothing."""
        state = {name: tensor.detach() for name, tensor in self.model.state_dict().items()} | self.average
        each = ((name, whole(tensor)) for name, tensor in state.items())
        return {name: tensor.clone() for name, tensor in each if rank() == 0}

    def save(self, folder: Path) -> None:
        """Writes a checkpoint into `folder`; whatever interrupts it, the checkpoint before it stays whole.
        Where the configuration says `asynchronous`, the files are written while training goes on. What lies
        there already is left as it is: to be written again, it would have to go first."""
        if (folder, self.step) == self._saved:
            return
        about = {
            "step": self.step,
            "seconds": self.seconds,
            "training": dataclasses.asdict(self.config),
            "description": self.description,
        }
        if self.stream is not None:
            about["stream"] = gathered(self.stream.state_dict())
        self.finish_saving()
        state = state_of(self.model, self.optimizers, self.average)
        rule = Rule(self.config.keep_last, self.config.keep_every)
        self._saving = write_checkpoint(folder, state, about, rule, self.config.asynchronous)
        self._saved = folder, self.step
        if not self.config.asynchronous:
            self.finish_saving()

    def finish_saving(self) -> None:
        """Waits for a checkpoint that is still being written. All processes call it."""
        saving, self._saving = self._saving, None
        if saving is not None:
            saving()

    def restore(self, folder: Path) -> None:
        """Goes back to the checkpoint in `folder`.

        Raises ReaderError where there is none, where it is cut short, and where it is of another
        configuration, model or data: it says which.
        """
        about = read_about(folder / "checkpoint.json")
        # What an older version did not know yet is as it is without being asked for.
        fields = dataclasses.fields(self.config)
        unsaid = {one.name: one.default for one in fields if one.default is not dataclasses.MISSING}
        theirs = {"training": unsaid | about["training"], **about["description"]}
        ours = {"training": dataclasses.asdict(self.config), **self.description}
        if differs := _difference(theirs, ours):
            raise ReaderError(
                f"The checkpoint in {folder} is of another configuration ({differs}): resume it with the "
                "configuration it was started with, or choose another --out."
            )
        if self.stream is not None and about["stream"] is not None:
            self.stream.load_state_dict(about["stream"])
        read_checkpoint(folder / about["file"], self.model, self.optimizers, self.average)
        self.step, self.seconds = about["step"], about["seconds"]
        self._saved = folder, self.step


def _remedy(batch: object) -> str:
    """What to do about numbers that are none: they may have been in the batch already."""
    tensors = batch if isinstance(batch, list | tuple) else [batch]
    if any(isinstance(t, Tensor) and t.is_floating_point() and not t.isfinite().all() for t in tensors):
        return "its batch holds numbers that are none (NaN or infinity), so look at the pictures."
    return "try a lower learning_rate, or gradient_clip."


def _difference(theirs: Mapping, ours: Mapping) -> str:
    """Where two descriptions of a run differ, in words; empty where they agree."""
    # How often to save, and what to keep, may change between two sittings.
    ignored = {"checkpoint_every", "asynchronous", "keep_last", "keep_every"}
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        was, now = theirs.get(name), ours.get(name)
        if was == now or name in ignored:
            continue
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            if inner := _difference(was, now):
                return inner if name == "training" else f"of the {name}, {inner}"
            continue
        return f"{name} was {was}, is {now}"
    return ""


def train(
    run: Run,
    batch: BatchFunction,
    loss_function: LossFunction,
    out: Path | None = None,
    progress: bool = True,
    until: int | None = None,
    work: Work | None = None,
) -> list[dict[str, float]]:
    """Trains `run` up to step `until` (default: to the end); returns the loss's parts, a dict a step.

    With `out`, a checkpoint and `history.jsonl` are written there every `checkpoint_every` steps, at the end,
    and on Ctrl-C, which waits for the step in hand and then raises KeyboardInterrupt. After any other error
    the last checkpoint stays. `work`: what a picture takes, for the progress to say.
    """
    config, history, pending = run.config, [], []
    if out is not None and (out / "history.jsonl").exists():
        read_history(out / "history.jsonl")  # a damaged one is told now, and not at the next checkpoint
    last = min(config.steps, until if until is not None else config.steps)
    run.model.train()
    started = time.perf_counter()

    def store():
        nonlocal started
        now = time.perf_counter()
        run.seconds, started = run.seconds + now - started, now
        if out is not None:
            if rank() == 0:
                append_history(out / "history.jsonl", pending)
            pending.clear()
            run.save(out)

    device = next(run.model.parameters()).device
    bar = Progress(config, run.step, work, device, progress)
    with bar, vanishing_is_zero(), interrupts_wait() as interrupted:
        while run.step < last and not any_says(interrupted(), device):
            step = run.step
            parts = run.update(batch(step, step_generator(config.seed, step)), loss_function)
            history.append({"step": step, **parts})
            pending.append(history[-1])
            bar.update(parts["loss"])
            if run.step % config.checkpoint_every == 0 and run.step < last:
                store()
        store()
        run.finish_saving()
    if interrupted():
        raise KeyboardInterrupt
    run.model.eval()
    return history


@contextlib.contextmanager
def vanishing_is_zero():
    """A context in which numbers below 1e-38 are 0. A cool softmax makes millions of them, each of which
    takes a processor far longer than 0 does; elsewhere they stay what they are."""
    least = float.fromhex("0x1p-1074")
    before = least * 1.0 == 0.0  # PyTorch does not say how it is set
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@contextlib.contextmanager
def interrupts_wait():
    """A context in which Ctrl-C is noted instead of raised; it gives a function that says whether one came.

    An update that is torn in the middle leaves weights of two steps. A second Ctrl-C is raised at once.
    """
    came: list[int] = []

    def note(number, frame):
        if came:
            raise KeyboardInterrupt
        came.append(number)

    # Python lets only the main thread handle signals; and who started us deaf to Ctrl-C (nohup) wants us to
    # stay so.
    here = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) != signal.SIG_IGN
    )
    before = signal.signal(signal.SIGINT, note) if here else None
    try:
        yield lambda: bool(came)
    finally:
        if here:
            signal.signal(signal.SIGINT, before)
