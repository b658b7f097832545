"""Attention from a few words with numbers (chapter 7): scores, softmax, mixture, every product to be seen.

weights = softmax(queries @ keys.T / sqrt(size));  out = weights @ values
Vaswani et al. 2017, arXiv 1706.03762, equation 1.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer


def word_attention_explorer(words: list[str], queries, keys, values, causal: bool = True) -> Explorer:
    """A figure to touch: choose a word, and follow its query to the scores, the weights and the mixture.

    `word_attention_explorer(words, queries, keys, values)`: 2 to 8 words; queries and keys (words, size),
    values (words, width), sizes 1 to 6. `causal`: whether a word may not read the words after it when the
    figure opens. Raises ReaderError for numbers that do not go together.
    """
    tensors = [torch.as_tensor(t).detach().float() for t in (queries, keys, values)]
    count = len(words)
    fits = all(t.ndim == 2 and len(t) == count and 1 <= t.shape[1] <= 6 for t in tensors)
    if not 2 <= count <= 8 or not fits or tensors[0].shape != tensors[1].shape:
        raise ReaderError(
            f"Give 2 to 8 words with a query, a key and a value of 1 to 6 numbers each; there are "
            f"{count} words, and the numbers are {', '.join(str(tuple(t.shape)) for t in tensors)}."
        )
    queries, keys, values = tensors
    data = {"words": list(words), "queries": queries, "keys": keys, "values": values, "causal": causal}
    scores = queries @ keys.T / queries.shape[1] ** 0.5
    if causal:
        scores = scores.masked_fill(~torch.ones(count, count).tril().bool(), -torch.inf)
    weights = scores.softmax(1)
    figure, ax = plt.subplots(figsize=(4.4, 3.4))
    ax.imshow(weights, cmap="Blues", vmin=0, vmax=1)
    for row in range(count):
        for column in range(count):
            ink = "white" if weights[row, column] > 0.5 else "black"
            text = f"{weights[row, column]:.2f}"
            ax.text(column, row, text, ha="center", va="center", color=ink, fontsize=9)
    ax.set_xticks(range(count), words, rotation=30)
    ax.set_yticks(range(count), words)
    ax.set(xlabel="read: its key", ylabel="reads: its query")
    alt = (
        f"The attention weights of the words {' '.join(words)} as a matrix of numbers, each row with sum 1. "
        "Live, one row with its scores and its mixture of the values."
    )
    script = Path(__file__).with_suffix(".js")
    return Explorer(title="One word reads the others", alt=alt, data=data, script=script, figure=figure)
