"""What is asked of a model: captions that training never showed, by family, and who reads the drawings.

The judges are those of `abilities.py` for the five families of `Scenes`, of `judges/people.py` for people in
professions, and of `judges/things.py` for emoji as things: in a colour, counted, beside each other, at a time
of day.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from dalle_edu.data import EmojiPictures, Scenes
from dalle_edu.data.emoji import combination
from dalle_edu.data.scenes import FAMILIES as SCENES
from dalle_edu.data.things import ThingScenes
from dalle_edu.drawing import DrawingModel

FAMILIES = (*SCENES, "people")  # of every model
THINGS = {f"things: {kind}": kind for kind in ("colours", "counts", "relations", "times")}  # of some models
TOGETHER = {"attributes": ("shape", "colour", "size"), "people": ("profession", "skin_tone")}
JUDGED = 64  # pixels


def emoji_way(model: DrawingModel) -> str:
    """How emoji were held out of a model's training: "names", or "combinations" of names that it knows."""
    emoji = [source for source in model.config.data_for("dalle") if source["kind"] == "emoji"]
    return emoji[0].get("held_out", "names") if emoji else "names"


def families_of(model: DrawingModel) -> tuple[str, ...]:
    """The families that a model is asked for: things only where it was trained on some."""
    kinds = {source["kind"] for source in model.config.data_for("dalle")}
    return (*FAMILIES, *THINGS) if "things" in kinds else FAMILIES


def held_out(name: str, size: int, samples: int, seed: int) -> tuple[Tensor, list[str]]:
    """Real pictures (N, 3, size, size) and captions of held-out combinations; of people there are 58."""
    if name == "people":
        emoji = EmojiPictures(size=size, split="held_out")
        people = torch.tensor([i for i, caption in enumerate(emoji.captions) if combination(caption)])
        order = torch.randperm(len(people), generator=torch.Generator().manual_seed(seed))[:samples]
        return emoji.pictures[people[order]], [emoji.captions[i] for i in people[order]]
    made = (ThingScenes, THINGS[name]) if name in THINGS else (Scenes, name)
    scenes = made[0](made[1], size, seed=seed, length=samples, split="held_out")
    pictures, captions = zip(*(scenes[i] for i in range(samples)), strict=True)
    return torch.stack(pictures), list(captions)


def verdicts(name: str, pictures: Tensor, captions: list[str]) -> list[dict[str, bool]]:
    """What the family's judge says of each picture: property -> right, "all", and what else the table wants.

    The judges read 64 pixels a side; smaller and larger pictures are brought to that size first.
    """
    if pictures.shape[-1] != JUDGED:
        pictures = F.interpolate(pictures, (JUDGED, JUDGED), mode="bilinear", antialias=True)
    if name == "people":
        from dalle_edu.judges.people import emoji_judge

        right = emoji_judge(JUDGED).right(pictures, captions)
        said = [{key: bool(values[i]) for key, values in right.items()} for i in range(len(captions))]
    elif name in THINGS:
        from dalle_edu.judges.things import things_judge

        judge = things_judge()
        said = [judge.score(picture, caption) for picture, caption in zip(pictures, captions, strict=True)]
    else:
        from dalle_edu.abilities import parse_caption, score

        said = [dict(score(picture, caption)) for picture, caption in zip(pictures, captions, strict=True)]
    for verdict, caption in zip(said, captions, strict=True):
        if name in TOGETHER:
            verdict["+".join(TOGETHER[name])] = all(verdict[key] for key in TOGETHER[name])
        if name == "objects":
            asked = parse_caption(caption)
            kind = "pairs" if asked.relation else "counted" if len(set(asked.things)) == 1 else "lists"
            verdict[f"all, {kind}"] = verdict["all"]
    return said


def count_right(said: Iterable[dict[str, bool]]) -> dict[str, list[int]]:
    """Verdicts -> property -> [how many right, of how many that have this property]; "all" first."""
    counts: dict[str, list[int]] = {"all": [0, 0]}
    for verdict in said:
        for key, right in verdict.items():
            row = counts.setdefault(key, [0, 0])
            row[0] += right
            row[1] += 1
    return counts
