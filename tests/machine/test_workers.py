"""Work over several cores: the same results for any number of workers, and nothing left of them."""

import _thread
import itertools
import os
import subprocess
import sys
import threading
import time

import pytest
import torch
from toy import loaded_model

from dalle_edu.drawing import share_out
from dalle_edu.errors import ReaderError
from dalle_edu.evaluate.figures import draw_all
from dalle_edu.machine import workers
from dalle_edu.machine.workers import in_order, may_stop, worker_count
from dalle_edu.sampling import sample_generators


@pytest.fixture(autouse=True)
def nothing_is_left():
    threads = torch.get_num_threads()
    yield
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("dalle-edu")]
    assert torch.get_num_threads() == threads


# ---- the same pictures


@pytest.mark.parametrize("batch", [64, 40, 7])
def test_one_two_and_three_workers_draw_the_same_whatever_the_batch(batch):
    model = loaded_model()
    wanted = model.draw("a red circle", samples=70, seed=5, batch=70, workers=1)
    for count in (1, 2, 3):
        drawn = model.draw("a red circle", samples=70, seed=5, batch=batch, workers=count)
        assert torch.equal(drawn.tokens, wanted.tokens)
        assert torch.allclose(drawn.images, wanted.images, atol=1e-5)
        assert torch.allclose(drawn.scores, wanted.scores, atol=1e-5)


def test_a_sample_is_the_same_alone_and_among_others():
    model = loaded_model()
    text = model.encode_text("a red circle")
    together = model.draw_tokens(text, 9, range(12))
    assert len(together.unique(dim=0)) > 1
    for i in range(12):
        assert torch.equal(model.draw_tokens(text, 9, [i])[0], together[i])


def test_told_of_each_token_one_worker_draws_the_same():
    model, told = loaded_model(), []
    plain = model.draw("a red circle", samples=3, seed=5, workers=3)
    drawn = model.draw("a red circle", samples=3, seed=5, on_step=lambda j, token: told.append(token.clone()))
    assert torch.equal(drawn.tokens, plain.tokens)
    assert sorted(torch.stack(told, 1).tolist()) == sorted(plain.tokens.tolist())


def test_an_evaluation_draws_the_same_with_any_number_of_workers():
    model, captions = loaded_model(), ["a red circle", "a blue square", "a green star"]
    drawn = [list(draw_all(model, captions, {4: None, 40: 2}, "k", workers=count)) for count in (1, 2, 3)]
    for other in drawn[1:]:
        for (owners, pictures), (same, others) in zip(drawn[0], other, strict=True):
            assert owners == same and torch.equal(pictures, others)
    owners = [owner for some, _ in drawn[0] for owner in some]
    assert [owners.count(i) for i in range(3)] == [40, 40, 4]


def test_each_sample_has_a_generator_of_its_own():
    first = [torch.rand(3, generator=g).tolist() for g in sample_generators(0, range(500))]
    assert len({tuple(row) for row in first}) == 500
    again = sample_generators(0, [7])[0]
    assert torch.rand(3, generator=again).tolist() == first[7]
    assert torch.rand(3, generator=sample_generators(1, [7])[0]).tolist() != first[7]


def test_samples_are_shared_out_whole_in_order_and_not_in_crumbs():
    for samples, batch, count in ((512, 64, 2), (70, 64, 3), (5, 2, 4), (1, 64, 8), (100, 100, 16)):
        groups = share_out(samples, batch, count)
        assert [i for group in groups for i in group] == list(range(samples))
        assert max(map(len, groups)) <= batch
    assert [len(group) for group in share_out(64, 64, 2)] == [32, 32]
    assert len(share_out(8, 64, 8)) == 1


# ---- order, errors, interruption


def test_results_come_in_the_order_of_the_pieces_and_few_are_under_way():
    begun = []

    def task(piece):
        begun.append(piece)
        time.sleep(0.01 * (piece % 3 == 0))
        return piece * piece, torch.get_num_threads(), threading.current_thread().name

    results = in_order(task, range(20), 3)
    assert next(results)[0] == 0 and len(begun) <= 7
    rest = list(results)
    assert [result for result, _, _ in rest] == [i * i for i in range(1, 20)]
    assert {count for _, count, _ in rest} == {1}
    assert len({name for _, _, name in rest}) > 1


def test_workers_have_the_caller_s_precision_and_gradients():
    def task(_):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
        return product.dtype, torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert list(in_order(task, range(3), 2)) == [(torch.bfloat16, False, True)] * 3
    assert list(in_order(task, range(3), 2)) == [(torch.float32, True, False)] * 3
    with torch.no_grad():
        assert list(in_order(task, range(3), 2)) == [(torch.float32, False, False)] * 3


def endless(piece, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        may_stop()
        time.sleep(0.001)


def test_an_error_is_raised_where_its_result_would_have_come_and_ends_the_others():
    def task(piece):
        if piece == 1:
            raise ValueError("the second")
        return endless(piece) if piece > 1 else piece

    results = in_order(task, range(9), 3)
    assert next(results) == 0
    with pytest.raises(ValueError, match="the second"):
        next(results)


def test_ctrl_c_ends_all_workers_at_once():
    def task(piece):
        if piece == 0:
            time.sleep(0.3)  # until the main thread waits
            _thread.interrupt_main()
        endless(piece)

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(in_order(task, range(9), 3))
    assert time.monotonic() - start < 10


def test_who_stops_asking_leaves_no_worker_behind():
    results = in_order(lambda piece: endless(piece) if piece else piece, range(9), 2)
    assert next(results) == 0
    results.close()


def test_ctrl_c_while_several_draw_keeps_the_samples_that_are_finished(monkeypatch):
    model = loaded_model()
    whole = model.draw("a red circle", samples=128, seed=1)
    original, calls = model.pictures, itertools.count()

    def slow(tokens):
        call = next(calls)
        if call == 2:  # once: a second Ctrl-C would fall on whatever follows this test
            _thread.interrupt_main()
        if call >= 2:
            endless(call)
        return original(tokens)

    monkeypatch.setattr(model, "pictures", slow)
    with pytest.warns(UserWarning, match="of 128 samples"):
        kept = model.draw("a red circle", samples=128, seed=1, batch=32, workers=2)
    assert 16 <= len(kept) <= 32
    assert all((whole.tokens == row).all(1).any() for row in kept.tokens)


def test_a_worker_does_not_split_its_own_work_again():
    def task(piece):
        names = list(in_order(lambda _: threading.current_thread().name, range(3), 3))
        return set(names) == {threading.current_thread().name}

    assert list(in_order(task, range(3), 2)) == [True] * 3


# ---- how many


def test_the_reader_says_how_many_workers(monkeypatch):
    assert worker_count(3) == 3
    monkeypatch.setenv("DALLE_EDU_WORKERS", "5")
    assert worker_count() == 5 and worker_count(2) == 2
    monkeypatch.setenv("DALLE_EDU_WORKERS", "")
    monkeypatch.setattr(workers, "cores", lambda: 64)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    assert worker_count() == 6


@pytest.mark.parametrize("wrong", [0, -1, 1.0, True, "2"])
def test_a_number_of_workers_that_cannot_be_is_refused(wrong):
    with pytest.raises(ReaderError, match="workers is .*at least 1"):
        loaded_model().draw("a red circle", samples=2, workers=wrong)


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "1.5"])
def test_an_environment_that_cannot_be_is_refused_in_one_line(monkeypatch, wrong):
    monkeypatch.setenv("DALLE_EDU_WORKERS", wrong)
    with pytest.raises(ReaderError, match="DALLE_EDU_WORKERS is .*at least 1"):
        worker_count()


def test_a_script_without_a_main_guard_draws_with_several_workers(tmp_path):
    from toy import trained_folder

    script = tmp_path / "mine.py"
    script.write_text(
        f"import dalle_edu\nprint('begun')\nmodel = dalle_edu.load({str(trained_folder())!r})\n"
        "print(len(model.draw('a red circle', samples=40, workers=3)))\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["begun", "40"], done.stderr


@pytest.mark.parametrize(
    "before, wanted", [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)]
)
def test_the_package_lets_waiting_threads_sleep_unless_the_reader_has_said_how_they_wait(before, wanted):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    script = "import dalle_edu, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=clean | before, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(wanted)
