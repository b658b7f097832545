"""What the page calculates is what Python calculates: Node runs the page's modules on exported weights."""

from pathlib import Path

import pytest
import torch
from explore.javascript import node_test
from in_page import with_the_page_s_numbers
from toy import loaded_model, trained_folder

from dalle_edu import drawing
from dalle_edu.data import EmojiPictures
from dalle_edu.data.scenes import FAMILIES, captions
from dalle_edu.data.words import KnownWords
from dalle_edu.masks import KINDS, picture_lags
from dalle_edu.page.export import all_codes, eight_bits, weights_file
from dalle_edu.sampling import guided, sample_tokens

HERE = Path(__file__).parent
PROMPTS = ["a red apple", "a large green circle"]


def in_the_page(model, path):
    """Writes the weights, and gives Python's model the numbers that the page gets."""
    path.write_bytes(with_the_page_s_numbers(model)[1])
    return path


def test_eight_bits_are_within_half_a_step_of_each_row_and_a_row_of_zeros_stays_one():
    tensor = (
        torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(0))
        * torch.tensor([0, 1e-3, 1, 5, 9])[:, None, None]
    )
    whole, scale = eight_bits(tensor)
    again = whole * scale[:, None, None]
    assert whole.dtype == torch.int8 and int(whole.abs().amax()) == 127
    assert ((again - tensor).abs() <= scale[:, None, None] * 0.5001).all() and not again[0].any()


def greedy(model, prompt, **how):
    return sample_tokens(model.dalle, model.encode_text(prompt), top_k=1, **how)[0]


@torch.no_grad()
def cases(model, prompts, picture):
    """What Python finds for each prompt, and for a picture."""
    found = []
    for prompt in prompts:
        tokens = greedy(model, prompt)
        images = model.pictures(tokens[None])
        text = model.encode_text(prompt)
        found.append(
            {
                "prompt": prompt,
                "text": text[0],
                "tokens": tokens,
                "logits": model.dalle(text, tokens[None])[1][0, :: len(tokens) // 4],
                "every": len(tokens) // 4,
                "pixels": images[0].permute(1, 2, 0).flatten(),
                "score": model.score(images, prompt)[0],
                "guided": greedy(model, prompt, guidance=2.0),
            }
        )
    encoded = model.vae.encode(picture[None]).flatten()
    return {
        "drawings": found,
        "picture": {"pixels": picture.permute(1, 2, 0).flatten(), "tokens": encoded},
        "attention": attention(model, prompts[0], found[0]["tokens"]),
    }


@torch.no_grad()
def attention(model, prompt, tokens):
    """(layers, heads, L, L): what each position reads of each, by the mask and the definition."""
    from dalle_edu.masks import attention_mask

    config = model.dalle.config
    x = torch.cat(
        (model.dalle.embed_text(model.encode_text(prompt)), model.dalle.embed_image(tokens[None])), 1
    )
    places = [0, 1, config.picture_length // 2, config.picture_length - 1]
    rows = [config.text_length - 1 + place for place in places]
    layers = []
    for block in model.dalle.transformer.blocks:
        query, key, _ = block.attention.split(block.attention_norm(x))
        mask = attention_mask(block.attention.kind, config.text_length, config.grid, config.kernel)
        scores = (query @ key.mT / query.shape[-1] ** 0.5).masked_fill(~mask, -torch.inf)
        layers.append(scores.softmax(-1)[0][:, rows])
        x = block(x)
    return {"places": places, "layers": [layer.transpose(0, 1) for layer in layers]}


def test_a_small_model_draws_the_same_in_the_page(tmp_path):
    model = drawing.load(trained_folder())
    weights = in_the_page(model, tmp_path / "model.safetensors")
    size = model.config.dvae.image_size
    picture = torch.rand(3, size, size, generator=torch.Generator().manual_seed(0))
    told = cases(model, ["a red square", "a large blue circle"], picture) | {"weights": str(weights)}
    node_test("engine", told, tmp_path, HERE)
    node_test("drawing", told, tmp_path, HERE)


def test_the_shipped_model_draws_the_same_tokens_in_the_page(tmp_path):
    model = drawing.load("picturebook")
    drawn = [greedy(model, prompt, guidance=model.config.drawing.guidance) for prompt in PROMPTS]
    in_32_bits = [likeliest(model, *pair) for pair in zip(PROMPTS, drawn, strict=True)]
    weights = in_the_page(model, tmp_path / "model.safetensors")
    told = cases(model, PROMPTS, EmojiPictures(size=64).find("snail"))
    node_test("engine", told | {"weights": str(weights)}, tmp_path, HERE)
    # After the same tokens the likeliest code is the same, with few exceptions: 8 bits are enough.
    for prompt, tokens, codes in zip(PROMPTS, drawn, in_32_bits, strict=True):
        assert (likeliest(model, prompt, tokens) == codes).float().mean() >= 0.99


@torch.inference_mode()
def likeliest(model, prompt, tokens):
    """The likeliest code at each place of a drawing."""
    return model.dalle(model.encode_text(prompt), tokens[None])[1][0].argmax(-1)


def test_the_masks_of_the_page_are_those_of_the_library(tmp_path):
    grids = [((4, 4), 3), ((3, 5), 5), ((16, 16), 11), ((1, 7), 3)]
    told = [
        {"kind": kind, "grid": grid, "kernel": kernel, "lags": picture_lags(kind, grid, kernel)}
        for kind in KINDS
        for grid, kernel in grids
    ]
    node_test("masks", {"masks": told}, tmp_path, HERE)


def test_the_page_guides_as_the_library_does(tmp_path):
    logits = torch.randn(2, 50, generator=torch.Generator().manual_seed(0))
    chances = (guided(logits, 2.5) / 0.7).softmax(-1)[0]
    told = {"logits": logits, "guidance": 2.5, "temperature": 0.7, "chances": chances}
    node_test("sampling", told, tmp_path, HERE)


def test_a_code_is_pictured_as_the_decoder_paints_it_among_its_likes():
    model = loaded_model()
    found = all_codes(model)
    side = model.config.dvae.downsampling
    assert found.shape == (model.config.dvae.vocabulary, side, side, 3)
    whole = model.vae.decode(torch.full((1, 3, 3), 5))[0]
    assert torch.equal(found[5], whole[:, side : 2 * side, side : 2 * side].permute(1, 2, 0))
    with pytest.raises(AssertionError):
        assert torch.equal(found[5], found[6])


ODD = [
    "  a\tred \n apple ", "A RED Apple", "Ｆｕｌｌ width", "ﬁne", "ΌΣΟΣ", "İstanbul",
    "it's 25's o'clock, isn't it?",
    "naïve café—déjà vu", "a\u00a0b\u3000c\u2028d\x1ce\x85f\ufeffg", "1234 ½ ²", "emoji 🍎🍏 and 👩🏽‍🚒",
    "____--__", "日本の旗", "a\u0301", "\u00a8x", "tab\u200bzero", "ǅ ß ẞ", "'s 't 'LL", "٣٤ digits",
]  # fmt: skip


def captions_of_the_data():
    """Every caption that the emoji and the families of scenes have."""
    return sorted({*EmojiPictures(size=64).captions, *(text for name in FAMILIES for text in captions(name))})


def test_the_tokenizer_of_the_page_is_that_of_the_library(tmp_path):
    model = drawing.load("picturebook")
    texts = [*captions_of_the_data(), *ODD]
    encoded = [
        encoding.ids
        for encoding in model.tokenizer.tokenizer.encode_batch([" ".join(t.split()) for t in texts])
    ]
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights_file(model))
    known = KnownWords.of(texts[:500])
    unknown = [
        {"text": text, "words": known.unknown(text)}
        for text in ["a red zebra", "Qwert, a ZZZ qwert", *texts[:50]]
    ]
    told = {
        "weights": str(weights),
        "texts": texts,
        "encoded": encoded,
        "known": known.shortest,
        "unknown": unknown,
    }
    node_test("tokenizer", told, tmp_path, HERE)
