"""Shards from any pictures with captions: `dalle-edu shards make SOURCE OUT`, as pictures or as tokens.

Pictures of a folder or a table go in as the files that they are, so nothing is lost and a random crop has
something to choose from; those that are drawn (emoji, scenes) as PNG. With a dVAE's tokens in their place a
picture takes two bytes a token, and the transformer's training needs no dVAE. One picture at a time is in
memory (of tokens, one batch).
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from dalle_edu.data.folder import TABLES, FolderOfPictures
from dalle_edu.data.mixture import KINDS, parse_data
from dalle_edu.data.pictures import read_picture
from dalle_edu.data.readers import TOKENS
from dalle_edu.data.shards import png_bytes, write_samples
from dalle_edu.dvae import DiscreteVAE
from dalle_edu.errors import ReaderError, ReaderWarning, check_whole
from dalle_edu.files import load_weights, weights_digest, write_text

BATCH = 64  # pictures that a dVAE looks at together


@dataclass
class Made:
    """What `make_shards` wrote: the shards, how many samples, and what was left out, a sentence each."""

    paths: list[Path] = field(default_factory=list)
    samples: int = 0
    broken: list[str] = field(default_factory=list)


def make_shards(
    source: str,
    out: str | Path,
    per_shard: int = 1000,
    length: int = 10_000,
    size: int = 64,
    tokens: str | Path | None = None,
    split: str = "train",
) -> Made:
    """Writes the pictures of `source` with their captions as `out/pictures-000000.tar` and on.

    `source`: a folder (with a `.txt` beside each picture, or `captions.csv` or `captions.jsonl` in it), such
    a table itself, or "emoji", "scenes[:FAMILY]", "things"; of the last two, `length` pictures are drawn, and
    of all three `size` pixels wide. `tokens`: a model whose dVAE turns the pictures into tokens, which are
    written in their place, with `out/tokens.json` saying of which dVAE they are. Pictures that cannot be
    read are left out, counted and named; a folder's other mistakes raise `ReaderError`, as training would.
    """
    check_whole("per_shard", per_shard, 1), check_whole("length", length, 1)
    made, out = Made(), Path(out)
    vae, about = _dvae(tokens) if tokens is not None else (None, {})
    side = about.get("image_size", size)
    pairs = _pairs(source, length, side, split)
    samples = _files(pairs, made) if vae is None else _tokens(pairs, vae, side, made)
    made.paths = write_samples(_counted(samples, made), out, per_shard)
    if made.broken:
        warnings.warn(
            f"{len(made.broken)} pictures were left out, the first of them: {made.broken[0]}",
            ReaderWarning,
            stacklevel=2,
        )
    if not made.samples:
        raise ReaderError(f"{source} holds no picture that can be read; nothing was written.")
    if vae is not None:
        write_text(out / "tokens.json", json.dumps(about, indent=1) + "\n")
    return made


def _counted(samples: Iterable[dict], made: Made) -> Iterator[dict]:
    for sample in samples:
        made.samples += 1
        yield sample


def _pairs(source: str, length: int, size: int, split: str) -> Iterator[tuple[Path | torch.Tensor, str]]:
    """Each picture, a file or a tensor (3, size, size), with its caption."""
    kind = source.partition(":")[0]
    described = parse_data(source) if kind in KINDS and not Path(source).exists() else {"path": source}
    kind = described.get("kind", "folder")
    if kind == "shards":
        raise ReaderError("These are shards already; name a folder, a table, emoji, scenes or things.")
    if kind == "folder":
        path = described["path"]
        if Path(path).is_file() and Path(path).suffix.lower() not in TABLES:
            raise ReaderError(f"{path} is no source; expected a folder, or a table in .csv or .jsonl.")
        folder = FolderOfPictures(path, size)
        return zip(folder.files, folder.captions, strict=True)
    if kind == "emoji":
        from dalle_edu.data.emoji import EmojiPictures

        emoji = EmojiPictures(size, split)
        return (emoji[i] for i in range(len(emoji)))
    family = described.get("family", described.get("path", "all"))
    if kind == "scenes":
        from dalle_edu.data.scenes import Scenes as Drawn
    else:
        from dalle_edu.data.things import ThingScenes as Drawn
    scenes = Drawn(family, size, 0, length, split)
    return (scenes[i] for i in range(length))


def _files(pairs: Iterable, made: Made) -> Iterator[dict[str, bytes]]:
    for picture, caption in pairs:
        if isinstance(picture, torch.Tensor):
            yield {"png": png_bytes(picture), "txt": caption.encode()}
            continue
        try:
            read_picture(picture, 8)  # to its end, as training will
        except ReaderError as error:
            made.broken.append(str(error))
            continue
        yield {picture.suffix.lower().lstrip("."): picture.read_bytes(), "txt": caption.encode()}


@torch.no_grad()
def _tokens(pairs: Iterable, vae: DiscreteVAE, size: int, made: Made) -> Iterator[dict[str, bytes]]:
    images, captions = [], []
    for picture, caption in pairs:
        try:
            images.append(picture if isinstance(picture, torch.Tensor) else read_picture(picture, size))
        except ReaderError as error:
            made.broken.append(str(error))
            continue
        captions.append(caption)
        if len(images) == BATCH:
            yield from _encoded(vae, images, captions)
            images, captions = [], []
    if images:
        yield from _encoded(vae, images, captions)


def _encoded(vae: DiscreteVAE, images: list, captions: list[str]) -> Iterator[dict[str, bytes]]:
    kind = np.uint16 if vae.config.vocabulary <= 2**16 else np.int64
    for grid, caption in zip(vae.encode(torch.stack(images)).numpy(), captions, strict=True):
        file = io.BytesIO()
        np.save(file, grid.astype(kind), allow_pickle=False)
        yield {TOKENS.lstrip("."): file.getvalue(), "txt": caption.encode()}


def _dvae(model: str | Path) -> tuple[DiscreteVAE, dict]:
    """A model's dVAE, and what must be known of it to read its tokens."""
    from dalle_edu.configs import read_config
    from dalle_edu.drawing import model_folder

    folder = model_folder(model)
    config = read_config(folder / "config.toml").dvae
    vae = load_weights(DiscreteVAE(config), folder / "dvae.safetensors")
    about = {"grid": list(config.grid), "vocabulary": config.vocabulary, "image_size": config.image_size}
    return vae, about | {"dvae": weights_digest(vae, without="decoder.")}
