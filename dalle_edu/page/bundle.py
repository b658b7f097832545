"""Joins the JavaScript modules of `js/` into one script that runs from a disk as well as from a server.

A page that is opened as a file may not import modules, so they are set one after another into one function;
the worker's travel as a text, from which the page starts it.
"""

from __future__ import annotations

import base64
import html
import json
import re
from functools import cache
from pathlib import Path

from PIL import Image

from dalle_edu.explore.explorer import inside_script_tag, packed

FOLDER = Path(__file__).parent / "js"
KIT = Path(__file__).parents[1] / "explore"

# Each after those that it imports from.
WORKER = (
    "kernel", "weights", "masks", "tokenizer", "transformer", "sampling", "dvae", "clip", "drawing", "worker",
)  # fmt: skip
PAGE = ("load", "studio", "looking", "easel", "controls", "box")

STILL_ALT = "A drawing of “{prompt}”, made by this model: {side} by {side} pixels."


@cache
def joined(names: tuple[str, ...]) -> str:
    """The modules as plain functions: without imports, exports and comments."""
    return re.sub(r"^import\b.*?;\n", "", "\n".join(packed(FOLDER / f"{name}.js") for name in names) + "\n",
                  flags=re.M | re.S)  # fmt: skip


def script() -> str:
    """`draw.js`: it brings every box of its page to life."""
    worker = json.dumps(joined(WORKER)).replace("</", "<\\/")
    kit = packed(KIT / "kit.js")
    return (
        "(function () {\n'use strict';\n"
        f"const WORKER = {worker};\n{kit}\n{joined(PAGE)}"
        "document.querySelectorAll('.dalle-draw:not([data-live])').forEach(bring);\n})();\n"
    )


def style() -> str:
    """The box's style sheet, as text."""
    return packed(KIT / "kit.css") + "\n" + packed(Path(__file__).parent / "draw.css")


def box(told: dict, base: str) -> str:
    """A box to draw in, as HTML. `told`: what `export` returned; `base`: the folder of the files, seen from
    the page. Its script stands at its end, so that it wakes at once."""
    data = inside_script_tag(json.dumps(told | {"base": base}, ensure_ascii=False, separators=(",", ":")))
    example = told["example"]
    alt = STILL_ALT.format(prompt=example["prompt"], side=told["size"])
    return (
        f'<div class="dalle-explorer dalle-draw">\n<style>{style()}</style>\n'
        '<p class="title">Type a sentence, watch the tokens appear</p>\n'
        f'<div class="still"><img class="pixels" alt="{html.escape(alt)}" src="{_png(told)}" width="256">'
        "<p><small>A still picture: drawing needs JavaScript.</small></p></div>\n"
        f'<script type="application/json" class="data">{data}</script>\n</div>\n'
        f'<script src="{html.escape(base)}draw.js"></script>\n'
    )


def page(body: str) -> str:
    """A page of its own around a box."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<title>Draw with DALL·E</title>\n"
        "<script>document.documentElement.dataset.theme = "
        "matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';</script>\n"
        "<style>:root { color-scheme: light dark; }\n"
        "body { margin: 1em; color: CanvasText; background: Canvas; }</style>\n"
        f"</head>\n<body>\n<main>\n<h1>Draw with DALL·E</h1>\n{body}</main>\n</body>\n</html>\n"
    )


def _png(told: dict) -> str:
    """The example as a `data:` address."""
    from dalle_edu.explore.figures import small_png

    side = told["size"]
    pixels = base64.b64decode(told["example"]["pixels"])
    picture = Image.frombytes("RGB", (side, side), pixels)
    return "data:image/png;base64," + base64.b64encode(small_png(picture)).decode()
