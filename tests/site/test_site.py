"""The site, built from a chapter that this test writes: it needs no network and loses nothing."""

import posixpath
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from dalle_edu.errors import ReaderError
from dalle_edu.explore import Explorer
from dalle_edu.explore.figures import small_png
from dalle_edu.publish import book, run

BOOK = Path(__file__).parents[2] / "book"


def a_chapter():
    import base64

    png = small_png(Image.new("RGB", (40, 20), "white"))
    explorer = Explorer(
        title="Touch", alt="A still.", data=[1], png=png, script="kit.el('button', {}, root, 'b');"
    )
    picture = new_output(
        "display_data",
        data={"image/png": base64.b64encode(png).decode(), "text/plain": "<Figure>"},
        metadata={"image/png": {"alt": "The alternative text of a figure.", "width": 20, "height": 10}},
    )
    touch = new_output(
        "display_data", data={"text/html": explorer._repr_html_(), "text/plain": repr(explorer)}
    )
    cells = [
        new_markdown_cell(
            "# A chapter\n\nThe bound is $\\ln p(x) \\ge \\mathcal{L}$, see (Kingma & Welling 2014)."
        ),
        new_code_cell("1 + 1", execution_count=1, outputs=[picture]),
        new_code_cell("touch", execution_count=2, outputs=[touch]),
        new_markdown_cell("<details><summary>Answer</summary>\n\nIt is *two*.\n\n</details>"),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture(scope="module")
def small_book(tmp_path_factory):
    """A copy of the book's pages with one chapter only."""
    folder = tmp_path_factory.mktemp("book")
    for name in ("conf.py", "index.md", "installation.md"):
        shutil.copy(BOOK / name, folder)
    for name in ("appendix", "_static"):
        shutil.copytree(BOOK / name, folder / name)
    nbformat.write(a_chapter(), folder / "01-autoencoders.ipynb")
    return folder


@pytest.fixture(scope="module")
def site(small_book):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-b",
            "html",
            "-W",
            "-E",
            "-q",
            small_book,
            small_book / "_build" / "html",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return small_book / "_build" / "html"


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
    """axe on every page, in the dark on those of each kind; what it calls serious or critical."""
    kinds = [site / f"{name}.html" for name in ("index", "01-autoencoders", "appendix/notation")]
    pages = kinds if dark else sorted(page for page in site.rglob("*.html") if "_static" not in page.parts)
    assert len(pages) >= 3
    found = {}
    for page in pages:
        browser.open(page.as_uri(), width=1280, dark=dark)
        for fault in browser.serious_faults():
            where = found.setdefault((fault["id"], fault["help"]), {})
            where[page.relative_to(site).as_posix()] = fault["nodes"][0]["html"][:200]
    assert not found, found


def test_an_epub_is_xml_with_formulas_as_pictures_and_figures_still(small_book, tmp_path):
    import zipfile
    from xml.etree import ElementTree

    from dalle_edu.publish import paper

    with zipfile.ZipFile(paper.epub(small_book, tmp_path / "book.epub")) as made:
        names = set(made.namelist())
        pages = {name: made.read(name).decode() for name in made.namelist() if name.endswith(".xhtml")}
    for name, text in pages.items():
        ElementTree.fromstring(text)
        for link in re.findall(r'(?:href|src)="([^"#:]+)[#"]', text):  # of files, not of the web
            assert posixpath.normpath(posixpath.join(posixpath.dirname(name), link)) in names, (name, link)
    assert "drawing here, in your browser" not in pages["index.xhtml"]
    chapter = pages["01-autoencoders.xhtml"]
    assert "<title>\\ln p(x) \\ge \\mathcal{L}</title>" in chapter and "<script" not in chapter
    assert 'alt="A still."' in chapter and "The alternative text of a figure." in chapter


def test_a_pdf_has_its_pictures_and_no_box_that_is_cut_from_its_code(small_book, browser, tmp_path):
    """The file, and the page that it is printed from, laid out for paper."""
    from dalle_edu.publish import paper

    with ThreadPoolExecutor(1) as thread:  # this one has the browser of the tests already
        made = thread.submit(paper.pdf, small_book, tmp_path / "book.pdf").result().read_bytes()
    assert made.startswith(b"%PDF") and made.count(b"/Subtype /Image") >= 3
    # A page of A4 without its margins is 178 mm wide.
    browser.open((small_book / "_build" / "singlehtml" / "index.html").as_uri(), width=673)
    browser.wait_for("document.querySelector('mjx-container svg > g')")
    browser.page.emulate_media(media="print")

    def style(selector, name):
        return browser.value(f"getComputedStyle(document.querySelector({selector!r})).{name}")

    assert style("div.highlight", "breakInside") == "avoid"
    assert style('span[id^="document-"] + section', "breakBefore") == "page"
    assert style("mjx-container svg > g", "stroke") == "none"
    assert "drawing here" not in browser.page.inner_text("main")
    assert browser.page.locator("main img[src*='ten-prompts']").count() == 1
    assert browser.value("document.documentElement.scrollWidth") <= 673


def test_without_sphinx_the_reader_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(book, "find_spec", lambda name: None)
    with pytest.raises(ReaderError, match="sphinx.*pip install"):
        book.build()


def test_without_its_chapters_the_reader_is_told_to_clone(monkeypatch, tmp_path):
    monkeypatch.setattr(book, "_PACKAGE", tmp_path / "site-packages" / "dalle_edu")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReaderError, match="[Cc]lone"):
        book.folder()


def test_running_builds_from_fresh_outputs_once_and_leaves_the_chapters_alone(
    small_book, monkeypatch, capsys
):
    monkeypatch.setattr(book, "folder", lambda: small_book)
    notebook = small_book / "01-autoencoders.ipynb"
    content = a_chapter()
    content.cells[1].source, content.cells[2].source = "print('made', 'now')", "6 * 7"
    nbformat.write(content, notebook)
    before = notebook.read_bytes()
    first = book.build(run=True)
    assert "made now" in (first.parent / "01-autoencoders.html").read_text(encoding="utf-8")
    assert notebook.read_bytes() == before
    assert "running" in capsys.readouterr().out
    book.build(run=True)
    assert "unchanged" in capsys.readouterr().out


def test_a_chapter_that_fails_stops_the_book_with_its_name_and_its_error(small_book, monkeypatch):
    monkeypatch.setattr(book, "folder", lambda: small_book)
    content = a_chapter()
    content.cells[1].source = "1 / 0"
    nbformat.write(content, small_book / "01-autoencoders.ipynb")
    with pytest.raises(ReaderError, match="01-autoencoders.ipynb stopped: ZeroDivisionError"):
        book.build(run=True)


def test_two_chapters_run_at_the_same_time(tmp_path, monkeypatch):
    """Each waits until the other has begun."""
    monkeypatch.setattr(run, "at_once", lambda: 2)
    wait = "import pathlib, time\npathlib.Path('{}').touch()\nend = time.monotonic() + 60\n"
    wait += "while not pathlib.Path('{}').exists() and time.monotonic() < end:\n    time.sleep(0.05)\n"
    wait += "print('met' if time.monotonic() < end else 'alone')"
    for mine, other in (("a", "b"), ("b", "a")):
        content = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(wait.format(mine, other))])
        nbformat.write(content, tmp_path / f"{mine}.ipynb")
    run.run_chapters({tmp_path / f"{name}.ipynb": tmp_path / "out" / f"{name}.ipynb" for name in "ab"})
    for name in "ab":
        (cell,) = nbformat.read(tmp_path / "out" / f"{name}.ipynb", as_version=4).cells
        assert cell.outputs[0].text == "met\n"


def test_as_many_chapters_run_as_there_are_cores_and_memory(monkeypatch):
    monkeypatch.setattr(run, "cores", lambda: 4)
    for gigabytes, expected in ((24, 4), (8, 2), (2, 1), (None, 1)):
        monkeypatch.setattr(run, "memory", lambda size=gigabytes: size and size * 2**30)
        assert run.at_once() == expected
