"""An `Explorer` is a figure to touch: a still picture that a small script replaces by the live figure.

Everything travels in one piece of HTML: the PNG, the data as JSON, the script. So it works in
JupyterLab, on a static page and without a network; where scripts are not allowed (a notebook that is not yet
trusted) the PNG stays.
"""

import base64
import hashlib
import html
import json
import re
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from dalle_edu.errors import ReaderError
from dalle_edu.explore.figures import COLOURS, figure_png, picture_array, small_png

_FOLDER = Path(__file__).parent


@cache
def packed(path: Path) -> str:
    """A `.js` or `.css` file for the page: without comments
    that have a line of their own, indents and `export`.

    So a file that Node can import as a module stands inside a page as plain functions.
    """
    text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.S)
    lines = [line.strip() for line in text.splitlines()]
    return "\n".join(line.removeprefix("export ") for line in lines if line and not line.startswith("//"))


_PAGE = """<div class="dalle-explorer" id="{id}" data-explorer="{id}">
<style>{style}</style>
<p class="title">{title}</p>
<div class="still"><img alt="{alt}" src="{still}" width="{width}">
<p><small>A still picture; in a trusted notebook and in the built book it can be touched.</small></p>
</div>
<script type="application/json" class="data">{data}</script>
<script>(function(){{
{kit}
wake("{id}",{colours},{height},{show});
}})();</script>
</div>"""


class Explorer:
    """A figure to touch, shown at the end of a notebook cell; `script` draws it in the reader's browser.

    title: one line above the figure. alt: what it shows, in a sentence or two, for those who cannot see it.
    data: what JSON can hold; tensors and arrays become lists, floats are cut to `digits` significant digits.
    script: the path of a JavaScript file with a function `show(root, data, kit)` that fills the element
        `root`, or the text of that function's body. `kit` (see `kit.js`) holds `el(tag, attributes, parent,
        text)` for HTML or SVG, `slider(parent, {label, min, max, step, value, format, change})`,
        `choice(parent, {label, options, value, change})`, `voice(parent)` for what is read aloud, `point`
        and `keys` for mouse, finger and keyboard, `theme()` (the colours), `onTheme(redraw)` and `colours`,
        the Okabe-Ito list. `change` is called once at the start, too.
    png or figure: the still picture, as the bytes of a PNG or as a matplotlib figure, which is closed.
    height: the least height of the live figure in screen pixels, so that the page does not jump.

    Raises `ReaderError` without a still picture or alternative text, or for data that JSON cannot hold.
    """

    def __init__(
        self, *, title, alt, data, script, png: bytes | None = None, figure=None, height=None, digits=4
    ):
        if not str(alt).strip() or not str(title).strip():
            raise ReaderError("An explorer needs a title and an alternative text that says what it shows.")
        if (png is None) == (figure is None):
            raise ReaderError(
                "An explorer needs one still picture: give either png=... (bytes) or figure=..."
            )
        if figure is not None:
            import matplotlib.pyplot as plt

            png = figure_png(figure)
            plt.close(figure)
        self.title, self.alt, self.png, self.height = title, alt, png, height
        self.script = _function(script)
        try:
            self.json = json.dumps(_plain(data, digits), allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            raise ReaderError(
                f"The data of the explorer {title!r} does not fit into JSON: {error}."
            ) from error
        # From the content alone, so that a second run of the same notebook writes the same output.
        content = "\0".join([title, alt, self.json, self.script]).encode()
        self.id = "explorer-" + hashlib.sha256(content).hexdigest()[:12]

    def __repr__(self):
        return f"<Explorer: {self.title}>"

    def _repr_html_(self):
        still = "data:image/png;base64," + base64.b64encode(self.png).decode()
        width = int.from_bytes(
            self.png[16:20], "big"
        )  # from the PNG's header; ours hold two pixels a screen pixel
        return _PAGE.format(
            id=self.id,
            style=packed(_FOLDER / "kit.css"),
            title=html.escape(self.title),
            alt=html.escape(self.alt),
            still=still,
            width=width // 2 if width > 640 else width,
            data=inside_script_tag(self.json),
            kit=packed(_FOLDER / "kit.js"),
            colours=json.dumps(COLOURS, separators=(",", ":")),
            height=int(self.height or 0),
            show=self.script.replace("</script", "<\\/script").replace("<!--", "<\\!--"),
        )


def _function(script: Path | str) -> str:
    """JavaScript for a function `(root, data, kit)`: what a file calls `show`, or the body that was given."""
    if isinstance(script, Path):
        # In a function of its own, so that no name of the file meets one of the kit's.
        return f"(function(){{\n{packed(script)}\nreturn show;\n}})()"
    return f"function(root,data,kit){{\n{script.strip()}\n}}"


def picture_uri(image, scale: int = 1) -> str:
    """`image` (3, H, W) in [0, 1] as a `data:` address for an explorer's data, enlarged `scale` times."""
    pixels = (picture_array(image[None])[0] * 255).round().astype(np.uint8)
    picture = Image.fromarray(pixels.repeat(scale, axis=0).repeat(scale, axis=1))
    return "data:image/png;base64," + base64.b64encode(small_png(picture)).decode()


def inside_script_tag(text: str) -> str:
    """JSON in which nothing can end the `<script>` around it; a JSON parser reads the same values."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _plain(value, digits):
    """`value` with tensors and arrays as lists and floats cut to `digits` significant digits."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, bool) or value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, dict):
        return {key: _plain(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, digits) for item in value]
    raise TypeError(f"{type(value).__name__} is neither a number, a text, a list nor a table")
