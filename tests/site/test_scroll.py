"""What scrolls sideways can be reached by the keyboard, and only what scrolls."""

from small_book import BOOK

TABLE = "<table><tr><td>{}</td></tr></table>"
EXPLORER = "<div class='dalle-explorer'><div tabindex='0' style='overflow-x:auto'>{}</div></div>"


def test_a_wide_table_takes_the_focus_and_a_narrow_one_or_one_inside_a_figure_does_not(browser, tmp_path):
    style, script = (
        (BOOK / "_static" / name).read_text(encoding="utf-8") for name in ("book.css", "scroll.js")
    )
    wide, narrow = TABLE.format("wide" * 150), TABLE.format("narrow")
    body = f"{wide}{narrow}<div class='math'>{'x' * 500}</div>{EXPLORER.format(wide)}"
    path = tmp_path / "page.html"
    path.write_text(
        '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<style>{style}</style><script>{script}</script><main class='bd-article'>{body}</main>",
        encoding="utf-8",
    )
    browser.open(path.as_uri(), width=390)
    browser.wait_for("document.querySelectorAll('[data-scrolls]').length")
    where = "[...document.querySelectorAll('table, .math, .dalle-explorer')].map((part) => part.tabIndex)"
    assert browser.value(where) == [0, -1, 0, -1, -1]
    browser.key("Tab")
    browser.key("ArrowRight")
    browser.wait_for("document.activeElement.scrollLeft > 0")
    assert browser.value("document.activeElement.tagName") == "TABLE"
    assert browser.value("document.documentElement.scrollWidth") <= 390
    browser.page.set_viewport_size({"width": 30_000, "height": 800})
    browser.wait_for("!document.querySelector('[data-scrolls]')")
    assert browser.value(where) == [-1] * 5
