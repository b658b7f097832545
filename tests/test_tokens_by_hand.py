"""Byte pair encoding by hand: the same as `tokenizers`, and a dropout that is seeded."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dalle_edu.data.scenes import captions as scene_captions
from dalle_edu.errors import ReaderError
from dalle_edu.tokens import (
    ALPHABET,
    CaptionTokenizer,
    count_pairs,
    encode_with_dropout,
    join,
    learn_merges,
    merges_of,
    numbers_of,
    split,
    words,
)

CAPTIONS = scene_captions("attributes", "train")[:300] + [
    "woman firefighter: dark skin tone", "man’s shoe", "Côte d’Ivoire’s flag", "keycap: 10",
    "a café, a crème brûlée!",
    "it's 7 o'clock", "リンゴ 🍎",
] * 3  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return CaptionTokenizer.train(CAPTIONS, 420)


@pytest.fixture(scope="module")
def merges(tokenizer):
    return merges_of(tokenizer)


@pytest.fixture(scope="module")
def number(tokenizer):
    return numbers_of(tokenizer)


@pytest.mark.parametrize("vocabulary", [256, 257, 300, 420])
def test_the_merges_by_hand_are_those_of_tokenizers_in_the_same_order(vocabulary):
    assert learn_merges(CAPTIONS, vocabulary) == merges_of(CaptionTokenizer.train(CAPTIONS, vocabulary))


def test_captions_are_split_into_the_same_pieces_with_the_same_numbers(tokenizer, merges, number):
    for caption in [*CAPTIONS[::7], *CAPTIONS[-7:], "something never seen before: 42 zebras"]:
        ids = tokenizer.tokenizer.encode(caption).ids
        assert [number[piece] for piece in split(caption, merges)] == ids


@settings(deadline=None, max_examples=200)
@given(st.text(st.sampled_from("abcdez é,:7 "), min_size=1, max_size=30))
def test_any_text_of_usual_letters_gets_the_same_tokens(tokenizer, merges, number, text):
    if text.strip():
        ids = tokenizer.tokenizer.encode(" ".join(text.split())).ids
        assert [number[piece] for piece in split(text, merges)] == ids


def test_pairs_are_counted_by_how_often_their_words_occur():
    spellings = {b" ab": [b" ", b"a", b"b"], b" b": [b" ", b"b"]}
    assert count_pairs(spellings, {b" ab": 3, b" b": 2}) == {
        (b" ", b"a"): 3,
        (b"a", b"b"): 3,
        (b" ", b"b"): 2,
    }


def test_joining_goes_from_left_to_right_without_overlap():
    assert join([b"a", b"a", b"a", b"b"], (b"a", b"a")) == [b"aa", b"a", b"b"]
    assert join([b"x"], (b"a", b"a")) == [b"x"]


def test_all_256_bytes_are_in_the_alphabet_once():
    assert len(set(ALPHABET)) == 256
    with pytest.raises(ReaderError, match="at least 256"):
        learn_merges(CAPTIONS, 255)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(CAPTIONS), st.floats(0, 1), st.integers(0, 99))
def test_dropout_spells_the_same_text_in_pieces_that_exist(merges, number, caption, dropout, seed):
    pieces = split(caption, merges, dropout, torch.Generator().manual_seed(seed))
    assert b"".join(pieces) == b"".join(words(caption)) and set(pieces) <= number.keys()
    assert pieces == split(caption, merges, dropout, torch.Generator().manual_seed(seed))
    assert len(pieces) >= len(split(caption, merges))


def test_dropout_0_is_the_usual_spelling_1_is_bytes_and_a_tenth_is_a_little_longer(tokenizer):
    texts, g = CAPTIONS[:100], torch.Generator().manual_seed(0)
    assert torch.equal(encode_with_dropout(tokenizer, texts, 60, 0.0, g), tokenizer.encode(texts, 60))
    merges = merges_of(tokenizer)
    assert split(texts[0], merges, 1.0, g) == [bytes([b]) for b in b"".join(words(texts[0]))]
    usual, dropped = (sum(len(split(t, merges, p, g)) for t in texts) for p in (0.0, 0.1))
    assert 1.02 < dropped / usual < 1.8


def test_dropout_pads_as_a_model_that_has_room_for_more_pieces_does(tokenizer):
    texts = ["a red apple", "a dog"]
    ours = encode_with_dropout(tokenizer, texts, 20, 0.0, torch.Generator(), padding=5000)
    assert torch.equal(ours, tokenizer.encode(texts, 20, padding=5000)) and int(ours[0, -1]) == 5019


@pytest.mark.parametrize("dropout", [-0.1, 1.1, float("nan")])
def test_a_chance_outside_0_to_1_is_refused(tokenizer, dropout):
    with pytest.raises(ReaderError, match="chance"):
        split("a red apple", merges_of(tokenizer), dropout)
