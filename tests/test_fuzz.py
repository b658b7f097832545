"""Ten thousand damaged files, odd arguments and command lines: `make fuzz` runs a million of the same."""

import io
import sys

import fuzz
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dalle_edu.errors import ReaderError
from dalle_edu.sampling import adjust_logits, check_dials, draw_from, first_rows, outside_rectangle
from dalle_edu.tokens import CaptionTokenizer, one_line


def most_memory():
    """The most that this process has held so far, in kilobytes; unknown on Windows."""
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)


def test_ten_thousand_cases_give_a_right_answer_or_one_sentence(tmp_path, capfd):
    before = most_memory()
    counts, mistakes = fuzz.run(10_000, 21, tmp_path)
    assert most_memory() - before < 2_000_000  # one damaged pickle once took 18 GB
    assert not mistakes, f"{len(mistakes)}: case {mistakes[0][0]} ({mistakes[0][1]})\n{mistakes[0][2]}"
    assert sum(counts.values()) == 10_000
    for name in {name for name, _ in counts}:  # both happen, or the damage is too small or too large to tell
        assert counts[name, "sentence"] > 0 and (counts[name, "answer"] > 0 or name == "command"), name


def test_the_fuzz_notices_a_mistake(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "read_picture", lambda file, size, name: io.BytesIO(b"").missing)
    _, mistakes = fuzz.run(20, 21, tmp_path)
    assert any("AttributeError" in trace for _, name, trace in mistakes if name == "picture")


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(), max_size=60))
def test_any_unicode_is_tokens_or_a_sentence(text):
    tokenizer = _tokenizer()
    try:
        tokens = tokenizer.encode(text, 256)
    except ReaderError as error:
        assert not text.strip() or any("\ud800" <= letter <= "\udfff" for letter in text), error
        return
    spaced = tokenizer.encode("\u2003\n " + "\t \r\n".join(text.split()) + " ", 256)
    assert torch.equal(tokens, spaced)
    assert (
        tokenizer.decode(tokens[0]) == tokenizer.tokenizer.normalizer.normalize_str(one_line(text))
        or "\ufffd" in text
    )


def _tokenizer():
    global _TOKENIZER
    if _TOKENIZER is None:
        _TOKENIZER = CaptionTokenizer.train(["a red circle", "two blue squares"], 300)
    return _TOKENIZER


_TOKENIZER = None
anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5),
    st.lists(st.integers(), max_size=3), st.complex_numbers(),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(anything, anything, anything)
def test_dials_are_taken_or_refused_by_name(temperature, top_k, top_p):
    try:
        check_dials(temperature, top_k, top_p)
    except ReaderError as error:
        assert any(name in str(error) for name in ("temperature is", "top_k is", "top_p is"))
    else:
        assert 1e-6 <= temperature <= 1e6 and top_k >= 0 and 0 < top_p <= 1


@settings(max_examples=300, deadline=None)
@given(
    logits=st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20),
    temperature=st.floats(1e-6, 1e6),
    top_k=st.integers(0, 25),
    top_p=st.floats(1e-3, 1),
)
def test_at_every_temperature_a_code_is_drawn_that_was_left_in(logits, temperature, top_k, top_p):
    logits = torch.tensor(logits)
    adjusted = adjust_logits(logits, temperature, top_k, top_p)
    drawn = draw_from(adjusted.expand(4, -1), torch.Generator().manual_seed(1))
    assert (adjusted[drawn] > -torch.inf).all()
    if temperature <= 1e-6 and (logits.sort(descending=True).values[:2].diff().abs() > 1).all():
        assert (drawn == logits.argmax()).all()


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), anything, st.integers(-2, 6))
def test_what_is_kept_of_a_picture_lies_within_it(height, width, rows, left):
    for make in (
        lambda: first_rows((height, width), rows),
        lambda: outside_rectangle((height, width), left, left),
    ):
        try:
            keep = make()
        except ReaderError:
            continue
        assert keep.shape == (height * width,) and not keep[-1]


def test_a_case_can_be_run_again_by_its_number(tmp_path):
    first, again = (fuzz.run(0, 21, tmp_path, only=17)[0] for _ in range(2))
    assert first == again and sum(first.values()) == 1


@pytest.mark.parametrize("name", ["a.txt", "captions.csv"])
def test_damage_keeps_to_its_seed(name):
    import random

    assert fuzz.mutated(b"abc" * 50, random.Random(name)) == fuzz.mutated(b"abc" * 50, random.Random(name))
