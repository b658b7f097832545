"""A sentence becomes pictures: tokenizer, transformer, dVAE and CLIP of one model, joined (chapter 0).

text -> text tokens -> picture tokens, drawn one after another -> pictures -> ranked by CLIP, best first
"""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from dalle_edu.configs.schema import Config, config_of
from dalle_edu.dalle import Dalle
from dalle_edu.data.pictures import as_square
from dalle_edu.data.words import KnownWords
from dalle_edu.dvae import DiscreteVAE
from dalle_edu.errors import ReaderError, ReaderWarning, brief, check_whole, unknown_name
from dalle_edu.files import readers_path
from dalle_edu.machine.workers import in_order, may_stop, worker_count
from dalle_edu.reranking import PictureClip, build_clip, rank
from dalle_edu.sampling import check_dials, first_rows, sample_generators, sample_tokens
from dalle_edu.tokens import CaptionTokenizer
from dalle_edu.train.loop import load_weights

# With fewer rows MKL rounds differently (measured with AVX2: from 4 on, a row does not depend on the others).
FEWEST_ROWS = 4
# So many samples a worker are worth a worker: with fewer, a step is mostly overhead that nobody shares.
FEWEST_SAMPLES = 16
FOLDER = Path(__file__).parent / "weights"


def model_names() -> list[str]:
    """Names of the trained models that the package ships."""
    return sorted(path.parent.name for path in FOLDER.glob("*/dalle.safetensors"))


def load(name: str | Path = "picturebook") -> DrawingModel:
    """A trained model: a name that the package ships, or a folder that `dalle-edu train` wrote.

    Raises ReaderError for names that are not known, and for folders in which a part is missing or damaged.
    """
    return DrawingModel(model_folder(name))


def model_folder(name: str | Path) -> Path:
    """The folder that a model's name or path means. Raises ReaderError where it is none."""
    folder = FOLDER / str(name) if str(name) in model_names() else readers_path(name)
    if not os.path.isdir(folder):  # false also for names that no system could hold
        raise unknown_name("model", str(name), [*model_names(), "any folder that `dalle-edu train` wrote"])
    if not (folder / "config.toml").is_file():
        raise ReaderError(f"{folder} holds no config.toml: it is not a folder that `dalle-edu train` wrote.")
    return folder


@dataclass(frozen=True)
class Drawing:
    """Samples of one prompt, best first; in a notebook it shows itself.

    `images` (N, 3, size, size) float32 in [0, 1], `tokens` (N, height *
    width) int64, `scores` (N,) CLIP similarity, falling (all NaN without a
    CLIP), `source` what the licence of the training pictures asks to show.
    """

    prompt: str
    images: Tensor
    tokens: Tensor
    scores: Tensor
    source: str = ""

    def __len__(self) -> int:
        return len(self.images)

    def best(self, count: int) -> Drawing:
        """The first `count` samples, or all where there are fewer. Raises ReaderError for none at all."""
        check_whole("count", count, 1)
        parts = self.images[:count], self.tokens[:count], self.scores[:count]
        return Drawing(self.prompt, *parts, self.source)

    def sheet(self, columns: int = 8, scale: int = 2):
        """All samples as one Pillow image, in rows from the top left, each pixel `scale` pixels wide."""
        check_whole("columns", columns, 1), check_whole("scale", scale, 1)
        return contact_sheet(self.images, columns, scale)

    def save(self, path: str | Path, columns: int = 8, scale: int = 2) -> None:
        """Writes the sheet as PNG, whole or not at all, with the prompt in it, and the licence where the
        model was trained on pictures that ask for it."""
        from PIL.PngImagePlugin import PngInfo

        from dalle_edu.train.loop import replacing

        note = PngInfo()
        note.add_text("Title", self.prompt)
        if self.source:
            note.add_text("Source", self.source)
        with replacing(Path(path)) as temporary:
            self.sheet(columns, scale).save(temporary, format="PNG", pnginfo=note)

    def _repr_png_(self):
        import io

        buffer = io.BytesIO()
        self.sheet().save(buffer, format="PNG")
        return buffer.getvalue(), {"alt": f"{len(self)} drawings of “{self.prompt}”, best first"}

    def __repr__(self) -> str:
        return f"<{len(self)} drawings of {self.prompt!r}, best first>"


def contact_sheet(images: Tensor, columns: int = 8, scale: int = 2, gap: int = 2):
    """Pictures (N, 3, H, W) in [0, 1] -> one Pillow image, in rows of `columns`, `gap` grey pixels apart."""
    from torchvision.utils import make_grid

    frame = [gap] * 4 if len(images) == 1 else [0] * 4  # make_grid gives a picture alone no frame
    sheet = make_grid(images.clamp(0, 1), nrow=max(1, columns), padding=gap, pad_value=0.8)
    sheet = F.pad(sheet, frame, value=0.8)
    pixels = (sheet * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    picture = Image.fromarray(pixels)
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


class DrawingModel:
    """A model as a folder holds it: `config`, `tokenizer`, `vae`, `dalle`, and `clip` or None."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.config: Config = config_of(folder)
        self.tokenizer = CaptionTokenizer.load(folder / "tokenizer.json")
        self.vae = load_weights(DiscreteVAE(self.config.dvae), folder / "dvae.safetensors")
        self.dalle = load_weights(Dalle(self.config.dalle), folder / "dalle.safetensors")
        self.words = KnownWords.load(folder)  # None for a model that kept none
        self._clip: PictureClip | None = None

    @property
    def clip(self) -> PictureClip | None:
        """The CLIP that ranks, loaded when it is first asked for: open_clip is slow to import."""
        if self._clip is None and (self.folder / "clip.safetensors").is_file():
            clip = build_clip(self.config.clip, self.tokenizer)
            self._clip = load_weights(clip, self.folder / "clip.safetensors")
        return self._clip

    @property
    def source(self) -> str:
        """What drawings of this model owe to the pictures that it was trained on; nothing but for emoji."""
        from dalle_edu.data.emoji import EmojiPictures

        parts = (self.config.data_for(part) for part in ("dvae", "dalle"))
        if not any(source.get("kind") == "emoji" for part in parts for source in part):
            return ""
        return f"Drawn by a model trained on OpenMoji. {EmojiPictures.attribution}"

    def encode_text(self, prompts: str | list[str], cut: bool = False) -> Tensor:
        """Prompts -> (prompts, text_length) int64. ReaderError for empty ones, and long ones unless `cut`."""
        config = self.config.dalle
        return self.tokenizer.encode(prompts, config.text_length, cut, padding=config.text_vocabulary)

    def pictures(self, tokens: Tensor, batch: int = 64) -> Tensor:
        """Tokens (N, height * width) -> pictures (N, 3, size, size) in [0, 1]. Raises ReaderError for tokens
        of another shape or beyond the vocabulary."""
        length = self.config.dalle.picture_length
        if not isinstance(tokens, Tensor) or tokens.ndim != 2 or tokens.shape[1] != length:
            shape = tuple(tokens.shape) if isinstance(tokens, Tensor) else brief(tokens)
            raise ReaderError(f"Tokens must have the shape (samples, {length}), but are {shape}.")
        grids = tokens.reshape(-1, *self.config.dalle.grid)
        return torch.cat([self.vae.decode(part) for part in grids.split(batch)])

    def score(self, images: Tensor, prompt: str) -> Tensor:
        """CLIP similarity of pictures (N, 3, size, size) with one text: (N,); NaN without a CLIP."""
        if self.clip is None:
            return torch.full((len(images),), math.nan)
        return self.clip.scores(images, self.tokenizer.encode(prompt, self.config.clip.text_length, cut=True))

    def draw(
        self,
        prompt: str,
        samples: int = 32,
        seed: int = 0,
        *,
        temperature: float | None = None,
        top_k: int = 0,
        top_p: float = 1.0,
        guidance: float | None = None,
        start: Tensor | Image.Image | None = None,
        keep_rows: int = 0,
        keep: Tensor | None = None,
        batch: int = 64,
        progress: bool = False,
        on_step: Callable[[int, Tensor], None] | None = None,
        on_batch: Callable[[Drawing], None] | None = None,
        workers: int | None = None,
    ) -> Drawing:
        """Draws `samples` pictures of `prompt`, ranked by CLIP.

        The same seed gives the same pictures on the same machine, whatever `samples`, `batch` and `workers`
        are: sample i has its own generator. `temperature` and `guidance` are those of the model's
        configuration, [drawing], unless they are given; `guidance` above 1 follows the caption more closely
        than the model would by itself, in twice the time (`dalle_edu.sampling.guided`).

        `start` (3, size, size) in [0, 1], or a Pillow picture of any size, is a picture whose first
        `keep_rows` rows of tokens are kept, or those that `keep` (height * width,) names. `batch` samples are
        drawn, decoded and scored at a time, so that memory does not grow with `samples`; `workers` cores
        share them (None: DALLE_EDU_WORKERS, or as many as there are). `on_step(j, token)` is told each token
        of a batch, which one worker then draws alone; `on_batch(drawing)` all that is finished so far.
        Interrupted (Ctrl-C), it returns the samples that are finished, with a warning; before the first are
        finished it raises KeyboardInterrupt. A word that training never showed is named in a warning, with
        the nearest captions that it knows. Raises ReaderError for values that cannot be.
        """
        if not isinstance(prompt, str):
            raise ReaderError(
                f"The prompt is {brief(prompt)}; draw takes one text, so call it once for each."
            )
        check_whole("samples", samples, 1)
        check_whole("batch", batch, 1)
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise ReaderError(f"seed is {brief(seed)}; it must be a whole number from 0 to 2**63 - 1.")
        usual = self.config.drawing
        temperature = usual.temperature if temperature is None else temperature
        guidance = usual.guidance if guidance is None else guidance
        check_dials(temperature, top_k, top_p, guidance)
        text = self.encode_text(prompt)
        given, keep = self._start(start, keep_rows, keep)
        if self.words is not None and (said := self.words.sentence(prompt)):
            warnings.warn(said, ReaderWarning, stacklevel=2)
        how = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "given": given, "keep": keep}
        how["guidance"] = guidance
        workers = min(worker_count(workers), 1 if on_step else samples)
        finished: list[Drawing] = []
        ranks = self.clip is not None  # loaded here, once, and not by several workers

        with _progress(samples * self.config.dalle.picture_length, progress) as advance:

            def draw_some(indices: range) -> Drawing:
                def step(j: int, token: Tensor):
                    may_stop()
                    advance(len(token))
                    if on_step is not None:
                        on_step(j, token)

                tokens = self.draw_tokens(text, seed, indices, on_step=step, **how)
                images = self.pictures(tokens)
                scores = self.score(images, prompt) if ranks else torch.full((len(images),), math.nan)
                return Drawing(prompt, images, tokens, scores, self.source)

            groups = share_out(samples, batch, workers)
            try:
                for indices, some in zip(groups, in_order(draw_some, groups, workers), strict=True):
                    finished.append(some)
                    if on_batch is not None and (indices.stop % batch == 0 or indices.stop == samples):
                        on_batch(ranked(finished))
            except KeyboardInterrupt:
                if not finished:
                    raise
        kept = sum(map(len, finished))
        if kept < samples:  # said when the bar is closed, on a line of its own
            warnings.warn(f"Interrupted: {kept} of {samples} samples are kept.", ReaderWarning, stacklevel=2)
        return ranked(finished)

    def draw_tokens(
        self,
        text: Tensor,
        seed: int | str,
        indices: Sequence[int],
        on_step: Callable[[int, Tensor], None] | None = None,
        **how,
    ) -> Tensor:
        """The samples `indices` of `seed` for one text (1, text_length): (samples, height * width) int64.

        On one thread a sample's tokens are the same to the last bit whatever is drawn beside it. `how` are
        `sample_tokens`' other arguments.
        """
        count = len(indices)
        # A matrix of fewer rows is multiplied in another way, and rounded in another way.
        spare = range(max(0, FEWEST_ROWS - count))
        step = on_step and (lambda j, token: on_step(j, token[:count]))
        generator = sample_generators(seed, [*indices, *spare])
        how |= {"generator": generator, "on_step": step}
        return sample_tokens(self.dalle, text, len(generator), **how)[:count]

    def _start(self, picture, keep_rows: int, keep: Tensor | None):
        """What `sample_tokens` calls `given` and `keep`, from a picture and how much of it to keep."""
        if picture is None:
            if keep_rows or keep is not None:
                raise ReaderError("Rows are to be kept, but of no picture: give the picture to start from.")
            return None, None
        size = self.config.dvae.image_size
        if isinstance(picture, Image.Image):
            picture = as_square(picture, size)
        if not isinstance(picture, Tensor):
            raise ReaderError(
                f"The picture to start from is {brief(picture)}; give a tensor (3, {size}, {size}) or a "
                "Pillow "
                f"picture, or read a file with dalle_edu.data.folder.read_picture(file, {size})."
            )
        if picture.shape != (3, size, size):
            raise ReaderError(
                f"The picture to start from is {tuple(picture.shape)}, this model's are (3, {size}, {size}): "
                f"read a file with dalle_edu.data.folder.read_picture(file, {size})."
            )
        picture = picture.detach().float()
        if not (picture.isfinite().all() and 0 <= picture.min() <= picture.max() <= 1):
            raise ReaderError(
                f"The picture to start from reaches from {picture.min():g} to {picture.max():g}; its "
                "numbers must "
                "lie between 0 (black) and 1 (white): divide 8 bits by 255."
            )
        given = self.vae.encode(picture[None]).flatten()
        return given, first_rows(self.config.dalle.grid, keep_rows) if keep is None else keep


def share_out(samples: int, batch: int, workers: int) -> list[range]:
    """Samples 0 .. samples - 1 in groups: each `batch` of them split among the workers, where that pays."""
    groups = []
    for start in range(0, samples, batch):
        count = min(batch, samples - start)
        parts = max(1, min(workers, count // FEWEST_SAMPLES))
        ends = [start + count * part // parts for part in range(parts + 1)]
        groups += [range(*pair) for pair in pairwise(ends)]
    return groups


def ranked(drawings: list[Drawing]) -> Drawing:
    """Drawings of one prompt as one, best first; without a CLIP, in the order in which they were drawn."""
    scores = torch.cat([drawing.scores for drawing in drawings])
    order = torch.arange(len(scores)) if scores.isnan().any() else rank(scores)
    images = torch.cat([drawing.images for drawing in drawings])[order]
    tokens = torch.cat([drawing.tokens for drawing in drawings])[order]
    return Drawing(drawings[0].prompt, images, tokens, scores[order], drawings[0].source)


class _progress:
    """A bar over all tokens of all samples; as a context it gives the function that moves it."""

    def __init__(self, total: int, show: bool):
        from tqdm.auto import tqdm

        look = {"unit": "token", "unit_scale": True, "desc": "drawing", "mininterval": 0.2}
        self.bar, self.lock = tqdm(total=total, disable=not show, **look), threading.Lock()

    def __enter__(self) -> Callable[[int], object]:
        return self.advance

    def advance(self, count: int) -> None:
        with self.lock:  # several workers count
            self.bar.update(count)

    def __exit__(self, *_):
        self.bar.close()
