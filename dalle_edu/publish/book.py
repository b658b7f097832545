"""The book as a site, and in JupyterLab: what `dalle-edu book` and `dalle-edu lab` do.

The chapters are stored with their outputs, so the site can be built in seconds. `build(run=True)` runs every
chapter first (`publish/run.py`), in a copy under `book/_build/run`.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import metadata
from importlib.util import find_spec
from pathlib import Path

from dalle_edu.errors import ReaderError

_PACKAGE = Path(__file__).resolve().parents[1]


def folder() -> Path:
    """The folder that holds the chapters: beside the package, or in the current directory."""
    for place in (_PACKAGE.parent / "book", Path.cwd() / "book", Path.cwd()):
        if (place / "conf.py").is_file() and (place / "index.md").is_file():
            return place
    raise ReaderError(
        "The chapters of the book are not here; they are not part of the installed package. "
        "Clone the repository and run this command inside it."
    )


def repository() -> str:
    """The address of the repository, as `[project.urls]` in pyproject.toml has it."""
    settings = _PACKAGE.parent / "pyproject.toml"
    if settings.is_file():
        return tomllib.loads(settings.read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
    urls = metadata("dalle_edu").get_all("Project-URL", [])
    return dict(line.split(", ", 1) for line in urls)["Repository"]


def site_address() -> str:
    """Where the repository's own host shows its site, with a slash at its end; "" for a host without pages.

    https://github.com/OWNER/NAME becomes https://OWNER.github.io/NAME/, and GitLab and Codeberg do alike.
    """
    pages = {"github.com": "github.io", "gitlab.com": "gitlab.io", "codeberg.org": "codeberg.page"}
    found = re.fullmatch(r"https://([^/]+)/([^/]+)/(.+?)(?:\.git)?/?", repository())
    if found is None or found[1] not in pages:
        return ""
    return f"https://{found[2].lower()}.{pages[found[1]]}/{found[3]}/"


def chapters(book: Path) -> list[Path]:
    """The notebooks of the book in reading order, each followed at the end by the solutions."""
    return sorted(book.glob("[0-9]*.ipynb")) + sorted((book / "solutions").glob("*.ipynb"))


def build(run: bool = False, kind: str = "html") -> Path:
    """Builds the site and returns its first page; with `run`, from chapters that were run here just now. Of
    the `kind` "pdf" or "epub" it is one file, `book/_build/dalle_edu.pdf` for one.

    Raises `ReaderError` where Sphinx or the chapters are missing, a cell fails, or the site has a fault.
    """
    book = folder()
    _need("the site", "sphinx", "myst_nb", "sphinx_book_theme", "sphinx_copybutton")
    if kind != "html":
        from dalle_edu.publish import paper

        make = {"pdf": paper.pdf, "epub": paper.epub}[kind]
        return make(book, book / "_build" / f"dalle_edu.{kind}")
    source, site = book, book / "_build" / "html"
    if run:
        _need("running the chapters", "nbconvert", "ipykernel")
        source = book / "_build" / "run"
        _copy_pages(book, source)
        from dalle_edu.publish.run import run_chapters

        run_chapters({notebook: source / notebook.relative_to(book) for notebook in chapters(book)})
    run_sphinx("html", source, site)
    return site / "index.html"


def run_sphinx(builder: str, source: Path, out: Path) -> None:
    """Writes the pages in `source` into `out` by a builder of Sphinx. Raises ReaderError for any fault."""
    command = [sys.executable, "-m", "sphinx", "-b", builder, "-W", "--keep-going", "-E", "-q"]
    done = subprocess.run([*command, str(source), str(out)], capture_output=True, text=True)
    if done.returncode:
        raise ReaderError(f"The book could not be built ({builder}). Sphinx says: {done.stderr.strip()}")


def lab() -> None:
    """Opens the book in JupyterLab, its own notebooks trusted so that figures can be touched at once."""
    book = folder()
    _need("the book in JupyterLab", "jupyterlab", "nbformat", "nbconvert")
    from nbformat import NO_CONVERT, read
    from nbformat.sign import NotebookNotary

    notary = NotebookNotary()
    for notebook in chapters(book):
        notary.sign(read(notebook, as_version=NO_CONVERT))
    # The repository is the root, where it is there, so that the modules can be opened beside the chapters.
    root = book.parent if (book.parent / "dalle_edu").is_dir() else book
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # as in a container; JupyterLab would refuse
        command.append("--allow-root")
    try:
        subprocess.run([*command, *(str(path) for path in chapters(book)[:1])])
    except KeyboardInterrupt:
        print("JupyterLab has ended.")


def _need(what: str, *packages: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise ReaderError(
            f'For {what}, these packages are missing: {", ".join(missing)}. Run: pip install -e ".[book]"'
        )


def _copy_pages(book: Path, target: Path) -> None:
    """Copies all that the site needs except the notebooks, and drops those that the book no longer has."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(
        book,
        target,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("_build", "*.ipynb", ".ipynb_checkpoints"),
    )
    for old in chapters(target):
        if not (book / old.relative_to(target)).exists():
            old.unlink()
