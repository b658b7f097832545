"""The house: chapters at the top, a room for everything else, floors that rest on those below, no circle of
imports, and tests that stand where the tested stands."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "dalle_edu"
# Not chapters, and used by all: the command line, the one error, files that are whole or not there.
BESIDE_CHAPTERS = {"__init__", "__main__", "cli", "errors", "files"}

# From the ground up: a module uses its own floor and those below. The longest name that fits decides.
FLOORS = [
    ["errors", "files", "configs.checked", "machine.workers", "machine.processor", "machine.columns"],
    [  # the chapters' models: of nothing but tensors
        "autoencoder", "vae", "vqvae", "gumbel", "dvae", "tokens", "masks", "machine.bands", "sparse",
        "transformer", "dalle", "sampling", "reranking",
    ],
    ["data", "judges", "abilities", "formats"],
    ["configs", "train", "parallel", "scale"],
    ["drawing", "machine"],
    ["evaluate"],
    ["explore", "exercises"],
    ["page", "publish", "course"],
    ["cli", "__main__"],
]  # fmt: skip
# Tests of what is no single module or room: the book, the site in a browser, and the whole from outside.
OF_THE_WHOLE = {
    "book", "site", "benchmarks", "experiments",
    "fresh_process", "fuzz", "house", "kills", "launch", "packaging", "security", "surface", "wheel",
}  # fmt: skip


def floor(name):
    """On which floor a module stands, counted from the ground."""
    inside = name.removeprefix("dalle_edu.")
    stands = [
        (len(n), i) for i, names in enumerate(FLOORS) for n in names if f"{inside}.".startswith(f"{n}.")
    ]
    assert stands, f"{name} stands on no floor: give it one in {Path(__file__).name}"
    return max(stands)[1]


def modules():
    """The modules of the package by name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported_at_once(path, names):
    """Modules of the package that a module imports when it is imported itself: not those inside functions."""
    found, waiting = set(), list(ast.parse(path.read_text(encoding="utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inside & names) or {node.module}
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return found & names


def test_no_modules_import_each_other_in_a_circle():
    found = modules()
    graph = {name: imported_at_once(path, found.keys()) - {name} for name, path in found.items()}
    assert graph["dalle_edu.dalle"] >= {"dalle_edu.transformer", "dalle_edu.errors"}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
    assert order.index("dalle_edu.masks") < order.index("dalle_edu.sparse") < order.index("dalle_edu.dalle")


def test_only_chapters_stand_at_the_top_and_the_readme_lists_each_of_them():
    readme = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
    top = {path.stem for path in PACKAGE.glob("*.py")} - BESIDE_CHAPTERS
    missing = [name for name in sorted(top) if f"(dalle_edu/{name}.py)" not in readme]
    assert not missing, f"the README's table of chapters does not name {missing}"


def test_every_module_uses_only_its_own_floor_and_those_below():
    found = modules()
    rooms = found.keys() - {"dalle_edu"}  # the package itself imports lazily what readers call
    wrong = [
        f"{name} (floor {floor(name)}) uses {other} (floor {floor(other)})"
        for name in sorted(rooms)
        for other in sorted(imported_at_once(found[name], rooms))
        if floor(other) > floor(name)
    ]
    assert not wrong, wrong
    assert floor("dalle_edu.configs.checked") < floor("dalle_edu.dalle") < floor("dalle_edu.configs.schema")


def test_tests_stand_where_the_tested_stands():
    tests = Path(__file__).parent
    here = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if not path.name.startswith("_")}
    rooms = {path.name for path in tests.iterdir() if path.is_dir() and any(path.glob("test_*.py"))}
    files = {path.stem.removeprefix("test_") for path in tests.glob("test_*.py")}
    # A second file of the same module goes on after its name: test_tokens_by_hand.py.
    strangers = {
        name
        for name in rooms | files
        if not any(f"{name}_".startswith(f"{known}_") for known in here | OF_THE_WHOLE)
    }
    assert not strangers, f"these tests name no module and no room of the package: {sorted(strangers)}"
    untested = {path.stem for path in PACKAGE.glob("*.py")} - BESIDE_CHAPTERS - files
    assert not untested, f"no tests/test_NAME.py for {sorted(untested)}"
