"""The comparison of notebooks forgives other bytes of the same picture, and nothing else of an explorer."""

from pathlib import Path

from nbval.plugin import get_sanitize_patterns
from PIL import Image

from dalle_edu.explore import Explorer
from dalle_edu.explore.figures import small_png

PATTERNS = get_sanitize_patterns(Path(__file__).with_name("sanitize.cfg").read_text())


def compared(data, size=8, script="root.textContent = data;"):
    import re

    png = small_png(Image.new("RGB", (size, 8), "white"))
    text = Explorer(title="Title", alt="A still", data=data, script=script, png=png)._repr_html_()
    for pattern, replacement in PATTERNS:
        text = re.sub(pattern, replacement, text)
    return text


def test_other_bytes_of_a_picture_are_forgiven():
    assert compared([1], size=8) == compared([1], size=9)


def test_another_number_is_not():
    assert compared([1]) != compared([2])


def test_what_every_explorer_holds_and_the_code_that_shows_it_are_left_out():
    """The code is tested where it is written (tests/explore), so that mending it changes no chapter."""
    text = compared([1])
    assert "STYLE" in text and "SCRIPT" in text and "PICTURE" in text
    assert len(text) < 2_000
    assert text == compared([1], script="root.textContent = 1;")


def test_rounding_is_forgiven_and_a_difference_that_is_more_is_not():
    import re

    said = ["0e+00", "3e-07", "1e-06", "4e-05", "2e-03", "1e+00"]
    lines = [f"by hand and module: largest difference {number}" for number in said]
    for pattern, replacement in PATTERNS:
        lines = [re.sub(pattern, replacement, line) for line in lines]
    assert ["ROUNDING" in line for line in lines] == [True] * 4 + [False] * 2
