"""Byte pair encoding, merge by merge (chapter 6): how a caption's pieces grow as the tokenizer learns.

Sennrich, Haddow & Birch 2016, arXiv 1508.07909; the merges are those of `dalle_edu.tokens.learn_merges` or of
a trained tokenizer, `dalle_edu.tokens.merges_of`.
"""

from pathlib import Path

import matplotlib.pyplot as plt

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer
from dalle_edu.explore.stream import plot_pieces
from dalle_edu.tokens import split, words


def merge_explorer(merges, captions: list[str], most: int = 2000) -> Explorer:
    """A figure to touch: slide through the merges, first to last, and see the pieces of your captions grow.

    `merge_explorer(merges_of(tokenizer), ["a red apple", ...])`: `merges` are pairs of bytes, first to last,
    of which the first `most` are kept; one to twenty captions. A button goes on to the next merge that
    changes the caption. Raises ReaderError without merges or captions.
    """
    merges = list(merges)[:most]
    if not merges or not 1 <= len(captions) <= 20:
        raise ReaderError(f"Give merges and 1 to 20 captions; these are {len(merges)} and {len(captions)}.")
    data = {
        "captions": list(captions),
        # Bytes travel as one character each, 0 to 255.
        "words": [[word.decode("latin-1") for word in words(caption)] for caption in captions],
        "merges": [[piece.decode("latin-1") for piece in pair] for pair in merges],
    }
    counts = [0, len(merges) // 20, len(merges) // 4, len(merges)]
    lines = {
        f"{count} merges": [piece.decode("utf-8", "replace") for piece in split(captions[0], merges[:count])]
        for count in counts
    }
    figure, ax = plt.subplots(figsize=(7, 2.2))
    plot_pieces(lines, ax=ax)
    alt = (
        f"The caption “{captions[0]}” in pieces after {', '.join(map(str, counts))} merges: first a piece a "
        "letter, at the end about a piece a word. Live, merge by merge, for the captions "
        f"{'; '.join(captions)}."
    )
    script = Path(__file__).with_suffix(".js")
    return Explorer(title="From letters to pieces", alt=alt, data=data, script=script, figure=figure)
