"""Words that training never showed are named, with captions that come near."""

import warnings

import pytest
from toy import loaded_model

from dalle_edu.data.words import KnownWords, words_of
from dalle_edu.errors import ReaderError

KNOWN = KnownWords.of(["a red apple", "red apple", "a cat at night", "umbrella on ground", "man’s shoe"])


def test_unknown_words_are_named_once_in_their_order_whatever_their_case():
    assert KNOWN.unknown("A GNU and a Red appel, a gnu!") == ["gnu", "and", "appel"]
    assert KNOWN.unknown("a red apple at night.") == [] == KNOWN.unknown("Man’s shoe")
    assert KNOWN.sentence("a cat") == ""


def test_the_nearest_captions_hold_words_spelled_alike():
    assert KNOWN.nearest("an appel")[0] == "red apple"
    assert KNOWN.nearest("umbrela", 1) == ["umbrella on ground"]
    said = KNOWN.sentence("a red appel")
    assert "the word 'appel'" in said and "'red apple'" in said
    assert "the words 'appel', 'tabel'" in KNOWN.sentence("appel tabel")


def test_each_word_stands_with_the_shortest_caption_it_was_in(tmp_path):
    assert KNOWN.shortest["red"] == "red apple" and KNOWN.shortest["night"] == "a cat at night"
    KNOWN.save(tmp_path)
    assert KnownWords.load(tmp_path).shortest == KNOWN.shortest
    assert KnownWords.load(tmp_path / "elsewhere") is None
    (tmp_path / "words.json").write_text('{"red": ')
    with pytest.raises(ReaderError, match="damaged"):
        KnownWords.load(tmp_path)


def test_words_are_runs_of_letters_and_digits():
    assert words_of("T-shirt: 2 Big_ones, naïve") == ["t", "shirt", "2", "big", "ones", "naïve"]


def test_a_model_warns_of_unknown_words_and_draws_all_the_same():
    model = loaded_model()
    with pytest.warns(UserWarning, match="the word 'gnu'"):
        assert len(model.draw("a red gnu", samples=2)) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.draw("a small red circle", samples=1)
