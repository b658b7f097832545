"""Every solution of the book gets full points, no stub gets any, and wrong answers get what they deserve."""

from pathlib import Path

import pytest

from dalle_edu.course.exercises import read_book, read_chapter
from dalle_edu.course.judge import Answer, changes, judge, judge_here, refused
from dalle_edu.errors import ReaderError

BOOK = Path(__file__).parents[2] / "book"
CHAPTERS = {chapter.number: chapter for chapter in read_book(BOOK)}
EXERCISES = {
    exercise.name: (chapter, exercise) for chapter in CHAPTERS.values() for exercise in chapter.exercises
}


def answered(name, source):
    chapter, exercise = EXERCISES[name]
    return Answer(exercise.module, exercise.check, name, chapter.imports, (source,))


def solved(name):
    chapter, exercise = EXERCISES[name]
    earlier = chapter.exercises[: chapter.exercises.index(exercise) + 1]
    return Answer(exercise.module, exercise.check, name, chapter.imports, tuple(e.answer for e in earlier))


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_is_right_on_other_inputs_too_and_is_one_s_own_work(name):
    assert [refused(cell) for cell in solved(name).cells] == [None] * len(solved(name).cells)
    verdict = judge_here(solved(name))
    assert verdict, verdict.message


@pytest.mark.parametrize("name", EXERCISES)
def test_a_stub_gets_nothing(name):
    verdict = judge_here(answered(name, EXERCISES[name][1].stub))
    assert not verdict
    assert "still to be written" in verdict.message


# The mistakes that teachers see: the library called, one off, right shape and wrong values, and so on.
WRONG = {
    "the library's own function under another name": (
        "my_row_mask",
        "from dalle_edu.masks import attention_mask\n\n\ndef my_row_mask(height, width):\n"
        "    return attention_mask('row', 0, (height, width))",
        "it imports dalle_edu",
    ),
    "the library's own function, fetched inside": (
        "my_kl",
        "def my_kl(means, log_variances):\n    from dalle_edu.vae import gaussian_kl\n\n"
        "    return gaussian_kl(means, log_variances)",
        "it imports dalle_edu",
    ),
    "one key too few": (
        "my_row_mask",
        "def my_row_mask(height, width):\n    place = torch.arange(height * width)\n"
        "    lag = place[:, None] - place\n    return (lag >= 0) & (lag < width)",
        "one key is missing",
    ),
    "right shape, wrong values": (
        "my_perplexity",
        "def my_perplexity(tokens, vocabulary):\n    return 1.0",
        "",
    ),
    "a constant of the right size": (
        "my_nearest_code",
        "def my_nearest_code(vectors, codebook):\n    return torch.zeros(len(vectors), dtype=torch.int64)",
        "",
    ),
    "a factor forgotten": (
        "my_kl",
        "def my_kl(means, log_variances):\n"
        "    return -(1 + log_variances - means**2 - log_variances.exp()).sum(1)",
        "",
    ),
    "the sign turned": (
        "my_psnr",
        "def my_psnr(images, reconstructions):\n"
        "    return 10 * torch.log10((images - reconstructions).square().flatten(1).mean(1))",
        "",
    ),
    "nothing returned": ("my_join", "def my_join(pieces, pair):\n    pieces.append(pair)", ""),
    "an error of Python": (
        "my_rate",
        "def my_rate(step, *arguments):\n    return math.cosine(step)",
        "AttributeError",
    ),
    "a verdict printed, and none earned": (
        "my_gumbel_max",
        "def my_gumbel_max(*arguments):\n    print('Right. 3 points')\n    return None",
        "",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_typical_mistake_gets_no_points_and_a_sentence(mistake):
    name, source, said = WRONG[mistake]
    reason = refused(source)
    message = reason or judge_here(answered(name, source)).message
    assert reason or not judge_here(answered(name, source))
    assert said in message and len(message) > 10


def test_an_answer_is_judged_in_a_process_of_its_own():
    verdict = judge(solved("my_gumbel_max"))
    assert verdict, verdict.message


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def my_rate(*a):\n    while True:\n        pass", "longer than 2 seconds"),
        ("def my_rate(*a):\n    return torch.ones(4 * 10**9).sum()", "memory"),
        (f"def my_rate(*a):\n    return torch.load({str(BOOK / 'index.md')!r})", "opens no files"),
        ("def my_rate(*a):\n    raise SystemExit(0)", "ended the process"),
        ("def my_rate(*a):\n    return torch.os.system('true')", "starts no programs"),
    ],
)
def test_what_an_answer_must_not_do_is_contained(source, said):
    verdict = judge(answered("my_rate", source), seconds=2)
    assert not verdict
    assert said in verdict.message


def test_what_belongs_to_a_library_is_not_changed():
    assert changes("import torch\ntorch.rand = 3") == "torch.rand"
    assert changes("import dalle_edu.exercises.vqvae as c\nc.check_kl = print") == "c.check_kl"
    assert changes("class A:\n    pass\n\n\nA.b = 3") is None


def test_an_exercise_without_an_answer_is_said(tmp_path):
    source = BOOK / f"{CHAPTERS['03'].slug}.ipynb"
    with pytest.raises(ReaderError, match="has no answer my_nearest_code"):
        read_chapter(source, tmp_path / source.name)
