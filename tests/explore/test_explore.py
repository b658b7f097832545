"""Figures and explorers: alternative text is kept, outputs are stable, data cannot break out of the page."""

import base64
import io
import json
import re
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dalle_edu.errors import ReaderError
from dalle_edu.explore import COLOURS, Explorer, figure_texts, picture_grid, picture_uri, show
from dalle_edu.explore.figures import figure_png, small_png


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    plt.close("all")


def tiny_png():
    return small_png(Image.new("RGB", (8, 8), "white"))


def explorer(data=None, **changes):
    given = {
        "title": "A title",
        "alt": "A still",
        "data": data,
        "script": "root.textContent = data;",
        "png": tiny_png(),
    }
    return Explorer(**(given | changes))


def stored_data(page):
    return json.loads(
        re.search(r'<script type="application/json" class="data">(.*?)</script>', page, re.S).group(1)
    )


def test_importing_the_package_of_explorers_does_not_import_matplotlib():
    code = "import sys, dalle_edu.explore; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_explorer_is_answered_with_the_known_ones():
    import dalle_edu.explore as explore

    with pytest.raises(AttributeError, match="picture_grid"):
        explore.no_such_explorer  # noqa: B018


def test_show_publishes_the_figure_with_its_alternative_text_and_closes_it():
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    shell = InteractiveShell.instance()
    try:
        plt.plot([0, 1], label="a line")
        with capture_output() as captured:
            assert show(alt="A line that rises.") is None
    finally:
        InteractiveShell.clear_instance()
        del shell
    assert not plt.get_fignums()
    (output,) = captured.outputs
    assert output.metadata["image/png"]["alt"] == "A line that rises."
    assert output.data["text/plain"] == "<Figure: A line that rises.>"
    width, _ = Image.open(io.BytesIO(output.data["image/png"])).size
    assert width // 2 == output.metadata["image/png"]["width"]


@pytest.mark.parametrize("alt", ["", "   ", None])
def test_show_refuses_a_figure_without_alternative_text(alt):
    plt.plot([0, 1])
    with pytest.raises(ReaderError, match="alternative text"):
        show(alt=alt)


def test_show_without_a_figure_says_so():
    with pytest.raises(ReaderError, match="no figure"):
        show(alt="Nothing.")


def test_the_same_figure_gives_the_same_bytes():
    def draw():
        figure, ax = plt.subplots()
        ax.plot(np.sin(np.arange(20)))
        return figure_png(figure)

    assert draw() == draw()


def test_a_line_plot_is_stored_in_few_kilobytes():
    figure, ax = plt.subplots()
    for shift in range(4):
        ax.plot(np.sin(np.arange(200) / 20 + shift), label=f"shift {shift}")
    ax.legend()
    assert len(figure_png(figure)) < 80_000


def test_few_colours_never_change_a_picture_visibly():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    again = np.asarray(Image.open(io.BytesIO(small_png(noise))).convert("RGB"), dtype=int)
    assert np.abs(again - np.asarray(noise, dtype=int)).max() <= 40


def test_colours_are_eight_different_ones():
    assert len({colour.lower() for colour in COLOURS}) == len(COLOURS) == 8


@pytest.mark.parametrize("count", [1, 3, 8, 9])
def test_a_grid_places_every_picture_row_by_row(count):
    images = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    figure, ax = plt.subplots()
    assert picture_grid(images, columns=4, ax=ax) is None
    canvas = ax.images[0].get_array()
    for index, image in enumerate(images):
        top, left = index // 4 * 17, index % 4 * 17
        np.testing.assert_allclose(canvas[top : top + 16, left : left + 16], image.permute(1, 2, 0))


def test_a_grid_shows_its_captions_and_its_size_follows_the_pictures():
    picture_grid(
        torch.rand(5, 3, 8, 8), captions=["a", "b", "woman firefighter: dark skin tone", "d", "e"], columns=4
    )
    figure = plt.gcf()
    texts = [text.get_text().replace("\n", " ") for text in figure.axes[0].texts]
    assert texts[0] == "a" and "woman" in texts[2]
    assert figure.get_size_inches()[0] == 7


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.rand(3, 8, 8), "shape"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "255"),
        (torch.rand(0, 3, 8, 8), "no pictures"),
        (torch.rand(2, 8, 8, 3), "shape"),
    ],
)
def test_a_grid_says_what_is_wrong_with_its_pictures(images, words):
    with pytest.raises(ReaderError, match=words):
        picture_grid(images)


def test_a_grid_wants_one_caption_a_picture():
    with pytest.raises(ReaderError, match="2 pictures but 1 captions"):
        picture_grid(torch.rand(2, 3, 8, 8), captions=["one"])


def test_an_explorer_run_twice_gives_the_same_page():
    assert explorer([1, 2])._repr_html_() == explorer([1, 2])._repr_html_()
    assert explorer([1, 2]).id != explorer([1, 3]).id
    assert repr(explorer()) == "<Explorer: A title>"


def test_an_explorer_asks_nothing_of_the_network():
    assert not re.search(r'(src|href)\s*=\s*"(https?:)?//', explorer({"a": 1})._repr_html_())


json_data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=60, deadline=None)
@given(json_data)
def test_any_data_comes_back_from_the_page_as_it_went_in(data):
    assert stored_data(explorer(data)._repr_html_()) == data


def test_neither_data_nor_script_nor_texts_can_end_their_tags():
    bad = "</script><script>alert(1)</script><!-- \" ' & \u2028"
    page = explorer(bad, title=bad, alt=bad, script=f"root.textContent = {json.dumps(bad)};")._repr_html_()
    assert page.count("</script>") == 2 and page.count("<script") - page.count('"<script') >= 2
    assert "<!--" not in page
    assert stored_data(page) == bad


def test_an_explorer_takes_tensors_and_cuts_floats():
    page = explorer({"t": torch.tensor([[1.23456789, 2.0]]), "n": np.arange(3)})._repr_html_()
    assert stored_data(page) == {"t": [[1.235, 2.0]], "n": [0, 1, 2]}


@pytest.mark.parametrize("data", [float("nan"), object(), {"a": [float("inf")]}])
def test_an_explorer_refuses_what_json_cannot_hold(data):
    with pytest.raises(ReaderError, match="JSON"):
        explorer(data)


def test_an_explorer_needs_one_still_picture_and_its_text():
    with pytest.raises(ReaderError, match="still picture"):
        explorer(png=None)
    with pytest.raises(ReaderError, match="alternative text"):
        explorer(alt=" ")


def test_the_figure_of_an_explorer_becomes_its_still_picture():
    figure, ax = plt.subplots()
    ax.plot([1, 2])
    page = explorer(png=None, figure=figure)._repr_html_()
    assert not plt.get_fignums()
    stored = re.search(r'src="data:image/png;base64,([^"]+)"', page).group(1)
    assert Image.open(io.BytesIO(base64.b64decode(stored))).format == "PNG"


def test_a_picture_as_address_holds_the_same_pixels():
    image = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    stored = base64.b64decode(picture_uri(image, scale=2).split(",")[1])
    pixels = np.asarray(Image.open(io.BytesIO(stored)).convert("RGB"))
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels[::2, ::2] / 255 - image.permute(1, 2, 0).numpy()).max() < 0.01


def test_a_figure_named_once_is_shown_by_its_name():
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    figure_texts(rise="A line that rises from left to right.")
    shell = InteractiveShell.instance()
    try:
        plt.plot([0, 1])
        with capture_output() as named:
            show("rise")
        plt.plot([0, 1])
        plt.gcf().alt = "Words that the plotting function left."
        with capture_output() as own:
            show()
    finally:
        InteractiveShell.clear_instance()
        del shell
    assert named.outputs[0].metadata["image/png"]["alt"] == "A line that rises from left to right."
    assert own.outputs[0].metadata["image/png"]["alt"] == "Words that the plotting function left."


def test_a_name_that_nobody_gave_and_an_empty_text_are_refused():
    plt.plot([0, 1])
    with pytest.raises(ReaderError, match="no_such_figure"):
        show("no_such_figure")
    with pytest.raises(ReaderError, match="alternative text"):
        show()
    with pytest.raises(ReaderError, match="empty"):
        figure_texts(nothing="  ")
