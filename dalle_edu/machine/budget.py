"""What one of N devices holds, computes and sends when a transformer is sharded over them (chapter 14).

    weights, gradients, moments   (4 + 4 + 8) P / N bytes, 32 bits, AdamW   (Rajbhandari et al. 2020, 3.1)
    kept for backward             depth * length * width * 2 bytes a picture, recomputed  (Chen et al. 2016)
    a step computes               4 * forward FLOPs a picture: forward, again, and backward of two
    a step sends                  6 P (N - 1) / N bytes: gathered twice, scattered once      (ibid., 7)

These are counts, not measurements: what allocators, buffers and kernels take comes on top.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dalle_edu.configs.schema import Config
from dalle_edu.errors import ReaderError, check_whole
from dalle_edu.scale import dalle_parts, training_operations

PAIRS = 250_000_000  # of the published model (Ramesh et al. 2021, section 2.3)
PRICE = 2.5  # dollars an hour of one device: a round number, in place of which --price says yours
UNITS = {"MB": 1e6, "GB": 1e9, "TB": 1e12}


@dataclass(frozen=True)
class Budget:
    """Bytes on one device, and the seconds of a step. `speed`: FLOPs a second of one device, as reached and
    not as advertised; `network`: bytes a second between devices; `pictures`: of a batch, on one device."""

    devices: int
    parameters: int
    weights: float
    gradients: float
    moments: float
    gathered: float
    kept: float
    pictures: float
    flops_a_picture: float
    computing: float
    sending: float

    @property
    def bytes(self) -> float:
        """All that is counted, on one device."""
        return self.weights + self.gradients + self.moments + self.gathered + self.kept

    @property
    def binds(self) -> str:
        """What the step waits for, if both go on at the same time."""
        return "communication" if self.sending > self.computing else "computation"


def budget(config: Config, devices: int, speed: float = 400e12, network: float = 50e9) -> Budget:
    """The budget of a configuration's transformer, its batch divided among `devices`."""
    check_whole("devices", devices, 1)
    rows = dalle_parts(config.dalle)
    parameters, forward = sum(part.parameters for part in rows), sum(part.flops for part in rows)
    shape, pictures = config.dalle, config.training_of("dalle").batch_size / devices
    blocks = sum(p.parameters for p in rows if p.name in ("DALL·E attention", "DALL·E networks"))
    return Budget(
        devices=devices,
        parameters=parameters,
        weights=4 * parameters / devices,
        gradients=4 * parameters / devices,
        moments=8 * parameters / devices,
        gathered=2 * 2 * blocks / shape.depth if devices > 1 else 0.0,  # a block at work, and the next
        kept=2 * shape.depth * shape.length * shape.width * pictures,
        pictures=pictures,
        flops_a_picture=4 * forward,
        computing=4 * forward * pictures / speed,
        sending=3 * 2 * parameters * (devices - 1) / devices / network,
    )


def bytes_of(text: str) -> float:
    """Bytes of a text such as "80GB". Raises ReaderError for what is no amount of memory."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([MGT]B)", text.strip().upper())
    if not found:
        raise ReaderError(f"--memory is {text!r}; write an amount such as 80GB.")
    return float(found[1]) * UNITS[found[2]]


def training_hours(config: Config, speed: float) -> dict[str, float]:
    """Hours of one device that reaches `speed` FLOPs a second, for each part that is trained, as long as the
    configuration says; of a recomputed transformer with the forward pass that is done twice."""
    hours = {part: operations / speed / 3600 for part, operations in training_operations(config).items()}
    if config.dalle_training is not None and config.dalle_training.recompute:
        hours["dalle"] *= 4 / 3
    return hours


def budget_table(
    config: Config, devices: int, memory: str, speed: float, network: float, price: float = PRICE
) -> str:
    """The budget as text; `speed` in TFLOPs a second of one device, `network` in GB a second, `price` in
    dollars an hour of one device."""
    if not (speed > 0 and network > 0 and price >= 0):
        raise ReaderError("--speed and --network must be above 0, and --price at least 0.")
    b, has = budget(config, devices, speed * 1e12, network * 1e9), bytes_of(memory)
    rows = {
        "weights, 32 bits": b.weights, "gradients": b.gradients, "moments of AdamW": b.moments,
        "blocks gathered, 16 bits": b.gathered, f"kept for backward, {b.pictures:g} pictures": b.kept,
        "all": b.bytes,
    }  # fmt: skip
    lines = [f"on each of {devices} devices, transformer sharded and recomputed:"]
    lines += [f"  {name:36} {size / 1e9:12,.3f} GB" for name, size in rows.items()]
    lines.append(f"  {'it fits' if b.bytes <= has else 'it does not fit'} into {memory}, by this count")
    tokens = config.dalle.length
    hours = PAIRS * b.flops_a_picture / (speed * 1e12) / 3600
    lines.append(
        f"arithmetic: {b.flops_a_picture / tokens / 1e9:,.2f} GFLOPs a token, {tokens} tokens a picture"
    )
    lines.append(
        f"a step at {speed:g} TFLOPs/s and {network:g} GB/s: computing {b.computing:.4f} s, "
        f"sending {b.sending:.4f} s; {b.binds} binds"
    )
    lines.append(f"to train it, at that speed and {price:g} dollars an hour of one device:")
    costs = training_hours(config, speed * 1e12) | {"dalle, 250 million pairs once": hours}
    lines += [
        f"  {part:36} {time:12,.1f} hours {time * price:14,.0f} dollars" for part, time in costs.items()
    ]
    return "\n".join(lines)
