"""Which words training showed a model: so that it can say which word of a prompt it never met (chapter 11).

A model folder keeps them in `words.json`: each word with the shortest caption that it stood in.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from pathlib import Path

from dalle_edu.errors import ReaderError, first_line
from dalle_edu.files import write_text

FILE = "words.json"


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case, in their order; signs are none."""
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).lower())


class KnownWords:
    """`shortest`: each known word -> the shortest caption of the training that holds it."""

    def __init__(self, shortest: Mapping[str, str]):
        self.shortest = dict(shortest)

    @classmethod
    def of(cls, captions: Iterable[str]) -> KnownWords:
        """Those of training captions; of two captions equally short the first in the alphabet."""
        shortest: dict[str, str] = {}
        for caption in sorted(set(captions), key=lambda text: (len(text), text)):
            for word in words_of(caption):
                shortest.setdefault(word, caption)
        return cls(dict(sorted(shortest.items())))

    @classmethod
    def load(cls, folder: Path) -> KnownWords | None:
        """Those of a model folder; None where it keeps none. Raises ReaderError for a damaged file."""
        path = Path(folder) / FILE
        if not path.is_file():
            return None
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            return cls({str(word): str(caption) for word, caption in stored.items()})
        except (ValueError, AttributeError, RecursionError) as error:
            raise ReaderError(
                f"{path} is damaged ({first_line(error)}): copy the model's folder again."
            ) from None

    def save(self, folder: Path) -> None:
        """Writes the file into a model folder, whole or not at all."""
        write_text(Path(folder) / FILE, json.dumps(self.shortest, ensure_ascii=False, indent=0) + "\n")

    def unknown(self, prompt: str) -> list[str]:
        """The words of a prompt that no training caption held, each once, in their order."""
        return [word for word in dict.fromkeys(words_of(prompt)) if word not in self.shortest]

    def nearest(self, prompt: str, count: int = 3) -> list[str]:
        """The captions that share most with a prompt: words spelled like its unknown ones."""
        captions = dict.fromkeys(
            self.shortest[word]
            for unknown in sorted(self.unknown(prompt), key=len, reverse=True)  # "an" says less than "appel"
            for word in sorted(self.shortest, key=lambda word: (-_alike(unknown, word), word))[:count]
        )
        return list(captions)[:count]

    def sentence(self, prompt: str) -> str:
        """What to tell whoever asks for `prompt`: "" where every word is known."""
        unknown = self.unknown(prompt)
        if not unknown:
            return ""
        named = ", ".join(map(repr, unknown))
        near = ", ".join(map(repr, self.nearest(prompt)))
        return f"Training never showed the word{'s' if len(unknown) > 1 else ''} {named}; near to it: {near}."


def _alike(one: str, other: str) -> float:
    """How alike two spellings are, from 0 to 1; the same beginning counts for more."""
    return SequenceMatcher(None, one, other).ratio() + 0.1 * (one[:2] == other[:2])
