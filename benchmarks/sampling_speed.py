"""How long one sample takes: without and with the cache, more at once, in 32 and 16 bits (chapter 11).

    python benchmarks/sampling_speed.py [--out experiments/11-sampling-speed.json]

Seconds of processor time on one thread, so that other programs do not count; the better of two runs.
"everything again" is timed with one sample only: its time for one sample does not fall.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import torch

import dalle_edu
from dalle_edu.sampling import sample_tokens, sample_tokens_plain


def seconds(run, repeats: int = 2) -> float:
    """The least processor time that `run` took."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times)


def processor() -> str:
    """What the system calls its processor."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("experiments/11-sampling-speed.json"))
    out = parser.parse_args().out
    torch.set_num_threads(1)
    model = dalle_edu.load("picturebook")
    text = model.encode_text("a red apple")
    rows = []

    def add(how: str, samples: int, draw) -> None:
        took = seconds(draw) / samples
        rows.append({"how": how, "samples": samples, "seconds_a_sample": round(took, 4)})
        print(f"{samples:3} at a time, {how:22} {took:7.4f} s a sample", flush=True)

    add("everything again", 1, lambda: sample_tokens_plain(model.dalle, text))
    for bits in (32, 16):
        for samples in (1, 8, 64):
            how = f"with the cache, {bits} bits"

            def draw(samples=samples, bits=bits):
                with torch.autocast("cpu", torch.bfloat16, enabled=bits == 16):
                    sample_tokens(model.dalle, text, samples)

            add(how, samples, draw)
    machine = f"{processor()}, one thread, torch {torch.__version__.split('+')[0]}"
    out.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    print(f"{machine}; written to {out}")


if __name__ == "__main__":
    main()
