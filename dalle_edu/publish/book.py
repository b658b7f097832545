"""The book as a site, and in JupyterLab: what `dalle-edu book` and `dalle-edu lab` do.

The chapters are stored with their outputs, so the site can be built in seconds. `build(run=True)` runs every
chapter first, in a copy under `book/_build/run`, and keeps what it ran until chapter or package change.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
import tomllib
from importlib.metadata import metadata
from importlib.util import find_spec
from pathlib import Path

from dalle_edu.errors import ReaderError

_PACKAGE = Path(__file__).resolve().parents[1]
_LONGEST_CELL = 300  # seconds; a chapter takes two minutes at most


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


def chapters(book: Path) -> list[Path]:
    """The notebooks of the book in reading order, each followed at the end by the solutions."""
    return sorted(book.glob("[0-9]*.ipynb")) + sorted((book / "solutions").glob("*.ipynb"))


def build(run: bool = False) -> Path:
    """Builds the site and returns its first page; with `run`, from chapters that were run here just now.

    Raises `ReaderError` where Sphinx or the chapters are missing, a cell fails, or the site has a fault.
    """
    book = folder()
    _need("the site", "sphinx", "myst_nb", "sphinx_book_theme", "sphinx_copybutton")
    source, site = book, book / "_build" / "html"
    if run:
        _need("running the chapters", "nbclient", "nbformat", "ipykernel")
        source = book / "_build" / "run"
        _copy_pages(book, source)
        for notebook in chapters(book):
            _run_chapter(notebook, source / notebook.relative_to(book))
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-E", "-q"]
    done = subprocess.run([*command, str(source), str(site)], capture_output=True, text=True)
    if done.returncode:
        raise ReaderError(f"The site could not be built. Sphinx says:\n{done.stderr.strip()}")
    return site / "index.html"


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


def _run_chapter(notebook: Path, target: Path) -> None:
    """Runs `notebook` and stores it as `target`, unless that was done and nothing changed since."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    key = _state(notebook)
    stamp = target.with_suffix(".key")
    if target.exists() and stamp.exists() and stamp.read_text() == key:
        print(f"{notebook.stem}: unchanged", flush=True)
        return
    print(f"{notebook.stem}: running", end="", flush=True)
    start = time.perf_counter()
    content = nbformat.read(notebook, as_version=4)
    client = NotebookClient(
        content,
        timeout=_LONGEST_CELL,
        record_timing=False,
        resources={"metadata": {"path": str(notebook.parent)}},
    )
    # A backend from outside would take the figures away from the notebook.
    outside = os.environ.pop("MPLBACKEND", None)
    try:
        client.execute()
    except CellExecutionError as error:
        print()
        raise ReaderError(f"{notebook.name} stopped: {error.ename}: {error.evalue}\n{error}") from error
    except CellTimeoutError as error:
        print()
        raise ReaderError(f"A cell of {notebook.name} took longer than {_LONGEST_CELL} seconds.") from error
    finally:
        if outside is not None:
            os.environ["MPLBACKEND"] = outside
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(content, target)
    stamp.write_text(key)
    print(f", {time.perf_counter() - start:.0f} s", flush=True)


def _state(notebook: Path) -> str:
    """A hash of all that the outputs of `notebook` depend on here: itself, the package and its weights."""
    digest = hashlib.sha256(notebook.read_bytes())
    for path in sorted(_PACKAGE.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(str(path.relative_to(_PACKAGE)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
