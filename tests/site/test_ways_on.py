"""The repository's address and the modules of each chapter are the same wherever they are written."""

import re
import runpy
from pathlib import Path

from dalle_edu.publish.book import repository

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"


def test_the_repositorys_address_stands_in_one_place():
    address = repository()
    assert address.startswith("https://")
    assert f"git clone {address}" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f'repository-code: "{address}"' in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    for page in [*BOOK.glob("*.md"), *BOOK.glob("a*/*.md")]:
        assert address not in page.read_text(encoding="utf-8"), f"{page.name}: write {{{{ repository }}}}"


def test_the_modules_behind_the_chapters_are_those_of_the_readme():
    modules = runpy.run_path(str(BOOK / "conf.py"))["MODULES"]
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    found = {
        f"{int(number):02}": [
            path.removesuffix(".py").replace("/", ".") for path in re.findall(r"\(dalle_edu/([\w/.]+)\)", row)
        ]
        for number, row in rows
    }
    assert found == modules
