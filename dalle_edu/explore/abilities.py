"""Abilities as figures (chapter 13): drawings with a judge's verdicts, rates with intervals, and a gallery.

Nothing is chosen by hand: the captions are the first of their family's held-out ones, the drawings the first
of their seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from dalle_edu.errors import ReaderError
from dalle_edu.evaluate.asked import FAMILIES, THINGS, held_out, verdicts
from dalle_edu.evaluate.figures import draw_all
from dalle_edu.evaluate.report import wilson
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import COLOURS, picture_grid
from dalle_edu.reranking import rank

MARKERS = {"chance": "x", "1 sample": "o", "careful": "s", "ceiling": "_"}


@dataclass(frozen=True)
class Case:
    """One held-out caption: a `real` picture of it, the dVAE's `reconstruction`,
    and `drawings` (N, 3, size, size), best first by CLIP. `said` holds the
    judge's verdict on each, real and reconstruction first: N + 2 of them.
    """

    family: str
    caption: str
    real: Tensor
    reconstruction: Tensor
    drawings: Tensor
    said: list[dict[str, bool]]

    @property
    def pictures(self) -> Tensor:
        """Real, reconstruction, drawings: (N + 2, 3, size, size)."""
        return torch.cat((self.real[None], self.reconstruction[None], self.drawings))

    @property
    def drawn(self) -> list[dict[str, bool]]:
        """The verdicts on the drawings alone."""
        return self.said[2:]


@torch.inference_mode()
def examine(
    model,
    family: str,
    captions: int = 8,
    samples: int = 8,
    seed: int = 0,
    temperature: float = 1.0,
    guidance: float | None = None,
) -> list[Case]:
    """Draws `samples` pictures for each of the family's first
    `captions` held-out captions, and has all of them judged.

    `guidance` is the model's own unless it is given, as in `evaluate`.
    Raises ReaderError for a family that has no judge, and for fewer than one caption or sample.
    """
    if family not in (*FAMILIES, *THINGS):
        raise ReaderError(f"No judge reads {family!r}; the families are {', '.join((*FAMILIES, *THINGS))}.")
    if captions < 1 or samples < 1:
        raise ReaderError(f"{captions} captions with {samples} samples each: at least one of each is needed.")
    real, texts = held_out(family, model.config.dvae.image_size, captions, seed)
    again = model.vae.decode(model.vae.encode(real))
    drawn: list[list[Tensor]] = [[] for _ in texts]
    guidance = model.config.drawing.guidance if guidance is None else guidance
    dials = {"temperature": temperature, "guidance": guidance}
    for owners, pictures in draw_all(model, texts, {samples: None}, f"{seed}/{family}", **dials):
        for owner, picture in zip(owners, pictures, strict=True):
            drawn[owner].append(picture)
    cases = []
    for i, text in enumerate(texts):
        drawings = torch.stack(drawn[i])
        if model.clip is not None:
            drawings = drawings[rank(model.score(drawings, text))]
        shown = torch.cat((real[i : i + 1], again[i : i + 1], drawings))
        cases.append(
            Case(family, text, real[i], again[i], drawings, verdicts(family, shown, [text] * len(shown)))
        )
    return cases


def verdict_words(verdict: dict[str, bool]) -> str:
    """ "✓" where everything is right, else "✗" and what is wrong: "✗ shape, size"."""
    wrong = [key.replace("_", " ") for key, right in verdict.items() if not right and _is_property(key)]
    return "✓" if verdict["all"] else "✗ " + ", ".join(wrong or ["something else as well"])


def plot_case(case: Case, ax=None) -> None:
    """Draws the real picture, its reconstruction and up to five drawings of a case, a verdict under each."""
    names = ["real", "dVAE", *[""] * len(case.drawings)]
    words = [
        f"{name} {verdict_words(verdict)}".strip() for name, verdict in zip(names, case.said, strict=True)
    ]
    picture_grid(case.pictures[:7], words[:7], columns=7, ax=ax)


def plot_firsts(cases: list[Case], ax=None) -> None:
    """Draws for each case its best drawing, with its caption and the judge's verdict under it."""
    words = [f"{case.caption} {verdict_words(case.drawn[0])}" for case in cases]
    picture_grid(torch.stack([case.drawings[0] for case in cases]), words, columns=min(4, len(cases)), ax=ax)


def plot_properties(row: dict, ax=None) -> None:
    """Draws, for one family of `evaluate`'s figures, how often one sample has each property right, with 95 %
    intervals, beside chance and ceiling.
    """
    ax = ax or plt.gca()
    keys = [key for key in row["single"] if _is_property(key) or key == "all"]
    for place, key in enumerate(keys):
        for shift, kind, name in ((-0.17, "single", "1 sample"), (0.17, "careful", "careful")):
            _mark(ax, row[kind][key], place + shift, name, place == 0)
        for name in ("chance", "ceiling"):
            right, of = row[name][key]
            style = {"linestyle": ":" if name == "chance" else "-", "color": "black", "linewidth": 1.5}
            ax.plot([place - 0.4, place + 0.4], [right / of] * 2, label=name if place == 0 else None, **style)
    words = ["everything" if key == "all" else key.replace("_", " ") for key in keys]
    ax.set(xticks=range(len(keys)), xticklabels=words, ylim=(-0.03, 1.05), ylabel="share right")


def plot_abilities(figures: dict, ax=None) -> None:
    """Draws, for each family of `evaluate`'s figures, the share of pictures that are right in everything:
    chance, one sample, a careful one, best of N by CLIP, ceiling; lines are 95 % intervals.
    """
    ax = ax or plt.gca()
    families = figures["families"]
    if not families:
        raise ReaderError("These figures hold no family: evaluate a model to the end of one at least.")
    for place, row in enumerate(families.values()):
        best = {f"best of {n}": found["right"] for n, found in row["best"].items()}
        rates = {
            "chance": row["chance"]["all"],
            "1 sample": row["single"]["all"],
            "careful": row["careful"]["all"],
        }
        rates |= best | {"ceiling": row["ceiling"]["all"]}
        for step, (name, counts) in enumerate(rates.items()):
            _mark(ax, counts, place + 0.13 * (step - (len(rates) - 1) / 2), name, place == 0)
    words = [name.replace(": ", ":\n") for name in families]
    ax.set(xticks=range(len(families)), xticklabels=words, ylim=(-0.03, 1.05), ylabel="share right")
    if len(families) > 6:
        ax.tick_params("x", labelsize="x-small")


def _mark(ax, counts: list[int], x: float, name: str, label: bool) -> None:
    low, high = wilson(*counts)
    value = counts[0] / counts[1]
    number = int(name.split()[-1]) if name.startswith("best of") else 0
    colour = {"chance": "#666666", "1 sample": COLOURS[0], "careful": COLOURS[2], "ceiling": "#000000"}
    ax.errorbar(
        x,
        value,
        [[max(value - low, 0.0)], [max(high - value, 0.0)]],  # 0 where all are right, up to rounding
        marker=MARKERS.get(name, "^" if number < 64 else "D"),
        color=colour.get(name, COLOURS[4] if number < 64 else COLOURS[1]),
        linewidth=1.3,
        markersize=10 if name == "ceiling" else 6,
        linestyle="none",
        label=name if label else None,
    )


def _is_property(key: str) -> bool:
    """Whether a verdict's key is a property of its own, not a sum of others."""
    return key != "all" and "+" not in key and "," not in key


def ability_explorer(cases: list[Case]) -> Explorer:
    """A gallery to walk through: choose a family and a caption; see the real picture, its reconstruction and
    the drawings, with the judge's verdict on every property of each.

    Raises ReaderError without cases, or for cases with different numbers of drawings.
    """
    if not cases or len({len(case.drawings) for case in cases}) != 1:
        raise ReaderError("The gallery needs at least one case, and the same number of drawings for each.")
    families = list(dict.fromkeys(case.family for case in cases))
    data = {
        "families": families,
        "count": len(cases[0].said),
        "cases": [
            {
                "family": families.index(case.family),
                "caption": case.caption,
                "sheet": picture_uri(torch.cat(list(case.pictures), dim=2)),
                "properties": [key for key in case.said[0] if _is_property(key)],
                "said": [[int(v[key]) for key in case.said[0] if _is_property(key)] for v in case.said],
                "all": [int(verdict["all"]) for verdict in case.said],
            }
            for case in cases
        ],
    }
    figure = plt.figure(figsize=(7, 1.7))
    plot_case(cases[0], ax=figure.add_subplot())
    alt = (
        f"A gallery of {len(cases)} held-out captions of {len(families)} families. For each a real picture, "
        f"the dVAE's reconstruction and {len(cases[0].drawings)} drawings, best first by CLIP, above a "
        "table in which a judge says of every property whether it is right."
    )
    return Explorer(
        title="What was asked, and what was drawn",
        alt=alt,
        data=data,
        script=Path(__file__).with_suffix(".js"),
        figure=figure,
        height=330,
    )
