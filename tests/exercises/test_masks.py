"""The checks of chapter 7 accept right answers and name the mistakes that are easy to make."""

import pytest
import torch

from dalle_edu.exercises.masks import check_conv_mask, check_layers_needed, check_merge, check_row_mask


def lags(height, width):
    place = torch.arange(height * width)
    return place[:, None] - place


def conv(height, width, kernel):
    half = kernel // 2
    back = [dy * width + dx for dy in range(half + 1) for dx in range(-half, half + 1)]
    lag = lags(height, width)
    return (lag >= 0) & torch.isin(lag, torch.tensor(back))


def edged_conv(height, width, kernel):
    place = torch.arange(height * width)
    dy = (place[:, None] // width - place // width).abs()
    dx = (place[:, None] % width - place % width).abs()
    return (lags(height, width) >= 0) & (dy <= kernel // 2) & (dx <= kernel // 2)


def torus_conv(height, width, kernel):
    place, half = torch.arange(height * width), kernel // 2
    dy = (place // width - place[:, None] // width + half) % height
    dx = (place % width - place[:, None] % width + half) % width
    return (lags(height, width) >= 0) & (dy <= 2 * half) & (dx <= 2 * half)


def merge(picture, text_length):
    length = text_length + len(picture)
    mask = torch.ones(length, length).tril().bool()
    mask[text_length:, text_length:] = picture
    return mask


def blind(picture, text_length):
    mask = merge(picture, text_length)
    mask[text_length:, 1:text_length] = False
    return mask


def needed(stack, source, target):
    knows = torch.zeros(len(stack[0]), dtype=torch.bool)
    knows[source] = True
    for layer, mask in enumerate(stack):
        if knows[target]:
            return layer
        knows = knows | (mask & knows).any(dim=1)
    return len(stack) if knows[target] else None


RIGHT = [
    (check_row_mask, lambda height, width: (lags(height, width) >= 0) & (lags(height, width) <= width)),
    (check_conv_mask, conv),
    (check_merge, merge),
    (check_layers_needed, needed),
]

WRONG = [
    (check_row_mask, lambda h, w: (lags(h, w) >= 0) & (lags(h, w) < w), "farthest"),
    (check_row_mask, lambda h, w: (lags(h, w) >= 0) & edged_conv(h, w, 1 + 2 * w) & same_row(h, w), "edge"),
    (check_row_mask, lambda h, w: (lags(h, w) > 0) & (lags(h, w) <= w), "itself"),
    (check_row_mask, lambda h, w: ((lags(h, w) >= 0) & (lags(h, w) <= w)).T, "turned"),
    (check_row_mask, lambda h, w: lags(h, w).abs() <= w, "future"),
    (check_row_mask, lambda h, w: lags(h, w).float(), "booleans"),
    (check_row_mask, lambda h, w: None, "return"),
    (check_conv_mask, edged_conv, "edge"),
    (check_conv_mask, torus_conv, "torus"),
    (check_conv_mask, lambda h, w, k: conv(h, w, k + 2), "should not"),
    (
        check_merge,
        lambda picture, t: torch.ones(t + len(picture), t + len(picture)).tril().bool(),
        "unchanged",
    ),
    (check_merge, blind, "misses"),
    (check_merge, lambda picture, t: ~merge(picture, t), "misses"),
    (check_merge, lambda picture, t: picture, "shape"),
    (check_layers_needed, lambda *a: (needed(*a) or 1) - 1, "None|too few"),
    (check_layers_needed, lambda *a: needed(*a) and needed(*a) + 1, "were expected"),
    (check_layers_needed, lambda *a: 3, "were expected"),
]


def same_row(height, width):
    row = torch.arange(height * width) // width
    return row[:, None] == row


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_a_right_answer_passes(check, answer):
    verdict = check(answer)
    assert verdict, verdict


@pytest.mark.parametrize(("check", "answer", "words"), WRONG)
def test_a_wrong_answer_fails_with_a_word_on_what_is_wrong(check, answer, words):
    verdict = check(answer)
    assert not verdict
    assert any(word in verdict.message for word in words.split("|")), verdict


def test_an_empty_answer_is_asked_for():
    def empty(*arguments):
        raise NotImplementedError

    for check, _ in RIGHT:
        assert "still to be written" in repr(check(empty))
