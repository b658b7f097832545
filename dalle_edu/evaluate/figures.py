"""What a trained model can do: one table for any model, the same again on the same machine (chapter 13).

Captions that training never showed are drawn and read by the judges (`asked.py`). Beside each rate stand
what chance gives (the same judge on real pictures of other captions) and the ceiling (the judge on the dVAE's
reconstructions of real ones).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from dalle_edu.data import EmojiPictures, Scenes
from dalle_edu.drawing import DrawingModel
from dalle_edu.dvae import peak_signal_to_noise
from dalle_edu.errors import ReaderError
from dalle_edu.evaluate.alignment import alignment
from dalle_edu.evaluate.asked import FAMILIES, count_right, emoji_way, families_of, held_out, verdicts
from dalle_edu.evaluate.copies import copies
from dalle_edu.evaluate.known import known
from dalle_edu.evaluate.report import table, wilson
from dalle_edu.files import write_text
from dalle_edu.machine.workers import in_order, may_stop
from dalle_edu.sampling import check_dials, sample_generators, sample_tokens
from dalle_edu.vqvae import perplexity

__all__ = ["FAMILIES", "evaluate", "family", "table", "wilson", "write"]

BEST = "8,64:16"  # best of 8 for all captions; best of 64 for 16 of them, since it costs eight times as much
CAREFUL = 0.5  # the other temperature at which one sample a caption is drawn
OTHERS = 8  # so many real pictures of other captions are read for each caption: chance
BATCH = 32  # pictures that one worker draws together


def parse_best(text: str) -> dict[int, int | None]:
    """ "8,64:24" -> {8: None, 64: 24}: best of 8 for all captions, best of 64 for the first 24 of them.

    Raises ReaderError for what is not of this form.
    """
    best: dict[int, int | None] = {}
    for part in text.split(","):
        n, _, captions = part.partition(":")
        if not n.strip().isdecimal() or (captions and not captions.strip().isdecimal()):
            raise ReaderError(
                f"--best {text} cannot be read: write 8,64:24 for best of 8, and of 64 for 24 captions."
            )
        best[int(n)] = int(captions) if captions else None
    best = dict(sorted(best.items()))
    counts = [math.inf if count is None else count for count in best.values()]
    if counts[0] != math.inf:
        raise ReaderError(
            f"--best {text} cannot be: the smallest number is for all captions, so write it alone."
        )
    if min(best) < 2 or min(counts) < 1 or counts != sorted(counts, reverse=True):
        sentence = "each number is 2 or more, for 1 caption or more; larger numbers take no more captions"
        raise ReaderError(f"--best {text} cannot be: {sentence}.")
    return best


def detail(images: Tensor) -> float:
    """How sharp (N, 3, H, W) are: the energy of grey waves shorter than four pixels, the mean of N."""
    grey = images.mean(1)
    energy = torch.fft.fft2(grey).abs().square() / grey[0].numel() ** 2
    rows, columns = (torch.fft.fftfreq(n) for n in grey.shape[1:])
    fine = (rows[:, None].square() + columns.square()).sqrt() > 0.25
    return float((energy * fine).sum((1, 2)).mean())


def reconstruction(model: DrawingModel, count: int = 100) -> dict[str, float]:
    """The dVAE on pictures it never saw: decibels, share of codes in use, perplexity off the plain ground."""
    size = model.config.dvae.image_size
    emoji = EmojiPictures(size=size, split="test", held_out=emoji_way(model)).pictures
    scenes = Scenes("all", size, seed=1, length=count, split="test")
    scenes = torch.stack([scenes[i][0] for i in range(count)])
    tokens, scene_tokens = model.vae.encode(emoji), model.vae.encode(scenes)
    usage = model.vae.codebook_usage(torch.cat((tokens.flatten(), scene_tokens.flatten())))
    off_background = usage.clone()
    off_background[torch.mode(tokens.flatten()).values] = 0
    return {
        "emoji_decibels": float(peak_signal_to_noise(emoji, model.vae.decode(tokens)).mean()),
        "scenes_decibels": float(peak_signal_to_noise(scenes, model.vae.decode(scene_tokens)).mean()),
        "codes_used": float((usage > 0).float().mean()),
        "perplexity_off_background": perplexity(off_background),
    }


def retrieval(model: DrawingModel, count: int = 100) -> dict[str, list[int]]:
    """How often CLIP finds the right one of `count` captions nearest to its picture, on pictures it never
    saw: [right, of] for test "emoji" and for held-out "scenes".
    """
    size = model.config.dvae.image_size
    emoji = EmojiPictures(size=size, split="test", held_out=emoji_way(model))
    # Every third or so, so that not all hundred are people with their tones.
    pairs = {"emoji": [emoji[int(i)] for i in torch.linspace(0, len(emoji) - 1, count).long()]}
    scenes = Scenes("all", size, seed=2, length=10 * count, split="held_out")
    different = {scenes.caption(i): i for i in reversed(range(len(scenes)))}  # each caption once
    pairs["scenes"] = [scenes[i] for i in sorted(different.values())[:count]]
    found = {}
    for name, items in pairs.items():
        images, captions = zip(*items, strict=True)
        text = model.tokenizer.encode(captions, model.config.clip.text_length, cut=True)
        with torch.inference_mode():
            pictures, texts, _ = model.clip(torch.stack(images), text)
        found[name] = [int(((pictures @ texts.T).argmax(1) == torch.arange(len(items))).sum()), len(items)]
    return found


def draw_all(
    model: DrawingModel,
    captions: list[str],
    best: dict[int, int | None],
    key: str,
    temperature: float = 1.0,
    workers: int | None = None,
    guidance: float = 1.0,
) -> Iterable[tuple[list[int], Tensor]]:
    """Draws max(best) samples for each caption, or as many as `best` wants of it; `key` names the seed.

    Yields (indices of captions, one a picture; pictures), drawn by several `workers` at a time. A caption's
    samples come in order: the first 8 of its 64 are those of best of 8. Each has its own generator.
    """

    def draw(piece: tuple[Sequence[int], range]) -> tuple[list[int], Tensor]:
        group, samples = piece
        generators = [one for i in group for one in sample_generators(f"{key}/{i}", samples)]
        text = model.encode_text([captions[i] for i in group], cut=True)
        dials = {"temperature": temperature, "guidance": guidance, "on_step": lambda *_: may_stop()}
        tokens = sample_tokens(model.dalle, text, len(samples), generator=generators, **dials)
        return [i for i in group for _ in samples], model.pictures(tokens)

    return in_order(draw, _pieces(len(captions), best), workers)


def _pieces(captions: int, best: dict[int, int | None]) -> Iterable[tuple[Sequence[int], range]]:
    """(captions, their samples) that are drawn together, at most BATCH pictures, whatever does it."""
    before = 0
    for n, count in sorted(best.items()):
        chosen = range(captions if count is None else min(count, captions))
        each = min(n - before, BATCH)
        together = BATCH // each
        for start in range(0, len(chosen), together):
            for done in range(before, n, each):
                yield chosen[start : start + together], range(done, min(done + each, n))
        before = n


def family(
    model: DrawingModel,
    name: str,
    samples: int,
    seed: int,
    best: dict[int, int | None],
    advance: Callable[[int], object] = int,
    workers: int | None = None,
    guidance: float = 1.0,
) -> dict:
    """Drawings of `samples` held-out captions of one family, read by its judge.

    Returns counts [right, of]: "single" (each caption's first sample), "careful" (one at
    temperature 0.5), "real", "ceiling" and "chance", for each property and "all";
    "best": N -> counts for its "captions": "right" (the best of N by CLIP), "drawn" (all that it chose from;
    "each" caption's by itself), "possible" (captions with a right one among the N); and "detail" of real,
    reconstructed and drawn pictures. `advance(n)` is told of n pictures drawn.
    """
    pictures, captions = held_out(name, model.config.dvae.image_size, samples, seed)
    ranks = model.clip is not None
    scores: list[list[float]] = [[] for _ in captions]
    said: list[list[dict[str, bool]]] = [[] for _ in captions]
    firsts: dict[int, Tensor] = {}
    wanted = best if ranks else {1: None}
    how = {"workers": workers, "guidance": guidance}
    for owners, drawn in draw_all(model, captions, wanted, f"{seed}/{name}", **how):
        texts = [captions[i] for i in owners]
        similar = _similarities(model, drawn, texts) if ranks else [math.nan] * len(texts)
        for row, verdict in enumerate(verdicts(name, drawn, texts)):
            firsts.setdefault(owners[row], drawn[row])
            scores[owners[row]].append(similar[row])
            said[owners[row]].append(verdict)
        advance(len(owners))
    careful: list[dict[str, bool]] = []
    key = f"{seed}/{name}/careful"
    for owners, drawn in draw_all(model, captions, {1: None}, key, CAREFUL, **how):
        careful += verdicts(name, drawn, [captions[i] for i in owners])
        advance(len(owners))
    again = model.vae.decode(model.vae.encode(pictures))
    shifts = range(1, min(OTHERS, len(captions) - 1) + 1)
    others = [verdict for k in shifts for verdict in verdicts(name, pictures.roll(k, 0), captions)]
    drawn = torch.stack([firsts[i] for i in range(len(captions))])
    kinds = {"real": pictures, "reconstructed": again, "drawn": drawn}
    return {
        "samples": len(captions),
        "single": count_right(one[0] for one in said),
        "careful": count_right(careful),
        "best": {str(n): _best_of(n, count, scores, said) for n, count in best.items()} if ranks else {},
        "real": count_right(verdicts(name, pictures, captions)),
        "ceiling": count_right(verdicts(name, again, captions)),
        "chance": count_right(others),
        "detail": {kind: detail(images) for kind, images in kinds.items()},
    }


def _similarities(model: DrawingModel, pictures: Tensor, captions: list[str]) -> list[float]:
    text = model.tokenizer.encode(captions, model.config.clip.text_length, cut=True)
    return model.clip.scores(pictures, text).tolist()


def _best_of(n: int, count: int | None, scores: list[list[float]], said: list[list[dict[str, bool]]]) -> dict:
    rights = [
        [verdict["all"] for verdict in one[:n]] for one in said[: len(said) if count is None else count]
    ]
    chosen = [max(range(n), key=one[:n].__getitem__) for one in scores[: len(rights)]]  # of equals the first
    return {
        "captions": len(rights),
        "right": [sum(right[i] for right, i in zip(rights, chosen, strict=True)), len(rights)],
        "drawn": [sum(map(sum, rights)), n * len(rights)],
        "each": [sum(right) for right in rights],
        "possible": [sum(map(any, rights)), len(rights)],
    }


def evaluate(
    model: DrawingModel,
    samples: int = 64,
    seed: int = 0,
    best: str = BEST,
    progress: bool = False,
    workers: int | None = None,
    guidance: float | None = None,
) -> dict:
    """All figures of one model: `samples` held-out captions a family, `best` as `parse_best` reads it.

    `seed` is that of captions and drawings; `workers` draw at a time, and the figures do not depend on them.
    `guidance` is that of every drawing, the model's own unless it is given. Interrupted (Ctrl-C), it returns
    the families that are finished, and says so under "interrupted". Raises ReaderError for values that cannot
    be.
    """
    from tqdm.auto import tqdm

    guidance = model.config.drawing.guidance if guidance is None else guidance
    check_dials(guidance=guidance)  # now, not after the dVAE's figures
    wanted, size, ranks = parse_best(best), model.config.dvae.image_size, model.clip is not None
    figures = {"samples": samples, "seed": seed, "best_of": best, "threads": torch.get_num_threads()}
    figures["guidance"] = guidance
    figures["reconstruction"] = reconstruction(model)
    figures["alignment"] = alignment(model, held_out=emoji_way(model))
    if ranks:
        figures["retrieval"] = retrieval(model)
    figures["families"] = {}
    counts = dict.fromkeys(families_of(model), samples)
    counts["people"] = len(held_out("people", size, samples, seed)[1])
    total = sum(_pictures(count, wanted if ranks else {1: None}) for count in counts.values())
    how = {"workers": workers, "guidance": guidance}
    with tqdm(total=total, disable=not progress, unit="picture", smoothing=0.05) as bar:
        try:
            for name in counts:
                bar.set_description(name)
                figures["families"][name] = family(model, name, samples, seed, wanted, bar.update, **how)
            bar.set_description("known")
            figures["known"] = known(model, 2 * samples, guidance=guidance)
            bar.set_description("copies")
            figures["copies"] = copies(model, seed, **how)["figures"]
        except KeyboardInterrupt:
            figures["interrupted"] = True
    return figures


def _pictures(captions: int, best: dict[int, int | None]) -> int:
    of = {n: captions if count is None else min(count, captions) for n, count in best.items()}
    return captions + sum((n - before) * of[n] for before, n in zip((0, *of), of, strict=False))


def write(figures: dict, path: Path) -> None:
    """The figures as JSON, whole or not at all."""
    write_text(Path(path), json.dumps(figures, indent=1) + "\n")
