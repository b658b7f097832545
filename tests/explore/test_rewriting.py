"""The explorer that rewrites a token shows what the decoder really draws."""

import json

import pytest
import torch

from dalle_edu.dvae import DiscreteVAE, DiscreteVAEConfig
from dalle_edu.errors import ReaderError
from dalle_edu.explore.rewriting import alternatives, rewrite_explorer


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    config = DiscreteVAEConfig(
        image_size=16, vocabulary=32, patch_size=4, groups=1, hidden=8, decoder_input=8, patch_codebook=True
    )
    return DiscreteVAE(config).eval()


@pytest.fixture(scope="module")
def image():
    return torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1))


def test_the_runners_up_are_the_next_most_probable_codes(vae, image):
    tokens, others, chances = alternatives(vae, image, runners_up=3, strangers=2)
    q = vae.logits(image[None])[0].softmax(0).flatten(1).T
    assert torch.equal(tokens.flatten(), q.argmax(1))
    assert torch.allclose(chances[:, :4], q.sort(descending=True).values[:, :4])
    assert tuple(others.shape) == (16, 5)
    assert torch.allclose(chances[:, 1:], q.gather(1, others))


def test_it_holds_the_picture_of_every_change(vae, image):
    explorer = rewrite_explorer(vae, image)
    data = json.loads(explorer.json)
    assert len(data["others"]) == 16 and len(data["others"][0]) == 5
    assert data["grid"] == [4, 4] and data["size"] == [16, 16]
    sheet = read(data["sheet"])
    assert tuple(sheet.shape) == (3, 16 * 16, 5 * 16)
    tokens = torch.tensor(data["tokens"]).reshape(4, 4)
    for place, code in ((0, 0), (6, 2), (15, 4)):
        changed = tokens.clone()
        changed[place // 4, place % 4] = data["others"][place][code]
        shown = sheet[:, place * 16 : place * 16 + 16, code * 16 : code * 16 + 16]
        # The sheet may be stored with 256 colours.
        assert (shown - vae.decode(changed[None])[0]).abs().mean() < 0.02


def read(uri):
    import base64
    import io

    import numpy as np
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1) / 255


def test_a_second_call_gives_the_same_figure(vae, image):
    assert rewrite_explorer(vae, image)._repr_html_() == rewrite_explorer(vae, image)._repr_html_()


def test_pictures_that_do_not_fit_are_clear_sentences(vae):
    with pytest.raises(ReaderError, match="One picture of shape"):
        rewrite_explorer(vae, torch.rand(2, 3, 16, 16))
    with pytest.raises(ReaderError, match="too large"):
        rewrite_explorer(vae, torch.rand(3, 128, 128))
