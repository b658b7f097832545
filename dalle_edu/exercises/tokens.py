"""Checks for the exercises of chapter 6, text and image tokens."""

import torch
import torch.nn.functional as F

from dalle_edu import tokens as bpe
from dalle_edu.dalle import Dalle
from dalle_edu.exercises import close, exercise, need, need_tensor


@exercise(without=[bpe.count_pairs])
def check_best_pair(best_pair):
    """`best_pair(spellings, counts)`: the pair of neighbouring pieces that occurs most often."""
    spellings = {" red": [" ", "r", "e", "d"], " tree": [" t", "r", "e", "e"], " tea": [" t", "e", "a"]}
    counts = {" red": 2, " tree": 3, " tea": 4}
    value = best_pair(spellings, counts)
    need(isinstance(value, tuple) and len(value) == 2, f"a pair is a tuple of two pieces, not {value!r}.")
    need(
        value != (" r", "e") and value != ("e", "e"),
        f"{value!r} is rarer: count every neighbouring pair first.",
    )
    need(value == ("r", "e"), f"('r', 'e') stands in 2 + 3 words, more than any other; {value!r} came.")
    often = {" red": 1, " tree": 1, " tea": 9}
    value = best_pair(spellings, often)
    need(
        value != ("r", "e"), "a word that occurs nine times counts nine times: use `counts`, not one a word."
    )
    need(value in [(" t", "e"), ("e", "a")], f"with “tea” nine times the pair is in it, not {value!r}.")
    twice = best_pair({"x": ["a", "b", "a", "b"], "y": ["c", "d"]}, {"x": 2, "y": 3})
    need(twice == ("a", "b"), "a pair that stands twice in a word counts twice.")
    return "this is the whole of learning in byte pair encoding, said once."


@exercise(without=[bpe.join])
def check_join(join):
    """`join(pieces, pair)`: the list with each occurrence of the pair joined, from left to right."""
    cases = [
        (["t", "r", "e", "e"], ("e", "e")),
        (["a", "a", "a"], ("a", "a")),
        (["b", "a", "n", "a", "n", "a"], ("a", "n")),
        (["x"], ("x", "y")),
        (["p", "q"], ("q", "p")),
    ]
    for pieces, pair in cases:
        before = list(pieces)
        value = join(pieces, pair)
        need(pieces == before, "the list that was passed in must stay as it was; build a new one.")
        need(isinstance(value, list), f"a list of pieces was expected, not {type(value).__name__}.")
        need("".join(value) == "".join(before), f"letters were lost or doubled: {before} became {value}.")
        # The module joins bytes; letters work the same way.
        wanted = [p.decode() for p in bpe.join([p.encode() for p in before], tuple(p.encode() for p in pair))]
        need(
            value != before or value == wanted, f"nothing was joined in {before}, though {pair} stands in it."
        )
        need(value == wanted, f"{before} with {pair} joined is {wanted}, not {value}.")
    return "left to right, and no letter is used twice."


@exercise(without=[bpe.CaptionTokenizer])
def check_pad(pad):
    """`pad(tokens, text_length, vocabulary)`: a list of tokens as (text_length,) int64, padded."""
    value = pad([5, 3, 9], 6, 100)
    need_tensor(value, (6,))
    need(value.dtype == torch.int64, f"tokens are int64, not {value.dtype}.")
    need(value[:3].tolist() == [5, 3, 9], "the words come first, as they are.")
    need(
        value[3:].unique().numel() > 1, "all padding is the same token; the paper has one for each position."
    )
    need(
        value[3:].tolist() != [100, 101, 102],
        "padding is counted from the caption's end; it must be `vocabulary` + its position in the stream, "
        "whatever the caption's length.",
    )
    need(
        value[3:].tolist() != [3, 4, 5],
        "these numbers are words already; padding starts after the vocabulary.",
    )
    need(
        value[3:].tolist() == [103, 104, 105],
        f"places 3, 4, 5 should hold 103, 104, 105, not {value[3:].tolist()}.",
    )
    need(pad([1, 2], 2, 100).tolist() == [1, 2], "a caption that fills all places needs no padding.")
    return "each empty place has a token of its own."


@exercise(without=[Dalle.picture_positions])
def check_positions(positions):
    """`positions(rows, columns)`: (height, width_of_grid vectors) -> (height * width, size), raster order."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = (
        torch.randn(3, 8, generator=generator),
        torch.randn(5, 8, generator=generator),
    )
    value = positions(rows, columns)
    need_tensor(value, (15, 8))
    wanted = torch.stack([rows[r] + columns[c] for r in range(3) for c in range(5)])
    turned = torch.stack([rows[r] + columns[c] for c in range(5) for r in range(3)])
    need(
        not close(value, turned),
        "that is column after column; raster order goes along a row first, like reading.",
    )
    product = torch.stack([rows[r] * columns[c] for r in range(3) for c in range(5)])
    need(not close(value, product), "the two vectors are added, not multiplied.")
    need(close(value, wanted), "place (r, c) must be rows[r] + columns[c], at index r * width + c.")
    return "8 vectors, 15 places."


@exercise(without=[Dalle.loss])
def check_loss(loss):
    """`loss(text_logits, text_targets, image_logits, image_targets, vocabulary)`: DALL·E's weighted loss."""
    generator = torch.Generator().manual_seed(0)
    text_logits, image_logits = (
        torch.randn(2, 5, 20, generator=generator),
        torch.randn(2, 9, 30, generator=generator),
    )
    text, image = (
        torch.randint(20, (2, 5), generator=generator),
        torch.randint(30, (2, 9), generator=generator),
    )
    text[0, 2:] = 20 + torch.arange(3, 6)
    value = torch.as_tensor(loss(text_logits, text, image_logits, image, 20))
    need_tensor(value, ())
    words = text < 20
    of_text = F.cross_entropy(text_logits[words], text[words])
    of_image = F.cross_entropy(image_logits.flatten(0, 1), image.flatten())
    need(not close(value, (of_text + of_image) / 2), "the two are not worth the same: 1/8 text, 7/8 picture.")
    need(not close(value, 7 / 8 * of_text + of_image / 8), "turned around: the picture has the 7/8.")
    n = int(words.sum())
    need(
        not close(value, (n * of_text + 18 * of_image) / (n + 18)),
        "that is one mean over all tokens; each part has a mean of its own, then the weights.",
    )
    need(
        not close(value, of_text / 8 * n / 10 + 7 / 8 * of_image),
        "the text's sum was divided by all places; divide by the number of words.",
    )
    need(
        close(value, of_text / 8 + 7 / 8 * of_image),
        f"{of_text / 8 + 7 / 8 * of_image:.4f} was expected, not {value:.4f}.",
    )
    return "the same as Dalle.loss."
