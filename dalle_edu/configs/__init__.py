"""Configurations: one small TOML a trained model, read into the dataclasses of its parts.

A file has the sections [data], [tokenizer], [dvae], [clip], [dalle], and for each model [dvae.training] and
so on; what a section may hold is what the dataclass of the same name holds.
"""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path

from dalle_edu.dalle import DalleConfig
from dalle_edu.dvae import DiscreteVAEConfig
from dalle_edu.errors import ReaderError, unknown_name
from dalle_edu.train.loop import TrainingConfig

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class ClipConfig:
    """Shape of a small CLIP, handed to open_clip: two transformers with a shared embedding."""

    embedding: int
    width: int
    depth: int
    heads: int
    patch_size: int
    image_size: int
    text_width: int
    text_depth: int
    text_heads: int
    text_length: int


@dataclass(frozen=True)
class TokenizerConfig:
    """How many word pieces there may be, and how many of them a caption."""

    vocabulary: int
    text_length: int


@dataclass(frozen=True)
class Schedule:
    """The dVAE's two annealed dials (A.2): temperature along a cosine, KL weight along a cosine from zero."""

    temperature_start: float = 1.0
    temperature_end: float = 1 / 16
    temperature_steps: int = 150_000
    kl_weight: float = 6.6
    kl_steps: int = 5_000


@dataclass(frozen=True)
class Config:
    """One model, whole: what it is trained on, its parts, and how each is trained.

    The dVAE looks at squares of `crop` pixels (0: whole pictures), and, `varied`, at squares of any
    alignment, mirrored and scaled (`vary.py`). CLIP looks at pictures moved by up to `shift` pixels, the
    share `together` of a batch from one source, with `spoilt` copies as wrong answers
    (`wrong_answers.py`). With `appearance` the transformer learns a code's embedding from what the code
    looks like (`appearance.py`), and it sees up to the share `noise` of a picture's tokens wrongly
    (`with_noise`); the share `caption_dropout` of pictures comes without its caption, for guidance
    (`without_some_captions`). Where there are [[dalle.data]], it is trained on them instead of [[data]],
    and so for [[clip.data]].
    """

    name: str
    data: tuple[dict, ...]
    tokenizer_vocabulary: int
    dvae: DiscreteVAEConfig
    dalle: DalleConfig
    clip: ClipConfig | None = None
    schedule: Schedule = field(default_factory=Schedule)
    crop: int = 0
    varied: bool = False
    shift: int = 0
    together: float = 0.0
    spoilt: bool = False
    appearance: bool = False
    noise: float = 0.0
    caption_dropout: float = 0.0
    clip_data: tuple[dict, ...] = ()
    dalle_data: tuple[dict, ...] = ()
    dvae_training: TrainingConfig | None = None
    dvae_decoder_training: TrainingConfig | None = None
    dalle_training: TrainingConfig | None = None
    clip_training: TrainingConfig | None = None

    def data_for(self, part: str) -> tuple[dict, ...]:
        """The pictures that "dvae", "decoder", "clip" or "dalle" is trained on."""
        return {"clip": self.clip_data, "dalle": self.dalle_data}.get(part) or self.data


def config_names() -> list[str]:
    """Names of the configurations that the package ships."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_config(name: str | Path) -> Config:
    """Reads a configuration by its name in the package, or from a TOML file.

    Raises ReaderError for a name that is not known, a file that is no TOML, and fields that do not exist.
    """
    path = Path(name)
    if path.suffix != ".toml":
        if str(name) not in config_names():
            raise unknown_name("configuration", str(name), config_names())
        path = FOLDER / f"{name}.toml"
    elif not path.is_file() and (FOLDER / path.name).is_file():
        path = FOLDER / path.name
    if not path.is_file():
        raise ReaderError(
            f"There is no configuration file {path}; the package has: {', '.join(config_names())}."
        )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ReaderError(f"{path} is no TOML file: {error}.") from error
    return _config(table, path)


SECTIONS = ("data", "tokenizer", "dvae", "clip", "dalle")


def _config(table: dict, path: Path) -> Config:
    for section, values in table.items():
        if section not in SECTIONS:
            raise ReaderError(f"{path} has a section [{section}]; the known ones are {', '.join(SECTIONS)}.")
        if not isinstance(values, list if section == "data" else dict):
            raise ReaderError(
                f"{path}: write [[data]] for each source of pictures, and [{section}] for the other sections."
            )
    dvae, dalle, clip = (dict(table.get(part, {})) for part in ("dvae", "dalle", "clip"))
    trainings = {
        f"{part}_training": t.pop("training", None)
        for part, t in (("dvae", dvae), ("dalle", dalle), ("clip", clip))
    }
    decoder = dvae.pop("decoder", {})
    trainings["dvae_decoder_training"] = decoder.pop("training", None)
    if decoder:
        raise ReaderError(
            f"{path}: [dvae.decoder] holds only [dvae.decoder.training]; "
            f"write {next(iter(decoder))} in [dvae]."
        )
    schedule, crop, varied = dvae.pop("schedule", {}), dvae.pop("crop", 0), dvae.pop("varied", False)
    shift, together, spoilt = clip.pop("shift", 0), clip.pop("together", 0.0), clip.pop("spoilt", False)
    appearance, noise = dalle.pop("appearance", False), dalle.pop("noise", 0.0)
    caption_dropout = dalle.pop("caption_dropout", 0.0)
    clip_data, dalle_data = clip.pop("data", []), dalle.pop("data", [])
    tokenizer = dict(table.get("tokenizer", {}))
    _dataclass(TokenizerConfig, "tokenizer", tokenizer, path)
    read = lambda kind, section, values: _dataclass(kind, section, values, path)  # noqa: E731
    dvae_config = read(DiscreteVAEConfig, "dvae", dvae)
    if not isinstance(crop, int) or crop < 0 or crop % dvae_config.downsampling:
        raise ReaderError(
            f"{path}: crop is {crop!r}; it must be a multiple of {dvae_config.downsampling} pixels (0: none)."
        )
    if not isinstance(shift, int) or not 0 <= shift < dvae_config.image_size:
        raise ReaderError(
            f"{path}: shift is {shift!r}; it must be a number of pixels below {dvae_config.image_size} "
            "(0: none)."
        )
    for part, sources in (("clip", clip_data), ("dalle", dalle_data)):
        if not isinstance(sources, list):
            raise ReaderError(f"{path}: write [[{part}.data]] for each of its sources of pictures.")
    for name, value in (("appearance", appearance), ("spoilt", spoilt), ("varied", varied)):
        if not isinstance(value, bool):
            raise ReaderError(f"{path}: {name} is {value!r}; it must be true or false.")
    for name, value in (("noise", noise), ("together", together), ("caption_dropout", caption_dropout)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise ReaderError(f"{path}: {name} is {value!r}; it must be a share, from 0 to 1.")
    # What the transformer shares with the tokenizers is written once, in their sections.
    dalle = {
        "text_vocabulary": tokenizer.get("vocabulary"),
        "text_length": tokenizer.get("text_length"),
        "image_vocabulary": dvae_config.vocabulary,
        "grid": dvae_config.grid,
    } | dalle
    clip_config = None
    if clip:
        clip = {"image_size": dvae_config.image_size, "text_length": tokenizer.get("text_length")} | clip
        clip_config = read(ClipConfig, "clip", clip)
    return Config(
        name=path.stem,
        data=tuple(table.get("data", ())),
        tokenizer_vocabulary=tokenizer.get("vocabulary", 16_384),
        dvae=dvae_config,
        dalle=read(DalleConfig, "dalle", dalle),
        clip=clip_config,
        schedule=read(Schedule, "dvae.schedule", schedule),
        crop=crop,
        varied=varied,
        shift=shift,
        together=together,
        spoilt=spoilt,
        appearance=appearance,
        noise=noise,
        caption_dropout=caption_dropout,
        clip_data=tuple(clip_data),
        dalle_data=tuple(dalle_data),
        **{
            k: read(TrainingConfig, k.replace("_", "."), t) if t is not None else None
            for k, t in trainings.items()
        },
    )


MAY_BE_ZERO = ("warmup", "seed", "temperature_steps", "kl_steps")


def _dataclass(kind, section: str, values: dict, path: Path):
    known = {f.name: f for f in fields(kind)}
    for key, value in values.items():
        if key not in known:
            raise ReaderError(
                f"{path}: [{section}] has no field {key!r}; its fields are {', '.join(sorted(known))}."
            )
        type_name = known[key].type if isinstance(known[key].type, str) else known[key].type.__name__
        least = 0 if key in MAY_BE_ZERO else 1
        right = {
            "int": (
                isinstance(value, int) and not isinstance(value, bool) and value >= least,
                f"a whole number from {least} on",
            ),
            "float": (
                isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0,
                "a number from 0 on",
            ),
            "str": (isinstance(value, str), "a text in quotes"),
            "bool": (isinstance(value, bool), "true or false"),
        }
        fits, expected = right.get(type_name, (isinstance(value, (list, tuple)), "a list"))
        if not fits and value is not None:
            raise ReaderError(f"{path}: {key} in [{section}] is {value!r}; it must be {expected}.")
    missing = [
        n
        for n, f in known.items()
        if f.default is MISSING and f.default_factory is MISSING and values.get(n) is None
    ]
    if missing:
        raise ReaderError(f"{path}: [{section}] lacks {', '.join(missing)}.")
    return kind(**values)
