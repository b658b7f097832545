"""The training loop: schedules, one update, and checkpoints that a run goes on from exactly."""

import json
import math
import os
import shutil
import signal
from collections import OrderedDict

import pytest
import torch
from torch import nn

from dalle_edu.drawing import FOLDER as WEIGHTS
from dalle_edu.errors import ReaderError
from dalle_edu.train.loop import (
    Run,
    TrainingConfig,
    append_history,
    cosine,
    learning_rate,
    load_weights,
    read_history,
    read_tensors,
    replacing,
    train,
    vanishing_is_zero,
    write_tensors,
    write_text,
)

CONFIG = TrainingConfig(
    steps=12, batch_size=4, learning_rate=0.05, final_learning_rate=0.005, warmup=3, weight_decay=0.1,
    gradient_clip=1.0, weight_average=0.9, checkpoint_every=4,
)  # fmt: skip


def model(seed=0):
    torch.manual_seed(seed)
    blocks = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
    return nn.Sequential(
        OrderedDict(first=nn.Linear(5, 8), blocks=blocks, norm=nn.LayerNorm(8), last=nn.Linear(8, 2))
    )


def batch(step, generator):
    return torch.randn(4, 5, generator=generator)


def loss(model, x, step, generator):
    noise = torch.randn(4, 2, generator=generator)  # like the Gumbel noise of a dVAE
    return {"loss": (model(x) - x[:, :2] + 0.1 * noise).square().mean(), "at": torch.tensor(float(step))}


def test_the_cosine_is_level_at_both_ends_and_half_way_in_the_middle():
    assert cosine(0, 1.0, 1 / 16, 150) == 1.0
    assert cosine(75, 1.0, 1 / 16, 150) == pytest.approx((1 + 1 / 16) / 2)
    assert cosine(150, 1.0, 1 / 16, 150) == pytest.approx(1 / 16)
    assert cosine(9999, 1.0, 1 / 16, 150) == pytest.approx(1 / 16)
    assert cosine(1, 1.0, 0.0, 1000) > 1 - 1e-5
    assert cosine(0, 3.0, 2.0, 0) == 2.0


def test_the_learning_rate_climbs_in_a_straight_line_and_then_falls_along_a_cosine():
    rates = [learning_rate(step, CONFIG) for step in range(13)]
    assert rates[:3] == pytest.approx([0.05 / 3, 0.1 / 3, 0.05])
    assert rates[3] == pytest.approx(0.05) and rates[12] == pytest.approx(0.005)
    expected = [0.005 + 0.045 * (1 + math.cos(math.pi * (s - 3) / 9)) / 2 for s in range(3, 13)]
    assert rates[3:] == pytest.approx(expected)


def test_one_update_is_adamw_as_the_formula_says_and_spares_biases_the_decay():
    config = TrainingConfig(steps=1, batch_size=4, learning_rate=0.1, weight_decay=0.5)
    net = nn.Linear(3, 1)
    weight, bias = net.weight.detach().clone(), net.bias.detach().clone()
    run = Run(net, config)
    run.update(torch.ones(4, 3), lambda model, x, *_: {"loss": model(x).sum()})
    # In the first step m / sqrt(v) is the gradient's sign: here +1 everywhere.
    assert torch.allclose(net.weight, weight - 0.1 * (1 + 0.5 * weight), atol=1e-6)
    assert torch.allclose(net.bias, bias - 0.1, atol=1e-6)


def test_gradients_are_scaled_down_to_the_norm_that_the_configuration_allows():
    seen = []
    for clip in (0.0, 2.0):
        net = model()
        run = Run(net, TrainingConfig(steps=1, batch_size=4, learning_rate=0.0, gradient_clip=clip))
        run.update(100 * torch.ones(4, 5), lambda model, x, *_: {"loss": 50 * model(x).sum()})
        seen.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
    free, clipped = seen
    assert free.norm() > 10 and clipped.norm() == pytest.approx(2.0, rel=1e-3)
    assert torch.allclose(clipped / clipped.norm(), free / free.norm(), atol=1e-5)


def test_the_weight_average_is_the_one_of_the_formula():
    net = model()
    run = Run(net, CONFIG)
    by_hand = {name: p.detach().clone() for name, p in net.named_parameters()}
    for step in range(5):
        run.update(batch(step, torch.Generator().manual_seed(step)), loss)
        decay = min(0.9, (1 + step) / (10 + step))
        for name, p in net.named_parameters():
            by_hand[name] = decay * by_hand[name] + (1 - decay) * p.detach()
    kept = run.weights()
    assert all(torch.allclose(kept[name], by_hand[name], atol=1e-6) for name in by_hand)
    assert not torch.allclose(kept["first.weight"], net.first.weight)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_lowers_the_loss_in_both_precisions(precision):
    config = TrainingConfig(steps=80, batch_size=4, learning_rate=0.02, precision=precision)
    history = train(Run(model(), config), batch, loss, progress=False)
    first, last = (sum(r["loss"] for r in part) for part in (history[:20], history[-20:]))
    assert last < 0.5 * first


def test_numbers_near_zero_are_what_they_were_after_a_training():
    train(Run(model(), CONFIG), batch, loss, progress=False)
    assert torch.tensor(1e-310, dtype=torch.float64).mul(0.5) > 0
    with vanishing_is_zero():
        assert torch.tensor(1e-310, dtype=torch.float64).mul(0.5) == 0
        with vanishing_is_zero():
            pass
        assert torch.tensor(1e-310, dtype=torch.float64).mul(0.5) == 0


def test_another_precision_is_refused():
    with pytest.raises(ReaderError, match="float16.*'float32' or 'bfloat16'"):
        Run(model(), TrainingConfig(steps=1, batch_size=1, learning_rate=0.1, precision="float16"))


def test_another_optimizer_is_refused():
    with pytest.raises(ReaderError, match="sgd.*'adamw' or 'muon'"):
        Run(model(), TrainingConfig(steps=1, batch_size=1, learning_rate=0.1, optimizer="sgd"))


def test_muon_turns_a_blocks_matrix_by_an_orthogonal_step_and_leaves_the_rest_to_adamw():
    steps = {}
    for optimizer in ("adamw", "muon"):
        run = Run(model(), TrainingConfig(steps=1, batch_size=4, learning_rate=0.01, optimizer=optimizer))
        before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
        run.update(batch(0, torch.Generator().manual_seed(0)), loss)
        steps[optimizer] = {name: p.detach() - before[name] for name, p in run.model.named_parameters()}
    for name, step in steps["adamw"].items():
        assert torch.equal(step, steps["muon"][name]) == (name != "blocks.0.weight"), name
    # All directions of the matrix move alike, which five Newton-Schulz rounds reach to within a third.
    evenness = {}
    for optimizer, changes in steps.items():
        sizes = torch.linalg.svdvals(changes["blocks.0.weight"])
        evenness[optimizer] = sizes[3] / sizes[0]  # a batch of four gives a gradient of four directions
    assert evenness["muon"] > 0.5 > 0.4 > evenness["adamw"]


@pytest.mark.parametrize("extra", [{}, {"precision": "bfloat16"}, {"optimizer": "muon"}])
@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_resumed_run_ends_bit_for_bit_where_an_unbroken_one_ends(tmp_path, stop, extra):
    config = TrainingConfig(**{**vars(CONFIG), **extra})
    whole = Run(model(), config)
    train(whole, batch, loss, tmp_path / "whole", progress=False)

    train(Run(model(), config), batch, loss, tmp_path / "broken", progress=False, until=stop)
    resumed = Run(model(seed=1), config)  # other weights, all of which the checkpoint must replace
    resumed.restore(tmp_path / "broken")
    assert resumed.step == stop
    train(resumed, batch, loss, tmp_path / "broken", progress=False)

    for ours, theirs in (
        (whole.model.state_dict(), resumed.model.state_dict()),
        (whole.average, resumed.average),
    ):
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert (tmp_path / "whole/history.jsonl").read_text() == (tmp_path / "broken/history.jsonl").read_text()
    assert [row["step"] for row in read_history(tmp_path / "broken/history.jsonl")] == list(range(12))


def test_ctrl_c_ends_the_step_in_hand_and_leaves_a_checkpoint_to_go_on_from(tmp_path):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupted(step, generator):
        if step == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return batch(step, generator)

    try:
        with pytest.raises(KeyboardInterrupt):
            train(Run(model(), CONFIG), interrupted, loss, tmp_path / "a", progress=False)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    resumed = Run(model(seed=1), CONFIG)
    resumed.restore(tmp_path / "a")
    assert resumed.step == 7
    train(resumed, batch, loss, tmp_path / "a", progress=False)
    whole = Run(model(), CONFIG)
    train(whole, batch, loss, progress=False)
    assert all(
        torch.equal(a, b) for a, b in zip(whole.weights().values(), resumed.weights().values(), strict=True)
    )


def test_a_second_ctrl_c_is_not_kept_waiting(tmp_path):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    steps = []

    def impatient(step, generator):
        steps.append(step)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        steps.append("not reached")

    try:
        with pytest.raises(KeyboardInterrupt):
            train(Run(model(), CONFIG), impatient, loss, tmp_path, progress=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert steps == [0] and not (tmp_path / "checkpoint.json").exists()


def test_a_loss_that_is_no_number_stops_the_run_and_the_last_good_checkpoint_stays(tmp_path):
    def explodes(model, x, step, generator):
        return {"loss": loss(model, x, step, generator)["loss"] * (math.nan if step == 6 else 1)}

    run = Run(model(), CONFIG)
    with pytest.raises(ReaderError, match="nan at step 6.*lower learning_rate"):
        train(run, batch, explodes, tmp_path, progress=False)
    assert all(p.isfinite().all() for p in run.model.parameters())
    again = Run(model(), CONFIG)
    again.restore(tmp_path)
    assert again.step == 4 and all(t.isfinite().all() for t in again.weights().values())


def test_only_the_newest_checkpoint_is_kept(tmp_path):
    train(Run(model(), CONFIG), batch, loss, tmp_path, progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint-0000012",
        "checkpoint.json",
        "history.jsonl",
    ]


@pytest.fixture
def checkpoint(tmp_path):
    train(Run(model(), CONFIG), batch, loss, tmp_path, progress=False, until=4)
    return tmp_path


def snapshot(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(folder, sentence, run=None):
    before = snapshot(folder)
    with pytest.raises(ReaderError, match=sentence) as caught:
        (run or Run(model(), CONFIG)).restore(folder)
    assert "\n" not in str(caught.value)
    assert snapshot(folder) == before


@pytest.mark.parametrize("kept", [0, 3, 50, 0.5, -1])
def test_a_checkpoint_that_is_cut_short_is_refused_and_nothing_is_overwritten(checkpoint, kept):
    (file,) = (checkpoint / "checkpoint-0000004").glob("*.safetensors")
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    refused(checkpoint, "cut short")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"step": 3}', "\xff\xfe", "[" * 9999])
def test_a_damaged_state_is_refused(checkpoint, text):
    (checkpoint / "checkpoint.json").write_bytes(text.encode("latin-1"))
    refused(checkpoint, "damaged")


@pytest.mark.parametrize("key, value", [
    ("step", "4"), ("step", -5), ("step", 4.0), ("step", 10**30), ("seconds", "1"), ("seconds", -1),
    ("file", "../x"), ("file", None), ("training", 3), ("description", []),
])  # fmt: skip
def test_a_state_with_a_wrong_value_is_refused_before_anything_is_trained(checkpoint, key, value):
    path = checkpoint / "checkpoint.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    refused(checkpoint, "damaged.*(step|seconds|file|training)")


def test_a_missing_checkpoint_is_named(tmp_path, checkpoint):
    shutil.rmtree(checkpoint / "checkpoint-0000004")
    refused(checkpoint, "There is no file .*checkpoint-0000004")
    (checkpoint / "checkpoint.json").unlink()
    refused(checkpoint, "no checkpoint in .* without --resume")


def test_a_checkpoint_of_another_configuration_is_refused_and_says_what_differs(checkpoint):
    other = TrainingConfig(**{**vars(CONFIG), "learning_rate": 0.01})
    refused(checkpoint, "learning_rate was 0.05, is 0.01", Run(model(), other))
    refused(checkpoint, "width was None, is 8", Run(model(), CONFIG, {"width": 8}))


def test_a_checkpoint_of_another_model_is_refused(checkpoint):
    refused(checkpoint, "does not fit this model", Run(nn.Linear(5, 2), CONFIG))
    torch.manual_seed(0)
    wider = nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.LayerNorm(9), nn.Linear(9, 2))
    refused(checkpoint, "does not fit this model", Run(wider, CONFIG))


def test_how_often_to_save_may_change_between_two_sittings(checkpoint):
    Run(model(), TrainingConfig(**{**vars(CONFIG), "checkpoint_every": 1})).restore(checkpoint)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert snapshot(tmp_path) == {"a.txt": b"old"}
    write_text(tmp_path / "a.txt", "new")
    assert snapshot(tmp_path) == {"a.txt": b"new"}


def test_an_interrupted_save_leaves_the_checkpoint_before_it_whole(checkpoint, monkeypatch):
    run = Run(model(), CONFIG)
    run.restore(checkpoint)
    run.step = 8
    before = snapshot(checkpoint)
    for at in ("save", "write_text"):

        def interrupt(*_, **__):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(f"dalle_edu.train.checkpoint.{at}", interrupt)
            with pytest.raises(KeyboardInterrupt):
                run.save(checkpoint)
        after = snapshot(checkpoint)
        assert all(after[name] == content for name, content in before.items())
        again = Run(model(), CONFIG)
        again.restore(checkpoint)
        assert again.step == 4


def test_weights_go_through_a_file_unchanged_and_other_shapes_are_refused(tmp_path):
    net = model()
    write_tensors(tmp_path / "w.safetensors", net.state_dict(), {"made": "here"})
    back = load_weights(model(seed=3), tmp_path / "w.safetensors")
    assert all(
        torch.equal(a, b) for a, b in zip(net.state_dict().values(), back.state_dict().values(), strict=True)
    )
    assert not back.training
    with pytest.raises(ReaderError, match="another configuration") as caught:
        load_weights(nn.Linear(5, 2), tmp_path / "w.safetensors")
    assert "\n" not in str(caught.value)
    with pytest.raises(ReaderError, match="There is no file"):
        read_tensors(tmp_path / "none.safetensors")


def test_tensors_that_share_memory_or_are_turned_can_be_stored(tmp_path):
    base = torch.arange(6.0).view(2, 3)
    write_tensors(tmp_path / "t.safetensors", {"a": base, "b": base, "c": base.T})
    back = read_tensors(tmp_path / "t.safetensors")
    assert torch.equal(back["b"], base) and torch.equal(back["c"], base.T)


def test_history_drops_the_steps_that_an_interrupted_run_had_written_ahead(tmp_path):
    append_history(tmp_path / "h.jsonl", [{"step": s, "loss": 1.0} for s in range(6)])
    append_history(tmp_path / "h.jsonl", [{"step": s, "loss": 2.0} for s in range(4, 8)])
    append_history(tmp_path / "h.jsonl", [])
    assert [(r["step"], r["loss"]) for r in read_history(tmp_path / "h.jsonl")] == [
        (0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0), (5, 2.0), (6, 2.0), (7, 2.0),
    ]  # fmt: skip


def test_the_state_of_a_checkpoint_can_be_read_by_a_person(checkpoint):
    state = json.loads((checkpoint / "checkpoint.json").read_text())
    assert state["step"] == 4 and state["training"]["learning_rate"] == 0.05


@pytest.mark.parametrize("part", ["dvae", "decoder", "clip", "dalle"])
def test_the_histories_of_the_shipped_model_can_be_read(part):
    rows = read_history(WEIGHTS / "picturebook" / f"{part}-history.jsonl")
    assert len(rows) > 50 and [row["step"] for row in rows] == sorted(row["step"] for row in rows)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_pixel_that_is_no_number_is_named_and_leaves_the_weights_as_they_were(value):
    net = model()
    run = Run(net, CONFIG)
    run.update(batch(0, torch.Generator().manual_seed(0)), loss)
    before = {name: tensor.clone() for name, tensor in run.weights().items()}
    x = torch.ones(4, 5)
    x[1, 2] = value
    for given, losing in ((x, loss), ((x,), lambda m, b, *rest: loss(m, b[0], *rest))):
        with pytest.raises(ReaderError, match="step 1: its batch holds numbers that are none"):
            run.update(given, losing)
    assert run.step == 1 and all(torch.equal(t, before[name]) for name, t in run.weights().items())


def test_a_gradient_that_is_no_number_leaves_the_weights_as_they_were():
    net = model()
    run = Run(net, TrainingConfig(steps=2, batch_size=4, learning_rate=0.1))
    before = {name: tensor.clone() for name, tensor in run.weights().items()}
    with pytest.raises(ReaderError, match="gradient became nan at step 0: try a lower learning_rate"):
        # The root of 0 is 0, and its slope is infinite: times 0 that is no number, though the loss is one.
        run.update(torch.ones(4, 5), lambda m, x, *_: {"loss": (0 * m(x)).sum().sqrt()})
    assert run.step == 0 and all(torch.equal(t, before[name]) for name, t in run.weights().items())
