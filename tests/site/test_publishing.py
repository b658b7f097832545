"""The printed book, and what `dalle-edu book` runs and says, with a book of one chapter."""

import posixpath
import re
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest
from small_book import a_chapter, write_small_book

from dalle_edu.errors import ReaderError
from dalle_edu.publish import book, run


@pytest.fixture(scope="module")
def small_book(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    write_small_book(folder)
    return folder


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


def bookmarks(made: bytes) -> list[str]:
    """The titles in a PDF as Chromium writes them: in brackets, or in hexadecimal digits of UTF-16."""
    titles = []
    for plain, digits in re.findall(rb"/Title (?:\(((?:\\.|[^\\)])*)\)|<([0-9A-Fa-f]+)>)", made):
        text = bytes.fromhex(digits.decode()).decode("utf-16") if digits else plain.decode("latin-1")
        titles.append(text if digits else re.sub(r"\\(.)", r"\1", text))
    return titles


def test_a_pdf_has_its_bookmarks_and_pictures_and_no_box_that_is_cut_from_its_code(
    small_book, browser, tmp_path
):
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

    headings = browser.value("""
        [...document.querySelectorAll('.bd-article :is(h1, h2, h3, h4)')]
            .filter((heading) => !heading.querySelector('mjx-container'))
            .map((heading) => heading.firstChild.textContent.trim())""")
    found = bookmarks(made)
    assert len(headings) > 30 and not [heading for heading in headings if heading not in found]
    assert not [title for title in found if title[: len(title) // 2] * 2 == title]  # twice in one

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


def test_running_hands_sphinx_fresh_outputs_once_and_leaves_the_chapters_alone(
    small_book, monkeypatch, capsys
):
    monkeypatch.setattr(book, "folder", lambda: small_book)
    built = []
    monkeypatch.setattr(book, "run_sphinx", lambda *given: built.append(given))
    notebook = small_book / "01-autoencoders.ipynb"
    content = a_chapter()
    content.cells[1].source, content.cells[2].source = "print('made', 'now')", "6 * 7"
    nbformat.write(content, notebook)
    before = notebook.read_bytes()
    first = book.build(run=True)
    assert notebook.read_bytes() == before
    assert "running" in capsys.readouterr().out
    book.build(run=True)
    assert "unchanged" in capsys.readouterr().out
    ((builder, source, out), again) = built
    assert builder == "html" and out / "index.html" == first and again == built[0]
    for page in ("conf.py", "index.md", "appendix/notation.md", "_static/book.css"):
        assert (source / page).read_bytes() == (small_book / page).read_bytes()
    cells = nbformat.read(source / notebook.name, as_version=4).cells
    assert cells[1].outputs[0].text == "made now\n"


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
