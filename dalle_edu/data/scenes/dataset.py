"""Scenes: captioned pictures made on demand from a seed, with their ground truth kept.

Picture i is a pure function of (family, split, seed, i): no file is read, nothing is stored, every machine
draws the same bytes. The families follow the five abilities that DALL-E's announcement shows (OpenAI 2021).

`GRAMMAR` below holds all sentences. Things of the objects family are plain. Two large
ones do not fit beside each other; `inside` takes a small thing in a large circle,
square, triangle, heart or diamond of another colour; a list has two to four small
things that differ in shape. `dalle_edu.abilities` reads pictures and captions back.
"""

import numpy as np
import torch

from dalle_edu.data.scenes.context import CONTEXT_FAMILY
from dalle_edu.data.scenes.flat import AttributesFamily, Dice, ObjectsFamily
from dalle_edu.data.scenes.posed import INSIDE_FAMILY, SOLIDS_FAMILY
from dalle_edu.errors import ReaderError, unknown_name

_ALL = (AttributesFamily(), ObjectsFamily(), SOLIDS_FAMILY, INSIDE_FAMILY, CONTEXT_FAMILY)
FAMILIES = {family.name: family for family in _ALL}
GRAMMAR = """
attributes   A THING                                "a large striped blue star"
objects      NUMBER small COLOUR SHAPE[s]           "three small green hearts"
             A THING RELATION A THING               "a small red circle above a large blue square"
             A THING, A THING and A THING           "a small red circle and a small blue ring"
solids       A HUE SOLID seen VIEW                  "a red cube seen from above at an angle"
inside       A whole HUE FRUIT | A HUE FRUIT cut open         "a green watermelon cut open"
context      A HUE LANDMARK TIME                    "a red house at sunset"

THING      SIZE [TEXTURE] COLOUR SHAPE              (a plain texture goes unsaid)
SIZE       small | large
TEXTURE    striped | dotted
COLOUR     red | orange | yellow | green | blue | purple | brown | black
HUE        red | orange | yellow | green | blue | purple
SHAPE      circle | square | triangle | star | heart | diamond | cross | ring
NUMBER     one | two | three | four
RELATION   to the left of | to the right of | above | below | inside
SOLID      cube | cylinder | cone | sphere | pyramid
VIEW       from the side | from above | from above at an angle | from below at an angle
FRUIT      apple | avocado | egg | watermelon | lemon | coconut
LANDMARK   house | tree | tower | tent | mushroom | car
TIME       at noon | at sunset | at night
"""  # | one of; [] may be missing; A is "a" or "an"
SPLITS = ("train", "validation", "test", "held_out")


class Scenes(torch.utils.data.Dataset):
    """Pictures of one family, or of "all" mixed: item i is (image, caption), `truth(i)` what it shows.

    `split="train"` never shows a held-out combination, "held_out" shows nothing else; "validation" and "test"
    are other pictures of trained combinations. Images are float32 (3, size, size) in [0, 1], `size` a
    multiple of 16. Raises ReaderError for an unknown family or split, another size, or a negative length.
    """

    grammar = GRAMMAR

    def __init__(self, family="attributes", size=64, seed=0, length=10_000, split="train"):
        if family != "all" and family not in FAMILIES:
            raise unknown_name("family of scenes", family, [*FAMILIES, "all"])
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
        if size < 16 or size % 16:
            raise ReaderError(f"Scenes are drawn at a multiple of 16 pixels, not {size}; 64 is usual.")
        if length < 0:
            raise ReaderError(f"The length of Scenes must not be negative, and {length} is.")
        self.family, self.size, self.seed, self.length, self.split = family, size, seed, length, split

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, str]:
        truth, dice = self._draw(index)
        family = FAMILIES[truth.family]
        picture = np.ascontiguousarray(
            family.paint(truth, self.size, dice).transpose(2, 0, 1), dtype=np.float32
        )
        return torch.from_numpy(picture).div_(255), family.caption(truth)

    def truth(self, index: int):
        """What picture `index` shows: a frozen dataclass with `family` and `properties()`."""
        return self._draw(index)[0]

    def caption(self, index: int) -> str:
        """The caption of picture `index`, without drawing it."""
        return caption(self.truth(index))

    def _draw(self, index: int):
        if not -self.length <= index < self.length:
            raise IndexError(f"picture {index} of {self.length}")
        index %= self.length
        dice = Dice(f"{self.family}/{self.split}/{self.seed}/{index}")
        family = FAMILIES[self.family if self.family != "all" else dice.pick(tuple(FAMILIES))]
        while True:
            truth = family.random(dice)
            if family.held_out(truth) is (self.split == "held_out"):
                return truth, dice


def caption(truth) -> str:
    """The sentence for a ground truth."""
    return FAMILIES[truth.family].caption(truth)


def captions(family: str, split: str | None = None) -> list[str]:
    """Every caption of a family, or those of one split; of objects, all but the lists."""
    if family not in FAMILIES:
        raise unknown_name("family of scenes", family, FAMILIES)
    maker = FAMILIES[family]
    wanted = None if split is None else split == "held_out"
    return [maker.caption(t) for t in maker.everything() if wanted is None or maker.held_out(t) is wanted]
