"""The browser of the site tests; where there is none they are skipped, and say so."""

import pytest
from browser import CHROMIUM, Browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium or Chrome was found on this machine, so nothing here was tried in a browser")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()
