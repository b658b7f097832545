"""Nearest codebook entry in the plane (chapter 3): what quantisation does to a code of two numbers.

k(z) = argmin_k |z - e_k|^2;  what is passed on is e_k(z), and the gradient goes through as if it were z.
van den Oord et al. 2017, arXiv 1711.00937, equations 1 and 2.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer
from dalle_edu.explore.figures import COLOURS


def nearest_code_explorer(codebook, codes=None, start=(0.35, 0.2)) -> Explorer:
    """A figure to touch: move a code z through the plane
    and see which entry it falls to, and how far it moves.

    `nearest_code_explorer(codebook)` with `codebook` (K, 2), 2 to 64 entries; `codes` (N, 2), up to 500
    encoder outputs, are drawn as dots, and an entry that wins none of them is called dead. `start`: where z
    begins, as shares of the plane's width and height. Raises ReaderError for other shapes.
    """
    codebook = torch.as_tensor(codebook).detach().float()
    codes = torch.empty(0, 2) if codes is None else torch.as_tensor(codes).detach().float()
    if codebook.ndim != 2 or codebook.shape[1] != 2 or not 2 <= len(codebook) <= 64:
        raise ReaderError(
            f"The codebook must be (K, 2), K from 2 to 64; this one is {tuple(codebook.shape)}."
        )
    if codes.ndim != 2 or codes.shape[1] != 2 or len(codes) > 500:
        raise ReaderError(f"codes must be (N, 2), at most 500 of them; these are {tuple(codes.shape)}.")
    points = torch.cat((codebook, codes))
    middle, reach = (points.amax(0) + points.amin(0)) / 2, float((points.amax(0) - points.amin(0)).max())
    reach = 0.6 * max(reach, 1e-3)
    data = {
        "codebook": codebook,
        "codes": codes,
        "low": middle - reach,
        "high": middle + reach,
        "start": list(start),
    }
    figure, ax = plt.subplots(figsize=(3.6, 3.6))
    ax.scatter(*codes.T, s=6, color="grey", alpha=0.5)
    ax.scatter(*codebook.T, s=60, marker="*", color=COLOURS[1])
    for number, entry in enumerate(codebook.tolist()):
        ax.annotate(str(number), entry, (4, 3), textcoords="offset points", fontsize=9)
    ax.set(xlabel="first number of z", ylabel="second number of z", aspect="equal")
    alt = (
        f"A plane with {len(codebook)} codebook entries as stars and {len(codes)} codes as dots. Live, a "
        "point is moved through the plane, which is divided by which entry is nearest."
    )
    script = Path(__file__).with_suffix(".js")
    return Explorer(title="Which entry is nearest?", alt=alt, data=data, script=script, figure=figure)
