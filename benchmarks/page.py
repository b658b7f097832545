"""What drawing in a page costs: plain JavaScript in Node, and a whole picture in the machine's own browser.

python benchmarks/page.py [--slowed 4]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "site")]


def in_node(folder: Path) -> dict:
    """Milliseconds of one core: a token, with guidance, a picture decoded, a score."""
    from explore.javascript import node

    weights = next(folder.glob("*.safetensors"))
    done = subprocess.run(
        [node(), HERE / "page.mjs", weights], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    return json.loads(done.stdout)


def in_browser(folder: Path, slowed: float) -> tuple[float, float]:
    """Seconds from Enter to one finished picture: the first, which loads the model from the disk, and the
    next; the processor `slowed` times slower than it is."""
    from browser import Browser

    browser = Browser()
    try:
        browser.open((folder / "index.html").as_uri(), width=390, height=844)
        session = browser.context.new_cdp_session(browser.page)
        session.send("Emulation.setCPUThrottlingRate", {"rate": slowed})
        browser.page.locator("details.dials").evaluate("e => { e.open = true; }")
        browser.page.locator("label:has(span:text-is('samples')) select").select_option(label="1")
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            browser.page.get_by_label("What to draw").press("Enter")
            browser.wait_for("document.querySelector('.dalle-draw').dataset.state !== 'done'", 120)
            browser.wait_for("document.querySelector('.dalle-draw').dataset.state === 'done'", 300)
            seconds.append(time.perf_counter() - start)
        return seconds[0], seconds[1]
    finally:
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slowed", type=float, default=1.0)
    slowed = parser.parse_args().slowed
    from dalle_edu.drawing import load
    from dalle_edu.page.export import export

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        told = export(load("picturebook"), folder)
        node = in_node(folder)
        first, second = in_browser(folder, slowed)
    print(f"weights {told['bytes'] / 1e6:.1f} MB")
    print("processor ms in Node: " + ", ".join(f"{name} {value:.1f}" for name, value in node.items()))
    print(f"seconds in the browser, {slowed:g} times slowed: {first:.1f} with loading, then {second:.1f}")


if __name__ == "__main__":
    main()
