"""What the trials of recipes share: a row is printed and, if a file is named, appended to it."""

import json
from pathlib import Path


def report(row: dict, out: Path | None) -> None:
    """Prints `row` as JSON, and appends it as one line to `out`."""
    line = json.dumps(row)
    print(line, flush=True)
    if out:
        with out.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
