"""axe on every page of the built site: on a desktop and on a phone, in the light and in the dark, with every
answer unfolded and every figure alive.

    make axe                                            (builds the site, then runs this)
    python tests/axe.py [--site book/_build/html] [--pages api appendix "0*" index]

Prints each serious or critical finding once, with the pages that have it, and ends with 1 if there is one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "site"))

SITE = Path(__file__).parents[1] / "book" / "_build" / "html"
WIDTHS = {"desktop": (1280, 800), "phone": (390, 844)}


def pages(site: Path, names: list[str] | None = None) -> list[Path]:
    """The pages of a site, without the files that they are made of: all, or those that `names` name, each a
    page or a folder, with or without asterisks."""
    patterns = (
        ["**/*.html"] if not names else [f"{name}{end}" for name in names for end in (".html", "/**/*.html")]
    )
    found = {page for pattern in patterns for page in site.glob(pattern)}
    return sorted(page for page in found if "_static" not in page.relative_to(site).parts)


def faults(browser, page: Path) -> list[tuple[str, str, str]]:
    """The serious faults of one page: (rule, where it was seen, the element)."""
    found = []
    for device, (width, height) in WIDTHS.items():
        browser.open(page.as_uri(), width=width, height=height)
        browser.wait_for(
            "!window.MathJax || !MathJax.startup || MathJax.startup.promise.then(() => true)", 60
        )
        browser.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        for theme in ("light", "dark"):
            browser.page.emulate_media(color_scheme=theme)
            browser.wait_for(f"document.documentElement.dataset.theme === '{theme}'")
            found += [
                (fault["id"], f"{device}, {theme}", node["html"][:200])
                for fault in browser.serious_faults()
                for node in fault["nodes"]
            ]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, default=SITE)
    parser.add_argument("--pages", nargs="+", metavar="NAME")
    options = parser.parse_args()
    asked = pages(options.site, options.pages)
    if not asked:
        parser.error(f"there is no such page in {options.site}; build the site: make book")
    from browser import Browser

    browser, seen = Browser(), {}
    try:
        for page in asked:
            name = page.relative_to(options.site).as_posix()
            for rule, where, element in faults(browser, page):
                if (rule, element) not in seen:
                    print(f"{rule}, {name} ({where}): {element}", flush=True)
                seen.setdefault((rule, element), set()).add(name)
    finally:
        browser.close()
    for (rule, element), names in sorted(seen.items()):
        print(f"{len(names):4} pages: {rule}: {element}")
    print(f"{len(asked)} pages, each in {len(WIDTHS)} widths, light and dark: {len(seen)} serious findings")
    return bool(seen)


if __name__ == "__main__":
    sys.exit(main())
