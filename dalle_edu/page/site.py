"""The book's site with a box to draw in: a small extension of Sphinx.

`<!-- draw -->` in a page becomes the box, and chapter 0 has it below its title; the files that it
loads are written beside the pages. Every page says in its head what it is about, and is light to load.
"""

from __future__ import annotations

import html
import json
from pathlib import Path

from docutils import nodes

from dalle_edu.drawing import FOLDER, load
from dalle_edu.files import files_digest, write_text
from dalle_edu.page.bundle import box
from dalle_edu.page.export import export

MARK = "<!-- draw -->"
MODEL = "picturebook"
PREVIEW = "_static/ten-prompts.png"
PREVIEW_SHOWS = "Ten pictures that the model of this book drew, each for a sentence."
_PACKAGE = Path(__file__).parent


def exported(folder: Path) -> dict:
    """What `export` returns; it works only where the model or the scripts have changed since."""
    parts = [path for path in (*_PACKAGE.rglob("*"), *(FOLDER / MODEL).glob("*")) if path.is_file()]
    kinds = (".py", ".js", ".css", ".safetensors", ".toml", ".json")
    known, key = folder / "told.json", files_digest(path for path in parts if path.suffix in kinds)
    if known.is_file():
        told = json.loads(known.read_text(encoding="utf-8"))
        if told.pop("key") == key:
            return told
    told = export(load(MODEL), folder)
    write_text(known, json.dumps(told | {"key": key}))
    return told


def write_files(app) -> None:
    """Before the pages are read; only a site can draw, a printed book cannot."""
    app.dalle_told = exported(Path(app.outdir) / "draw") if app.builder.name == "html" else None


def put_box(app, docname: str, source: list[str]) -> None:
    """The mark of a page becomes the box; chapter 0 gets it below its title."""
    made = ""
    if app.dalle_told is not None:
        made = f"``````{{raw}} html\n{box(app.dalle_told, 'draw/')}``````\n"
    if docname.startswith("00-"):
        notebook = json.loads(source[0])
        opening = notebook["cells"][0]
        title, _, rest = "".join(opening["source"]).partition("\n\n")
        # Between the title and the text, so that a phone's first screen shows a drawing.
        cells = [opening | {"source": title}] + [
            {"cell_type": "markdown", "id": name, "metadata": {}, "source": text}
            for name, text in (("draw", made), ("opening", rest))
        ]
        notebook["cells"][:1] = cells
        source[0] = json.dumps(notebook)
    else:
        source[0] = source[0].replace(MARK, made)


def describe(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """A page's description, and what is shown of it where somebody shares its address."""
    if doctree is None or app.builder.name == "epub":  # whose pages are XML, and shared as a file
        return
    paragraphs = (" ".join(found.astext().split()) for found in doctree.findall(nodes.paragraph))
    words = next((told for told in paragraphs if len(told) > 80), app.config.project)
    text = words if len(words) <= 200 else words[:200].rsplit(" ", 1)[0] + " …"
    # The Open Graph protocol (ogp.me) wants whole addresses; where the site's own is not known, the picture
    # is still found from the page.
    base = app.config.html_baseurl
    told = {
        "og:title": context.get("title", app.config.project),
        "og:type": "website" if pagename == app.config.root_doc else "article",
        "og:url": context.get("pageurl", ""),
        "og:image": base + PREVIEW if base else context["pathto"](PREVIEW, 1),
        "og:image:alt": PREVIEW_SHOWS,
        "og:description": text,
        "og:site_name": app.config.html_title,
    }
    tags = [f'<meta name="description" content="{html.escape(text)}">']
    tags += [
        f'<meta property="{name}" content="{html.escape(value)}">' for name, value in told.items() if value
    ]
    tags.append('<meta name="twitter:card" content="summary_large_image">')
    context["metatags"] = context.get("metatags", "") + "\n" + "\n".join(tags) + "\n"


def lighten(app, exception) -> None:
    """The theme brings its icons twice, as fonts and as a script of 1.5 MB that draws them: the fonts do."""
    script = Path(app.outdir) / "_static" / "scripts" / "fontawesome.js"
    if exception is None and script.is_file():
        script.write_text("// The icons of these pages are fonts.\n", encoding="utf-8")


def setup(app) -> dict:
    """What Sphinx calls."""
    app.connect("builder-inited", write_files)
    app.connect("source-read", put_box)
    app.connect("html-page-context", describe)
    app.connect("build-finished", lighten)
    return {"parallel_read_safe": True}
