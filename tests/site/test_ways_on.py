"""From the site to the repository, from a chapter to its modules and solutions, and back."""

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from pkgutil import walk_packages

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

import dalle_edu
from dalle_edu.publish.book import repository

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
ROOMS = ("data", "judges", "train", "configs", "evaluate", "explore", "exercises", "course", "publish")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The book's pages with one chapter and its solutions, which hold nothing but a title."""
    folder = tmp_path_factory.mktemp("book")
    for name in ("conf.py", "index.md", "installation.md"):
        shutil.copy(BOOK / name, folder)
    for name in ("appendix", "api", "_static"):
        shutil.copytree(BOOK / name, folder / name)
    (folder / "solutions").mkdir()
    for name in ("03-vq-vae", "solutions/03-vq-vae"):
        notebook = new_notebook(cells=[new_markdown_cell(f"# {name}\n\nText.")])
        nbformat.write(notebook, folder / f"{name}.ipynb")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "-E", "-q", folder, folder / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "out"


def test_the_repositorys_address_stands_in_one_place():
    address = repository()
    assert address.startswith("https://")
    assert f"git clone {address}" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f'repository-code: "{address}"' in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    for page in [*BOOK.glob("*.md"), *BOOK.glob("a*/*.md")]:
        assert address not in page.read_text(encoding="utf-8"), f"{page.name}: write {{{{ repository }}}}"


def test_a_visitor_can_clone_edit_and_launch(site):
    page = re.sub("<[^>]+>", "", (site / "installation.html").read_text(encoding="utf-8"))
    assert f"git clone {repository()}" in page
    links = re.findall(r'href="([^"]+)"', (site / "03-vq-vae.html").read_text(encoding="utf-8"))
    path = "main/book/03-vq-vae.ipynb"
    assert f"{repository()}/edit/{path}" in links
    owner = repository().removeprefix("https://github.com/")
    assert f"https://colab.research.google.com/github/{owner}/blob/{path}" in links
    assert any(
        link.startswith(f"https://mybinder.org/v2/gh/{owner}/main?urlpath=") and "03-vq-vae" in link
        for link in links
    )


def test_a_chapter_leads_to_its_module_and_solutions_and_the_module_to_its_chapter(site):
    chapter = (site / "03-vq-vae.html").read_text(encoding="utf-8")
    assert 'href="api/chapters.html#module-dalle_edu.vqvae"' in chapter
    assert 'href="solutions/03-vq-vae.html"' in chapter
    code = (site / "api" / "chapters.html").read_text(encoding="utf-8")
    assert 'href="../03-vq-vae.html"' in code
    assert 'href="../_modules/dalle_edu/vqvae.html#' in code
    assert "def nearest_code" in re.sub("<[^>]+>", "", (site / "_modules/dalle_edu/vqvae.html").read_text())


def test_every_module_behind_a_chapter_and_in_a_room_is_described(site):
    pages = "".join((site / "api" / f"{name}.html").read_text() for name in ("chapters", "rooms"))
    described = set(re.findall(r'id="module-(dalle_edu[\w.]*)"', pages))
    modules = runpy.run_path(str(BOOK / "conf.py"))["MODULES"]
    wanted = {f"dalle_edu.{name}" for names in modules.values() for name in names}
    for _, name, _ in walk_packages(dalle_edu.__path__, "dalle_edu."):
        if name.split(".")[1] in ROOMS:
            wanted.add(name)
    assert wanted <= described, wanted - described


def test_the_modules_behind_the_chapters_are_those_of_the_readme():
    modules = runpy.run_path(str(BOOK / "conf.py"))["MODULES"]
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    found = {
        f"{int(number):02}": [
            path.removesuffix(".py").replace("/", ".") for path in re.findall(r"\(dalle_edu/([\w/.]+)\)", row)
        ]
        for number, row in rows
    }
    assert found == modules
