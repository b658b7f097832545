"""How Sphinx makes the site from the chapters: from stored outputs, fetching nothing."""

import json
import re
from importlib import import_module
from importlib.metadata import version as importlib_version
from pathlib import Path
from pkgutil import walk_packages

from myst_nb.core.render import NbElementRenderer

from dalle_edu.publish.book import repository, site_address

project = "dalle_edu"
author = "the dalle_edu authors"
copyright = "the dalle_edu authors, MIT; emoji pictures by OpenMoji, CC BY-SA 4.0"
extensions = [
    "myst_nb", "sphinx_copybutton", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "dalle_edu.page.site",
    "dalle_edu.publish.paper",
]  # fmt: skip
exclude_patterns = ["_build", "jupyter_execute", "**/.ipynb_checkpoints", "_static"]

nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}  # these would come from a network; what a reader can touch here needs none
myst_enable_extensions = ["amsmath", "dollarmath", "colon_fence", "deflist", "smartquotes"]
myst_heading_anchors = 3

REPOSITORY = repository()

add_module_names = False  # the heading says which module it is
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # shapes and meanings stand in the docstrings
autodoc_default_options = {"members": True, "ignore-module-all": True}

version = importlib_version("dalle_edu")
suppress_warnings = ["epub.unknown_project_files"]  # licences beside scripts: no part of a book
epub_show_urls = "no"
epub_exclude_files = ["_static/mathjax/tex-svg.js"]

html_baseurl = site_address()  # what those who share a page are shown; nothing is loaded from there
html_math_renderer = "mathjax"
html_theme = "sphinx_book_theme"
html_title = "dalle_edu"
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system has it
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_js_files = ["terms.js", "scroll.js"]
html_favicon = "_static/favicon.svg"
html_show_sourcelink = False
html_copy_source = True
mathjax_path = "mathjax/tex-svg.js"
html_theme_options = {
    "logo": {"text": "dalle_edu"},
    "repository_url": REPOSITORY,
    "repository_branch": "main",
    "path_to_docs": "book",
    "use_repository_button": True,
    "use_edit_page_button": True,
    "use_issues_button": True,
    "launch_buttons": {
        "binderhub_url": "https://mybinder.org",
        "colab_url": "https://colab.research.google.com",
        "notebook_interface": "jupyterlab",
    },
    "use_download_button": True,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "home_page_in_toc": True,
    "navbar_persistent": [],  # the sidebar has a search field already
}
copybutton_exclude = ".linenos, .gp, .go"

HERE = Path(__file__).parent

# What stands behind each chapter, as README.md says it, too.
MODULES = {
    "00": ["drawing"], "01": ["autoencoder"], "02": ["vae"], "03": ["vqvae"], "04": ["gumbel"],
    "05": ["dvae"], "06": ["tokens"], "07": ["masks"], "08": ["sparse", "transformer"], "09": ["dalle"],
    "10": ["train.loop", "configs"], "11": ["sampling"], "12": ["reranking"], "13": ["abilities"],
    "14": ["scale", "parallel", "train.several"],
}  # fmt: skip


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


def ways_on(app, docname, source):
    """At a chapter's end: the modules behind it, and the solutions of its exercises."""
    if docname[:2] not in MODULES:
        return
    notebook = json.loads(source[0])
    modules = " and ".join(f"{{py:mod}}`dalle_edu.{name}`" for name in MODULES[docname[:2]])
    text = f"---\n\nThe code behind this chapter: {modules}."
    if (Path(app.srcdir) / "solutions" / f"{docname}.ipynb").exists():
        text += f" Its exercises, solved: [solutions](solutions/{docname}.ipynb)."
    notebook["cells"].append({"cell_type": "markdown", "id": "ways-on", "metadata": {}, "source": text})
    source[0] = json.dumps(notebook)


def filled_in(app, docname, source):
    """`<!-- modules: data -->` becomes a description of every module in that folder of the package, each
    below its name, and `{{ repository }}` the address of the repository."""

    def described(match):
        try:
            room = import_module(f"dalle_edu.{match.group(1)}")
        except ModuleNotFoundError:
            return ""
        found = [room.__name__, *(name for _, name, _ in walk_packages(room.__path__, room.__name__ + "."))]
        made = [f"```{{eval-rst}}\n.. automodule:: {name}\n```\n" for name in found]
        titles = [f"### `{name.removeprefix('dalle_edu.')}`\n\n" for name in found[1:]]
        return "\n".join(made[:1] + [title + text for title, text in zip(titles, made[1:], strict=True)])

    source[0] = re.sub(r"<!-- modules: (\w+) -->", described, source[0])
    source[0] = source[0].replace("{{ repository }}", REPOSITORY)


def terms(app, docname, source):
    """`[the decoder](#part-decoder)` lights up a part of a figure (terms.js); on paper it is a plain word."""
    lights = r"<span class='term' data-lights='\2'>\1</span>" if app.builder.name == "html" else r"\1"
    source[0] = re.sub(r'\[([^\[\]"\\]+)\]\(#part-([\w-]+)\)', lights, source[0])


def plain_docstring(app, what, name, thing, options, lines):
    """Our docstrings are plain text: `code` in single backticks, formulas and lists indented."""
    made = []
    for block in re.split(r"\n\s*\n", "\n".join(lines)):
        if re.search(r"^ ", block, flags=re.M) or "    " in block:  # set by hand: kept as it is
            made.append("::\n\n" + "\n".join("    " + line for line in block.splitlines()))
            continue
        parts = re.split(r"(`[^`]+`(?!\w))", " ".join(block.split()))
        is_code = [part.startswith("`") and part.endswith("`") and len(part) > 2 for part in parts]
        made.append("".join(
            f"`{part}`" if code else re.sub(r"([*_|`\\<>])", r"\\\1", part)
            for part, code in zip(parts, is_code, strict=True)
        ))  # fmt: skip
    lines[:] = "\n\n".join(made).splitlines()


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
    app.connect("source-read", ways_on)
    app.connect("source-read", filled_in)
    app.connect("source-read", terms)
    app.connect("autodoc-process-docstring", plain_docstring)
    return {"parallel_read_safe": True}
