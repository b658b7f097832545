"""Every question of a quiz has three answers, one of them right, and each says why."""

import re
from collections import Counter

import nbformat
import pytest

from dalle_edu.publish.book import chapters, folder

BOOK = [path for path in chapters(folder()) if path.parent == folder()]
OPTION = re.compile(r"<details><summary>(.*?)</summary>(Right|No)\. (.*?)</details>")


def questions(path):
    """The quiz of a chapter: the text of each question, and its options as (answer, verdict, reason)."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    text = "\n\n".join(cell for cell in cells if "<details>" in cell)
    parts = re.split(r"^\*\*\d+\.\*\* (?=.*\n\n<details>)", text, flags=re.M)[1:]
    return [(part.split("\n")[0], OPTION.findall(part)) for part in parts]


@pytest.mark.parametrize("path", BOOK, ids=lambda path: path.stem)
def test_each_answer_says_why(path):
    quiz = questions(path)
    assert len(quiz) >= 3
    for question, options in quiz:
        assert question.endswith(("?", "."))
        assert len(options) == 3, question
        assert [verdict for _, verdict, _ in options].count("Right") == 1, question
        assert all(len(reason.split()) >= 2 for _, _, reason in options), question


def test_the_place_of_the_right_answer_gives_nothing_away():
    places = Counter(
        [verdict for _, verdict, _ in options].index("Right")
        for path in BOOK
        for _, options in questions(path)
    )
    assert max(places.values()) < 0.45 * sum(places.values()) and len(places) == 3
