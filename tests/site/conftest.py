"""The browser of the site tests; where there is none they fail, and say what to install."""

import pytest
from browser import Browser


@pytest.fixture(scope="module")
def browser():
    # A browser a file, not one for all: while Playwright runs, this thread counts as running an event loop,
    # which the notebooks' tests that may follow would trip over.
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def show(browser, tmp_path):
    """Opens an explorer in a page of its own."""

    def opened(explorer):
        path = tmp_path / "page.html"
        page = explorer._repr_html_()
        path.write_text(f'<!doctype html><meta charset="utf-8"><body>{page}', encoding="utf-8")
        browser.open(path.as_uri())
        assert browser.errors == []
        return browser

    return opened
