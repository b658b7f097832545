"""What each check of an exercise is asked: does it name a mistake, and tell an empty answer from a crash?"""


def is_named(check, answer, said):
    """`answer` fails, and the verdict says so with the words `said`."""
    verdict = check(answer)
    assert not verdict
    assert said in verdict.message, verdict.message


def empty_and_crash_are_told_apart(check):
    """A stub is still to be written; an answer that takes other arguments raises an error."""

    def empty(*_):
        raise NotImplementedError

    assert "still to be written" in check(empty).message
    assert "raised TypeError" in check(lambda: None).message


def stub_is_no_traceback(check):
    """A stub fails with the name of its error; an answer that gives nothing fails."""

    def stub(*_):
        raise NotImplementedError

    assert "NotImplementedError" in check(stub).message
    assert not check(lambda *_: None)
