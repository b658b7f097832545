"""The checks of chapter 6: a right answer passes, each usual mistake is told what it is."""

from collections import Counter

import pytest
import torch
import torch.nn.functional as F

from dalle_edu.exercises import tokens as ex


def best_pair(spellings, counts, weigh=True):
    pairs = Counter()
    for word, pieces in spellings.items():
        for pair in zip(pieces, pieces[1:], strict=False):
            pairs[pair] += counts[word] if weigh else 1
    return max(pairs, key=pairs.get)


def join(pieces, pair):
    out = []
    for piece in pieces:
        out.append(piece)
        if tuple(out[-2:]) == pair:
            out[-2:] = ["".join(pair)]
    return out


def join_left(pieces, pair):
    out, i = [], 0
    while i < len(pieces):
        both = tuple(pieces[i : i + 2]) == pair
        out.append("".join(pieces[i : i + 2]) if both else pieces[i])
        i += 2 if both else 1
    return out


def pad(tokens, text_length, vocabulary, start=None):
    out = vocabulary + torch.arange(text_length)
    out[: len(tokens)] = torch.tensor(tokens)
    return out


def positions(rows, columns):
    return (rows[:, None] + columns[None]).flatten(0, 1)


def loss(text_logits, text, image_logits, image, vocabulary, weight=1 / 8):
    keep = text < vocabulary
    of_image = F.cross_entropy(image_logits.flatten(0, 1), image.flatten())
    return weight * F.cross_entropy(text_logits[keep], text[keep]) + (1 - weight) * of_image


def test_right_answers_pass():
    for check, answer in [
        (ex.check_best_pair, best_pair), (ex.check_join, join_left), (ex.check_pad, pad),
        (ex.check_positions, positions), (ex.check_loss, loss),
    ]:  # fmt: skip
        assert check(answer), check(answer)


def one_mean(text_logits, text, image_logits, image, vocabulary):
    keep = text < vocabulary
    total = F.cross_entropy(text_logits[keep], text[keep], reduction="sum")
    total = total + F.cross_entropy(image_logits.flatten(0, 1), image.flatten(), reduction="sum")
    return total / (keep.sum() + image.numel())


@pytest.mark.parametrize("check, answer, word", [
    (ex.check_best_pair, lambda s, c: best_pair(s, c, weigh=False), "counts nine times"),
    (ex.check_best_pair, lambda s, c: ["r", "e"], "tuple"),
    (ex.check_join, lambda pieces, pair: pieces, "nothing was joined"),
    (ex.check_join, lambda pieces, pair: "".join(pieces), "list"),
    (ex.check_join, lambda pieces, pair: [*join_left(pieces, pair), "x"], "lost or doubled"),
    (ex.check_pad, lambda t, n, v: pad(t, n, v - 2), "103, 104, 105"),
    (ex.check_pad, lambda t, n, v: torch.tensor(t + [v] * (n - len(t))), "one for each position"),
    (ex.check_pad, lambda t, n, v: torch.tensor(t + [v + i for i in range(n - len(t))]), "counted from"),
    (ex.check_pad, lambda t, n, v: torch.tensor(t + list(range(len(t), n))), "words already"),
    (ex.check_positions, lambda r, c: (r[None] + c[:, None]).flatten(0, 1), "column after column"),
    (ex.check_positions, lambda r, c: (r[:, None] * c[None]).flatten(0, 1), "added"),
    (ex.check_loss, lambda *a: loss(*a, weight=0.5), "not worth the same"),
    (ex.check_loss, lambda *a: loss(*a, weight=7 / 8), "turned around"),
    (ex.check_loss, one_mean, "one mean"),
])  # fmt: skip
def test_a_mistake_is_told_what_it_is(check, answer, word):
    verdict = check(answer)
    assert not verdict and word in str(verdict), str(verdict)
