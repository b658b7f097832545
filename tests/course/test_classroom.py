"""What runs a class of thirty is read as far as it can be here: no Docker engine, no hub."""

import re
import runpy
import tomllib
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "classroom"


class Settings(SimpleNamespace):
    """What JupyterHub calls `c`: any name may be set on any section."""

    def __getattr__(self, name):
        section = Settings()
        setattr(self, name, section)
        return section


def lines():
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_what_the_image_copies_is_there_and_what_the_package_needs_is_copied():
    copied = [line.split()[2:-1] for line in lines() if line.startswith("COPY")]
    names = {name for group in copied for name in group}
    assert all((ROOT / name).exists() for name in names)
    assert {"pyproject.toml", "constraints.txt", "dalle_edu", "book", "experiments"} <= names


def test_the_image_has_a_python_that_the_package_takes_and_its_extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = next(line for line in lines() if line.startswith("FROM")).split(":")[1].split("-")[0]
    least = re.search(r"[\d.]+", project["requires-python"])[0]
    assert tuple(map(int, version.split("."))) >= tuple(map(int, least.split(".")))
    install = next(line for line in lines() if "pip install" in line)
    extras = re.search(r"\[([\w,]+)\]", install)[1].split(",")
    assert set(extras) <= set(project["optional-dependencies"])


def test_nobody_in_the_image_is_root():
    users = [line for line in lines() if line.startswith("USER")]
    assert users and users[-1] != "USER root"


def test_the_hub_gives_each_student_two_cores_and_four_gigabytes_and_admits_nobody_unasked():
    c = Settings()
    runpy.run_path(str(FOLDER / "jupyterhub_config.py"), init_globals={"get_config": lambda: c})
    assert (c.Spawner.cpu_limit, c.Spawner.mem_limit) == (2, "4G")
    assert c.Authenticator.allow_all is False and c.NativeAuthenticator.open_signup is False
    page = c.Spawner.default_url.removeprefix("/lab/tree/")
    assert (ROOT / page).is_file()
