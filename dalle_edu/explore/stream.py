"""One stream of text and picture tokens (chapter 6): as a figure, to touch, and for a caption that you type.

stream = words, padding of the empty places, picture tokens in raster order (Ramesh et al. 2021, section 2.2)
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import COLOURS

KIND_COLOURS = {"word": COLOURS[5], "padding": "#dee2e6", "picture": COLOURS[4]}


def plot_pieces(lines: dict[str, list[str]], ax=None) -> None:
    """Draws each list of pieces as boxes side by side, a line for each name; a space shows as a small dot."""
    ax = ax or plt.gca()
    for row, pieces in enumerate(lines.values()):
        at = 0
        for i, piece in enumerate(pieces):
            wide = len(piece)
            ax.add_patch(
                plt.Rectangle((at + 0.06, row + 0.14), wide - 0.12, 0.72, edgecolor="none", alpha=0.75,
                              facecolor=COLOURS[5] if i % 2 else COLOURS[4])
            )  # fmt: skip
            for j, letter in enumerate(piece):
                shown = "·" if letter == " " else letter
                ax.text(at + j + 0.5, row + 0.52, shown, ha="center", va="center", fontsize=9)
            at += wide
        ax.text(at + 0.6, row + 0.52, str(len(pieces)), va="center", fontsize=9, color="#495057")
    longest = max(sum(map(len, pieces)) for pieces in lines.values())
    ax.set(xlim=(0, longest + 3), ylim=(len(lines), 0))
    ax.set_yticks([row + 0.5 for row in range(len(lines))], list(lines))
    ax.tick_params(left=False, bottom=False, labelbottom=False)
    ax.spines[:].set_visible(False)


def plot_stream(tokenizer, text, image=None, picture=None, ax=None) -> None:
    """Draws the stream of one caption: a box a text position, and the picture tokens in their grid.

    text: (text_length,) from `CaptionTokenizer.encode`. image: (height, width) tokens, shown as numbers where
    there is room; picture: (3, H, W) in [0, 1], laid under the grid.
    """
    text = torch.as_tensor(text)
    if text.ndim != 1:
        raise ReaderError(
            f"plot_stream draws one caption: text must be (text_length,), not {tuple(text.shape)}."
        )
    ax = ax or plt.gca()
    columns = 6
    for i, token in enumerate(text.tolist()):
        row, column = divmod(i, columns)
        word = token < tokenizer.vocabulary
        kind = "word" if word else "padding"
        ax.add_patch(
            plt.Rectangle((column, row), 1, 1, facecolor=KIND_COLOURS[kind], edgecolor="white", linewidth=2,
                          hatch=None if word else "///")
        )  # fmt: skip
        label = tokenizer.piece(token).strip() if word else f"pad {token - tokenizer.vocabulary}"
        ax.text(column + 0.5, row + 0.45, label, ha="center", va="center", fontsize=9)
        ax.text(column + 0.5, row + 0.85, str(i), ha="center", va="center", fontsize=6.5, color="#495057")
    rows = -(-len(text) // columns)
    right = columns
    if image is not None:
        height, width = image.shape
        side = max(rows, 4)
        left, scale = columns + 0.6, side / height
        right = left + width * scale
        if picture is not None:
            pixels = torch.as_tensor(picture).permute(1, 2, 0).clamp(0, 1).numpy()
            ax.imshow(pixels, extent=(left, right, side, 0), interpolation="nearest", zorder=0)
        for k in range(height + 1):
            ax.plot(
                [left, right], [k * scale] * 2, color=KIND_COLOURS["picture"], linewidth=0.7, linestyle="-"
            )
        for k in range(width + 1):
            ax.plot(
                [left + k * scale] * 2, [0, side], color=KIND_COLOURS["picture"], linewidth=0.7, linestyle="-"
            )
        if width <= 8:
            for j, token in enumerate(image.flatten().tolist()):
                x, y = left + (j % width + 0.5) * scale, (j // width + 0.5) * scale
                ax.text(x, y, str(token), ha="center", va="center", fontsize=7)
        rows = max(rows, side)
    ax.set(xlim=(-0.05, right + 0.05), ylim=(rows + 0.05, -0.05), aspect="equal")
    ax.set_axis_off()


def stream_explorer(
    tokenizer,
    captions: list[str],
    text_length: int,
    images,
    pictures,
    title: str = "One stream: the sentence, then the picture",
) -> Explorer:
    """A figure to touch: choose a caption, walk along its
    stream, and read what each position holds and predicts.

    images: (N, height, width) int64, the picture tokens of each caption's
    picture; pictures: (N, 3, H, W) in [0, 1], as the tokens decode. Raises
    ReaderError where the numbers of captions, tokens and pictures differ.
    """
    if not len(captions) == len(images) == len(pictures) or len(captions) == 0:
        raise ReaderError(
            f"There are {len(captions)} captions, {len(images)} pictures in tokens and "
            f"{len(pictures)} pictures; give one of each a caption."
        )
    text = tokenizer.encode(captions, text_length, cut=True)
    data = {
        "captions": list(captions),
        "words": [
            [[tokenizer.piece(t), t] for t in row.tolist() if t < tokenizer.vocabulary] for row in text
        ],
        "length": text_length,
        "vocabulary": tokenizer.vocabulary,
        "grid": list(images.shape[1:]),
        "tokens": images.flatten(1).tolist(),
        "pictures": [picture_uri(picture) for picture in pictures],
    }
    figure, ax = plt.subplots(figsize=(7, 2.6))
    plot_stream(tokenizer, text[0], images[0], pictures[0], ax=ax)
    alt = (
        f"The stream of the caption “{captions[0]}”: {text_length} text positions, of which the last hold "
        f"padding, and {images.shape[1]} by {images.shape[2]} picture tokens over the decoded picture. "
        f"Captions to choose from: {'; '.join(captions)}."
    )
    return Explorer(title=title, alt=alt, data=data, script=Path(__file__).with_suffix(".js"), figure=figure)


def stream_typing(tokenizer, text_length: int = 24):
    """A box to type a caption into, for JupyterLab with a
    kernel: its text positions appear below as you type."""
    import ipywidgets
    from IPython.display import display

    box = ipywidgets.Text(value="a red apple", description="caption", continuous_update=True)
    says, out = ipywidgets.HTML(), ipywidgets.Output()

    def draw(_=None):
        with out:
            out.clear_output(wait=True)
            try:
                text = tokenizer.encode(box.value, text_length)[0]
            except ReaderError as error:
                says.value = str(error)
                return
            count = int((text < tokenizer.vocabulary).sum())
            says.value = f"{count} tokens, {text_length - count} of padding"
            figure, ax = plt.subplots(figsize=(7, 0.62 * -(-text_length // 6)))
            plot_stream(tokenizer, text, ax=ax)
            display(figure)
            plt.close(figure)

    box.observe(draw, names="value")
    draw()
    return ipywidgets.VBox([box, says, out])
