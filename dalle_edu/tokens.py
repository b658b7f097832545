"""Text becomes tokens: byte pair encoding, and one padding token for each position that the caption leaves
empty (chapter 6).

    stream = y_0 ... y_{m-1}, pad_m ... pad_{T-1}, z_0 ... z_{N-1}        pad_i = vocabulary + i

Sennrich, Haddow & Birch 2016 (BPE); Ramesh et al. 2021,
section 2.2 (256 text tokens of 16,384; learned padding).
"""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from dalle_edu.errors import ReaderError, brief, check_whole
from dalle_edu.files import write_text

LONGEST = (
    10_000  # characters of a text, far more than any model reads: a book in place of a caption ends here
)
BYTES = 256  # every text is bytes, so a vocabulary that holds all of them can spell any text


class CaptionTokenizer:
    """A byte-level BPE with a fixed number of positions. `vocabulary` counts its word pieces."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer

    @classmethod
    def train(cls, captions: Iterable[str], vocabulary: int = 16_384) -> CaptionTokenizer:
        """Learns at most `vocabulary` word pieces from
        captions: all 256 bytes, then the most frequent merges.

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
        tokenizer.train_from_iterator(map(one_line, captions), trainer)
        return cls(tokenizer)

    @classmethod
    def load(cls, path: Path | str) -> CaptionTokenizer:
        """Reads a `tokenizer.json`. Raises ReaderError where it is missing or no tokenizer."""
        if not Path(path).is_file():
            raise ReaderError(f"There is no tokenizer {path}: train one first, or name another folder.")
        try:
            # Not from_file: the library spells paths in UTF-8, whatever the system does.
            return cls(Tokenizer.from_buffer(Path(path).read_bytes()))
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
        """The word pieces of `text`, as a reader would write
        them; a piece that is part of a character shows as bytes."""
        return [self.piece(i) for i in self.tokenizer.encode(one_line(text)).ids]

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
        White space of any kind and length counts as one space, as in captions that are read from files. A
        caption of more than `text_length` tokens raises ReaderError, or is cut where `cut` says so; an empty
        one raises ReaderError, and so does what is no text (see `one_line`).
        """
        check_whole("text_length", text_length, 1)
        if not isinstance(texts, Iterable):
            raise ReaderError(f"The text is {brief(texts)}; it must be a text in quotes, or a list of them.")
        texts = [one_line(text) for text in ([texts] if isinstance(texts, str) else list(texts))]
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
                    f"({text[:60]!r}...)."
                )
            ids = ids[:text_length]
            out[row, : len(ids)] = torch.tensor(ids)
        return out

    def decode(self, tokens: Tensor) -> str:
        """(text_length,) -> the text; padding is left out."""
        return self.tokenizer.decode([int(t) for t in tokens if t < self.vocabulary]).strip()


def one_line(text: str) -> str:
    """`text` with each stretch of white space as one space, none at its ends.

    Raises ReaderError for what is no text, half a character (a surrogate, which no encoding can spell) and
    more than `LONGEST` characters.
    """
    if not isinstance(text, str):
        raise ReaderError(f"The text is {brief(text)}; it must be a text in quotes.")
    if len(text) > LONGEST:
        raise ReaderError(
            f"The text has {len(text):,} characters; at most {LONGEST:,} are taken: shorten it."
        )
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ReaderError(
            f"The text {ascii(text[:60])} holds half a character: it is not Unicode; type it again."
        )
    return " ".join(text.split())


# The same by hand, to read: byte pair encoding in sixty lines, with the pieces that `tokenizers` finds.
#
#     repeat: join the pair of neighbouring pieces that occurs most often, until the vocabulary is full
#
# Sennrich, Haddow & Birch 2016, arXiv 1508.07909; dropout: Provilkov et al. 2020, arXiv 1910.13267.

# A word with the space before it, a number, or a run of signs: pieces stay inside one (GPT-2's rule).
WORD = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")
# The order in which `tokenizers` numbers the bytes, printable ones first. It decides between equals.
_PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
ALPHABET = [bytes([b]) for b in _PRINTABLE + sorted(set(range(BYTES)) - set(_PRINTABLE))]

Pair = tuple[bytes, bytes]


def words(text: str) -> list[bytes]:
    """A caption as words in bytes, each with the space before it: "A café" -> [b" a", b" caf\\xc3\\xa9"]."""
    # Letter by letter, as `tokenizers` does it: `str.lower` of a whole word ends it on another sigma.
    small = "".join(letter.lower() for letter in unicodedata.normalize("NFKC", one_line(text)))
    return [word.encode() for word in WORD.findall(" " + small.strip())]


def count_pairs(spellings: dict[bytes, list[bytes]], counts: Counter) -> Counter:
    """How often pieces stand side by side: word w is spelled `spellings[w]` and occurs `counts[w]` times."""
    pairs = Counter()
    for word, pieces in spellings.items():
        for pair in zip(pieces, pieces[1:], strict=False):
            pairs[pair] += counts[word]
    return pairs


def join(pieces: list[bytes], pair: Pair) -> list[bytes]:
    """`pieces` with every occurrence of `pair` joined into one piece, from left to right."""
    out, i = [], 0
    while i < len(pieces):
        if tuple(pieces[i : i + 2]) == pair:
            out.append(pair[0] + pair[1])
            i += 2
        else:
            out.append(pieces[i])
            i += 1
    return out


def learn_merges(captions: Iterable[str], vocabulary: int) -> list[Pair]:
    """The merges, first to last, that fill a vocabulary of `vocabulary` pieces, the 256 bytes among them.

    Of pairs that are equally frequent the one whose pieces are older is joined. Raises ReaderError below 256.
    """
    if vocabulary < BYTES:
        raise ReaderError(f"vocabulary is {vocabulary}; it must be at least {BYTES}, one piece a byte.")
    counts = Counter(word for caption in captions for word in words(caption))
    spellings = {word: [bytes([b]) for b in word] for word in counts}
    number = {piece: i for i, piece in enumerate(ALPHABET)}
    merges: list[Pair] = []
    while len(number) < vocabulary:
        pairs = count_pairs(spellings, counts)
        if not pairs:
            break  # every word is one piece already
        best = min(pairs, key=lambda pair: (-pairs[pair], number[pair[0]], number[pair[1]]))
        merges.append(best)
        number.setdefault(best[0] + best[1], len(number))
        spellings = {word: join(pieces, best) for word, pieces in spellings.items()}
    return merges


def split(
    text: str, merges: list[Pair], dropout: float = 0.0, generator: torch.Generator | None = None
) -> list[bytes]:
    """The pieces of a caption: in each word the earliest merge that fits, again and again, until none does.

    With `dropout` each possible join is left out with that chance each time it is considered, so that the
    same word is spelled in several ways (Provilkov et al. 2020, algorithm 1; DALL-E: 0.1). Raises
    ReaderError for a chance outside [0, 1].
    """
    return _split(text, {pair: i for i, pair in enumerate(merges)}, dropout, generator)


def _split(
    text: str, rank: dict[Pair, int], dropout: float, generator: torch.Generator | None
) -> list[bytes]:
    if not 0 <= dropout <= 1:
        raise ReaderError(f"dropout is {dropout}; it is a chance, from 0 (never) to 1 (bytes only).")
    out = []
    for word in words(text):
        pieces = [bytes([b]) for b in word]
        while True:
            fits = [i for i, pair in enumerate(zip(pieces, pieces[1:], strict=False)) if pair in rank]
            if dropout:
                kept = torch.rand(len(fits), generator=generator) >= dropout
                fits = [i for i, keep in zip(fits, kept.tolist(), strict=True) if keep]
            if not fits:
                break
            i = min(fits, key=lambda i: rank[pieces[i], pieces[i + 1]])
            pieces[i : i + 2] = [pieces[i] + pieces[i + 1]]
        out += pieces
    return out


def merges_of(tokenizer: CaptionTokenizer) -> list[Pair]:
    """The merges inside a trained `CaptionTokenizer`, in bytes."""
    # `tokenizers` writes each byte as one character: itself, or 256, 257, ... if it cannot be printed.
    byte = {chr(b): b for b in _PRINTABLE}
    byte |= {chr(256 + i): b for i, b in enumerate(sorted(set(range(BYTES)) - set(_PRINTABLE)))}
    stored = json.loads(tokenizer.tokenizer.to_str())["model"]["merges"]
    pairs = (pair if isinstance(pair, list) else pair.split(" ") for pair in stored)
    return [tuple(bytes(byte[letter] for letter in piece) for piece in pair) for pair in pairs]


def numbers_of(tokenizer: CaptionTokenizer) -> dict[bytes, int]:
    """The number of each piece in a trained `CaptionTokenizer`."""
    vocabulary = tokenizer.tokenizer.get_vocab()
    letter = {bytes([b]): chr(b) for b in _PRINTABLE}
    letter |= {bytes([b]): chr(256 + i) for i, b in enumerate(sorted(set(range(BYTES)) - set(_PRINTABLE)))}
    pieces = {bytes([b]) for b in range(BYTES)} | {left + right for left, right in merges_of(tokenizer)}
    return {piece: vocabulary["".join(letter[bytes([b])] for b in piece)] for piece in pieces}


def encode_with_dropout(
    tokenizer: CaptionTokenizer,
    texts: Iterable[str],
    text_length: int,
    dropout: float = 0.1,
    generator: torch.Generator | None = None,
    padding: int | None = None,
) -> Tensor:
    """`CaptionTokenizer.encode` with BPE dropout: (batch, text_length) int64; what is too long is cut."""
    texts, (rank, number) = list(texts), _ranks_and_numbers(tokenizer)
    first = tokenizer.vocabulary if padding is None else padding
    out = (first + torch.arange(text_length)).repeat(len(texts), 1)
    for row, text in enumerate(texts):
        tokens = [number[piece] for piece in _split(text, rank, dropout, generator)][:text_length]
        if not tokens:
            raise ReaderError("The text is empty: write what the picture should show, 'a red apple' for one.")
        out[row, : len(tokens)] = torch.tensor(tokens)
    return out


@functools.lru_cache(maxsize=4)  # training asks at each step, and 16,384 pieces take a while
def _ranks_and_numbers(tokenizer: CaptionTokenizer) -> tuple[dict[Pair, int], dict[bytes, int]]:
    return {pair: i for i, pair in enumerate(merges_of(tokenizer))}, numbers_of(tokenizer)
