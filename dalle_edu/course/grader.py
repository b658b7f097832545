"""What nbgrader runs before a submission: a look at each cell, so that none changes how it is marked."""

from __future__ import annotations

import re

from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_locked

from dalle_edu.course.judge import changes


def tampering(source: str) -> str | None:
    """Why a student's cell may not be run beside the marking, or None."""
    if re.search(r"dalle_edu\.course|\bsys\.modules\b|\bget_ipython\b|\bsetattr\b|\bIn\b", source):
        return "it reaches for the marking."
    try:
        changed = changes(source)
    except SyntaxError:  # which its own error message will explain
        return None
    return f"it changes {changed}, which belongs to a library." if changed else None


class TakeOutTampering(NbGraderPreprocessor):
    """Takes the code out of students' cells that would change a library or the marking, and says so."""

    def preprocess_cell(self, cell, resources, index):
        if cell.cell_type == "code" and not is_locked(cell):
            reason = tampering(cell.source)
            if reason:
                cell.source = f"raise RuntimeError({'This cell was not run: ' + reason!r})"
        return cell, resources
