"""A model's folder, the only place that knows what lies where in it.

config.toml  tokenizer.json  words.json       what all parts share
data.toml  dalle.data.toml                    data given in place of the configuration's; tokens of it
PART.safetensors  PART.trained.toml           a finished part, and how it was trained
training-PART/                                its checkpoint, its history, what it began with and what it
                                              computed once
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dalle_edu.configs import find_config, read_table
from dalle_edu.configs.schema import Config
from dalle_edu.data.mixture import Mixture
from dalle_edu.data.streamed import Streamed, streamed
from dalle_edu.data.words import KnownWords
from dalle_edu.errors import ReaderError, brief
from dalle_edu.files import copy_file, make_folder, write_tensors, write_text
from dalle_edu.machine.processor import machine
from dalle_edu.tokens import CaptionTokenizer

if TYPE_CHECKING:
    from torch import nn

    from dalle_edu.train.loop import Run

DATA, TOKENS_DATA = "data.toml", "dalle.data.toml"
PARTS = ("dvae", "decoder", "clip", "dalle")


class Folder:
    """The folder `out` of a model in training."""

    def __init__(self, out: Path):
        self.out = Path(out)

    def weights(self, part: str) -> Path:
        """The file of a part's weights; the decoder's are in the dVAE's."""
        return self.out / ("dvae.safetensors" if part == "decoder" else f"{part}.safetensors")

    def work(self, part: str) -> Path:
        """Where a part is trained."""
        return self.out / f"training-{part}"

    def checkpoint(self, part: str) -> Path:
        """What says which checkpoint a part goes on from."""
        return self.work(part) / "checkpoint.json"

    def trained(self, part: str) -> Path:
        """How a finished part was trained."""
        return self.out / f"{part}.trained.toml"

    def began(self, part: str) -> Path:
        """What says with which weights a part began, where these were not random."""
        return self.work(part) / "start.toml"

    def check(self, part: str, resume: bool, start: Folder | None = None) -> None:
        """Raises ReaderError where training the part cannot begin, or go on, here. What this folder lacks, it
        may have from the one that it is to `start` with."""
        checkpoint = self.checkpoint(part)
        started = self.trained(part).exists() or checkpoint.exists()
        started = started or (part != "decoder" and self.weights(part).exists())
        if not resume and started:
            raise ReaderError(
                f"{self.out} already holds a {part}: go on with --resume, or choose another --out."
            )
        if resume and not checkpoint.is_file():
            raise ReaderError(
                f"{self.out} holds no checkpoint of a {part}: start the training without --resume."
            )
        places = [folder for folder in (self, start) if folder is not None]
        if part in ("dalle", "decoder") and not any(place.weights("dvae").is_file() for place in places):
            name = {"dalle": "transformer", "decoder": "decoder"}[part]
            raise ReaderError(
                f"The {name} needs a finished dVAE: run `dalle-edu train dvae --out {self.out}` first."
            )

    def config_file(self, name: str | Path) -> Path:
        """The file that `name` means. Raises ReaderError where the folder is of another configuration."""
        source, target = find_config(name), self.out / "config.toml"
        if target.exists() and target.read_text(encoding="utf-8") != source.read_text(encoding="utf-8"):
            raise ReaderError(
                f"{target} differs from {source}: train with the former, or choose another --out."
            )
        return source

    def sources(self, config: Config, part: str, given: Sequence[dict] | None = None) -> tuple[dict, ...]:
        """What a part is trained on: the sources `given` (with --data), else those that were given to an
        earlier part, else the configuration's.

        Raises ReaderError where an earlier part was trained on others than are given. Shards of tokens stand
        for the pictures that they were made of, which the earlier parts need.
        """
        kept = self.given_sources()
        if given is None:
            tokens = self.given_sources(TOKENS_DATA) if part == "dalle" else None
            return tokens or kept or config.data_for(part)
        if _tokens_for(part, given):
            return tuple(given)
        begun = [
            one for one in PARTS if one != part and (self.work(one).exists() or self.trained(one).exists())
        ]
        if kept is None and begun and tuple(given) != config.data_for(part):
            kept = config.data_for(begun[0])
        if kept is not None and kept != tuple(given):
            raise ReaderError(
                f"What is in {self.out} was trained on other data, {brief([source_name(s) for s in kept])}: "
                "give the same --data, or none, or choose another --out."
            )
        return tuple(given)

    def given_sources(self, name: str = DATA) -> tuple[dict, ...] | None:
        """The data that was given in place of the configuration's, as `data.toml` has it; None where none
        was."""
        path = self.out / name
        return tuple(read_table(path).get("data", ())) if path.is_file() else None

    def begin(self, config: Path, part: str, given: Sequence[dict] | None) -> None:
        """Makes the folder, and keeps in it the configuration and the data given in place of its own."""
        make_folder(self.out)
        if not (self.out / "config.toml").exists():
            copy_file(config, self.out / "config.toml")
        if given is None:
            return
        path = self.out / (TOKENS_DATA if _tokens_for(part, given) else DATA)
        if not path.exists():
            tables = [
                "\n".join(["[[data]]", *(f"{k} = {json.dumps(v)}" for k, v in s.items())]) for s in given
            ]
            write_text(path, "\n\n".join(tables) + "\n")

    def tokenizer(self, config: Config, data: Mixture | Streamed) -> CaptionTokenizer:
        """The tokenizer of the folder; it is made from the first part's captions."""
        path = self.out / "tokenizer.json"
        if not path.exists():
            captions = [way for ways in data.captions for way in ways]
            CaptionTokenizer.train(captions, config.tokenizer.vocabulary).save(path)
        return CaptionTokenizer.load(path)

    def finish(self, part: str, model: nn.Module, data: Mixture | Streamed, run: Run, seen: Mapping) -> None:
        """Writes a part's weights, and beside them how they were trained, and on what (`seen`)."""
        write_tensors(self.weights(part), model.state_dict())
        if part == "dalle":
            KnownWords.of(way for ways in data.captions for way in ways).save(self.out)
        record = {"steps": run.step, "seconds": round(run.seconds), "machine": machine(), **seen}
        if (began := self.began(part)).is_file():
            record |= read_table(began)
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in record.items()]
        write_text(self.trained(part), "\n".join(lines) + "\n")


def _tokens_for(part: str, given: Sequence[dict]) -> bool:
    """Whether these are tokens for the transformer, in place of its pictures."""
    data = streamed(given) if part == "dalle" else None
    return data is not None and data.tokens is not None


def source_name(source: dict) -> str:
    """A source as --data names it: "emoji", "scenes:attributes", "folder:PATH"."""
    more = source.get("path") or source.get("family")
    return f"{source['kind']}:{more}" if more else source["kind"]
