"""Chapters 1 to 10 and 14 use the symbols of the notation page in their formulas, and with its meanings.

The page (book/appendix/notation.md) has tables of symbols for the whole book and one of symbols that belong
to single chapters. A formula may use the first everywhere and the second in their chapters. Natural
logarithms are `\\ln`, and the Kullback-Leibler divergence is `\\mathrm{KL}(q \\,\\Vert\\, p)`.
"""

import re
from pathlib import Path

import nbformat
import pytest

BOOK = Path(__file__).parents[2] / "book"
CHAPTERS = sorted(BOOK.glob("[0-9]*.ipynb"))
SOLUTIONS = sorted((BOOK / "solutions").glob("*.ipynb"))
NUMBER = {path: int(path.name[:2]) for path in CHAPTERS + SOLUTIONS}
MINE = [path for path in CHAPTERS + SOLUTIONS if 1 <= NUMBER[path] <= 10 or NUMBER[path] == 14]
FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w])\$([^$\n]+(?:\n[^$\n]+)?)\$", re.S)
WORDS = re.compile(r"\\(?:text|mathrm|operatorname|mathit|textrm|begin|end)\*?\s*\{[^{}]*\}")
SYMBOL = re.compile(r"\\math(?:bf|cal|bb)\s*\{?\s*[A-Za-z]\}?|\\[A-Za-z]+|[A-Za-z]")
GREEK = re.compile(
    r"\\(alpha|beta|gamma|delta|epsilon|theta|lambda|mu|pi|rho|sigma|tau|phi|eta|Sigma|Delta)$"
)
INDICES = set("ijkq")


def formulas(text):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S)  # code has names, not symbols
    return [a or b for a, b in FORMULA.findall(text)]


def symbols(formula):
    """The letters of a formula, "K", "\\\\mathbf x", "\\\\beta", without accents and other commands."""
    found = set()
    for symbol in SYMBOL.findall(WORDS.sub(" ", formula)):
        plain = symbol.replace("{", " ").replace("}", "").split()
        if len(symbol) > 1 and symbol.startswith("\\math"):
            name = re.match(r"\\math(bf|cal|bb)\s*\{?\s*([A-Za-z])", symbol)
            found.add(f"\\math{name[1]} {name[2]}")
        elif symbol.startswith("\\"):
            if GREEK.match(symbol):
                found.add(plain[0])
        else:
            found.add(symbol)
    return found


def page():
    """The symbols of the whole book, and {chapter: symbols} of single ones."""
    text = (BOOK / "appendix" / "notation.md").read_text(encoding="utf-8")
    everywhere, single = set(), {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if not line.startswith("|") or not cells[0].startswith("$"):
            continue
        here = set().union(*(symbols(formula) for formula in formulas(cells[0])))
        chapters = re.fullmatch(r"chapters? ([\d, and]+)", cells[1])
        if chapters:
            for number in re.findall(r"\d+", chapters[1]):
                single.setdefault(int(number), set()).update(here)
        else:
            everywhere |= here
    return everywhere, single


def text_of(path):
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("path", MINE, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_symbol_of_a_chapter_is_on_the_page(path):
    everywhere, single = page()
    allowed = everywhere | single.get(NUMBER[path], set())
    for formula in formulas(text_of(path)):
        strange = symbols(formula) - allowed
        assert not strange, f"{sorted(strange)} of {formula!r} are not on the notation page"


def test_no_symbol_of_a_single_chapter_has_a_meaning_for_the_whole_book_too():
    everywhere, single = page()
    for chapter, here in single.items():
        twice = everywhere & here - INDICES
        assert not twice, (chapter, sorted(twice))


@pytest.mark.parametrize("path", MINE, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_logarithms_are_natural_and_the_divergence_has_one_name(path):
    for formula in formulas(text_of(path)):
        assert not re.search(r"\\log(?!_)", formula), f"\\log instead of \\ln: {formula!r}"
        assert not re.search(r"D_\{?(?:\\mathrm\{)?KL|(?<![A-Za-z{])KL", formula), formula


MEANINGS = {
    "N": "picture token|places",
    "T": "text position",
    "K": "codes?|vocabulary|listed",
    "V": "pieces|vocabulary",
    "L": "layer|block",
    "d": "width",
    "d_h": "head",
    "W": "width",
}
DEFINED = re.compile(
    r"\$([A-Za-z](?:_h)?)\$ (?:is|be|are|for|counts) (?:the )?([^.;$]{3,60})"
    r"|(?:with|Let) \$([A-Za-z](?:_h)?)\$ (?:be )?(?:the )?([^.;$]{3,60})"
)


@pytest.mark.parametrize("path", MINE, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_a_sentence_says_of_a_symbol_is_what_the_page_says(path):
    for first, said, second, also in DEFINED.findall(text_of(path)):
        name, words = (first, said) if first else (second, also)
        if name in MEANINGS:
            assert re.search(MEANINGS[name], words), f"${name}$: {words!r}"


def test_a_symbol_with_another_meaning_is_found():
    assert symbols(r"\mathbf q_q\cdot E_{z_j} + \beta\,\mathrm{KL}(q \,\Vert\, p) \text{ if so}") == {
        "\\mathbf q", "q", "E", "z", "j", "\\beta", "p",
    }  # fmt: skip
    name, said, *_ = DEFINED.search("$T$ is the set of positions that have a target").groups()
    assert name == "T" and not re.search(MEANINGS["T"], said)
