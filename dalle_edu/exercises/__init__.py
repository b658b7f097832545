"""Check functions for the exercises, one module a chapter: `dalle_edu.exercises.autoencoder.check_psnr`.

A check takes the reader's function, tries it, and returns a `Verdict` that shows itself as one line: what is
right, or what is wrong and where to look. `bool(verdict)` is True when the answer is right, so
`assert check_psnr(psnr)` grades.
"""

import functools
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Verdict:
    """What a check says: `passed`, and a `message` for the reader. True in an `assert` when passed."""

    passed: bool
    message: str

    def __bool__(self):
        return self.passed

    def __repr__(self):
        return f"{'Right.' if self.passed else 'Not yet:'} {self.message}"


class Wrong(Exception):
    """Raised inside a check with the sentence that the reader shall see."""


def exercise(check):
    """Make a check out of a function that raises `Wrong` or returns its closing sentence.

    Whatever the reader's code raises becomes part of the verdict, so that a check never ends in a traceback.
    """

    @functools.wraps(check)
    def checked(answer, *args, **kwargs):
        try:
            return Verdict(True, check(answer, *args, **kwargs))
        except Wrong as wrong:
            return Verdict(False, str(wrong))
        except NotImplementedError:
            return Verdict(False, "still to be written: replace the NotImplementedError by your own lines.")
        except Exception as error:  # noqa: BLE001  (whatever it is, the reader shall see it)
            return Verdict(False, f"your code raised {type(error).__name__}: {error}")

    return checked


def need(condition, message):
    """Go on if `condition` holds; otherwise the verdict is `message`."""
    if not condition:
        raise Wrong(message)


def need_tensor(value, shape, name="the result"):
    """Go on if `value` is a tensor of this `shape`; otherwise say what came instead."""
    if value is None:
        raise Wrong(f"{name} is None; does the function end in a return?")
    if not isinstance(value, torch.Tensor):
        raise Wrong(f"{name} should be a torch.Tensor, not {type(value).__name__}.")
    if tuple(value.shape) != tuple(shape):
        raise Wrong(f"{name} should have shape {tuple(shape)}, but has {tuple(value.shape)}.")


def close(value, wanted, tolerance=1e-4):
    """True if numbers or tensors of one shape differ by at most `tolerance`, relative to `wanted` above 1.

    For checks that compare an answer with several known mistakes in turn.
    """
    value, wanted = torch.as_tensor(value).double(), torch.as_tensor(wanted).double()
    if value.shape != wanted.shape or not torch.isfinite(value).all():
        return False
    return bool((value - wanted).abs().max() <= tolerance * max(1.0, float(wanted.abs().max())))
