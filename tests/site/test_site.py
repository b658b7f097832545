"""The site, built from a chapter that these tests write: it needs no network, loses nothing, and leads from a
chapter to the repository, to its module and its solutions, and back."""

import re
import runpy
from pathlib import Path
from pkgutil import walk_packages

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook
from small_book import BOOK, write_small_book

import dalle_edu
from dalle_edu.publish import book


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The book's pages with one chapter, its solutions, and all of the code: one build for all tests here."""
    folder = tmp_path_factory.mktemp("book")
    write_small_book(folder, "api")
    (folder / "solutions").mkdir()
    title = new_notebook(cells=[new_markdown_cell("# Solutions\n\nText.")])
    nbformat.write(title, folder / "solutions" / "01-autoencoders.ipynb")
    book.run_sphinx("html", folder, folder / "out")
    return folder / "out"


def test_the_map_links_only_to_chapters_that_exist(site):
    index = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="01-autoencoders.html"' in index
    assert "02-variational-autoencoders.html" not in index and "Variational autoencoders" in index


def test_a_word_below_the_map_shows_its_place_on_it(site, browser):
    browser.open((site / "index.html").as_uri())
    shown = "[...document.querySelectorAll('.map .pointed')].map(e => getComputedStyle(e).visibility)"
    names = "[...document.querySelectorAll('.map [data-part]')].map(e => e.dataset.part)"
    assert set(browser.value(shown)) == {"hidden"}
    for word, part in (("sparse transformer", "transformer"), ("decoder", "decoder"), ("CLIP", "clip")):
        for reach in ("hover", "focus"):
            getattr(browser.page.get_by_role("button", name=word, exact=True), reach)()
            lit = [name for name, how in zip(browser.value(names), browser.value(shown), strict=True)
                   if how == "visible"]  # fmt: skip
            assert lit == [part], f"{reach} of {word}"
        browser.value("document.activeElement.blur()")
    terms = browser.value("[...document.querySelectorAll('.term')].map(e => e.getAttribute('role'))")
    assert terms and set(terms) == {"button"}


def test_a_figure_keeps_its_alternative_text_and_its_size(site):
    (image,) = re.findall(
        r"<img[^>]*_images/[^>]*>", (site / "01-autoencoders.html").read_text(encoding="utf-8")
    )
    assert 'alt="The alternative text of a figure."' in image and 'width="20"' in image


def test_no_page_loads_anything_from_a_network(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        # Its own address, which a browser loads no more than any other page's.
        text = re.sub(r'<link rel="canonical"[^>]*>', "", text)
        loads = re.findall(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=[\"'](?:https?:)?//[^>]*>", text)
        assert not loads, f"{page.name}: {loads}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), (
            sheet.name
        )


@pytest.mark.parametrize("dark", [False, True])
def test_a_chapter_in_the_browser_draws_its_maths_and_its_explorer(site, browser, dark):
    browser.open((site / "01-autoencoders.html").as_uri(), dark=dark)
    browser.wait_for("document.querySelectorAll('mjx-container svg').length > 0")
    assert browser.value("document.querySelector('.dalle-explorer').dataset.live") == "yes"
    assert browser.value("document.documentElement.dataset.theme") == ("dark" if dark else "light")
    assert not [
        address for address in browser.requests if not address.startswith(("file:", "data:", "blob:"))
    ]


@pytest.mark.parametrize(
    "name", ["index", "01-autoencoders", "appendix/notation", "appendix/errata", "installation"]
)
def test_a_page_fits_a_phone(site, browser, name):
    browser.open((site / f"{name}.html").as_uri(), width=360, height=740)
    browser.wait_for(
        "!window.MathJax || !!document.querySelector('mjx-container') || !document.querySelector('.math')"
    )
    assert browser.value("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("width, height", [(1280, 800), (390, 844)])
def test_the_first_screen_shows_a_drawing_and_the_box(site, browser, width, height):
    browser.open((site / "index.html").as_uri(), width=width, height=height)
    assert browser.value("document.querySelector('.dalle-draw').dataset.live") == "yes"
    go = browser.page.get_by_role("button", name="Draw").bounding_box()
    easel = browser.page.locator(".easel").bounding_box()
    assert go["y"] + go["height"] < height and easel["y"] + easel["height"] < 1.1 * height
    assert not browser.errors


def test_the_front_page_is_light_before_the_model(site, browser):
    """What a server sends, compressed as servers do: below 500 kB."""
    import gzip

    browser.open((site / "index.html").as_uri())
    browser.page.wait_for_load_state("networkidle")
    files = {address.split("?")[0] for address in browser.requests if address.startswith("file:")}
    paths = [Path(address.removeprefix("file://")) for address in files]
    assert not [path for path in paths if path.name.startswith("model-")]
    sizes = {path.name: len(gzip.compress(path.read_bytes())) for path in paths}
    assert sum(sizes.values()) < 500_000, sizes


def test_a_page_says_what_it_is_about_to_those_who_share_it_with_whole_addresses(site):
    address = book.site_address()
    assert address.startswith("https://") and address.endswith("/")
    for name in ("index", "01-autoencoders", "appendix/notation"):
        text = (site / f"{name}.html").read_text(encoding="utf-8")
        (said,) = re.findall(r'<meta name="description" content="([^"]*)"', text)
        assert len(said) > 20 or name == "01-autoencoders"
        told = dict(re.findall(r'<meta property="(og:[\w:]+)" content="([^"]*)"', text))
        assert told["og:description"] == said and told["og:title"] and told["og:image:alt"]
        assert told["og:type"] == ("website" if name == "index" else "article")
        assert told["og:url"] == f"{address}{name}.html"
        assert f'<link rel="canonical" href="{address}{name}.html"' in text
        picture = told["og:image"]
        assert picture.startswith(address) and (site / picture.removeprefix(address)).is_file()


@pytest.mark.parametrize(
    "repository, site",
    [
        ("https://github.com/Some-One/a_book", "https://some-one.github.io/a_book/"),
        ("https://github.com/some-one/a_book.git", "https://some-one.github.io/a_book/"),
        ("https://gitlab.com/group/part/a_book/", "https://group.gitlab.io/part/a_book/"),
        ("https://git.example.org/some-one/a_book", ""),
    ],
)
def test_the_sites_address_follows_from_the_repositorys(monkeypatch, repository, site):
    monkeypatch.setattr(book, "repository", lambda: repository)
    assert book.site_address() == site


@pytest.mark.parametrize("dark", [False, True])
def test_no_page_has_a_serious_fault_for_those_who_use_other_senses(site, browser, dark):
    """axe on every page, in the dark on those of each kind; what it calls serious or critical. Of a hundred
    listings it sees one, and of two descriptions of code the shorter: `make axe` sees all."""
    kinds = [site / f"{name}.html" for name in ("index", "01-autoencoders", "appendix/notation")]
    left_out = {"_static", "_modules", "rooms.html"}
    pages = [page for page in sorted(site.rglob("*.html")) if not left_out & set(page.parts)]
    pages.append(site / "_modules" / "dalle_edu" / "autoencoder.html")
    pages = kinds if dark else pages
    assert len(pages) >= (3 if dark else 15)
    found = {}
    for page in pages:
        browser.open(page.as_uri(), width=1280, dark=dark)
        for fault in browser.serious_faults():
            where = found.setdefault((fault["id"], fault["help"]), {})
            where[page.relative_to(site).as_posix()] = fault["nodes"][0]["html"][:200]
    assert not found, found


def test_a_visitor_can_clone_edit_and_launch(site):
    page = re.sub("<[^>]+>", "", (site / "installation.html").read_text(encoding="utf-8"))
    repository = book.repository()
    assert f"git clone {repository}" in page
    links = re.findall(r'href="([^"]+)"', (site / "01-autoencoders.html").read_text(encoding="utf-8"))
    path = "main/book/01-autoencoders.ipynb"
    assert f"{repository}/edit/{path}" in links
    owner = repository.removeprefix("https://github.com/")
    assert f"https://colab.research.google.com/github/{owner}/blob/{path}" in links
    assert any(
        link.startswith(f"https://mybinder.org/v2/gh/{owner}/main?urlpath=") and "01-autoencoders" in link
        for link in links
    )


def test_a_chapter_leads_to_its_module_and_solutions_and_the_module_to_its_chapter(site):
    chapter = (site / "01-autoencoders.html").read_text(encoding="utf-8")
    assert 'href="api/chapters.html#module-dalle_edu.autoencoder"' in chapter
    assert 'href="solutions/01-autoencoders.html"' in chapter
    code = (site / "api" / "chapters.html").read_text(encoding="utf-8")
    assert 'href="../01-autoencoders.html"' in code
    assert 'href="../_modules/dalle_edu/autoencoder.html#' in code
    listing = (site / "_modules" / "dalle_edu" / "autoencoder.html").read_text(encoding="utf-8")
    assert "def principal_components" in re.sub("<[^>]+>", "", listing)


def test_every_module_behind_a_chapter_and_in_a_room_is_described(site):
    behind_chapters, in_rooms = (
        re.findall(r'id="module-(dalle_edu[\w.]*)"', (site / "api" / name).read_text(encoding="utf-8"))
        for name in ("chapters.html", "rooms.html")
    )
    described = {*behind_chapters, *in_rooms}
    modules = runpy.run_path(str(BOOK / "conf.py"))["MODULES"]
    wanted = {f"dalle_edu.{name}" for names in modules.values() for name in names}
    found = [name for _, name, _ in walk_packages(dalle_edu.__path__, "dalle_edu.")]
    rooms = {name.split(".")[1] for name in found if name.count(".") > 1}
    assert {"data", "explore", "publish"} <= rooms
    wanted |= {name for name in found if name.split(".")[1] in rooms}
    assert wanted <= described, wanted - described
    # A page of a megabyte is read by its contents: each module below a heading of its own.
    page = (site / "api" / "rooms.html").read_text(encoding="utf-8")
    headings = re.findall(r'<h3><code[^>]*><span class="pre">([\w.]+)</span>', page)
    assert headings == [name.removeprefix("dalle_edu.") for name in in_rooms if name.count(".") > 1]
    assert len(headings) > 50
