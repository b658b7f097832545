"""How Sphinx makes the site from the chapters: from stored outputs, fetching nothing."""

import re
from pathlib import Path

from myst_nb.core.render import NbElementRenderer

project = "dalle_edu"
author = "the dalle_edu authors"
copyright = "the dalle_edu authors, MIT; emoji pictures by OpenMoji, CC BY-SA 4.0"
extensions = ["myst_nb", "sphinx_copybutton"]
exclude_patterns = ["_build", "jupyter_execute", "**/.ipynb_checkpoints", "_static"]

nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}  # these would come from a network; what a reader can touch here needs none
myst_enable_extensions = ["amsmath", "dollarmath", "colon_fence", "deflist", "smartquotes"]
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_title = "dalle_edu"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_favicon = "_static/favicon.svg"
html_show_sourcelink = False
html_copy_source = True
mathjax_path = "mathjax/tex-svg.js"
html_theme_options = {
    "logo": {"text": "dalle_edu"},
    "use_download_button": True,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "home_page_in_toc": True,
    "navbar_persistent": [],  # the sidebar has a search field already
}
copybutton_exclude = ".linenos, .gp, .go"

HERE = Path(__file__).parent


def only_what_exists(app, docname, source):
    """The pages name every chapter; their links and the table of contents keep those that are there."""
    folder = Path(app.srcdir)
    here = (folder / docname).parent

    def entries(match):
        lines = []
        for line in match.group(2).splitlines():
            if line.startswith(":") or not line.strip():
                lines.append(line)
            elif "*" in line:
                lines += [
                    str(p.relative_to(folder).with_suffix("").as_posix()) for p in sorted(folder.glob(line))
                ]
            elif list(folder.glob(line + ".*")):
                lines.append(line)
        return match.group(1) + "\n".join(lines) + "\n```"

    def link(match):
        return match.group(0) if (here / match.group(2)).exists() else match.group(1)

    text = re.sub(r"(```\{toctree\}\n)(.*?)\n```", entries, source[0], flags=re.S)
    source[0] = re.sub(r'\[([^\[\]"]+)\]\(([\w/.-]+\.(?:ipynb|md))(?:#[\w-]*)?\)', link, text)


def keep_alternative_text(render_image):
    """myst-nb keeps a stored picture's width and height, but not the alternative text beside them."""

    def render(self, data):
        images = render_image(self, data)
        for image in images:
            image["alt"] = data.output_metadata.get(data.mime_type, {}).get("alt", image.get("alt", ""))
        return images

    return render


def setup(app):
    NbElementRenderer.render_image = keep_alternative_text(NbElementRenderer.render_image)
    app.connect("source-read", only_what_exists)
    return {"parallel_read_safe": True}
