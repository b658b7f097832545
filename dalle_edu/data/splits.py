"""Which emoji training shows, and which it never does: names or combinations held out, the same on every
machine (chapter 12)."""

import hashlib
import re

from dalle_edu.errors import unknown_name

SPLITS = ("train", "validation", "test", "held_out")
HELD_OUT = ("names", "combinations")
"""What training does without: some names altogether, or some combinations of words that it sees elsewhere."""
SKIN_TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
GENDERS = ("person", "woman", "man")
PROFESSIONS = (
    "artist", "astronaut", "construction worker", "cook", "detective", "elf", "factory worker", "fairy",
    "farmer", "firefighter", "guard", "health worker", "judge", "mage", "mechanic", "office worker", "pilot",
    "police officer", "scientist", "singer", "student", "superhero", "supervillain", "teacher",
    "technologist", "vampire",
)  # fmt: skip

HELD_OUT_COLOURS = frozenset(
    (
        "green heart",
        "purple heart",
        "brown circle",
        "blue circle",
        "orange square",
        "purple square",
        "blue book",
    )
)
"""Object x colour: each of these objects is trained in other colours, each colour on other objects."""


def _held_out_combinations() -> frozenset[tuple[str, str, str]]:
    """58 of the 390 triples, of two kinds. For every second profession one skin tone is never seen, whatever
    the gender (13 x 3). For the others the profession is seen in that tone, and with that gender, but never
    both at once: in turn the woman is missing (7 x 1), or the man and the person, who are drawn almost alike
    (6 x 2)."""
    held_out = set()
    for place, profession in enumerate(PROFESSIONS):
        genders = (GENDERS, ("woman",), GENDERS, ("man", "person"))[place % 4]
        held_out |= {(profession, gender, SKIN_TONES[(place // 2 + place % 2) % 5]) for gender in genders}
    return frozenset(held_out)


# Professions that give one skin tone, with all genders, to validation or test. The others give none: a
# profession that lost several tones would be tested on what it could not learn.
_GIVEN_AWAY = {
    ("firefighter", "medium"): "validation",
    ("health worker", "light"): "validation",
    ("pilot", "medium-light"): "validation",
    ("supervillain", "dark"): "validation",
    ("astronaut", "light"): "test",
    ("cook", "medium-light"): "test",
    ("factory worker", "light"): "test",
    ("farmer", "light"): "test",
    ("guard", "medium-light"): "test",
    ("police officer", "medium-dark"): "test",
    ("student", "medium-light"): "test",
}

HELD_OUT_COMBINATIONS = _held_out_combinations()
"""The held-out triples `(profession, gender, skin_tone)`, the same on every machine and for every size."""

TONE = r"(?:medium-light|medium-dark|light|medium|dark) skin tone"
_PERSON = re.compile(
    rf"(?:an? )?(?:(woman|man|person) )?({'|'.join(PROFESSIONS)})"
    rf"(?:(?:: | with )({'|'.join(SKIN_TONES)}) skin(?: tone)?)?"
)


def combination(caption: str) -> tuple[str, str, str | None] | None:
    """`(profession, gender, skin_tone)` of a caption such as
    "woman firefighter: dark skin tone", or None for all others.

    The gender is "person" where the name gives none; the skin tone is None where the name gives none (those
    are yellow). "a woman firefighter with dark skin" is understood as well.
    """
    match = _PERSON.fullmatch(caption.lower())
    if not match:
        return None
    gender, profession, tone = match.groups()
    return profession, gender or "person", tone


# Flags that are drawn alike under several names must fall into one split, or the test would ask for a trained
# picture.
_SAME_DRAWING = {
    "flag: heard island & mcdonald islands": "flag: australia",
    "flag: ceuta & melilla": "flag: spain",
    "flag: romania": "flag: chad",
    "flag: clipperton island": "flag: france",
    "flag: st. martin": "flag: france",
    "flag: monaco": "flag: indonesia",
    "flag: svalbard & jan mayen": "flag: norway",
    "family: man, woman, boy": "family",
}
_GENDER_WORDS = re.compile(r"\b(?:woman, man|person, person|woman|man|person|men|women|people)\b[ ,:]*")


# Where no name is held out: things without skin tones, every word of whose names other training captions use.
_GIVEN_THINGS = {
    "large orange diamond": "validation",
    "grinning cat with smiling eyes": "validation",
    "crying cat": "validation",
    "three-thirty": "validation",
    "two o’clock": "validation",
    "up-left arrow": "validation",
    "sun behind small cloud": "validation",
    "black medium square": "validation",
    "frowning face with open mouth": "validation",
    "kissing face with smiling eyes": "validation",
    "man: red hair": "validation",
    "small blue diamond": "test",
    "kissing cat": "test",
    "smiling cat with heart-eyes": "test",
    "eight-thirty": "test",
    "five o’clock": "test",
    "down-right arrow": "test",
    "sun behind large cloud": "test",
    "white small square": "test",
    "face with open eyes and hand over mouth": "test",
    "kissing face with closed eyes": "test",
    "woman: white hair": "test",
    "mobile phone with arrow": "test",
    "white question mark": "test",
}
_GIVEN_THINGS |= {
    "person: red hair": "validation", "person: white hair": "test", "black small square": "test",
    "white medium square": "validation",
}  # fmt: skip
_TONED = re.compile(rf"({'|'.join(SKIN_TONES)}) skin(?: tone)?")


def split_of(caption: str, held_out: str = "names") -> str:
    """The split of a caption: "held_out" for a held-out
    combination, otherwise "train", "validation" or "test".

    Professions go by a fixed table: of every second one a skin tone is held out, four give one to
    validation, seven give one to test. For all else there are two ways. `held_out="names"`, which the first
    weights were trained with: things go by a hash of their words, about 92 % train, 4 % validation, 4 % test.
    The words for gender are left out of it, because many drawings are the same for a man and for a person:
    all genders of one thing in one skin tone share a split. So 298 names are never trained.
    `held_out="combinations"`: no name is kept from training. Of everything that comes in five skin tones one
    tone is kept, for validation or test by a hash, of couples one pair of tones in five; and a few others,
    every word of whose names is trained elsewhere. What is lost by it: no picture of a thing that training
    never named is left to test with. Raises ReaderError for another `held_out`.
    """
    if held_out not in HELD_OUT:
        raise unknown_name("way to hold out", held_out, HELD_OUT)
    caption = caption.lower()
    person = combination(caption)
    if person in HELD_OUT_COMBINATIONS or caption in HELD_OUT_COLOURS:
        return "held_out"
    if person:
        return _GIVEN_AWAY.get(person[::2], "train")
    if held_out == "combinations":
        return _split_of_combination(caption)
    words = _GENDER_WORDS.sub("", _SAME_DRAWING.get(caption, caption)).strip(" :,")
    hashed = _hash(f"openmoji {words}") / 2**32
    return "train" if hashed < 0.92 else "validation" if hashed < 0.96 else "test"


def _split_of_combination(caption: str) -> str:
    tones = _TONED.findall(caption)
    if not tones:
        return _GIVEN_THINGS.get(caption, "train")
    words = _GENDER_WORDS.sub("", re.sub("^an? ", "", _TONED.sub("", caption)))
    words = " ".join(re.findall(r"[\w’.-]+", re.sub(r"\bwith\b", " ", words)))
    if len(tones) == 1:
        hashed = _hash(f"combination {words}")
        given = SKIN_TONES[hashed % 5] == tones[0]
    else:  # of two people; who stands where makes another drawing
        hashed = _hash(f"combination {words} {' '.join(tones)}")
        given = hashed % 5 == 0
    return ("validation", "test")[hashed // 5 % 2] if given else "train"


def _hash(name: str) -> int:
    """A stable number below 2**32."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
