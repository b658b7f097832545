"""The browser of the site's tests: the machine's own Chromium, Chrome or Edge, driven by Playwright.

`Browser` adds to Playwright's page what our tests want everywhere: the addresses that a page asked for, what
its scripts complained about, and one call that opens it at a width, in the light or in the dark.
"""

import os
import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
# Chromium looks up its maker's hosts at every start unless it is told not to.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"]
QUIET += ["--disable-sync", "--disable-background-networking", "--disable-component-update"]
QUIET += ["--allow-file-access-from-files"]
MISSING = (
    "These tests need a browser and found none: install Chromium, Chrome or Edge (Debian and Ubuntu: "
    "apt install chromium; anywhere: python -m playwright install chromium)."
)


def executable(playwright) -> str:
    """Where a browser is: on the path, at the usual places, or where Playwright put its own."""
    candidates = [*map(shutil.which, NAMES), *PLACES, playwright.chromium.executable_path]
    found = next((path for path in candidates if path and Path(path).exists()), None)
    if found is None:
        pytest.fail(MISSING, pytrace=False)
    return found


class Browser:
    """One page at a time. `page` is Playwright's own, made anew by `open`; `requests` are the addresses that
    it asked for, `errors` what its scripts complained about."""

    def __init__(self):
        self.playwright = sync_playwright().start()
        try:
            self.browser = self.playwright.chromium.launch(
                executable_path=executable(self.playwright), args=QUIET
            )
        except BaseException:
            self.playwright.stop()
            raise
        self.context, self.page, self.requests, self.errors = None, None, [], []

    def open(self, address, width=1000, height=900, dark=False, touch=False, **settings):
        """Opens `address` in a fresh page; `settings` are those of Playwright's `new_context`."""
        if self.context is not None:
            self.context.close()
        self.context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            is_mobile=width < 500,
            has_touch=touch or width < 500,
            **settings,
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        # The lists are this page's own: what an earlier page still says while it closes does not count.
        self.requests, self.errors = requests, errors = [], []
        self.page.on("request", lambda request: requests.append(request.url))
        self.page.on("pageerror", lambda error: errors.append(str(error)))
        self.page.on(
            "console", lambda message: errors.append(message.text) if message.type == "error" else None
        )
        self.page.goto(address)

    def value(self, script):
        """What a JavaScript expression is worth in the page."""
        return self.page.evaluate(script)

    def wait_for(self, script, seconds=15):
        self.page.wait_for_function(script, timeout=1000 * seconds)

    def key(self, key, times=1):
        for _ in range(times):
            self.page.keyboard.press(key)

    def click(self, selector, across=0.5, down=0.5):
        """A real press and release of the mouse, at this share of the width and height of the first match."""
        self.page.mouse.click(*self._at(selector, across, down))

    def tap(self, selector, across=0.5, down=0.5):
        """A finger, put down and lifted there; the page must have been opened with touch."""
        self.page.touchscreen.tap(*self._at(selector, across, down))

    def _at(self, selector, across, down):
        element = self.page.locator(selector).first
        element.evaluate("e => e.scrollIntoView({block: 'center'})")
        box = element.bounding_box()
        return box["x"] + across * box["width"], box["y"] + down * box["height"]

    def serious_faults(self, context=None):
        """What axe calls serious or critical in the page, or in what the selector `context` names."""
        # On a busy machine colours would still be on their way from light to dark.
        self.page.add_style_tag(content="* { transition: none !important; }")
        found = Axe().run(self.page, context=context).response["violations"]
        return [fault for fault in found if fault["impact"] in ("serious", "critical")]

    def screenshot(self, path, whole=False):
        self.page.screenshot(path=os.fspath(path), full_page=whole)

    def close(self):
        self.browser.close()
        self.playwright.stop()
