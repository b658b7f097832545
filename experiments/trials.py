"""What the trials share: a model's frozen parts, data as tokens, and rows that are printed and stored."""

import json
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from dalle_edu.configs import Config, read_config
from dalle_edu.dalle import DalleConfig
from dalle_edu.data.mixture import Mixture
from dalle_edu.drawing import FOLDER
from dalle_edu.dvae import DiscreteVAE
from dalle_edu.files import load_weights
from dalle_edu.tokens import CaptionTokenizer
from dalle_edu.train.stages import tokens_of


def frozen_parts(model: str | Path) -> tuple[Config, CaptionTokenizer, DiscreteVAE]:
    """Configuration, tokenizer and dVAE of a model that the package ships, by its name, or of a folder."""
    folder = FOLDER / model if (FOLDER / model).is_dir() else Path(model)
    config = read_config(folder / "config.toml")
    vae = load_weights(DiscreteVAE(config.dvae), folder / "dvae.safetensors")
    return config, CaptionTokenizer.load(folder / "tokenizer.json"), vae


def as_tokens(
    data: Mixture, shape: DalleConfig, tokenizer: CaptionTokenizer, vae: DiscreteVAE
) -> tuple[Tensor, Tensor]:
    """A data set as text (N, text_length), each picture's first caption, and pictures (N, picture_length)."""
    return as_text([ways[0] for ways in data.captions], shape, tokenizer), tokens_of(vae, data).long()


def as_text(captions: Sequence[str], shape: DalleConfig, tokenizer: CaptionTokenizer) -> Tensor:
    """Captions as text tokens (N, text_length), cut where they are longer, empty places as padding tokens."""
    return tokenizer.encode(captions, shape.text_length, cut=True, padding=shape.text_vocabulary)


def report(row: dict, out: Path | None) -> None:
    """Prints `row` as JSON, and appends it as one line to `out`."""
    line = json.dumps(row)
    print(line, flush=True)
    if out:
        with out.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
