"""The doctor says what a machine is and what to change; no speed of the testing machine is judged."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from dalle_edu.cli import app
from dalle_edu.configs import read_config
from dalle_edu.machine import doctor, processor
from dalle_edu.machine.doctor import Speed, advice, duration, expected, training_operations

FAST = Speed(
    matrices={
        "float32": {1: 100e9, 2: 190e9},
        "oneDNN": {1: 100e9, 2: 190e9},
        "bfloat16": {1: 300e9, 2: 580e9},
    },
    bandwidth=20e9,
    drawing=4000.0,
    training={"float32": 3000.0, "bfloat16": 6000.0},
)


def changed(**products):
    return Speed(FAST.matrices | products, FAST.bandwidth, FAST.drawing, FAST.training)


def test_a_machine_with_nothing_to_change_gets_no_advice(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert advice(FAST, memory=16 * 2**30) == []


@pytest.mark.parametrize(
    ("speed", "how", "said"),
    [
        (changed(bfloat16={1: 20e9, 2: 30e9}), {}, 'precision = "float32"'),
        (changed(oneDNN={1: 250e9, 2: 500e9}), {}, "2.6 times as fast through oneDNN"),
        (changed(float32={1: 100e9, 2: 105e9}), {}, "OMP_NUM_THREADS=1"),
        (FAST, {"memory": 2**30}, "1.0 GiB of memory"),
        (FAST, {"cuda": True}, "whl/cpu"),
        (FAST, {"card": True}, "build for CUDA"),
        (FAST, {"card": True, "cuda": True}, "--device cuda"),
    ],
)
def test_each_thing_to_change_is_said_in_a_sentence(speed, how, said, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(processor, "units", lambda: ["avx2", "avx512f"])
    assert any(said in sentence for sentence in advice(speed, **how))


def test_more_threads_than_cores_are_named(monkeypatch):
    monkeypatch.setattr(doctor, "cores", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert any("8 threads for 2 cores" in sentence for sentence in advice(FAST))


def test_stored_times_follow_the_work_that_they_are_made_of():
    rows = [
        {"name": "chapter 09", "scales": "training", "seconds": 60.0, "peak_mib": 900},
        {"name": "dalle-edu draw", "scales": "drawing", "seconds": 10.0, "peak_mib": 700},
        {"name": "dalle-edu info", "scales": "neither", "seconds": 4.0, "peak_mib": 500},
    ]
    times = {"drawing": 2000, "training": 6000, "float32": 190e9, "rows": rows}
    here = expected(times, FAST)  # half as fast in training, twice as fast in drawing
    assert here == {
        "chapter 09": (120.0, 900),
        "dalle-edu draw": (5.0, 700),
        "dalle-edu info": (4.0, 500),
    }


def test_the_times_that_are_shipped_can_be_read_and_name_their_machine():
    times = doctor.stored_times()
    assert times["machine"] and all(seconds > 0 for seconds, _ in expected(times, FAST).values())
    chapters = {row["name"] for row in times["rows"] if row["name"].startswith("chapter ")}
    book = Path(__file__).parents[2] / "book"
    assert chapters == {f"chapter {path.stem}" for path in book.glob("[0-9]*.ipynb")}


def test_damaged_times_are_one_sentence(tmp_path, monkeypatch):
    path = tmp_path / "times.json"
    path.write_text(json.dumps({"rows": []}), encoding="utf-8")
    monkeypatch.setattr(doctor, "TIMES", path)
    monkeypatch.setattr(doctor.stored_times, "__defaults__", (path,))
    with pytest.raises(doctor.ReaderError, match=r"times.json is damaged \('drawing'\)"):
        doctor._expected_here(FAST)


def test_training_is_counted_forward_and_backward_over_all_steps():
    config = read_config("picturebook")
    operations = training_operations(config)
    assert list(operations) == ["dvae", "decoder", "clip", "dalle"]
    # Kaplan et al. 2020: six operations a parameter and token, which leaves out scores.
    steps = config.dalle_training
    least = 6 * 6.3e6 * config.dalle.length * steps.batch_size * steps.steps
    assert least < operations["dalle"] < 1.5 * least
    a_step = {part: operations[part] / config.training_of(part).steps for part in ("decoder", "dvae")}
    assert a_step["decoder"] < a_step["dvae"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (25, "25 s"), (180, "3 min"), (5400, "90 min"), (9000, "2.5 h")],
)
def test_durations_are_written_as_one_reads_them(seconds, text):
    assert duration(seconds) == text


def test_limits_are_measured_and_bound_a_product_that_runs_here():
    found = processor.limits(1, 0.05)
    assert found.operations["float32"] > 1e8 and found.bytes > 1e7
    # Half of the possible in arithmetic, a tenth in bytes: the larger counts.
    half = processor.Limits({"float32": 100.0}, 1000.0)
    assert half.share(operations=50, moved=100, seconds=1.0) == 0.5
    assert half.share(operations=5, moved=900, seconds=1.0) == 0.9


def test_the_command_prints_the_machine_its_speed_what_it_takes_and_what_to_change(monkeypatch):
    monkeypatch.setattr(doctor, "measure", lambda: FAST)
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    for said in (torch.__version__, "190", "4,000 tokens/s", "train dalle --config picturebook"):
        assert said in result.output


def test_the_small_pieces_of_work_run_and_leave_the_number_of_threads_alone():
    before = torch.get_num_threads()
    config = read_config("toy")
    assert doctor.drawing_speed(config) > 0
    assert doctor.training_speed(config, "bfloat16") > 0
    assert torch.get_num_threads() == before
