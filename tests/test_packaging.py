"""What the installation promises: pins for all that it brings, and files that say the same thing once."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins():
    lines = (line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    return {canonical(line.split("==")[0]): line.split("==")[1] for line in lines if line}


def declared():
    extras = PROJECT["optional-dependencies"]
    return [Requirement(text) for text in PROJECT["dependencies"] + extras["book"] + extras["test"]]


def everything_installed(requirement, found):
    """The names of all packages that `requirement` brings on this machine, itself included."""
    key = (canonical(requirement.name), frozenset(requirement.extras))
    if key in found:
        return found
    found.add(key)
    try:
        needs = distribution(requirement.name).requires or []
    except PackageNotFoundError:
        return found
    for need in map(Requirement, needs):
        if any(
            not need.marker or need.marker.evaluate({"extra": extra}) for extra in requirement.extras or [""]
        ):
            everything_installed(need, found)
    return found


def test_every_package_that_an_installation_brings_is_pinned():
    found = set()
    for requirement in declared():
        everything_installed(requirement, found)
    names = {name for name, _ in found if not re.match(r"(nvidia|cuda|triton)", name)}
    assert names <= set(pins()), f"not in constraints.txt: {sorted(names - set(pins()))}"


def test_the_pins_lie_within_what_is_declared():
    pinned = pins()
    for requirement in declared():
        assert requirement.specifier.contains(pinned[canonical(requirement.name)]), requirement


def test_no_pin_is_for_one_platform_only():
    assert not [name for name in pins() if re.match(r"(nvidia|cuda|triton)", name)]


def test_conda_installs_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, _, pip = environment["dependencies"]
    assert python.startswith("python=3.")
    assert pip["pip"] == ["-c constraints.txt", "-e .[book,test]"]


def test_the_files_that_travel_with_the_package_are_named():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "dalle_edu"
    ]
    package = ROOT / "dalle_edu"
    carried = {path for pattern in patterns for path in package.glob(pattern)}
    ours = {
        path
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    }
    assert ours <= carried, sorted(map(str, ours - carried))
