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


@cache
def _asset(name: str) -> str:
    """One of the files beside this one, without its comments and indents."""
    text = re.sub(r"/\*.*?\*/", "", Path(__file__).with_name(name).read_text(encoding="utf-8"), flags=re.S)
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


_PAGE = """<div class="dalle-explorer" id="{id}" data-explorer="{id}">
<style>{style}</style>
<p class="title">{title}</p>
<div class="still"><img alt="{alt}" src="{still}" width="{width}">
<p><small>A still picture; in a trusted notebook and in the built book it can be touched.</small></p>
</div>
<script type="application/json" class="data">{data}</script>
<script>(function(){{
var here=document.currentScript,box=here&&here.closest?here.closest('.dalle-explorer'):null;
if(!box)box=document.querySelector('[data-explorer="{id}"]:not([data-live])');
if(!box||box.hasAttribute('data-live'))return;
{kit}
var still=box.querySelector('.still'),root=document.createElement('div');root.className='live';
root.setAttribute('role','group');root.setAttribute('aria-label',box.querySelector('.title').textContent);
root.setAttribute('aria-description',still.querySelector('img').alt);{height}
try{{var data=JSON.parse(box.querySelector('script.data').textContent);
box.insertBefore(root,still);
(function(root,data,kit){{
{script}
}})(root,data,kit);kit.later.forEach(function(f){{f();}});
still.style.display='none';box.setAttribute('data-live','yes');
}}catch(error){{root.remove();box.setAttribute('data-broken',String(error));console.error(error);}}
}})();</script>
</div>"""


class Explorer:
    """A figure to touch, shown at the end of a notebook cell; `script` draws it in the reader's browser.

    title: one line above the figure. alt: what it shows, in a sentence or two, for those who cannot see it.
    data: what JSON can hold; tensors and arrays become lists, floats are cut to `digits` significant digits.
    script: the body of a JavaScript `function (root, data, kit)` that fills the element `root`. `kit` (see
        `explorer.js`) holds `el(tag, attributes, parent, text)` for HTML or SVG, `slider(parent, {label, min,
        max, step, value, format, change})`, `choice(parent, {label, options, value, change})`, `theme()` (the
        page's colours ink, paper, soft, line, accent), `onTheme(redraw)` and `colours`, the Okabe-Ito list.
        `change` is called once at the start, too.
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
        self.title, self.alt, self.script, self.png, self.height = title, alt, script, png, height
        try:
            self.json = json.dumps(_plain(data, digits), allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            raise ReaderError(
                f"The data of the explorer {title!r} does not fit into JSON: {error}."
            ) from error
        # From the content alone, so that a second run of the same notebook writes the same output.
        content = "\0".join([title, alt, self.json, script]).encode()
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
            style=_asset("explorer.css"),
            title=html.escape(self.title),
            alt=html.escape(self.alt),
            still=still,
            width=width // 2 if width > 640 else width,
            data=_inside_script_tag(self.json),
            kit=_asset("explorer.js").replace("COLOURS", json.dumps(COLOURS, separators=(",", ":"))),
            height=f"root.style.minHeight='{int(self.height)}px';" if self.height else "",
            script=self.script.strip().replace("</script", "<\\/script").replace("<!--", "<\\!--"),
        )


def picture_uri(image, scale: int = 1) -> str:
    """`image` (3, H, W) in [0, 1] as a `data:` address for an explorer's data, enlarged `scale` times."""
    pixels = (picture_array(image[None])[0] * 255).round().astype(np.uint8)
    picture = Image.fromarray(pixels.repeat(scale, axis=0).repeat(scale, axis=1))
    return "data:image/png;base64," + base64.b64encode(small_png(picture)).decode()


def _inside_script_tag(text: str) -> str:
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
