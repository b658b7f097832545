"""Can one core read pictures out of shards as fast as training takes them? (chapter 14)

    python benchmarks/shards.py [--pictures 256] [--sides 64 256] [--batches 30]

The pictures are JPEG files a quarter larger on each side than what the model sees, filled with smooth noise.
Read means: out of the tar, unpacked, cropped at random, in a batch. Seconds are those of the processor, so
other jobs beside it hardly count. The appetite of a device is counted, not measured: its operations a second,
as stated, over those of a picture.
"""

import argparse
import io
import tempfile
import time

import numpy as np
import torch
from PIL import Image

from dalle_edu.configs import read_config
from dalle_edu.data.readers import PictureReader, TokenReader
from dalle_edu.data.shards import write_samples
from dalle_edu.data.stream import ShardStream
from dalle_edu.machine.processor import machine
from dalle_edu.train.run import work_of

CONFIGS = ("picturebook", "medium-100m", "large-1300m", "paper-12b")


def jpeg(side: int, random: np.random.Generator) -> bytes:
    """Smooth noise as a JPEG of about as many bytes as a photograph of its size."""
    coarse = Image.fromarray(random.integers(0, 256, (side // 4, side // 4, 3), dtype=np.uint8))
    file = io.BytesIO()
    coarse.resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG", quality=85)
    return file.getvalue()


def npy(grid: tuple[int, int], vocabulary: int, random: np.random.Generator) -> bytes:
    """Random tokens as `dalle-edu shards make --tokens` writes them."""
    file = io.BytesIO()
    np.save(file, random.integers(0, vocabulary, grid, dtype=np.uint16))
    return file.getvalue()


def samples_a_second(files: list[dict[str, bytes]], read, batches: int) -> float:
    """Samples that a core reads in a second of its time, in batches of 16; the first two are not counted."""
    with tempfile.TemporaryDirectory() as folder:
        write_samples(iter(files), folder, per_shard=max(1, len(files) // 4))
        stream = ShardStream(f"{folder}/*.tar", read, 16, buffer=64, lanes=4, threads=1)
        for step in range(2):
            stream.batch(step)
        start = time.process_time()
        for step in range(2, 2 + batches):
            stream.batch(step)
        seconds = time.process_time() - start
        stream.close()
    return 16 * batches / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--batches", type=int, default=30)
    parser.add_argument("--tflops", type=float, default=400.0, help="of one device, as it reaches them")
    a = parser.parse_args()
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    print(machine())
    print(f"{'read by one core':34} {'kB each':>9} {'samples/s':>11}")
    for side in a.sides:
        files = [{"jpg": jpeg(side * 5 // 4, random), "txt": b"a red apple"} for _ in range(a.pictures)]
        rate = samples_a_second(files, PictureReader(side, "dalle"), a.batches)
        size = sum(len(file["jpg"]) for file in files) / len(files) / 1000
        print(f"{f'pictures, {side} x {side}':34} {size:9.1f} {rate:11,.0f}")
    for name in CONFIGS[1::2]:
        shape = read_config(name).dalle
        files = [
            {"tokens.npy": npy(shape.grid, shape.image_vocabulary, random), "txt": b"a red apple"}
            for _ in range(a.pictures)
        ]
        rate = samples_a_second(files, TokenReader(shape.grid, shape.image_vocabulary), a.batches)
        label = f"tokens, {shape.grid[0]} x {shape.grid[1]}"
        print(f"{label:34} {len(files[0]['tokens.npy']) / 1000:9.1f} {rate:11,.0f}")
    taken = f"taken by a device of {a.tflops:g} TFLOPs/s"
    print(f"\n{taken:34} {'dvae':>9} {'clip':>11} {'dalle':>9} pictures/s")
    for name in CONFIGS:
        config = read_config(name)
        takes = [a.tflops * 1e12 / work_of(part, config).operations for part in ("dvae", "clip", "dalle")]
        print(f"{name:34} {takes[0]:9,.0f} {takes[1]:11,.0f} {takes[2]:9,.0f}")


if __name__ == "__main__":
    main()
