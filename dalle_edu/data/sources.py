"""What a [[data]] table, or --data, may say: a source of pictures, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dalle_edu.configs.checked import Count, Positive, Switch, Text, Whole, checked, names, one_of
from dalle_edu.data.emoji import RENDERINGS
from dalle_edu.data.scenes import FAMILIES
from dalle_edu.data.splits import HELD_OUT
from dalle_edu.data.stream import BUFFER
from dalle_edu.data.things import KINDS as THINGS
from dalle_edu.errors import ReaderError, unknown_name

KINDS = ("emoji", "scenes", "things", "folder", "shards")
USED = {  # what a source of each kind may say, besides its kind and weight
    "emoji": {"balance", "held_out", "renderings", "copies", "step"},
    "scenes": {"family", "length", "seed", "balance", "wordings"},
    "things": {"family", "length", "seed", "balance", "apart"},
    "folder": {"path", "balance"},
    "shards": {"path", "buffer"},
}


@checked("data")
class Source:
    """One source of pictures; which fields a kind has stands in USED. `family` is one of the scenes or of the
    things, or "all"; the rest is explained in `mixture.py`."""

    kind: one_of(*KINDS)
    weight: Positive = 1.0
    balance: Switch = False
    held_out: one_of(*HELD_OUT) = "names"
    renderings: names(*RENDERINGS) = ("averaged",)
    copies: Whole = 0
    step: Whole = 4
    family: Text = "all"
    length: Count = 10_000
    seed: Whole = 0
    wordings: Switch = False
    apart: Switch = False
    path: Text = "-"
    buffer: Count = BUFFER


def check_source(source: Mapping[str, Any]) -> Mapping[str, Any]:
    """`source` itself. Raises ReaderError where it is none: an unknown kind, a field that its kind does not
    have, a value that cannot be, a folder or shards without a path."""
    kind = source.get("kind")
    if kind not in KINDS:
        raise unknown_name("kind of data", str(kind), KINDS)
    for key in sorted(source.keys() - USED[kind] - {"kind", "weight"}):
        raise ReaderError(
            f"Data of the kind {kind!r} has no field {key!r}; its fields are {', '.join(sorted(USED[kind]))}."
        )
    Source(**source)
    families = {"scenes": FAMILIES, "things": THINGS}.get(kind, ())
    if families and source.get("family", "all") not in (*families, "all"):
        raise unknown_name(f"family of {kind}", str(source["family"]), [*families, "all"])
    if "path" in USED[kind] and not source.get("path"):
        raise ReaderError(f"Data of the kind {kind!r} needs a path: where the pictures are.")
    return source


def parse_data(text: str) -> dict[str, str]:
    """What `--data` says, as a source: "emoji", "scenes:attributes", "folder:PATH" or "shards:PATH"."""
    kind, _, rest = text.partition(":")
    if kind not in KINDS:
        raise unknown_name("kind of data", kind, KINDS)
    if kind in ("folder", "shards") and not rest:
        raise ReaderError(f"--data {kind} needs a path: write {kind}:PATH.")
    key = "family" if kind in ("scenes", "things") else "path"
    return dict(check_source({"kind": kind} | ({key: rest} if rest else {})))
