"""Captions become tokens and come back, whatever is typed."""

import unicodedata

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dalle_edu.errors import ReaderError
from dalle_edu.tokens import CaptionTokenizer

CAPTIONS = [
    "a red apple",
    "a green apple",
    "a large red circle",
    "a small green heart",
    "a red house at night",
] * 3


@pytest.fixture(scope="module")
def tokenizer():
    return CaptionTokenizer.train(CAPTIONS, 300)


def normal(text):
    """What the tokenizer promises to keep: NFKC, lower case letter by letter, each white space one space."""
    return " ".join("".join(letter.lower() for letter in unicodedata.normalize("NFKC", text)).split())


# Unicode's own data ages with each Python; letters that both sides know are those assigned for long.
TEXT = st.text(
    st.characters(max_codepoint=0x2FFF, exclude_categories=["Cs", "Cn", "Cc"]), min_size=1, max_size=40
)


@settings(deadline=None, max_examples=300)
@given(text=TEXT)
@example(text="Crème brûlée — 30 %, ‘extra’")
@example(text="ﬁnal ½ Ⅷ")
@example(text="リンゴ 🍎👩🏿‍🚒")
@example(text="\u1df7\u035b")
@example(text="0\u16800")
@example(text="\u0130\u05ad")
def test_any_text_comes_back_up_to_case_and_normal_form(tokenizer, text):
    if not normal(text):
        return
    tokens = tokenizer.encode(text, text_length=400)
    # Normal again, on both sides: Python and the tokenizer may know different versions of Unicode, which
    # order accents differently (\u1df7\u035b), and a small letter may have an accent more than its capital,
    # which is then out of order (the last example).
    assert normal(tokenizer.decode(tokens[0])) == normal(normal(text))
    assert "".join(tokenizer.pieces(text))  # shows something for every text


def test_upper_case_and_other_spellings_of_a_letter_are_the_same_caption(tokenizer):
    forms = ["A café", "a cafe\u0301", "  a CAFÉ  ", "ａ café"]
    encoded = tokenizer.encode(forms, 16)
    assert all(torch.equal(encoded[0], row) for row in encoded)


@settings(deadline=None, max_examples=50)
@given(
    words=st.lists(st.sampled_from(["a", "red", "green", "apple", "circle", "zebra"]), min_size=1, max_size=5)
)
def test_empty_places_hold_the_padding_token_of_their_own_position(tokenizer, words):
    text_length = 32
    tokens = tokenizer.encode(" ".join(words), text_length)[0]
    count = len(tokenizer.pieces(" ".join(words)))
    assert tokens.dtype == torch.int64 and (tokens[:count] < tokenizer.vocabulary).all()
    assert tokens[count:].tolist() == [tokenizer.vocabulary + i for i in range(count, text_length)]


def test_a_batch_is_its_captions_one_by_one(tokenizer):
    texts = ["a red apple", "a", "a large green house at night"]
    together = tokenizer.encode(iter(texts), 24)
    assert together.shape == (3, 24)
    assert torch.equal(together, torch.cat([tokenizer.encode(text, 24) for text in texts]))


def test_too_long_is_an_error_or_a_cut_that_was_asked_for(tokenizer):
    text = "zebra " * 10
    count = len(tokenizer.pieces(text))
    whole = tokenizer.encode(text, count)[0]
    with pytest.raises(ReaderError, match=f"has {count} tokens, at most {count - 1} fit.*shorten it"):
        tokenizer.encode(text, count - 1)
    assert torch.equal(tokenizer.encode(text, 7, cut=True)[0], whole[:7])


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u3000"])
def test_an_empty_caption_is_refused(tokenizer, text):
    with pytest.raises(ReaderError, match="empty.*'a red apple'"):
        tokenizer.encode(["a red apple", text], 16)


def test_half_a_surrogate_pair_is_refused_with_a_sentence(tokenizer):
    with pytest.raises(ReaderError, match="not Unicode"):
        tokenizer.encode("a red \ud83c apple", 16)


def test_frequent_words_of_the_training_captions_become_single_pieces(tokenizer):
    assert tokenizer.pieces("a red apple") == [" a", " red", " apple"]
    assert tokenizer.pieces("apple")[0] == " apple"  # first in a caption or not, it is the same word
    assert tokenizer.piece(tokenizer.vocabulary + 7) == "<pad 7>"


@pytest.mark.parametrize("vocabulary", [256, 257, 280, 100_000])
def test_the_vocabulary_has_all_bytes_and_never_more_pieces_than_allowed(vocabulary):
    tokenizer = CaptionTokenizer.train(CAPTIONS, vocabulary)
    assert 256 <= tokenizer.vocabulary <= vocabulary
    assert tokenizer.decode(tokenizer.encode("Ξ 漢", 32)[0]) == "ξ 漢"


def test_a_vocabulary_without_room_for_the_bytes_is_refused():
    with pytest.raises(ReaderError, match="at least 256"):
        CaptionTokenizer.train(CAPTIONS, 255)


def test_a_stored_tokenizer_reads_the_same(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer.json")
    back = CaptionTokenizer.load(tmp_path / "tokenizer.json")
    assert torch.equal(back.encode(CAPTIONS, 16), tokenizer.encode(CAPTIONS, 16))


@pytest.mark.parametrize("content", [None, "", "{", "no json", "{}", '{"model": 3}'])
def test_a_missing_or_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ReaderError, match="tokenizer.json") as caught:
        CaptionTokenizer.load(path)
    assert "\n" not in str(caught.value)


def test_padding_stands_where_a_model_has_it_and_leaves_the_words_alone():
    tokenizer = CaptionTokenizer.train(["a red apple", "a blue star"], 300)
    own, moved = (tokenizer.encode(["a red apple"], 12, padding=first) for first in (None, 400))
    words = own < tokenizer.vocabulary
    assert 0 < words.sum() < 12 and torch.equal(moved[words], own[words])
    assert moved[~words].tolist() == [400 + i for i in range(int(words.sum()), 12)]
