"""The explorers of chapter 12: what they store is what they were given, and wrong input is named."""

import json
import re

import matplotlib.pyplot as plt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dalle_edu.errors import ReaderError
from dalle_edu.explore import best_of_explorer, plot_best_of, plot_similarity, similarity_explorer
from dalle_edu.explore.best_of import winners

GENERATOR = torch.Generator().manual_seed(0)
PICTURES = torch.rand(5, 3, 8, 8, generator=GENERATOR)
COSINES = torch.rand(5, 5, generator=GENERATOR) * 2 - 1
CAPTIONS = [f"caption {i}" for i in range(5)]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def stored(explorer):
    page = explorer._repr_html_()
    return json.loads(re.search(r'class="data">(.*?)</script>', page, re.S).group(1))


def test_the_matrix_is_stored_to_a_thousandth_and_opens_at_the_first_mistake():
    cosines = torch.eye(5) * 0.5
    cosines[2, 4] = 0.9
    data = stored(similarity_explorer(cosines, PICTURES, CAPTIONS))
    assert torch.equal(torch.tensor(data["cosines"]), (cosines * 1000).round().long())
    assert data["start"] == [2, 4] and data["own"] == [0, 1, 2, 3, 4] and data["captions"] == CAPTIONS


def test_a_matrix_that_is_not_square_has_own_captions_only_when_told():
    wide = torch.rand(5, 3, generator=GENERATOR)
    assert stored(similarity_explorer(wide, PICTURES, CAPTIONS[:3]))["own"] is None
    own = torch.tensor([0, 1, 2, 0, 1])
    assert stored(similarity_explorer(wide, PICTURES, CAPTIONS[:3], own=own))["own"] == own.tolist()


def test_the_figure_marks_the_nearest_caption_of_each_row():
    _, ax = plt.subplots()
    assert plot_similarity(COSINES, ax=ax) is None
    marked = {(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines}
    assert marked == {(int(best), row) for row, best in enumerate(COSINES.argmax(1))}
    shapes = {line.get_ydata()[0]: line.get_marker() for line in ax.lines}
    assert all((shapes[row] == "o") == (best == row) for row, best in enumerate(COSINES.argmax(1).tolist()))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: similarity_explorer(COSINES, PICTURES[:4], CAPTIONS), "5 pictures.*given are 4 and 5"),
        (lambda: similarity_explorer(COSINES, PICTURES, CAPTIONS[:2]), "given are 5 and 2"),
        (lambda: plot_similarity(COSINES[0]), "must be a matrix"),
        (lambda: plot_similarity(COSINES * float("nan")), "must be a matrix"),
        (lambda: plot_similarity(COSINES, own=[0, 1, 2, 3, 5]), "own must name"),
        (lambda: best_of_explorer("a", PICTURES, torch.rand(4)), "a score for each"),
        (lambda: best_of_explorer("a", PICTURES, torch.full((5,), float("nan"))), "a score for each"),
        (lambda: best_of_explorer("a", PICTURES, torch.rand(5), right=[True]), "1 verdicts"),
        (lambda: best_of_explorer("a", PICTURES[:0], torch.rand(0)), "1 to 512"),
    ],
)
def test_what_does_not_fit_is_named(call, words):
    with pytest.raises(ReaderError, match=words):
        call()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30))
def test_the_winner_of_the_first_n_is_the_first_of_the_highest(scores):
    best = winners(torch.tensor(scores))
    for n in range(1, len(scores) + 1):
        assert best[n - 1] == scores[:n].index(max(scores[:n]))


def test_best_of_stores_scores_winners_and_verdicts():
    scores = torch.tensor([0.1, 0.5, 0.2, 0.6, 0.6])
    data = stored(best_of_explorer("a red star", PICTURES, scores, right=torch.tensor([1, 0, 0, 1, 0]), n=99))
    assert data["scores"] == [100, 500, 200, 600, 600] and data["best"] == [0, 1, 1, 3, 3]
    assert data["right"] == [True, False, False, True, False] and data["n"] == 5


def test_the_stairs_show_the_best_so_far():
    _, ax = plt.subplots()
    assert plot_best_of(torch.tensor([0.3, 0.1, 0.7]), ax=ax, mark=2) is None
    assert ax.lines[1].get_ydata().tolist() == pytest.approx([0.3, 0.3, 0.7])
    assert ax.lines[2].get_ydata()[0] == pytest.approx(0.3)


def test_the_same_input_gives_the_same_html_twice():
    for make in (
        lambda: similarity_explorer(COSINES, PICTURES, CAPTIONS),
        lambda: best_of_explorer("a", PICTURES, COSINES[0]),
    ):
        assert make()._repr_html_() == make()._repr_html_()
