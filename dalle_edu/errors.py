"""The one error that is the reader's to mend: it says what was wrong, what was expected, and what to do."""

from numbers import Integral


class ReaderError(ValueError):
    """Raised for input that the reader can correct; the command line prints its message as one line, exit
    code 2. One line it is whatever names and texts it quotes, and no more than a screen."""

    def __init__(self, sentence: object = ""):
        text = " ".join(str(sentence).split())
        super().__init__(text if len(text) <= 1500 else f"{text[:1000]} ... {text[-400:]}")


class ReaderWarning(UserWarning):
    """What the reader should know though the work goes on; the command line prints it as one line."""


def first_line(error: BaseException, line: int = 0) -> str:
    """What an error says, on one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[min(line, len(lines) - 1)].strip()


def check_whole(name: str, value, least: int = 0, most: int | None = None) -> int:
    """`value`, where it is a whole number from `least` to
    `most`. Raises ReaderError with its `name` otherwise."""
    if (
        isinstance(value, bool)
        or not isinstance(value, Integral)  # numpy's whole numbers, too
        or int(value) < least
        or (most is not None and int(value) > most)
    ):
        to = "on" if most is None else f"to {most}"
        raise ReaderError(f"{name} is {brief(value)}; it must be a whole number from {least} {to}.")
    return int(value)


def brief(value) -> str:
    """`value` as a sentence can hold it: on one line, cut where it is long."""
    text = " ".join(repr(value[:80] if isinstance(value, str | bytes | list | tuple) else value).split())
    return text if len(text) <= 80 else text[:77] + "..."


def unknown_name(kind: str, name: str, known) -> ReaderError:
    """The error for a name that is not among the `known` ones of its `kind`, listing them."""
    return ReaderError(
        f"There is no {kind} named {brief(name)}; the known ones are: {', '.join(sorted(known))}."
    )
