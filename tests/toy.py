"""A very small model for the tests: all three parts trained in a second or two, once for the whole run of the
tests."""

import atexit
import functools
import io
import shutil
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from dalle_edu.train.run import train_part

TOML = """
[[data]]
kind = "scenes"
family = "attributes"
length = 40

[tokenizer]
vocabulary = 300
text_length = 16

[dvae]
image_size = 16
vocabulary = 32
patch_size = 4
groups = 1
blocks_per_group = 1
hidden = 8
decoder_input = 8
input_kernel = 3
likelihood = "mean-squared-error"
patch_codebook = true

[dvae.schedule]
temperature_start = 0.5
temperature_end = 0.0625
temperature_steps = 4
kl_weight = 0.001
kl_steps = 2

[dvae.training]
steps = 6
batch_size = 4
learning_rate = 1e-3
weight_average = 0.9
checkpoint_every = 2

[clip]
embedding = 8
width = 16
depth = 1
heads = 2
patch_size = 8
text_width = 16
text_depth = 1
text_heads = 2

[clip.training]
steps = 4
batch_size = 8
learning_rate = 1e-3
checkpoint_every = 2

[dalle]
width = 16
depth = 3
heads = 2
kernel = 3

[dalle.training]
steps = 6
batch_size = 4
learning_rate = 1e-3
warmup = 2
checkpoint_every = 2
"""


def write_config(folder: Path, name: str = "small.toml") -> Path:
    """The configuration as a file."""
    path = folder / name
    path.write_text(TOML, encoding="utf-8")
    return path


@functools.cache
def trained_folder() -> Path:
    """The folder of the trained model. Copy it before changing anything in it."""
    folder = Path(tempfile.mkdtemp(prefix="dalle-edu-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    config = write_config(folder)
    for part in ("dvae", "clip", "dalle"):
        train_part(part, config, folder / "model", progress=False)
    return folder / "model"


@functools.cache
def loaded_model():
    """The same, loaded."""
    from dalle_edu.drawing import load

    return load(trained_folder())


def shard(path, **files):
    """A tar of these files; `a_png` is named a.png."""
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.replace("_", "."))
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def noise_png(side, rng):
    """A PNG of `side` x `side` pixels of noise, which it cannot pack."""
    file = io.BytesIO()
    pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    return file.getvalue()


def png(colour="red"):
    """A PNG of 8 x 8 pixels of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(file, "PNG")
    return file.getvalue()
