"""Text becomes tokens: byte pair encoding, and one padding token for each position that the caption leaves
empty (chapter 6).

    stream = y_0 ... y_{m-1}, pad_m ... pad_{T-1}, z_0 ... z_{N-1}        pad_i = vocabulary + i

Sennrich, Haddow & Birch 2016 (BPE); Ramesh et al. 2021, section 2.2 (256 text tokens of 16,384; learned
padding).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from dalle_edu.errors import ReaderError
from dalle_edu.files import write_text

BYTES = 256  # every text is bytes, so a vocabulary that holds all of them can spell any text


class CaptionTokenizer:
    """A byte-level BPE with a fixed number of positions. `vocabulary` counts its word pieces."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer

    @classmethod
    def train(cls, captions: Iterable[str], vocabulary: int = 16_384) -> CaptionTokenizer:
        """Learns at most `vocabulary` word pieces from captions: all 256 bytes, then the most frequent
        merges.

        Raises ReaderError where `vocabulary` does not even hold the bytes.
        """
        if vocabulary < BYTES:
            raise ReaderError(
                f"vocabulary is {vocabulary}; it must be at least {BYTES}, one word piece a byte."
            )
        tokenizer = Tokenizer(models.BPE())
        # Lower case as in the paper; NFKC so that one character typed in two ways is one caption.
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip()]
        )
        # A space before the first word makes it the same word as in the middle of a caption.
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        )
        tokenizer.train_from_iterator(captions, trainer)
        return cls(tokenizer)

    @classmethod
    def load(cls, path: Path | str) -> CaptionTokenizer:
        """Reads a `tokenizer.json`. Raises ReaderError where it is missing or no tokenizer."""
        if not Path(path).is_file():
            raise ReaderError(f"There is no tokenizer {path}: train one first, or name another folder.")
        try:
            return cls(Tokenizer.from_file(str(path)))
        except Exception as error:  # tokenizers raises a bare Exception for every kind of damage
            raise ReaderError(f"{path} is no tokenizer that can be read: {error}.") from error

    def save(self, path: Path | str) -> None:
        """Writes a `tokenizer.json`, whole or not at all."""
        write_text(Path(path), self.tokenizer.to_str(pretty=True))

    @property
    def vocabulary(self) -> int:
        """Number of word pieces; padding tokens have the numbers from here on."""
        return self.tokenizer.get_vocab_size()

    def pieces(self, text: str) -> list[str]:
        """The word pieces of `text`, as a reader would write them; a piece that is part of a character shows
        as bytes."""
        return [self.piece(i) for i in self.tokenizer.encode(text).ids]

    def piece(self, token: int) -> str:
        """One token as text: a word piece, or `<pad 7>` for the padding token of position 7."""
        if token >= self.vocabulary:
            return f"<pad {token - self.vocabulary}>"
        text = self.tokenizer.decode([token])
        return text if "�" not in text else self.tokenizer.id_to_token(token)

    def encode(
        self,
        texts: str | Iterable[str],
        text_length: int = 256,
        cut: bool = False,
        padding: int | None = None,
    ) -> Tensor:
        """Captions -> (batch, text_length) int64; position i past a caption's end holds `padding` + i.

        `padding` is this tokenizer's `vocabulary` unless given; a model gives its `text_vocabulary`, which
        is larger where training found fewer merges than it was allowed.
        A caption of more than `text_length` tokens raises ReaderError, or is cut where `cut` says so; an
        empty one raises ReaderError.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        for text in texts:
            if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
                raise ReaderError(
                    f"The text {ascii(text[:60])} holds half a character: it is not Unicode; type it again."
                )
        first = self.vocabulary if padding is None else padding
        out = (first + torch.arange(text_length)).repeat(len(texts), 1)
        for row, (text, encoding) in enumerate(zip(texts, self.tokenizer.encode_batch(texts), strict=True)):
            ids = encoding.ids
            if not text.strip() or not ids:
                raise ReaderError(
                    "The text is empty: write what the picture should show, 'a red apple' for one."
                )
            if len(ids) > text_length and not cut:
                raise ReaderError(
                    f"The text has {len(ids)} tokens, at most {text_length} fit: shorten it "
                    f"({text[:60]!r}...), or ask for a cut."
                )
            ids = ids[:text_length]
            out[row, : len(ids)] = torch.tensor(ids)
        return out

    def decode(self, tokens: Tensor) -> str:
        """(text_length,) -> the text; padding is left out."""
        return self.tokenizer.decode([int(t) for t in tokens if t < self.vocabulary]).strip()
