"""Configurations: one small TOML a trained model, found by name or path and read as a table.

This file imports no model. What the tables mean is in `schema.py`, whose names can be imported from here; how
their fields are checked, in `checked.py`.
"""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

from dalle_edu.errors import ReaderError, first_line, unknown_name

FOLDER = Path(__file__).parent
_ELSEWHERE = {
    "Config": "dalle_edu.configs.schema",
    "TokenizerConfig": "dalle_edu.configs.schema",
    "read_config": "dalle_edu.configs.schema",
    "Schedule": "dalle_edu.train.config",
    "ClipConfig": "dalle_edu.reranking",
}


def __getattr__(name: str):
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE[name]), name)


def config_names() -> list[str]:
    """Names of the configurations that the package ships."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def find_config(name: str | Path) -> Path:
    """The file of a configuration: one of the package's by its name ("toy", "toy.toml"), or a path.

    Raises ReaderError where there is none.
    """
    path = Path(name)
    shipped = FOLDER / f"{path.stem}.toml"
    if path.suffix != ".toml":
        if str(name) not in config_names():
            raise unknown_name("configuration", str(name), config_names())
        return shipped
    if path.is_file():
        return path
    if len(path.parts) == 1 and shipped.is_file():
        return shipped
    raise ReaderError(f"There is no configuration file {path}; the package has: {', '.join(config_names())}.")


def read_table(path: Path) -> dict[str, Any]:
    """A TOML file as a table. Raises ReaderError for what is none."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReaderError(f"{path} is no TOML file that can be read: {first_line(error)}.") from None
    except OSError as error:
        raise ReaderError(f"{path} cannot be read: {first_line(error)}.") from None
