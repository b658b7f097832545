"""Byte pair encoding by hand: the same pieces as `tokenizers` finds, in sixty lines to read (chapter 6).

repeat: join the pair of neighbouring pieces that occurs most often, until the vocabulary is full

Sennrich, Haddow & Birch 2016, arXiv 1508.07909; dropout: Provilkov et al. 2020, arXiv 1910.13267.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor

from dalle_edu.errors import ReaderError
from dalle_edu.tokens import BYTES, CaptionTokenizer

# A word with the space before it, a number, or a run of signs: pieces stay inside one (GPT-2's rule).
WORD = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")
# The order in which `tokenizers` numbers the bytes, printable ones first. It decides between equals.
_PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
ALPHABET = [bytes([b]) for b in _PRINTABLE + sorted(set(range(BYTES)) - set(_PRINTABLE))]

Pair = tuple[bytes, bytes]


def words(text: str) -> list[bytes]:
    """A caption as words in bytes, each with the space before it: "A café" -> [b" a", b" caf\\xc3\\xa9"]."""
    return [word.encode() for word in WORD.findall(" " + unicodedata.normalize("NFKC", text).lower().strip())]


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
    if not 0 <= dropout <= 1:
        raise ReaderError(f"dropout is {dropout}; it is a chance, from 0 (never) to 1 (bytes only).")
    rank = {pair: i for i, pair in enumerate(merges)}
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
) -> Tensor:
    """`CaptionTokenizer.encode` with BPE dropout: (batch, text_length) int64; what is too long is cut."""
    texts, merges, number = list(texts), merges_of(tokenizer), numbers_of(tokenizer)
    out = (tokenizer.vocabulary + torch.arange(text_length)).repeat(len(texts), 1)
    for row, text in enumerate(texts):
        tokens = [number[piece] for piece in split(text, merges, dropout, generator)][:text_length]
        if not tokens:
            raise ReaderError("The text is empty: write what the picture should show, 'a red apple' for one.")
        out[row, : len(tokens)] = torch.tensor(tokens)
    return out
