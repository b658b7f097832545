"""What a trained model can do, in figures: one table for any model, the same to the last digit on the same machine.

Drawings of held-out captions are read by the judges of `abilities.py`. Beside each rate stand what chance gives (the same judge
on real pictures of other captions) and the ceiling (the judge on the dVAE's reconstructions of real pictures).
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch

from dalle_edu.data import EmojiPictures, Scenes
from dalle_edu.drawing import DrawingModel
from dalle_edu.dvae import peak_signal_to_noise
from dalle_edu.reranking import rank
from dalle_edu.sampling import sample_tokens
from dalle_edu.training import write_text
from dalle_edu.vqvae import perplexity

FAMILIES = ("attributes", "objects", "solids", "inside", "context")
BEST_OF = 8


def wilson(right: int, of: int) -> tuple[float, float]:
    """The 95 % confidence interval of a rate, `right` out of `of` (Wilson 1927): honest near 0 and 1, too."""
    z, p = 1.96, right / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def reconstruction(model: DrawingModel, count: int = 100) -> dict[str, float]:
    """The dVAE on pictures it never saw: decibels, share of codes in use, and perplexity off the plain background."""
    size = model.config.dvae.image_size
    emoji = EmojiPictures(size=size, split="test").pictures
    scenes = Scenes("all", size, seed=1, length=count, split="test")
    scenes = torch.stack([scenes[i][0] for i in range(count)])
    tokens, scene_tokens = model.vae.encode(emoji), model.vae.encode(scenes)
    usage = model.vae.codebook_usage(torch.cat((tokens.flatten(), scene_tokens.flatten())))
    background = int(torch.mode(tokens.flatten()).values)
    off_background = usage.clone()
    off_background[background] = 0
    return {
        "emoji_decibels": float(peak_signal_to_noise(emoji, model.vae.decode(tokens)).mean()),
        "scenes_decibels": float(peak_signal_to_noise(scenes, model.vae.decode(scene_tokens)).mean()),
        "codes_used": float((usage > 0).float().mean()),
        "perplexity_off_background": perplexity(off_background),
    }


def retrieval(model: DrawingModel, count: int = 100) -> float:
    """How often, of `count` test captions of emoji, the right one is the nearest to its picture by CLIP."""
    emoji = EmojiPictures(size=model.config.dvae.image_size, split="test")
    # Every third or so, so that not all hundred are people with their tones.
    chosen = torch.linspace(0, len(emoji) - 1, count).long()
    captions = [emoji.captions[i] for i in chosen]
    text = model.tokenizer.encode(captions, model.config.clip.text_length, cut=True)
    with torch.inference_mode():
        pictures, texts, _ = model.clip(emoji.pictures[chosen], text)
    return float(((pictures @ texts.T).argmax(1) == torch.arange(count)).float().mean())


def family(model: DrawingModel, name: str, samples: int, seed: int) -> dict:
    """Drawings of `samples` held-out captions of one family of `Scenes`, read by its judge.

    Returns counts of `samples`: "single" and "best" (of 8 by CLIP) right in everything, "chance", "ceiling", and "single" for each property.
    """
    from dalle_edu.abilities import score

    scenes = Scenes(name, model.config.dvae.image_size, seed=seed, length=samples, split="held_out")
    pictures, captions = zip(*(scenes[i] for i in range(samples)), strict=True)
    pictures = torch.stack(pictures)
    generator = torch.Generator().manual_seed(seed)
    single, best, properties = 0, 0, {}
    for i in range(0, samples, 8):
        prompts = list(captions[i : i + 8])
        tokens = sample_tokens(model.dalle, model.encode_text(prompts), BEST_OF, generator=generator)
        for prompt, drawn in zip(prompts, model.pictures(tokens).split(BEST_OF), strict=True):
            first = score(drawn[0], prompt)
            single += first["all"]
            for key, right in first.items():
                properties[key] = properties.get(key, 0) + right
            if model.clip is not None:
                best += score(drawn[rank(model.score(drawn, prompt))[0]], prompt)["all"]
    again = model.vae.decode(model.vae.encode(pictures))
    others = pictures.roll(1, 0)
    return {
        "samples": samples,
        "single": single,
        "best": best if model.clip is not None else None,
        "chance": sum(score(p, c)["all"] for p, c in zip(others, captions, strict=True)),
        "ceiling": sum(score(p, c)["all"] for p, c in zip(again, captions, strict=True)),
        "properties": {key: value for key, value in properties.items() if key != "all"},
    }


def evaluate(model: DrawingModel, samples: int = 32, seed: int = 0, progress: bool = False) -> dict:
    """All figures of one model. `samples` held-out captions a family, `seed` for captions and drawings alike."""
    from tqdm.auto import tqdm

    figures = {"samples": samples, "seed": seed, "reconstruction": reconstruction(model)}
    if model.clip is not None:
        figures["retrieval_of_100"] = retrieval(model)
    bar = tqdm(FAMILIES, disable=not progress, desc="families")
    figures["families"] = {name: family(model, name, samples, seed) for name in bar}
    return figures


def table(figures: dict) -> str:
    """The figures as text."""
    r = figures["reconstruction"]
    lines = [
        f"dVAE      test emoji {r['emoji_decibels']:.2f} dB, scenes {r['scenes_decibels']:.2f} dB, "
        f"{r['codes_used']:.1%} of codes used, perplexity {r['perplexity_off_background']:.0f} off the background",
    ]
    if "retrieval_of_100" in figures:
        lines.append(f"CLIP      right caption among 100 in {figures['retrieval_of_100']:.0%}")
    lines.append(f"held-out captions of scenes, {figures['samples']} a family, all properties right:")
    lines.append(f"{'':10}{'one sample':>22}{f'best of {BEST_OF}':>22}{'chance':>8}{'ceiling':>9}")
    for name, row in figures["families"].items():
        best = _rate(row["best"], row["samples"]) if row["best"] is not None else "no CLIP"
        chance, ceiling = (f"{row[key] / row['samples']:.0%}" for key in ("chance", "ceiling"))
        lines.append(f"{name:10}{_rate(row['single'], row['samples']):>22}{best:>22}{chance:>8}{ceiling:>9}")
        each = ", ".join(f"{key} {value / row['samples']:.0%}" for key, value in row["properties"].items())
        lines.append(f"{'':10}  one sample: {each}")
    return "\n".join(lines)


def write(figures: dict, path: Path) -> None:
    """The figures as JSON, whole or not at all."""
    write_text(Path(path), json.dumps(figures, indent=1) + "\n")


def _rate(right: int, of: int) -> str:
    low, high = wilson(right, of)
    return f"{right / of:.0%} ({low:.0%} to {high:.0%})"
