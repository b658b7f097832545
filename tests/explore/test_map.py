"""The figure at each chapter's head: every chapter has its place, and words that say which."""

import matplotlib.pyplot as plt
import pytest

from dalle_edu.errors import ReaderError
from dalle_edu.explore import plot_map
from dalle_edu.explore.map import LAST, STATIONS, STEPS, map_text


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    plt.close("all")


def words(chapter):
    plot_map(chapter)
    return [text.get_text() for text in plt.gcf().axes[0].texts]


def test_every_chapter_but_the_tour_has_one_place_on_the_map():
    for chapter in range(1, LAST + 1):
        assert sum(chapter in numbers for numbers in STATIONS.values()) == 1
        assert sum("you are here" in text for text in words(chapter)) == 1
    assert not any("you are here" in text for text in words(0))


def test_the_map_brings_its_words_and_they_name_the_place():
    for chapter, place in ((2, "VAE"), (6, "text tokens"), (12, "CLIP"), (0, "all of it")):
        plot_map(chapter)
        assert plt.gcf().alt == map_text(chapter)
        assert place in map_text(chapter)
    assert len({map_text(chapter) for chapter in STEPS}) == len(STEPS)


def test_chapters_are_listed_as_a_reader_would_say_them():
    texts = words(7)
    assert "chapters 1 to 5" in texts and "chapter 6" in texts


def test_a_chapter_that_does_not_exist_is_refused():
    for chapter in (-1, LAST + 1, "two"):
        with pytest.raises(ReaderError, match="chapters 0 to"):
            plot_map(chapter)


def test_a_map_leaves_the_figure_before_it_alone():
    figure = plt.figure()
    plot_map(3)
    assert plt.gcf() is not figure and not figure.axes
