"""Drawing picture tokens one after another, each from the distribution that the model gives it (chapter 11).

    z_j ~ softmax(logits_j / temperature), from all codes, or from the top_k most probable, or from the
    smallest set that holds the probability top_p (Holtzman et al. 2020)

Ramesh et al. 2021, section 2.6 and figure 3: temperature 1; a picture may be given in part.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from numbers import Real

import torch
from torch import Tensor

from dalle_edu.dalle import Dalle, DalleConfig, empty_captions
from dalle_edu.errors import ReaderError, brief, check_whole
from dalle_edu.gumbel import exponential_noise


def check_dials(temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, guidance: float = 1.0) -> None:
    """Raises ReaderError for a temperature, top_k, top_p or
    guidance that cannot be; see `adjust_logits` and `guided`."""
    for name, value in (("temperature", temperature), ("top_p", top_p), ("guidance", guidance)):
        if isinstance(value, bool) or not isinstance(value, Real):  # numpy's numbers, too
            raise ReaderError(f"{name} is {brief(value)}; it must be a number.")
    # Outside these bounds 32 bits hold no quotient any more, and would draw the first code always.
    if not 1e-6 <= temperature <= 1e6:
        raise ReaderError(
            f"temperature is {temperature}; it must be above 0, from 1e-6 (the likeliest code) to 1e6 "
            "(any code); "
            "1 is the model as it is."
        )
    check_whole("top_k", top_k)
    if not 0 < top_p <= 1:
        raise ReaderError(f"top_p is {top_p}; it must be above 0 and at most 1.")
    if not 0 <= guidance <= 1e3:
        raise ReaderError(f"guidance is {guidance}; it must be from 0 to 1000; 1 is the model as it is.")


def adjust_logits(logits: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """(..., vocabulary) logits of the distribution that is drawn from: those left out become -inf.

    `temperature`, from 1e-6 to 1e6, divides the logits; `top_k` keeps the k largest (0: all); `top_p` in (0,
    1] keeps the fewest that together hold at least that probability. Raises ReaderError for values outside.
    """
    check_dials(temperature, top_k, top_p)
    logits = logits / temperature
    if top_k and top_k < logits.shape[-1]:
        # The k largest by rank, not by value, so that equal logits do not smuggle in more than k.
        kept = logits.topk(top_k, dim=-1)
        logits = torch.full_like(logits, -math.inf).scatter(-1, kept.indices, kept.values)
    if top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True)
        probabilities = ordered.softmax(-1)
        enough = probabilities.cumsum(-1) - probabilities >= top_p  # what comes before already holds top_p
        logits = logits.masked_fill(enough.scatter(-1, order, enough), -math.inf)
    return logits


def guided(logits: Tensor, guidance: float) -> Tensor:
    """without + guidance * (with - without): away from what any picture would show, towards the caption's.

    `logits` (2 * batch, vocabulary): those with the captions, then those without; gives (batch, vocabulary).
    With guidance 1 they are not doubled, and stay as they are: the model itself; 0 would leave the caption
    out. Ho & Salimans 2021, in the logits of tokens. Not the paper's. A model gains by it that has seen
    pictures without captions in training (`caption_dropout`); others never met the empty caption.
    """
    if guidance == 1:
        return logits
    with_caption, without = logits.chunk(2)
    return without + guidance * (with_caption - without)


def draw_from(logits: Tensor, generator: torch.Generator | Sequence[torch.Generator] | None = None) -> Tensor:
    """One exact draw from softmax(logits) a row: (..., vocabulary) -> (...) int64.

    `generator` is one for all rows, or a sequence of one a row.

    argmax_k p_k / e_k with e_k exponential is the Gumbel-max trick of chapter 4 with one logarithm less.
    """
    exponential = exponential_noise(logits, generator).clamp_min_(1e-30)
    return (logits.softmax(-1) / exponential).argmax(-1)


def sample_generators(seed: int | str, indices: Sequence[int]) -> list[torch.Generator]:
    """A generator of its own for each sample: sample i of a seed is the same whatever is drawn beside it."""
    # PyTorch's generator on a processor reads 32 bits of a seed. An odd factor keeps all indices apart.
    start = int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:4], "big")
    return [torch.Generator().manual_seed((start + 0x9E3779B1 * i) % 2**32) for i in indices]


@torch.inference_mode()
def sample_tokens(
    model: Dalle,
    text: Tensor,
    samples: int = 1,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    guidance: float = 1.0,
    given: Tensor | None = None,
    keep: Tensor | None = None,
    generator: torch.Generator | Sequence[torch.Generator] | None = None,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Draws pictures for texts: `text` (prompts, text_length) -> (prompts * samples, picture_length) int64.

    Samples of one prompt stand together. `given` (picture_length,) or (prompts * samples, picture_length)
    tokens are used where `keep` (picture_length,) bool is True: the first rows of a picture, or all but a
    rectangle that reaches its bottom-right corner. The others see everything before them, given or drawn.
    `generator` is one for all, or a sequence of one a sample (`sample_generators`), which keeps a sample the
    same whatever is drawn beside it. `on_step(j, token)` is called after each token. With a `guidance` other
    than 1 each picture is read twice, with its caption and with the empty one (`guided`), which takes twice
    the time. The text is read once a prompt, each later step reads only the keys in its mask. Raises
    ReaderError for dials that cannot be and for given tokens that do not fit.
    """
    check_dials(temperature, top_k, top_p, guidance)  # a wrong dial should fail before any work
    check_whole("samples", samples, 1)
    config = model.config
    keep, given = _given(config, text.shape[0] * samples, given, keep, text.device)
    tokens = torch.empty(len(text) * samples, config.picture_length, dtype=torch.int64, device=text.device)
    streams = 1 if guidance == 1 else 2
    if streams == 2:
        text = torch.cat((text, empty_captions(len(text), config).to(text.device)))
    states, cache = model.transformer.prefill(model.embed_text(text), samples)
    state = states[:, -1].repeat_interleave(samples, dim=0)
    positions = model.picture_positions()
    for j in range(config.picture_length):
        if keep[j]:
            tokens[:, j] = given[:, j]
        else:
            logits = guided(model.image_logits(state).float(), guidance)
            tokens[:, j] = draw_from(adjust_logits(logits, temperature, top_k, top_p), generator)
        if on_step is not None:
            on_step(j, tokens[:, j])
        if j + 1 < config.picture_length:
            x = (model.image_embedding(tokens[:, j]) + positions[j]).repeat(streams, 1)
            state = model.transformer.step(x, j, cache)
    return tokens


@torch.inference_mode()
def sample_tokens_plain(
    model: Dalle,
    text: Tensor,
    samples: int = 1,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    guidance: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """`sample_tokens` as the definition says it: the whole stream is computed anew for each token.

    Slow, and the measure that the cached form must agree with.
    """
    text = text.repeat_interleave(samples, dim=0)
    tokens = torch.empty(text.shape[0], 0, dtype=torch.int64, device=text.device)
    for _ in range(model.config.picture_length):
        logits = model(text, tokens)[1][:, -1].float()
        if guidance != 1:
            empty = empty_captions(len(text), model.config).to(text.device)
            logits = guided(torch.cat((logits, model(empty, tokens)[1][:, -1].float())), guidance)
        drawn = draw_from(adjust_logits(logits, temperature, top_k, top_p), generator)
        tokens = torch.cat((tokens, drawn[:, None]), dim=1)
    return tokens


def first_rows(grid: tuple[int, int], rows: int) -> Tensor:
    """The `keep` of a picture that is finished from its first rows: (height * width,) bool.

    Raises ReaderError unless 0 <= rows < height, in rows of tokens.
    """
    height, width = grid
    check_whole("The number of rows to keep", rows)
    if not 0 <= rows < height:
        raise ReaderError(f"{rows} rows of the picture's {height} are to be kept: keep 0 to {height - 1}.")
    return torch.arange(height * width) < rows * width


def outside_rectangle(grid: tuple[int, int], top: int, left: int) -> Tensor:
    """The `keep` for drawing anew the rectangle from (top, left) to the bottom-right corner.

    (height * width,) bool. Raises ReaderError for a corner outside the grid.
    """
    height, width = grid
    if not (0 <= top < height and 0 <= left < width):
        raise ReaderError(f"The corner ({top}, {left}) lies outside the grid of {height} x {width} tokens.")
    position = torch.arange(height * width)
    return (position // width < top) | (position % width < left)


def _given(config: DalleConfig, batch: int, given: Tensor | None, keep: Tensor | None, device):
    """`keep` as a list of bools, and `given` as (batch, picture_length) or None. Refuses misfits."""
    if (given is None) != (keep is None):
        raise ReaderError("`given` and `keep` go together: the tokens, and which of them to keep.")
    if given is None:
        return [False] * config.picture_length, None
    if not isinstance(given, Tensor) or not isinstance(keep, Tensor) or keep.dtype != torch.bool:
        raise ReaderError("`given` must be a tensor of tokens, and `keep` a tensor of True and False.")
    if given.is_floating_point() or given.dtype == torch.bool:
        raise ReaderError(f"Given tokens must be whole numbers (int64), but are {given.dtype}.")
    length = config.picture_length
    if given.dim() == 0 or given.shape[-1] != length or keep.shape != (length,):
        counts = f"`given` has {given.shape[-1] if given.dim() else 1} tokens and `keep` {keep.numel()}"
        raise ReaderError(f"{counts}, the picture has {length}.")
    if given.dim() > 2 or (given.dim() == 2 and len(given) not in (1, batch)):
        raise ReaderError(
            f"`given` is {tuple(given.shape)}: give one picture ({length},) or {batch} of them, one a sample."
        )
    if not 0 <= int(given.min()) <= int(given.max()) < config.image_vocabulary:
        vocabulary = config.image_vocabulary
        raise ReaderError(
            f"A given token lies outside the vocabulary of {vocabulary}: use this model's dVAE."
        )
    return keep.tolist(), given.long().to(device).expand(batch, -1)
