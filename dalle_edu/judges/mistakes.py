"""Pictures that are wrong in exactly one property: what a judge must catch, drawn by the generator itself."""

from dataclasses import replace

import numpy as np
import torch

from dalle_edu.data.scenes import FAMILIES
from dalle_edu.data.scenes.context import DAYLIGHT, LANDMARKS, SHADOWS, TIMES, shadow_reach
from dalle_edu.data.scenes.drawing import COLOURS, SHAPES, TEXTURES
from dalle_edu.data.scenes.flat import MIRROR, RELATIONS, SIZES, Dice, Objects
from dalle_edu.data.scenes.posed import FRUITS, HUES, SOLIDS, STATES, VIEWPOINTS

_WORDS = {
    "attributes": {"shape": SHAPES, "colour": tuple(COLOURS), "size": tuple(SIZES), "texture": TEXTURES},
    "solids": {"solid": SOLIDS, "colour": HUES, "viewpoint": VIEWPOINTS},
    "inside": {"thing": FRUITS, "colour": HUES, "state": STATES},
    "context": {"thing": LANDMARKS, "colour": HUES, "time": TIMES},
}


def wrong_picture(truth, dice: Dice, size: int = 64) -> tuple[str, torch.Tensor]:
    """A picture that differs from `truth` in one property: (the property, image (3, size, size))."""
    family = FAMILIES[truth.family]
    if truth.family == "objects":
        name, truth = dice.pick(_wrong_objects(truth, dice))
        return name, _image(family.paint(truth, size, dice))
    words = _WORDS[truth.family]
    name = dice.pick((*words, "shadow") if truth.family == "context" else tuple(words))
    if name == "shadow":
        place = dice.pick(family.layouts(truth))
        return name, _image(family.paint_at(truth, size, *place, shadow=dice.pick(_wrong_shadows(truth))))
    value = dice.pick([word for word in words[name] if word != truth.properties()[name]])
    if truth.family == "attributes":
        truth = replace(truth, thing=replace(truth.thing, **{name: value}))
    elif name == "time":
        truth = replace(truth, time=value, light=dice.pick(DAYLIGHT[value]))
    else:
        truth = replace(truth, **{name: value})
    return name, _image(family.paint(truth, size, dice))


def _image(canvas: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(canvas.transpose(2, 0, 1), dtype=np.float32) / 255)


def _wrong_objects(truth: Objects, dice: Dice) -> list[tuple[str, Objects]]:
    """One wrong truth for each property that can be wrong."""
    things, relation = truth.things, truth.relation
    place = dice.below(len(things))
    one = things[place]

    def with_one(**change) -> Objects:
        return Objects((*things[:place], replace(one, **change), *things[place + 1 :]), relation)

    colours = [colour for colour in COLOURS if colour not in {thing.colour for thing in things}]
    wrong = [("colour", with_one(colour=dice.pick(colours)))]
    if relation == "inside":
        place, one = 0, things[0]  # not every shape has room inside for the other
    wrong.append(("shape", with_one(shape=dice.pick([shape for shape in SHAPES if shape != one.shape]))))
    small = tuple(thing for thing in things if thing.size == "small")
    fewer = small[:-1] if len(small) == len(things) else small
    wrong.append(("count", Objects(fewer or (*things, things[0]))))
    if relation:
        mirrors = {**MIRROR, **{b: a for a, b in MIRROR.items()}}
        same = {relation, mirrors[relation]} if things[0] == things[1] else {relation}
        wrong.append(("relation", Objects(things, dice.pick([r for r in RELATIONS[:4] if r not in same]))))
    if relation != "inside" and any(thing.size == "large" for thing in things):
        wrong.append(("size", Objects(tuple(replace(thing, size="small") for thing in things), relation)))
    if len(things) == 2 and things[0].colour != things[1].colour and things[0].shape != things[1].shape:
        swapped = (replace(a, colour=b.colour) for a, b in zip(things, things[::-1], strict=True))
        wrong.append(("binding", Objects(tuple(swapped), relation)))
    return wrong


def _wrong_shadows(truth) -> list[float]:
    """Reaches, in sixteenths, that do not belong to the truth's time and light."""
    right = shadow_reach(truth.time, truth.light)
    reaches = [sign * SHADOWS[time] for time in TIMES for sign in (-1, 1)]
    if truth.time == "at noon":  # the same to both sides
        return [reach for reach in reaches if abs(reach) != right]
    return [reach for reach in reaches if reach != right]
