"""Check functions for the exercises, one module a chapter: `dalle_edu.exercises.autoencoder.check_psnr`.

A check takes the reader's function, tries it, and returns a `Verdict` that shows itself as one line: what is
right, or what is wrong and where to look. `bool(verdict)` is True when the answer is right, so
`assert check_psnr(psnr)` grades.
"""

import contextlib
import functools
import inspect
import sys
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


def exercise(check=None, *, without=()):
    """Make a check out of a function that raises `Wrong` or returns its closing sentence.

    Whatever the reader's code raises becomes part of the verdict, so that a check never ends in a traceback.
    `without`: the functions that the exercise asks to write; an answer may not call them
    (see `unavailable`).
    """
    if check is None:
        return functools.partial(exercise, without=without)

    @functools.wraps(check)
    def checked(answer, *args, **kwargs):
        if without and callable(answer):
            answer = _by_hand(answer, without)
        try:
            return Verdict(True, check(answer, *args, **kwargs))
        except Wrong as wrong:
            return Verdict(False, str(wrong))
        except NotImplementedError:
            return Verdict(False, "still to be written: replace the NotImplementedError by your own lines.")
        except Exception as error:  # noqa: BLE001  (whatever it is, the reader shall see it)
            return Verdict(False, f"your code raised {type(error).__name__}: {error}")

    return checked


@contextlib.contextmanager
def unavailable(*functions):
    """Inside this `with`, calling one of `functions` raises `Wrong`, under whatever name it was imported.

    functions: Python functions and methods (decorated ones too), built-in ones, and classes, which stand for
    all their methods. Python's profiling hook notices the calls, so nothing of the library is changed.
    """
    codes, builtins = {}, {}
    for function in functions:
        parts = [part for part in vars(function).values() if inspect.isfunction(part)] if (
            inspect.isclass(function)) else [function]  # fmt: skip
        for part in parts:
            code = getattr(inspect.unwrap(part), "__code__", None)
            if code is None:
                builtins[part] = function
            else:
                codes[code] = function
    called = []

    def notice(frame, event, argument):
        function = None
        if event == "call":
            function = codes.get(frame.f_code)
        elif event == "c_call":
            with contextlib.suppress(
                TypeError
            ):  # some built-in objects cannot be hashed; none of them is listed
                function = builtins.get(argument)
        if function is not None:
            called.append(function)
            raise Wrong(_told(function))

    before = sys.getprofile()
    sys.setprofile(notice)
    try:
        yield
    finally:
        sys.setprofile(before)
    if called:  # the reader's code caught what was raised
        raise Wrong(_told(called[0]))


def _told(function):
    name = getattr(function, "__qualname__", str(function))
    return f"your code calls {name}, which is what the exercise asks you to write; write the lines yourself."


def _by_hand(answer, without):
    """`answer`, which raises `Wrong` when it calls one of the functions `without`."""

    @functools.wraps(answer)
    def watched(*args, **kwargs):
        with unavailable(*without):
            return answer(*args, **kwargs)

    return watched


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
