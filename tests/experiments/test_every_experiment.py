"""Every experiment can be imported and says what it takes: one that names what the package no longer has is
found here, not after an hour."""

import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "experiments"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_an_experiment_can_be_imported_and_says_how_it_is_called(path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.syspath_prepend(str(FOLDER.parent / "benchmarks"))
    monkeypatch.setattr(sys, "argv", [path.name, "--help"])
    if path.stem == "trials":  # what the others share
        assert callable(runpy.run_path(str(path))["report"])
        return
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")  # a script that calls nothing is found as well
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out
