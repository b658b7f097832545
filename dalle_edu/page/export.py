"""Writes a trained model as files that draw in a web page, without Python and without a server.

The networks' numbers go into one file, transformer and CLIP in 8 bits with a scale a row, the dVAE, whose
errors one sees, in 16 (chapter 14 says what bits cost); beside it stand the scripts, the licence of the
pictures that the model was trained on, and a page that needs nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from dalle_edu.data import EmojiPictures
from dalle_edu.data.scenes import FAMILIES
from dalle_edu.data.scenes import captions as scene_captions
from dalle_edu.data.words import KnownWords
from dalle_edu.drawing import DrawingModel
from dalle_edu.errors import ReaderError
from dalle_edu.explore.codebook import code_pictures
from dalle_edu.files import make_folder, replacing, write_text
from dalle_edu.page.bundle import box, page, script

LICENCE = "LICENCE.txt"
EXAMPLE = "a red apple"


def export(model: DrawingModel, out: Path) -> dict:
    """Writes the files into the folder `out` and returns what a page must know of them: see `describe`.

    Raises ReaderError where `out` is a file, or where a picture of the model is not as wide as it is high.
    """
    if out.exists() and not out.is_dir():
        raise ReaderError(f"{out} is a file: name a folder for the page.")
    make_folder(out)
    weights = weights_file(model)
    told = describe(model, weights)
    with replacing(out / told["file"]) as temporary:
        temporary.write_bytes(weights)
    # A page that is opened from a disk may not read other files, but it may run scripts.
    text = base64.b64encode(weights).decode()
    write_text(out / told["script"], f'globalThis.dalleModel = "{text}";\n')
    codes = base64.b64encode(_bytes(all_codes(model)).numpy().tobytes()).decode()
    write_text(out / told["codes"], f'globalThis.dalleCodes = "{codes}";\n')
    write_text(out / "draw.js", script())
    write_text(out / LICENCE, licence(model))
    write_text(out / "index.html", page(box(told, "")))
    for old in out.glob("model-*"):  # last: until here the page that was there before draws
        if old.name not in (told["file"], told["script"], told["codes"]):
            old.unlink()
    return told


def describe(model: DrawingModel, weights: bytes) -> dict:
    """What a page knows of a model before it is loaded: the names of its files, their size, and a drawing."""
    digest = hashlib.sha256(weights).hexdigest()[:12]
    prompt = example(model)
    drawing = model.draw(prompt, samples=8, seed=0)
    return {
        "file": f"model-{digest}.safetensors",
        "script": f"model-{digest}.js",
        "bytes": len(weights),
        "grid": list(model.config.dalle.grid),
        "size": model.config.dvae.image_size,
        "text_length": model.config.dalle.text_length,
        "guidable": model.config.dalle_recipe.caption_dropout > 0,
        "dials": asdict(model.config.drawing),
        "ranks": model.clip is not None,
        "source": model.source,
        "codes": f"model-{digest}-codes.js",
        "example": {
            "prompt": prompt,
            "tokens": drawing.tokens[0].tolist(),
            "pixels": base64.b64encode(_bytes(drawing.images[0].permute(1, 2, 0)).numpy().tobytes()).decode(),
        },
    }


def example(model: DrawingModel) -> str:
    """What a page shows before anybody has drawn: an apple, or what is nearest to it of the model's words."""
    words = known_words(model)
    known = words is None or not words.unknown(EXAMPLE)
    return EXAMPLE if known else words.nearest(EXAMPLE, 1)[0]


def known_words(model: DrawingModel) -> KnownWords | None:
    """The words that training showed. A model that kept none: those of the emoji and scenes in its
    configuration, whose captions are known without drawing a picture; None where it saw others as well."""
    sources = model.config.data_for("dalle")
    if model.words is not None or any(source["kind"] not in ("emoji", "scenes") for source in sources):
        return model.words
    captions = set()
    for source in sources:
        if source["kind"] == "emoji":
            captions.update(EmojiPictures(split="train", held_out=source.get("held_out", "names")).captions)
        else:
            family = source.get("family", "all")
            for name in FAMILIES if family == "all" else (family,):
                captions.update(scene_captions(name, "train"))
    return KnownWords.of(captions)


def weights_file(model: DrawingModel) -> bytes:
    """All that the page calculates with, as one safetensors file; `js/weights.js` reads it."""
    tensors = {}
    for part, module in (("dalle", model.dalle), ("dvae", model.vae), ("clip", model.clip)):
        for name, tensor in (module.state_dict() if module is not None else {}).items():
            name = f"{part}.{name.removeprefix('clip.')}"
            if tensor.ndim < 2:
                tensors[name] = tensor.float().contiguous()
            elif part == "dvae":
                tensors[name] = tensor.half().contiguous()
            else:
                tensors[name], tensors[f"{name}.scale"] = eight_bits(tensor)
    return save(tensors, metadata={"model": json.dumps(page_config(model), ensure_ascii=False)})


def eight_bits(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """(rows, ...) as whole numbers from -127 to 127 and a scale (rows,): their product is nearest to it."""
    scale = tensor.float().flatten(1).abs().amax(1).clamp_min(1e-12) / 127
    whole = (tensor.float() / scale.view(-1, *[1] * (tensor.ndim - 1))).round().to(torch.int8)
    return whole.contiguous(), scale


def page_config(model: DrawingModel) -> dict:
    """Sizes, the tokenizer, and the words that training showed: what the page's `config` is."""
    config = model.config
    dalle = asdict(config.dalle) | {
        "kinds": list(config.dalle.transformer().kinds),
        "picture_length": config.dalle.picture_length,
    }
    dvae = asdict(config.dvae) | {"downsampling": config.dvae.downsampling}
    if model.vae.patch_codebook is not None:
        dvae["sharpness"] = model.vae.patch_codebook.sharpness
    stored = json.loads(model.tokenizer.tokenizer.to_str())["model"]
    pieces = sorted(stored["vocab"], key=stored["vocab"].get)
    merges = [pair if isinstance(pair, list) else pair.split(" ") for pair in stored["merges"]]
    return {
        "dalle": dalle,
        "dvae": dvae,
        "clip": asdict(config.clip) | {"end": model.clip.end} if model.clip is not None else None,
        "tokenizer": {"pieces": pieces, "merges": merges},
        "words": None if (words := known_words(model)) is None else words.shortest,
    }


def all_codes(model: DrawingModel) -> Tensor:
    """What each code looks like among its likes: (vocabulary, side, side, 3) in [0, 1]."""
    codes = torch.arange(model.config.dvae.vocabulary).split(128)
    return torch.cat([code_pictures(model.vae.decode, some) for some in codes]).permute(0, 2, 3, 1)


def licence(model: DrawingModel) -> str:
    """What stands beside the weights: whose pictures the model was trained on, and whose code this is."""
    own = model.source or (
        "The licence of the pictures that this model was trained on is for you to say: write it here."
    )
    return (
        f"{own}\n\nThe scripts are part of dalle_edu and under the MIT licence. The weights were made from "
        "the pictures\nnamed above: keep this file beside them.\n"
    )


def _bytes(pictures: Tensor) -> Tensor:
    """[0, 1] -> 0 .. 255."""
    return (pictures.clamp(0, 1) * 255).round().to(torch.uint8).contiguous()
