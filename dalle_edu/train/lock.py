"""One at a time: two trainings into one folder would leave one's weights beside the other's tokenizer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from dalle_edu.files import only_one
from dalle_edu.train.processes import rank


def alone(train: Callable) -> Callable:
    """`train(part, config_name, out, ...)`, but never twice at once in one folder `out`."""

    @functools.wraps(train)
    def one(part, config_name, out, *arguments, **options):
        if rank() > 0:  # of several processes the first holds the lock
            return train(part, config_name, out, *arguments, **options)
        with only_one(Path(out), "training"):
            return train(part, config_name, out, *arguments, **options)

    return one
