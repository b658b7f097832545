"""The house: chapters at the top, a room for everything else, and no circle of imports."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "dalle_edu"
# Not chapters, and used by all: the command line, the one error, files that are whole or not there.
BESIDE_CHAPTERS = {"__init__", "__main__", "cli", "errors", "files"}


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
