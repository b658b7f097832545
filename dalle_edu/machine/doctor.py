"""What this machine is, how fast, what the book will take on it, and what to change: `dalle-edu doctor`.

Times that were measured on a named machine (`times.json`, written by benchmarks/book_times.py) are scaled by
two small pieces of the same work, measured on both: drawing, and training.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dalle_edu import __version__
from dalle_edu.configs import Config, read_config
from dalle_edu.dalle import Dalle
from dalle_edu.drawing import share_out
from dalle_edu.errors import ReaderError
from dalle_edu.machine import processor
from dalle_edu.machine.workers import cores, in_order, worker_count
from dalle_edu.sampling import sample_tokens
from dalle_edu.scale import dalle_parts, training_operations

TIMES = Path(__file__).with_name("times.json")
DRAWN, TRAINED = 64, 4  # samples and pictures of the small pieces of work


@dataclasses.dataclass(frozen=True)
class Speed:
    """What was measured here: operations a second by precision and threads, bytes a second, stream tokens a
    second while drawing and, by precision, while training the shipped sizes."""

    matrices: dict[str, dict[int, float]]
    bandwidth: float
    drawing: float
    training: dict[str, float]

    def best(self, precision: str) -> float:
        """The fastest product in `precision`, by any number of threads."""
        return max(self.matrices[precision].values())


def measure(seconds: float = 0.12) -> Speed:
    """Measures this machine, `seconds` for each product; in all about five seconds on two cores."""
    available = cores()
    counts = sorted({1, *(2**i for i in range(1, 10) if 2**i < available), available})
    precisions: dict[str, Callable[[int, float], float]] = {
        "float32": lambda count, time: processor.matrix_speed(torch.float32, count, time),
        "oneDNN": processor.onednn_speed,
        "bfloat16": lambda count, time: processor.matrix_speed(torch.bfloat16, count, time),
    }
    matrices = {name: {count: rate(count, seconds) for count in counts} for name, rate in precisions.items()}
    config = read_config("picturebook")
    training = {name: training_speed(config, name) for name in ("float32", "bfloat16")}
    return Speed(matrices, processor.bandwidth(available), drawing_speed(config), training)


def drawing_speed(config: Config) -> float:
    """Picture tokens a second, with the guidance that is the configuration's own: three rows of each of
    `DRAWN` pictures, shared out as `draw` does it."""
    model = Dalle(dataclasses.replace(config.dalle, grid=(3, config.dalle.grid[1]))).eval()
    text = torch.ones(1, config.dalle.text_length, dtype=torch.int64)
    groups = share_out(DRAWN, DRAWN, worker_count())

    def draw(indices):
        dials = {"generator": torch.Generator().manual_seed(0), "guidance": config.drawing.guidance}
        return sample_tokens(model, text, len(indices), **dials)

    sample_tokens(model, text, 2)  # warms up
    start = time.perf_counter()
    drawn = sum(tokens.numel() for tokens in in_order(draw, groups))
    return drawn / (time.perf_counter() - start)


def training_speed(config: Config, precision: str) -> float:
    """Stream tokens a second: loss and gradient of `TRAINED` pictures, as training computes them."""
    c = config.dalle
    model, generator = Dalle(c), torch.Generator().manual_seed(0)
    text = torch.randint(1, c.text_vocabulary, (TRAINED, c.text_length), generator=generator)
    image = torch.randint(c.image_vocabulary, (TRAINED, c.picture_length), generator=generator)

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = model.loss(text, image)["loss"]
        loss.backward()

    return processor.best_rate(step, TRAINED * c.length, 0.3)


def stored_times(path: Path = TIMES) -> dict[str, Any] | None:
    """The measured times of chapters and commands, or None where none are stored."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def expected(times: dict[str, Any], speed: Speed) -> dict[str, tuple[float, float]]:
    """Seconds that each chapter and command will take here, and the most MiB that it took there."""
    ratio = {
        "drawing": times["drawing"] / speed.drawing,
        "training": times["training"] / speed.training["float32"],
        "neither": times["float32"] / speed.best("float32"),
    }
    return {row["name"]: (row["seconds"] * ratio[row["scales"]], row["peak_mib"]) for row in times["rows"]}


def advice(speed: Speed, memory: int | None = None, cuda: bool = False, card: bool = False) -> list[str]:
    """What to change on this machine, in sentences; `cuda` says that PyTorch is built for GPUs of NVIDIA,
    `card` that there is one. Nothing to change: an empty list."""
    said = []
    if speed.best("bfloat16") < 1.2 * speed.best("float32"):
        said.append(
            "16 bits are not fast on this processor: in configurations for training, set precision = "
            '"float32" (picturebook asks for bfloat16).'
        )
    gain = speed.best("oneDNN") / speed.best("float32")
    if gain > 1.3 and "amx_bf16" not in processor.units():
        said.append(
            f"Matrix products in float32 are {gain:.1f} times as fast through oneDNN here: to train, call "
            'torch.set_float32_matmul_precision("medium") first. Drawing does not gain.'
        )
    by_threads = speed.matrices["float32"]
    most = max(by_threads)
    if most > 1 and by_threads[most] < 1.3 * by_threads[1]:
        said.append(
            f"{most} threads reach {by_threads[most] / by_threads[1]:.1f} times the speed of one: another "
            "program has the cores, or the machine promises more than it has. Close it, or set "
            "OMP_NUM_THREADS=1 and DALLE_EDU_WORKERS=1."
        )
    if torch.get_num_threads() > cores():
        said.append(
            f"PyTorch has {torch.get_num_threads()} threads for {cores()} cores: set "
            f"OMP_NUM_THREADS={cores()}, for threads that wait for each other are slow."
        )
    if memory is not None and memory < processor.CHAPTER_NEEDS:
        said.append(
            f"There are {memory / 2**30:.1f} GiB of memory, and the largest chapters take up to 3: close "
            "other programs before you run the book."
        )
    if cuda and not card:
        said.append(
            "This PyTorch brings gigabytes of CUDA libraries, and there is no GPU that it can use. A smaller "
            "one: pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu"
        )
    if card and not cuda:
        said.append(
            "There is an NVIDIA GPU, and this PyTorch cannot use it: install the build for CUDA that "
            "https://pytorch.org/get-started shows."
        )
    if card and cuda:
        said.append("There is a GPU: train on it with --device cuda.")
    return said


def duration(seconds: float) -> str:
    """Seconds as one reads them: "0.4 s", "25 s", "3 min", "1.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def examine(print_table: Callable[[Any], None]) -> None:
    """Measures, and hands tables and sentences to `print_table`, such as a rich console's `print`."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    def table(title: str, *columns: str, rows) -> None:
        made = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_header=any(columns))
        for i, column in enumerate(columns):
            made.add_column(column, justify="right" if i and any(columns) else "left")
        for row in rows:
            made.add_row(*(Text(cell) for cell in row))
        print_table(made)

    card = shutil.which("nvidia-smi") is not None or torch.cuda.is_available()
    memory = processor.memory()
    table("This machine", "", "", rows=_facts(memory))
    speed = measure()
    counts = sorted(speed.matrices["float32"])
    names = {"float32": "float32", "oneDNN": "float32 through oneDNN", "bfloat16": "bfloat16"}
    table(
        "Matrix products, GFLOP/s",
        "",
        *(f"{count} thread{'s' * (count > 1)}" for count in counts),
        rows=[
            (names[kind], *(f"{by_threads[count] / 1e9:,.0f}" for count in counts))
            for kind, by_threads in speed.matrices.items()
        ],
    )
    training = ", ".join(f"{rate:,.0f} in {name}" for name, rate in speed.training.items())
    table(
        "Speed of the book's own work",
        "",
        "",
        rows=[
            ("memory", f"{speed.bandwidth / 1e9:.1f} GB/s"),
            ("drawing", f"{speed.drawing:,.0f} tokens/s, {DRAWN} pictures at a time"),
            ("training", f"{training} tokens/s"),
        ],
    )
    rows = [(name, duration(took), f"{peak:,.0f}") for name, (took, peak) in _expected_here(speed).items()]
    config = read_config("picturebook")
    rate = {  # operations a second: those of a training step that was measured, by its precision
        name: tokens / config.dalle.length * 3 * sum(part.flops for part in dalle_parts(config.dalle))
        for name, tokens in speed.training.items()
    }
    for part, operations in training_operations(config).items():
        section = "dvae_decoder" if part == "decoder" else part
        precision = getattr(config, f"{section}_training").precision
        rows.append(
            (f"dalle-edu train {part} --config picturebook", duration(operations / rate[precision]), "")
        )
    table("What it takes here, about", "", "time", "MiB", rows=rows)
    for sentence in advice(speed, memory, torch.version.cuda is not None, card) or ["Nothing to change."]:
        print_table(Text(f"- {sentence}"))


def _facts(memory: int | None) -> list[tuple[str, str]]:
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none that PyTorch can use"
    return [
        ("dalle_edu", __version__),
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("PyTorch", torch.__version__),
        ("processor", processor.name()),
        ("features", ", ".join(processor.units()) or torch.backends.cpu.get_cpu_capability()),
        ("cores", f"{cores()} of {os.cpu_count()}"),
        ("threads", f"{torch.get_num_threads()} of PyTorch; {worker_count()} workers share out samples"),
        ("memory", "unknown" if memory is None else f"{memory / 2**30:.1f} GiB"),
        ("GPU", gpu),
    ]


def _expected_here(speed: Speed) -> dict[str, tuple[float, float]]:
    try:
        times = stored_times()
        return {} if times is None else expected(times, speed)
    except (ValueError, KeyError, TypeError) as error:
        raise ReaderError(
            f"{TIMES} is damaged ({error}): install dalle_edu again, or run benchmarks/book_times.py."
        ) from None
