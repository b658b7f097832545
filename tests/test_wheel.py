"""The package as a wheel, installed outside the repository: all of its files come along, and only they."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEFT_OUT = {".pyc", ".ipynb"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, since building leaves files beside the sources."""
    copy, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "dalle_edu", copy / "dalle_edu", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    done = subprocess.run([*command, "--wheel-dir", out, copy], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory):
    """A folder with the unpacked wheel and nothing else of this project, its name not in plain letters."""
    folder = tmp_path_factory.mktemp("élève, 2 mots")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder


def run(elsewhere, *arguments, **environment):
    """`python ...` in that folder, with the wheel before anything else on the path."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP") if name in os.environ}
    settings = kept | {"PYTHONPATH": str(elsewhere / "site"), "HF_HUB_OFFLINE": "1"} | environment
    return subprocess.run(
        [sys.executable, *arguments], cwd=elsewhere, env=settings, capture_output=True, timeout=300
    )


def test_it_holds_every_file_of_the_package_and_no_other(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = (path for path in (ROOT / "dalle_edu").rglob("*") if path.is_file())
    wanted = {path.relative_to(ROOT).as_posix() for path in files if path.suffix not in LEFT_OUT}
    assert inside == wanted
    assert not any("/." in name or name.endswith((".tmp", ".log", ".lock")) for name in inside)


def test_weights_configurations_and_figures_are_found_outside_the_repository(elsewhere):
    code = (
        "import dalle_edu, pathlib\n"
        "from dalle_edu.configs import read_config\n"
        "from dalle_edu.explore import schedule_explorer\n"
        "print(pathlib.Path(dalle_edu.__file__).parent)\n"
        "print(len(dalle_edu.load('picturebook').draw('a red apple', samples=2, seed=0)))\n"
        "print(read_config('paper-12b').dalle.depth)\n"
    )
    done = run(elsewhere, "-c", code, HOME=str(elsewhere))
    assert done.returncode == 0, done.stderr.decode()
    place, samples, depth = done.stdout.decode("utf-8").splitlines()
    assert Path(place) == elsewhere / "site" / "dalle_edu" and (samples, depth) == ("2", "64")


@pytest.mark.parametrize(
    "environment",
    [
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "cp1252"},
        {"HOME": ""},
        {"OMP_NUM_THREADS": "1"},
    ],
    ids=lambda environment: " ".join(f"{key}={value}" for key, value in environment.items()),
)
def test_it_draws_whatever_the_terminal_spells_and_where_there_is_no_home(elsewhere, environment):
    out = "peinture é.png"
    arguments = ("-m", "dalle_edu", "draw", "ein grünes Herz 💚", "--samples", "1", "--out", out)
    done = run(elsewhere, *arguments, **environment)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    assert b"Traceback" not in done.stderr
    assert (elsewhere / out).read_bytes().startswith(b"\x89PNG")
    (elsewhere / out).unlink()


def test_a_model_is_trained_outside_the_repository(elsewhere):
    arguments = ("-m", "dalle_edu", "train", "dvae", "--config", "toy", "--data", "scenes:attributes")
    done = run(elsewhere, *arguments, "--out", "mein Modell", HOME=str(elsewhere))
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    assert (elsewhere / "mein Modell" / "dvae.safetensors").is_file()


def test_what_needs_the_book_says_so(elsewhere):
    done = run(elsewhere, "-m", "dalle_edu", "book", HOME=str(elsewhere))
    assert done.returncode == 2 and b"Clone the repository" in done.stderr and b"Traceback" not in done.stderr
