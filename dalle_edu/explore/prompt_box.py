"""A box to type a prompt in, with a running kernel (chapter 11): it draws, and can be stopped.

Where nobody could press a button (a page, a notebook that a program runs) it shows one drawing, still.
"""

import threading
import warnings

from dalle_edu.errors import ReaderError
from dalle_edu.sampling import check_dials

_STILL_SAMPLES = 8


def somebody_is_there() -> bool:
    """Whether a reader could answer: JupyterLab asks, a program that runs notebooks does not."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    # Every request to run a cell says whether its sender could be asked for input: the only sign of a reader.
    return bool(getattr(getattr(get_ipython(), "kernel", None), "_allow_stdin", False))


class PromptBox:
    """Widgets around `model.draw`; at the end of a cell it shows itself.

    `prompt`, `samples`, `temperature`, `seed`, the buttons `start` and `stop`, `bar`, `says`, `picture`;
    `widget` holds them all. `drawing` is what was drawn last (a `Drawing`, or None).

    Drawing happens in a thread, so that the kernel stays free to hear the stop button.

    """

    def __init__(
        self,
        model,
        prompt: str = "a red apple",
        samples: int = 16,
        temperature: float | None = None,
        seed: int = 0,
    ):
        """`samples` from 1 to 512; `temperature` is the model's own unless it is given.

        Raises ReaderError for an empty prompt, for values that cannot be, and without ipywidgets.
        """
        try:
            import ipywidgets as widgets
        except ImportError:
            raise ReaderError("The prompt box needs ipywidgets: pip install 'dalle_edu[book]'.") from None
        if not 1 <= samples <= 512:
            raise ReaderError(f"samples is {samples}; the prompt box draws 1 to 512.")
        model.encode_text(prompt)  # says what is wrong with it, if anything is
        temperature = model.config.drawing.temperature if temperature is None else temperature
        check_dials(temperature)
        self.model, self.drawing = model, None
        self._stopped, self._thread, self._still = threading.Event(), None, None
        self.prompt = widgets.Text(prompt, description="prompt", placeholder="what to draw")
        self.samples = widgets.BoundedIntText(samples, min=1, max=512, description="samples")
        self.temperature = widgets.FloatSlider(
            temperature, min=0.1, max=2.0, step=0.05, description="temperature"
        )
        self.seed = widgets.BoundedIntText(seed, min=0, max=2**31 - 1, description="seed")
        self.start = widgets.Button(description="Draw", button_style="primary", tooltip="Draw this prompt")
        self.stop = widgets.Button(description="Stop", disabled=True, tooltip="Keep what is finished")
        self.bar = widgets.FloatProgress(0.0, min=0.0, max=1.0)
        self.says = widgets.Label("Type a prompt and press Draw.")
        self.picture = widgets.Image(format="png")
        self.picture.layout.display = "none"
        self.start.on_click(lambda _: self.draw())
        self.prompt.on_msg(lambda _, content, __: self.draw() if content.get("event") == "submit" else None)
        self.stop.on_click(lambda _: self._stopped.set())
        buttons = widgets.HBox([self.start, self.stop, self.bar])
        dials = widgets.HBox([self.samples, self.temperature, self.seed], layout={"flex_flow": "row wrap"})
        self.widget = widgets.VBox([self.prompt, dials, buttons, self.says, self.picture])

    def draw(self) -> None:
        """Begins to draw what the widgets say, and returns at once.

        While it draws, a second call does nothing.
        """
        if self._thread is not None and self._thread.is_alive():
            return
        self._stopped.clear()
        self.start.disabled, self.stop.disabled = True, False
        self.bar.value, self.says.value = 0.0, "Drawing ..."
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        """Until the drawing is done, or for `seconds`."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        wanted, length = self.samples.value, self.model.config.dalle.picture_length
        batch = max(1, min(16, wanted // 4))  # small, so that something is soon to be seen
        done = [0]

        def step(j, token):
            if self._stopped.is_set():
                raise KeyboardInterrupt  # what `draw` understands: it gives back the finished batches
            done[0] += len(token)
            if j % 8 == 7 or j + 1 == length:
                self.bar.value = done[0] / (wanted * length)

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # `says` tells how many there are
                dials = {"temperature": self.temperature.value, "batch": batch}
                drawing = self.model.draw(
                    self.prompt.value, wanted, self.seed.value, on_step=step, on_batch=self._show, **dials
                )
            self._show(drawing)
            count = len(self.drawing)
            done_so_far = f"Stopped: {count} of {wanted} are done."
            self.says.value = f"{count} drawings, best first." if count == wanted else done_so_far
            words = getattr(self.model, "words", None)
            if words is not None and (unknown := words.sentence(self.prompt.value)):
                self.says.value += f" {unknown}"
        except KeyboardInterrupt:
            self.says.value = "Stopped before the first drawings were done."
        except ReaderError as error:
            self.says.value = str(error)
        except Exception as error:
            self.says.value = f"{type(error).__name__}: {error}"
            raise
        finally:
            self.start.disabled, self.stop.disabled = False, True

    def _show(self, drawing) -> None:
        self.drawing = drawing
        png, metadata = drawing.best(8)._repr_png_()
        self.picture.value, self.picture.layout.display = png, None
        self.picture.alt = metadata["alt"]
        self.says.value = f"Drawing ... the best of {len(drawing)} so far."

    def _repr_mimebundle_(self, include=None, exclude=None):
        if somebody_is_there():
            return self.widget._repr_mimebundle_()
        if self._still is None:
            samples = min(self.samples.value, _STILL_SAMPLES)
            self._still = self.model.draw(
                self.prompt.value, samples, self.seed.value, temperature=self.temperature.value
            )
        png, metadata = self._still._repr_png_()
        metadata["alt"] = (
            f"The prompt box, still: {metadata['alt']}. In JupyterLab a prompt can be typed here."
        )
        return {"image/png": png, "text/plain": repr(self)}, {"image/png": metadata}

    def __repr__(self):
        return f"<Prompt box: {self.prompt.value!r}; run this cell in JupyterLab to type your own>"
