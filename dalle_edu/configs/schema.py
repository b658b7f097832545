"""What a configuration means: the tables of its file as the parts' frozen configurations, checked whole.

A file has the sections [data], [tokenizer], [dvae], [clip], [dalle], [drawing], and for each model
[dvae.training] and so on. What a section may hold is what the classes named in PARTS hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from dalle_edu.configs import find_config, read_table
from dalle_edu.configs.checked import Count, NotNegative, Positive, checked, whole
from dalle_edu.dalle import DalleConfig
from dalle_edu.data.sources import check_source
from dalle_edu.dvae import DiscreteVAEConfig
from dalle_edu.errors import ReaderError, brief
from dalle_edu.reranking import ClipConfig
from dalle_edu.tokens import BYTES
from dalle_edu.train.config import ClipRecipe, DalleRecipe, DvaeRecipe, Schedule, TrainingConfig

SECTIONS = ("data", "tokenizer", "dvae", "clip", "dalle", "drawing")
PARTS = {  # the shape of a part, and what its training does with pictures
    "dvae": (DiscreteVAEConfig, DvaeRecipe),
    "clip": (ClipConfig, ClipRecipe),
    "dalle": (DalleConfig, DalleRecipe),
}
TRAININGS = ("dvae", "dvae.decoder", "clip", "dalle")


@checked("tokenizer")
class TokenizerConfig:
    """How many word pieces there may be, and how many of them a caption."""

    text_length: Count
    vocabulary: whole(BYTES) = 16_384


@checked("drawing")
class DrawingConfig:
    """The dials with which this model draws where nobody says others (`dalle_edu.sampling`)."""

    temperature: Positive = 1.0
    guidance: NotNegative = 1.0


@dataclass(frozen=True)
class Config:
    """One model, whole: what it is trained on, the shapes of its parts, what their training does with the
    pictures (recipes), and how long and how fast it learns (trainings; None where a part is not trained).

    Where there are [[dalle.data]], the transformer is trained on them instead of [[data]]; so for CLIP.
    """

    name: str
    data: tuple[dict, ...]
    tokenizer: TokenizerConfig
    dvae: DiscreteVAEConfig
    dalle: DalleConfig
    clip: ClipConfig | None = None
    dvae_recipe: DvaeRecipe = field(default_factory=DvaeRecipe)
    clip_recipe: ClipRecipe = field(default_factory=ClipRecipe)
    dalle_recipe: DalleRecipe = field(default_factory=DalleRecipe)
    clip_data: tuple[dict, ...] = ()
    dalle_data: tuple[dict, ...] = ()
    dvae_training: TrainingConfig | None = None
    dvae_decoder_training: TrainingConfig | None = None
    dalle_training: TrainingConfig | None = None
    clip_training: TrainingConfig | None = None
    drawing: DrawingConfig = field(default_factory=DrawingConfig)

    def __post_init__(self):
        _sizes_fit(self)

    @property
    def tokenizer_vocabulary(self) -> int:
        """The most word pieces that the tokenizer may have."""
        return self.tokenizer.vocabulary

    @property
    def schedule(self) -> Schedule:
        """The dVAE's annealed dials."""
        return self.dvae_recipe.schedule

    def data_for(self, part: str) -> tuple[dict, ...]:
        """The pictures that "dvae", "decoder", "clip" or "dalle" is trained on."""
        return {"clip": self.clip_data, "dalle": self.dalle_data}.get(part) or self.data

    def training_of(self, part: str) -> TrainingConfig:
        """How "dvae", "decoder", "clip" or "dalle" is trained. Raises ReaderError where the file does not
        say."""
        section = "dvae.decoder" if part == "decoder" else part
        training = getattr(self, f"{section.replace('.', '_')}_training")
        if training is None or (part == "clip" and self.clip is None):
            raise ReaderError(f"The configuration {self.name} has no [{section}.training] section.")
        return training


def read_config(name: str | Path) -> Config:
    """Reads a configuration by its name in the package, or from a TOML file.

    Raises ReaderError for a name that is not known, a file that is no TOML, and the first field that does not
    exist or cannot be.
    """
    path = find_config(name)
    try:
        return _config(read_table(path), path.stem)
    except ReaderError as error:
        raise error if str(path) in str(error) else ReaderError(f"{path}: {error}") from None


def config_of(folder: Path) -> Config:
    """The configuration of a trained model's folder, with the data that it was given in place of its own."""
    config = read_config(folder / "config.toml")
    given = folder / "data.toml"
    if not given.is_file():
        return config
    sources = _sources(read_table(given).get("data", []), "data")
    return replace(config, data=sources, clip_data=(), dalle_data=())


def _config(table: dict[str, Any], name: str) -> Config:
    for section, values in table.items():
        if section not in SECTIONS:
            raise ReaderError(f"there is no section [{section}]; the known ones are {', '.join(SECTIONS)}.")
        if not isinstance(values, list if section == "data" else dict):
            raise ReaderError(
                f"write [[data]] for each source of pictures, and [{section}] for the other sections."
            )
    sections = {part: dict(table.get(part, {})) for part in PARTS}
    trainings = {f"{part.replace('.', '_')}_training": _training(sections, part) for part in TRAININGS}
    data = {part: _sources(sections[part].pop("data", []), f"{part}.data") for part in ("clip", "dalle")}
    if "schedule" in sections["dvae"]:
        schedule = sections["dvae"]["schedule"]
        if not isinstance(schedule, dict):
            raise ReaderError("write [dvae.schedule] above the fields of the schedule.")
        sections["dvae"]["schedule"] = Schedule(**schedule)
    tokenizer = TokenizerConfig(**table.get("tokenizer", {}))
    dvae, dvae_recipe = _part("dvae", sections["dvae"])
    # What the parts share is written once, in the sections of the tokenizer and the dVAE.
    shared = {"text_vocabulary": tokenizer.vocabulary, "text_length": tokenizer.text_length,
              "image_vocabulary": dvae.vocabulary, "grid": dvae.grid}  # fmt: skip
    dalle, dalle_recipe = _part("dalle", shared | sections["dalle"])
    clip, clip_recipe = None, ClipRecipe()
    if sections["clip"]:
        shared = {"image_size": dvae.image_size, "text_length": tokenizer.text_length}
        clip, clip_recipe = _part("clip", shared | sections["clip"])
    return Config(
        name, _sources(table.get("data", []), "data"), tokenizer, dvae, dalle, clip,
        dvae_recipe, clip_recipe, dalle_recipe, data["clip"], data["dalle"], **trainings,
        drawing=DrawingConfig(**table.get("drawing", {})),
    )  # fmt: skip


def _part(part: str, values: Mapping[str, Any]) -> tuple[Any, Any]:
    """The shape and the recipe of a part, from the fields of its section."""
    shape, recipe = PARTS[part]
    theirs = {one.name for one in fields(recipe)}
    known = {one.name for one in fields(shape)} | theirs
    for key in values:
        if key not in known:
            raise ReaderError(f"[{part}] has no field {key!r}; its fields are {', '.join(sorted(known))}.")
    return (
        shape(**{key: value for key, value in values.items() if key not in theirs}),
        recipe(**{key: value for key, value in values.items() if key in theirs}),
    )


def _training(sections: dict[str, dict], part: str) -> TrainingConfig | None:
    section, _, inner = part.partition(".")
    table = sections[section]
    if inner:
        table = table.pop(inner, {})
        if not isinstance(table, dict) or table.keys() - {"training"}:
            raise ReaderError(
                f"[{part}] holds only [{part}.training]; write its other fields in [{section}]."
            )
    values = table.pop("training", None)
    if values is None:
        return None
    if not isinstance(values, dict):
        raise ReaderError(f"write [{part}.training] above the fields of the training.")
    try:
        return TrainingConfig(**values)
    except ReaderError as error:
        raise ReaderError(str(error).replace("[training]", f"[{part}.training]")) from None


def _sources(sources: Any, section: str) -> tuple[dict, ...]:
    if not isinstance(sources, list) or not all(isinstance(source, dict) for source in sources):
        raise ReaderError(f"write [[{section}]] for each of its sources of pictures.")
    return tuple(dict(check_source(source)) for source in sources)


def _sizes_fit(config: Config) -> None:
    """Raises ReaderError where a size of one part does not fit to another's."""
    dvae, dalle, clip, text = config.dvae, config.dalle, config.clip, config.tokenizer
    pairs = [
        ("grid in [dalle]", dalle.grid, "the grid of the dVAE", dvae.grid),
        ("image_vocabulary in [dalle]", dalle.image_vocabulary, "vocabulary in [dvae]", dvae.vocabulary),
        ("text_length in [dalle]", dalle.text_length, "text_length in [tokenizer]", text.text_length),
        ("text_vocabulary in [dalle]", dalle.text_vocabulary, "vocabulary in [tokenizer]", text.vocabulary),
    ]
    if clip is not None:
        pairs += [
            ("image_size in [clip]", clip.image_size, "image_size in [dvae]", dvae.image_size),
            ("text_length in [clip]", clip.text_length, "text_length in [tokenizer]", text.text_length),
        ]
    for one, ours, other, theirs in pairs:
        if ours != theirs:
            raise ReaderError(
                f"{one} is {brief(ours)}, but {other} is {brief(theirs)}: leave the former out."
            )
    if config.clip_training is not None and config.clip_training.accumulate > 1:
        raise ReaderError(
            f"accumulate in [clip.training] is {config.clip_training.accumulate}, but CLIP compares all of a "
            "batch with all of it, so it cannot be worked off in pieces: leave it out, and take more "
            "processes or a smaller batch_size where memory is short."
        )
    crop, shift = config.dvae_recipe.crop, config.clip_recipe.shift
    if crop % dvae.downsampling or crop > dvae.image_size:
        raise ReaderError(
            f"crop in [dvae] is {crop}; it must be a multiple of {dvae.downsampling} pixels up to "
            f"{dvae.image_size} (0: none)."
        )
    if shift >= dvae.image_size:
        raise ReaderError(
            f"shift in [clip] is {shift}; it must be a number of pixels below {dvae.image_size} (0: none)."
        )
