"""Tables as plain text, made by rich: for what is printed, compared and stored in files."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

LONGEST = 110  # characters a line


def columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as text: what a row is about to the left, its figures to the right."""
    table = Table(box=None, pad_edge=False)
    for at, head in enumerate(heads):
        table.add_column(head, justify="right" if at else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(escape, row))
    console = Console(file=io.StringIO(), width=LONGEST, color_system=None, highlight=False)
    console.print(table)
    return console.file.getvalue().rstrip("\n")
