"""The judge of drawn people: which profession, gender and skin tone does a picture show?

It knows real pictures of the training split only, and nothing of the model that it judges. Profession and
gender are those of the nearest real picture (nearest neighbour, on pictures of half the size, so that blur
costs little), tried at small shifts. The skin tone is read where that person's skin is: the median colour
there, compared with the designers' six skin colours. So a tone that was never trained with this profession is
recognised all the same.
"""

from functools import cache

import torch
import torch.nn.functional as F

from dalle_edu.data.emoji import EmojiPictures, combination
from dalle_edu.errors import ReaderError

SKIN_COLOURS = {
    "light": (250, 220, 188),
    "medium-light": (222, 187, 144),
    "medium": (193, 154, 101),
    "medium-dark": (165, 121, 57),
    "dark": (106, 70, 47),
    None: (252, 234, 43),  # no skin tone asked for: yellow
}
REACH = 2  # shifts of the picture that are tried, in pixels of 64
STRANGE = 0.04  # mean squared difference from the nearest real person beyond which nobody is recognised
INNER = (
    9  # so many pixels, farthest inside the skin, tell its colour: blur mixes lines and hair into the others
)


class EmojiJudge:
    """`EmojiJudge()(pictures)` -> a list of `(profession,
    gender, skin_tone)`, or None where no such person is seen.

    `pictures`: (N, 3, size, size) in [0, 1]. Skin tone None means yellow.
    `right` compares with captions. Raises `ReaderError` for pictures of
    another size. The first use draws the real pictures, which takes seconds.
    """

    def __init__(self, size: int = 64):
        real = EmojiPictures(size, "train")
        people = [i for i, caption in enumerate(real.captions) if combination(caption)]
        pictures = real.pictures[people]
        self.size, self.people = size, [combination(real.captions[i]) for i in people]
        self.features = _features(pictures)  # (people, features)
        self.colours = torch.tensor(list(SKIN_COLOURS.values())) / 255  # (6, 3)
        self.skin = self._skin(pictures)
        self.alike = self._alike(pictures)

    def __call__(self, pictures: torch.Tensor) -> list[tuple[str, str, str | None] | None]:
        """What each picture shows; of two genders that the designers drew alike, one of the two."""
        if pictures.ndim != 4 or pictures.shape[1:] != (3, self.size, self.size):
            raise ReaderError(
                f"This judge reads pictures of shape (N, 3, {self.size}, {self.size}); "
                f"these are {tuple(pictures.shape)}."
            )
        shifted = _shifts(pictures, round(REACH * self.size / 64))  # (shifts, N, 3, size, size)
        distance = torch.stack([torch.cdist(_features(each), self.features) for each in shifted])
        distance = distance.permute(1, 0, 2).square() / self.features.shape[1]  # (N, shifts, people)
        verdicts = []
        for n, each in enumerate(distance.flatten(1)):
            shift, person = divmod(int(each.argmin()), len(self.people))
            if each.min() > STRANGE:
                verdicts.append(None)
                continue
            profession, gender, _ = self.people[person]
            skin = shifted[shift, n][:, self.skin[profession, gender]]  # (3, pixels of skin)
            tone = (self.colours - skin.median(1).values).square().sum(1).argmin()
            verdicts.append((profession, gender, list(SKIN_COLOURS)[tone]))
        return verdicts

    def right(self, pictures: torch.Tensor, captions: list[str]) -> dict[str, torch.Tensor]:
        """Where pictures show what captions ask for: {"profession",
        "gender", "skin_tone", "all"}, (N,) bool each.

        A man and a person are taken for the same where the designers drew them alike. Every caption must name
        a profession, in the words of Unicode or as in "a woman cook with dark skin"; otherwise `ReaderError`.
        """
        asked = [combination(caption) for caption in captions]
        if None in asked:
            raise ReaderError(
                f"{captions[asked.index(None)]!r} names no person with a profession that this judge knows."
            )
        seen = [verdict or (None, None, "nobody") for verdict in self(pictures)]
        rows = [
            (a[0] == s[0], self.alike.get(a[:2], a[1]) == self.alike.get(s[:2], s[1]), a[2] == s[2])
            for a, s in zip(asked, seen, strict=True)
        ]
        parts = torch.tensor(rows, dtype=torch.bool).reshape(-1, 3)
        return dict(zip(("profession", "gender", "skin_tone", "all"), (*parts.T, parts.all(1)), strict=True))

    def _skin(self, pictures):
        """Where each person's skin is, (size, size) bool:
        what has the colour of skin in every trained tone."""
        skin = {}
        for picture, (profession, gender, tone) in zip(pictures, self.people, strict=True):
            colour = self.colours[list(SKIN_COLOURS).index(tone)]
            here = (picture - colour[:, None, None]).abs().amax(0) < 0.08
            skin[profession, gender] = skin.get((profession, gender), here) & here
        return {person: _inner(mask) for person, mask in skin.items()}

    def _alike(self, pictures):
        """{(profession, gender): "man or person"} where
        both are one drawing, but for the softness of edges."""
        where = dict(zip(self.people, pictures, strict=True))
        alike = {}
        for (profession, gender, tone), picture in where.items():
            other = where.get((profession, "man", tone))
            if gender == "person" and other is not None and (picture - other).abs().max() < 0.1:
                alike |= {(profession, "man"): "man or person", (profession, "person"): "man or person"}
        return alike


@cache
def emoji_judge(size: int = 64) -> EmojiJudge:
    """The judge for this size, made once."""
    return EmojiJudge(size)


def _features(pictures: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(pictures.float(), max(1, pictures.shape[-1] // 32)).flatten(1)


def _inner(mask: torch.Tensor) -> torch.Tensor:
    bell = torch.exp(-(torch.arange(-2.0, 3.0) ** 2) / 2)
    depth = F.conv2d(mask.float()[None, None], (bell[:, None] * bell)[None, None], padding=2)[0, 0] * mask
    return depth >= depth.flatten().topk(INNER).values[-1]


def _shifts(pictures: torch.Tensor, reach: int) -> torch.Tensor:
    size, wide = pictures.shape[-1], F.pad(pictures, (reach,) * 4, value=1.0)
    steps = range(2 * reach + 1)
    return torch.stack([wide[..., y : y + size, x : x + size] for y in steps for x in steps])
