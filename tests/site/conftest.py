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
