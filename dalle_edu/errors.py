"""The one error that is the reader's to mend: it says what was wrong, what was expected, and what to do."""


class ReaderError(ValueError):
    """Raised for input that the reader can correct; the command line prints its message as one line, exit
    code 2."""


class ReaderWarning(UserWarning):
    """What the reader should know though the work goes on; the command line prints it as one line."""


def unknown_name(kind: str, name: str, known) -> ReaderError:
    """The error for a name that is not among the `known` ones of its `kind`, listing them."""
    return ReaderError(f"There is no {kind} named {name!r}; the known ones are: {', '.join(sorted(known))}.")
