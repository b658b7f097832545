"""The stream's figures: what they carry is what they were given."""

import json
import re

import matplotlib.pyplot as plt
import pytest
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore import plot_pieces, plot_stream, stream_explorer, stream_typing
from dalle_edu.tokens import CaptionTokenizer

CAPTIONS = ["a red apple", "a large green <heart> & more"]


@pytest.fixture(scope="module")
def tokenizer():
    return CaptionTokenizer.train(CAPTIONS * 3, 320)


def parts():
    tokens = torch.arange(18).view(2, 3, 3)
    return tokens, torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def test_the_explorer_holds_every_word_piece_and_every_picture_token(tokenizer):
    tokens, pictures = parts()
    html = stream_explorer(tokenizer, CAPTIONS, 24, tokens, pictures)._repr_html_()
    data = json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.S).group(1))
    assert data["tokens"] == tokens.flatten(1).tolist() and data["grid"] == [3, 3] and data["length"] == 24
    for caption, words in zip(CAPTIONS, data["words"], strict=True):
        assert [token for _, token in words] == tokenizer.tokenizer.encode(caption).ids
        assert "".join(piece for piece, _ in words).strip() == caption
    assert html == stream_explorer(tokenizer, CAPTIONS, 24, tokens, pictures)._repr_html_()
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "")


def test_captions_tokens_and_pictures_must_go_together(tokenizer):
    tokens, pictures = parts()
    with pytest.raises(ReaderError, match="2 captions, 1 pictures in tokens"):
        stream_explorer(tokenizer, CAPTIONS, 24, tokens[:1], pictures)
    with pytest.raises(ReaderError, match="one caption"):
        plot_stream(tokenizer, tokenizer.encode(CAPTIONS, 24))


def test_the_still_figure_names_words_and_the_padding_of_each_place(tokenizer):
    tokens, pictures = parts()
    plot_stream(
        tokenizer, tokenizer.encode(CAPTIONS[0], 8)[0], tokens[0], pictures[0], ax=plt.figure().add_subplot()
    )
    shown = [text.get_text() for text in plt.gca().texts]
    assert {"red", "apple", "pad 3", "pad 7", "8"} <= set(shown) and "pad 1" not in shown
    plt.close("all")


def test_pieces_are_drawn_letter_by_letter_with_their_number():
    plot_pieces({"a": [" re", "d"]}, ax=plt.figure().add_subplot())
    assert [text.get_text() for text in plt.gca().texts] == ["·", "r", "e", "d", "2"]
    plt.close("all")


def test_typing_shows_the_stream_or_says_what_is_wrong(tokenizer):
    box, says, _ = stream_typing(tokenizer, 8).children
    assert "3 tokens, 5 of padding" in says.value
    box.value = "zebra zebra zebra"
    assert "at most 8 fit" in says.value
    box.value = ""
    assert "empty" in says.value
