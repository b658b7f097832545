"""The prompt box, without a browser: its buttons are pressed by code."""

import queue

import pytest
import torch
from toy import loaded_model

from dalle_edu.errors import ReaderError
from dalle_edu.explore import PromptBox


def box(**changes):
    return PromptBox(loaded_model(), **{"prompt": "a red circle", "samples": 6, **changes})


def test_the_button_draws_what_the_widgets_say():
    ours = box(seed=3, temperature=0.8)
    assert ours.drawing is None and ours.stop.disabled
    ours.start.click()
    ours.wait(60)
    wanted = loaded_model().draw("a red circle", 6, 3, temperature=0.8, batch=1)
    assert torch.equal(ours.drawing.tokens, wanted.tokens)
    assert bytes(ours.picture.value).startswith(b"\x89PNG") and ours.picture.layout.display is None
    assert ours.bar.value == pytest.approx(1) and ours.says.value == "6 drawings, best first."
    assert ours.stop.disabled and not ours.start.disabled


def test_a_new_prompt_is_drawn_when_the_button_is_pressed_again():
    ours = box()
    for prompt, samples in (("a blue star", 2), ("two green squares", 3)):
        ours.prompt.value, ours.samples.value = prompt, samples
        ours.start.click()
        ours.wait(60)
        assert ours.drawing.prompt == prompt and len(ours.drawing) == samples


def test_the_bar_moves_only_forward_and_the_best_so_far_is_shown(monkeypatch):
    ours = box(samples=8)
    seen, counts = [], []
    ours.bar.observe(lambda change: seen.append(change["new"]), "value")
    show = ours._show
    ours._show = lambda drawing: (counts.append(len(drawing)), show(drawing))
    ours.start.click()
    ours.wait(60)
    assert seen == sorted(seen) and len(seen) >= 4
    assert counts == [2, 4, 6, 8, 8]


def test_stop_keeps_what_is_finished():
    ours = box(samples=12)
    show = ours._show

    def then_stop(drawing):
        show(drawing)
        if len(drawing) >= 6:
            ours.stop.click()

    ours._show = then_stop
    ours.start.click()
    ours.wait(60)
    assert len(ours.drawing) == 6 and ours.says.value == "Stopped: 6 of 12 are done."
    assert not ours.start.disabled


def test_stop_before_anything_is_finished_says_so(monkeypatch):
    ours = box()
    monkeypatch.setattr(ours._stopped, "clear", lambda: None)  # as if pressed at once
    ours._stopped.set()
    ours.start.click()
    ours.wait(60)
    assert ours.drawing is None and ours.says.value.startswith("Stopped before the first")


def test_while_it_draws_the_button_does_nothing():
    ours, started, go_on = box(), queue.Queue(), queue.Queue()
    draw = ours.model.draw

    class Slow:
        config = ours.model.config

        def draw(self, *arguments, **options):
            started.put(1)
            go_on.get(timeout=60)
            return draw(*arguments, **options)

    ours.model = Slow()
    ours.draw()
    started.get(timeout=60)
    assert ours.start.disabled and not ours.stop.disabled
    ours.draw()
    go_on.put(1)
    ours.wait(60)
    assert started.empty() and len(ours.drawing) == 6


def test_a_prompt_that_cannot_be_drawn_is_answered_in_the_box():
    ours = box()
    ours.prompt.value = "  "
    ours.start.click()
    ours.wait(60)
    assert "The text is empty" in ours.says.value and not ours.start.disabled
    ours.prompt.value = "zebra " * 40
    ours.start.click()
    ours.wait(60)
    assert "at most 16 fit" in ours.says.value


def test_enter_draws_as_the_button_does():
    ours = box()
    ours.prompt._handle_custom_msg({"event": "submit"}, [])  # what the browser sends when Enter is pressed
    ours.wait(60)
    assert len(ours.drawing) == 6


@pytest.mark.parametrize("changes, words", [({"prompt": ""}, "empty"), ({"samples": 0}, "1 to 512"),
                                            ({"samples": 900}, "1 to 512"),
                                            ({"temperature": 0}, "temperature")])  # fmt: skip
def test_a_box_that_cannot_be_is_refused(changes, words):
    with pytest.raises(ReaderError, match=words):
        box(**changes)


def test_where_nobody_could_press_a_button_it_is_a_still_picture_with_its_text():
    ours = box()
    data, metadata = ours._repr_mimebundle_()
    assert set(data) == {"image/png", "text/plain"} and data["image/png"].startswith(b"\x89PNG")
    assert "red circle" in metadata["image/png"]["alt"] and "JupyterLab" in metadata["image/png"]["alt"]
    assert ours._repr_mimebundle_()[0]["image/png"] == data["image/png"]


@pytest.mark.parametrize("somebody", [True, False])
def test_a_real_kernel_says_whether_somebody_is_there(somebody):
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    try:
        code = "from dalle_edu.explore.prompt_box import somebody_is_there\nprint(somebody_is_there())"
        said = []
        reply = client.execute_interactive(
            code,
            allow_stdin=somebody,
            timeout=90,
            output_hook=lambda message: said.append(message["content"].get("text", "")),
            stdin_hook=lambda message: None,
        )
        assert reply["content"]["status"] == "ok"
        assert "".join(said).strip() == str(somebody)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_with_a_reader_the_widgets_are_shown(monkeypatch):
    monkeypatch.setattr("dalle_edu.explore.prompt_box.somebody_is_there", lambda: True)
    bundle = box()._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "application/vnd.jupyter.widget-view+json" in data
