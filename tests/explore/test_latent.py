"""The latent plane: its frames are what the decoder says, and its HTML repeats itself."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from dalle_edu.autoencoder import latent_grid
from dalle_edu.errors import ReaderError
from dalle_edu.explore import latent_explorer, plot_codes, plot_latent_map


def decode(latents):
    """Flat pictures: the first number is red, the second green."""
    colour = torch.stack([latents[:, 0], latents[:, 1], 0 * latents[:, 0]], dim=1) / 5 + 0.5
    return colour[:, :, None, None].expand(-1, -1, 4, 4)


CODES = torch.tensor([[-2.0, -2.0], [2.0, 2.0], [0.0, 0.0]])


def explorer(**changes):
    return latent_explorer(decode, CODES, decode(CODES), **({"steps": 5} | changes))


def sheet(text):
    pixels = Image.open(io.BytesIO(base64.b64decode(text.split(",")[1]))).convert("RGB")
    return np.asarray(pixels).astype(float) / 255


def test_each_frame_shows_what_the_decoder_makes_of_its_point():
    import json

    decoded = sheet(json.loads(explorer().json)["decoded"])
    assert decoded.shape == (20, 20, 3)
    wanted = decode(latent_grid((-2.5, -2.5), (2.5, 2.5), 5))[:, :, 0, 0].reshape(5, 5, 3).numpy()
    np.testing.assert_allclose(decoded[::4, ::4], wanted, atol=0.03)


def test_the_same_plane_gives_the_same_page():
    assert explorer()._repr_html_() == explorer()._repr_html_()


def test_the_point_can_begin_anywhere_on_the_plane_and_nowhere_else():
    explorer(start=(0, 4))
    with pytest.raises(ReaderError, match="from 0 to 4"):
        explorer(start=(5, 0))


def test_codes_that_are_no_plane_are_told_so():
    with pytest.raises(ReaderError, match="number, 2"):
        latent_explorer(decode, torch.zeros(3, 4), decode(CODES))
    with pytest.raises(ReaderError, match="2 pictures"):
        latent_explorer(decode, CODES, decode(CODES)[:2])
    with pytest.raises(ReaderError, match="one kind a code"):
        plot_codes(CODES, ["a"])
    plt.close("all")


def test_kinds_have_a_marker_and_a_name_of_their_own():
    _, ax = plt.subplots()
    plot_codes(CODES, ["flag", "face", "flag"], ax=ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["flag", "face"]
    assert len({path.get_paths()[0].vertices.shape for path in ax.collections}) == 2
    plt.close("all")


def test_the_map_lays_pictures_where_their_points_are():
    _, ax = plt.subplots()
    plot_latent_map(decode, steps=3, ax=ax)
    image = ax.images[0].get_array()
    assert image.shape == (12, 12, 3)
    assert image[0, -1, 0] > 0.9 and image[0, -1, 1] > 0.9  # upper right: both numbers large
    assert image[-1, 0, 0] < 0.1
    plt.close("all")
