"""Slides and a handout of a chapter, made from its notebook: offline, with the figures to touch alive.

A slide is a cell that shows a figure: the heading it stands under, what the text before it says first, the
equations of that text, and the figure. Cells may say more by a tag: `slide` (this one too, with its code),
`no-slide` (not this one), `slide-code` (with the code that made the figure).
"""

from __future__ import annotations

import base64
import html
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

from dalle_edu.errors import ReaderError
from dalle_edu.files import write_text
from dalle_edu.publish.paper import browser_tab

WORDS = 45  # of text on a slide, at most: the rest is for the speaker, and in the notes (key S)

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="reveal.js/dist/reveal.css">
<link rel="stylesheet" href="reveal.js/dist/theme/white.css">
<link rel="stylesheet" href="slides.css">
<script>window.MathJax = {{tex: {{inlineMath: [["\\\\(", "\\\\)"]]}}, svg: {{fontCache: "global"}}}};</script>
<script src="mathjax/tex-svg.js" defer></script>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
<script src="reveal.js/dist/reveal.js"></script>
<script src="reveal.js/plugin/notes/notes.js"></script>
<script>
Reveal.initialize({{hash: true, slideNumber: "c/t", width: 1100, height: 720, plugins: [RevealNotes]}});
</script>
</body>
</html>
"""

STYLE = """\
.reveal { font-size: 26px; }
.reveal h1 { font-size: 1.8em; text-transform: none; }
.reveal h2 { font-size: 1.25em; text-transform: none; margin: 0 0 .4em; }
.reveal p { margin: .3em 0; }
.reveal pre { font-size: .6em; width: 100%; box-shadow: none; background: #f4f4f4; padding: .6em;
  white-space: pre-wrap; }
.reveal img.figure { max-height: 430px; max-width: 100%; margin: .2em auto; background: white; }
.reveal .touch { font-size: 15px; text-align: left; max-height: 470px; overflow: auto; }
.reveal small { font-size: .55em; }
"""


def write_slides(notebook: Path, folder: Path) -> Path:
    """Writes the slides of one chapter into `folder`, with all that they need beside them; returns the page.

    Raises ReaderError for a notebook without figures: it has nothing to show.
    """
    import nbformat

    cells = nbformat.read(notebook, as_version=4).cells
    title, heading, text, slides = notebook.stem, "", "", []
    for cell in cells:
        if cell.cell_type == "markdown":
            for line in re.findall(r"^#{1,3} .*", cell.source, re.M):
                heading = line.lstrip("# ")
                title = heading if line.startswith("# ") else title
            text = cell.source
            if heading == "Exercises":
                break
        elif _is_slide(cell):
            slides.append(_slide(heading, text, cell))
            text = ""
    if not slides:
        raise ReaderError(f"{notebook.name} has no figure to make slides of: run it first.")
    folder = Path(folder)
    _assets(folder)
    below = f"<p><small>dalle_edu, chapter {notebook.stem[:2]}</small></p>"
    first = f"<section><h1>{html.escape(title)}</h1>{below}</section>"
    page = folder / f"{notebook.stem}.html"
    write_text(page, PAGE.format(title=html.escape(title), slides="\n".join([first, *slides])))
    return page


def write_handout(page: Path, target: Path) -> Path:
    """Prints slides into a PDF by a browser of this machine; returns the file.

    Raises ReaderError where there is neither Chromium nor Chrome.
    """
    with browser_tab("A handout") as tab:
        tab.goto(page.resolve().as_uri() + "?print-pdf", wait_until="load")
        tab.wait_for_function("Reveal.isReady() && document.querySelectorAll('.pdf-page').length > 0")
        tab.pdf(path=str(target), prefer_css_page_size=True, print_background=True)
    return target


def _is_slide(cell) -> bool:
    tags = cell.metadata.get("tags", [])
    shown = any({"image/png", "text/html"} & set(output.get("data", {})) for output in cell.outputs)
    return "no-slide" not in tags and (shown or "slide" in tags)


def _slide(heading: str, text: str, cell) -> str:
    tags = set(cell.metadata.get("tags", []))
    body = [f"<h2>{_words(heading)}</h2>", *map(_paragraph, _lead(text))]
    if tags & {"slide", "slide-code"}:
        body.append(f"<pre><code>{html.escape(cell.source)}</code></pre>")
    body += [_output(output) for output in cell.outputs]
    notes = f'<aside class="notes">{html.escape(text)}</aside>' if text else ""
    return f"<section>{''.join(body)}{notes}</section>"


def _lead(text: str) -> list[str]:
    """The first sentences of a text cell, up to WORDS words, and its displayed equations."""
    prose, equations = [], re.findall(r"\$\$.*?\$\$", text, re.S)
    plain = re.sub(r"\s*\$\$.*?\$\$", " (below).", text, flags=re.S)
    plain = re.sub(r"^#.*$|<[^>]+>|^\|.*$|^```.*$", "", plain, flags=re.M)
    said: list[str] = []
    for sentence in re.split(r"(?<=[.?!:])\s+", " ".join(plain.split())):
        if sum(len(part.split()) for part in [*said, sentence]) > WORDS:
            break
        said.append(sentence)
    if said:
        prose.append(" ".join(said))
    return [part for part in prose if part.strip()] + equations[:2]


def _paragraph(text: str) -> str:
    return f"<p>{_words(text)}</p>"


def _words(text: str) -> str:
    """Markdown of one line -> HTML; what stands between dollars goes to MathJax as it is."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    if text.startswith("$$"):
        return r"\[" + html.escape(text.strip("$")) + r"\]"
    renderer = MarkdownIt("commonmark", {"html": False}).use(
        dollarmath_plugin,
        renderer=lambda content, _: r"\(" + html.escape(content) + r"\)",
    )
    return renderer.renderInline(text)


def _output(output) -> str:
    data, about = output.get("data", {}), output.get("metadata", {})
    if "text/html" in data:
        return f'<div class="touch">{"".join(data["text/html"])}</div>'
    if "image/png" in data:
        picture = "".join(data["image/png"]).replace("\n", "")
        base64.b64decode(picture, validate=True)
        alt = html.escape(about.get("image/png", {}).get("alt", ""), quote=True)
        return f'<img class="figure" alt="{alt}" src="data:image/png;base64,{picture}">'
    text = "".join(output.get("text", data.get("text/plain", "")))
    return f"<pre>{html.escape(text)}</pre>" if text.strip() and output.output_type == "stream" else ""


def _assets(folder: Path) -> None:
    """reveal.js, from the package sphinx-revealjs, and the book's MathJax, beside the slides: no network."""
    from dalle_edu.publish.book import folder as book_folder

    found = find_spec("sphinx_revealjs")
    if found is None or found.origin is None:
        raise ReaderError('Slides need the package sphinx-revealjs. Run: pip install -e ".[course]"')
    reveal = Path(found.origin).parent / "_static" / "revealjs"
    folder.mkdir(parents=True, exist_ok=True)
    for source, name in ((reveal, "reveal.js"), (book_folder() / "_static" / "mathjax", "mathjax")):
        shutil.copytree(source, folder / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.map"))
    write_text(folder / "slides.css", STYLE)
