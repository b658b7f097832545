"""Codebook tools: what they count, decode and frame, on a model whose codes are known colours."""

import json

import matplotlib.pyplot as plt
import pytest
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore import (
    code_gallery,
    code_pictures,
    codebook_explorer,
    codebook_usage,
    dead_code_report,
    nearest_codes,
    plot_code_locations,
    plot_nearest_codes,
    plot_perplexity,
    plot_usage,
)

COLOUR = torch.rand(20, 3, generator=torch.Generator().manual_seed(0))


def decode(tokens):
    return COLOUR[tokens].movedim(-1, 1).repeat_interleave(4, 2).repeat_interleave(4, 3)


@pytest.fixture
def tokens():
    return torch.randint(0, 15, (3, 6, 5), generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_a_code_alone_is_the_patch_that_the_decoder_draws_for_it():
    pictures = code_pictures(decode, [3, 0, 19])
    assert pictures.shape == (3, 3, 4, 4)
    torch.testing.assert_close(pictures[0], COLOUR[3][:, None, None].expand(3, 4, 4))


def test_the_nearest_codes_are_sorted_and_begin_with_the_code_itself():
    codebook = torch.cat([COLOUR, COLOUR[4:5]])  # 20 is a twin of 4
    found, distances = nearest_codes(codebook, 20, 5)
    assert found.tolist()[:2] == [20, 4]
    assert torch.equal(distances, distances.sort().values)
    torch.testing.assert_close(distances, (codebook[found] - codebook[20]).norm(dim=1))


def test_the_report_counts_the_dead(tokens):
    report = dead_code_report(codebook_usage(tokens, 20))
    assert "20 codes, 90 tokens" in report and "15, 16, 17, 18, 19" in report and "5 (25%)" in report


def test_every_static_figure_draws_and_returns_none(tokens):
    usage = codebook_usage(tokens, 20)
    calls = [
        lambda ax: plot_usage(usage, ax=ax),
        lambda ax: plot_perplexity([usage, 3.5, 7], 20, steps=[0, 10, 20], ax=ax),
        lambda ax: code_gallery(decode, usage, columns=5, ax=ax),
        lambda ax: plot_code_locations(decode(tokens)[0], tokens[0], [1, 2], ax=ax),
        lambda ax: plot_nearest_codes(decode, COLOUR, [1, 2], 4, ax=ax),
    ]
    for call in calls:
        _, ax = plt.subplots()
        assert call(ax) is None
        assert ax.has_data() or ax.images or ax.patches
        assert call(None) is None


def test_a_frame_stands_at_every_position_of_the_code(tokens):
    _, ax = plt.subplots()
    plot_code_locations(decode(tokens)[0], tokens[0], [int(tokens[0, 2, 3])], ax=ax)
    corners = {(patch.get_x() + 0.5, patch.get_y() + 0.5) for patch in ax.patches}
    expected = {(4.0 * c, 4.0 * r) for r, c in (tokens[0] == tokens[0, 2, 3]).nonzero().tolist()}
    assert corners == expected


def test_the_explorer_holds_every_code_once_and_is_the_same_twice(tokens):
    first, again = (
        codebook_explorer(decode, decode(tokens), tokens, vocabulary=20, codebook=COLOUR) for _ in range(2)
    )
    assert first._repr_html_() == again._repr_html_()
    data = json.loads(first.json)
    assert sorted(data["order"]) == list(range(20)) and data["total"] == 90
    assert data["tokens"] == tokens.tolist() and len(data["pictures"]) == 3
    assert all(near[0] == code for near, code in zip(data["near"], data["order"], strict=True))
    assert "http" not in first.script


def test_the_sheet_of_a_large_codebook_is_wider_and_no_longer(tokens):
    def many(tokens):
        return decode(tokens % 20)

    for vocabulary, columns in ((1024, 16), (4096, 32)):
        data = json.loads(codebook_explorer(many, many(tokens), tokens, vocabulary=vocabulary).json)
        assert data["columns"] == columns and len(data["order"]) == vocabulary


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: plot_usage(torch.zeros(4)), "not all zero"),
        (lambda: plot_perplexity([], 4), "empty"),
        (lambda: nearest_codes(COLOUR, 20), "no code 20"),
        (lambda: plot_code_locations(torch.zeros(1, 3, 4, 4), torch.zeros(1, 2, 2), [0]), "one picture"),
        (lambda: codebook_explorer(decode, torch.zeros(2, 3, 4, 4), torch.zeros(1, 1, 1).long()), "as many"),
        (
            lambda: codebook_explorer(decode, torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 1).long()),
            "vocabulary",
        ),
    ],
)
def test_what_the_reader_can_mend_is_said_in_one_sentence(call, words):
    with pytest.raises(ReaderError, match=words):
        call()
