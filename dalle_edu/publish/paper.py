"""The book as one PDF and as one EPUB, by Sphinx and by a browser of this machine; nothing is fetched.

    dalle-edu book --pdf       all pages as one, printed by Chromium or Chrome, formulas as on the site
    dalle-edu book --epub      Sphinx's own EPUB; the browser sets its formulas as pictures, since readers of
                               EPUB run no MathJax

Where there is no script, as in an EPUB, a figure to touch is its still picture.
"""

from __future__ import annotations

import contextlib
import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes

from dalle_edu.errors import ReaderError
from dalle_edu.files import copy_file, make_folder, replacing
from dalle_edu.publish.book import run_sphinx

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PAPER = {"format": "A4", "margin": dict.fromkeys(("top", "bottom", "left", "right"), "16mm")}
MINUTES = 10  # for a browser to print all of the book
VOID = re.compile(r"<(br|hr|img|input|col|wbr)\b([^<>]*?)/?>")
STILL = re.compile(r'<img\b[^>]*\bsrc="data:image/png;base64,[^"]*"[^>]*>')


@contextlib.contextmanager
def browser_tab(what: str) -> Iterator:
    """A context that gives an empty page of this machine's browser. Raises ReaderError, with `what` needs it,
    where there is neither Chromium nor Chrome, or Playwright is missing."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise ReaderError(f'{what} needs playwright. Run: pip install -e ".[course]"') from None
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise ReaderError(f"{what} is printed by a browser: install Chromium or Chrome, and try again.")
    with sync_playwright() as play:
        window = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield window.new_page()
        finally:
            window.close()


def pdf(book: Path, target: Path) -> Path:
    """Prints the book into `target`, a PDF with its contents as bookmarks; returns it.

    Raises ReaderError where the pages cannot be built, or there is no browser.
    """
    with browser_tab("A PDF") as tab:
        page = _sphinx("singlehtml", book) / "index.html"
        tab.set_default_timeout(60_000 * MINUTES)
        tab.goto(page.as_uri(), wait_until="load")
        tab.evaluate("window.MathJax && MathJax.startup.promise")
        # Nobody unfolds an answer on paper; pictures that were not scrolled to are wanted, too.
        tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        tab.evaluate("document.querySelectorAll('img').forEach((one) => { one.loading = 'eager'; })")
        make_folder(target.parent)
        with replacing(target) as temporary:
            tab.pdf(path=str(temporary), print_background=True, outline=True, tagged=True, **PAPER)
    return target


def epub(book: Path, target: Path) -> Path:
    """Writes the book into `target`, an EPUB; returns it. Raises ReaderError as `pdf` does."""
    (made,) = _sphinx("epub", book).glob("*.epub")
    make_folder(target.parent)
    copy_file(made, target)
    return target


def _sphinx(builder: str, book: Path) -> Path:
    out = book / "_build" / builder
    shutil.rmtree(out, ignore_errors=True)
    run_sphinx(builder, book, out)
    return out


class Formulas:
    """Formulas as SVG, set by the book's own MathJax in a browser, which is open while Sphinx writes."""

    def __init__(self, mathjax: Path):
        self.stack = contextlib.ExitStack()
        self.tab = self.stack.enter_context(browser_tab("An EPUB"))
        self.tab.evaluate("window.MathJax = {svg: {fontCache: 'none'}, startup: {typeset: false}}")
        self.tab.add_script_tag(path=str(mathjax))
        self.tab.evaluate("MathJax.startup.promise")

    def svg(self, tex: str, display: bool) -> str:
        """One formula as an SVG that stands in a text, with the TeX as its title."""
        set_ = """([tex, display]) => {
            const svg = MathJax.tex2svg(tex, {display}).querySelector('svg');
            return new XMLSerializer().serializeToString(svg);
        }"""
        made = self.tab.evaluate(set_, [tex, display])
        return made.replace(">", f"><title>{html.escape(tex)}</title>", 1)

    def close(self) -> None:
        self.stack.close()


def begin(app) -> None:
    """Before pages are read: an EPUB has its formulas set by a browser."""
    app.dalle_formulas = None
    if app.builder.name == "epub":
        app.dalle_formulas = Formulas(Path(app.confdir) / "_static" / "mathjax" / "tex-svg.js")
        app.config.html_math_renderer = "dalle_svg"


def end(app, exception) -> None:
    """When all is written."""
    if app.dalle_formulas is not None:
        app.dalle_formulas.close()


def inline_formula(writer, node) -> None:
    """What Sphinx calls for a formula in a line."""
    formulas = writer.builder.app.dalle_formulas
    writer.body.append(f'<span class="math">{formulas.svg(node.astext(), False)}</span>')
    raise nodes.SkipNode


def displayed_formula(writer, node) -> None:
    """And for one that stands alone."""
    formulas = writer.builder.app.dalle_formulas
    writer.body.append(f'<div class="math">{formulas.svg(node.astext(), True)}</div>')
    raise nodes.SkipNode


def still(app, doctree, docname: str) -> None:
    """In an EPUB a figure to touch is its still picture, and other HTML is made XML."""
    if app.builder.name != "epub":
        return
    for raw in list(doctree.findall(nodes.raw)):
        text = raw.astext()
        if "dalle-explorer" in text or "dalle-draw" in text:
            found = STILL.search(text)
            text = f"<p>{found.group()}</p>" if found else ""
        text = VOID.sub(lambda tag: f"<{tag.group(1)}{tag.group(2)}/>", text)
        raw.children, raw.rawsource = [nodes.Text(text)], text


def packed_styles(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """In an EPUB a page names the style sheets that are in its package: myst-nb writes its own when that
    is closed already, and nothing is copied from a printed page."""
    if app.builder.name == "epub":
        left_out = ("mystnb.", "copybutton.")
        context["css_files"] = [
            sheet
            for sheet in context["css_files"]
            if not any(name in str(sheet.filename) for name in left_out)
        ]
        context["pageurl"] = None  # of a page on the web


def setup(app) -> dict:
    """What Sphinx calls."""
    app.add_html_math_renderer("dalle_svg", (inline_formula, None), (displayed_formula, None))
    app.connect("builder-inited", begin)
    app.connect("doctree-resolved", still)
    app.connect("html-page-context", packed_styles)
    app.connect("build-finished", end)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
