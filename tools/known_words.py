"""Writes words.json into a model's folder, from the captions of its transformer's training data.

    python tools/known_words.py dalle_edu/weights/picturebook

`dalle-edu train dalle` writes it by itself; this is for models that were trained before it did.
"""

import argparse
from pathlib import Path

from dalle_edu.configs import read_config
from dalle_edu.data.mixture import mixture
from dalle_edu.data.words import KnownWords


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    config = read_config(folder / "config.toml")
    # Words do not depend on the size, and small pictures are soon drawn.
    data = mixture(config.data_for("dalle"), 16, progress=True)
    known = KnownWords.of(way for ways in data.captions for way in ways)
    known.save(folder)
    print(f"{folder}: {len(known.shortest)} words")


if __name__ == "__main__":
    main()
