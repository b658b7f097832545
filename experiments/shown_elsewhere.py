"""Which held-out captions of scenes did training show after all, as emoji in scenes? (chapter 13)

    python experiments/shown_elsewhere.py [--out experiments/13-shown-elsewhere.json]

What `Scenes` holds out is held out of `Scenes`. A model that also learned from `ThingScenes` may have met
some of these captions there, with another drawing of the thing: in the first phase of the shipped model,
whose things were not yet `apart`. For each family: the captions that `evaluate` asks for (64, seed 0), those
of them that the transformer's things were ever called by, in either phase, and how many careful drawings are
right, of all and of the others: the drawings are those of `evaluate`.
"""

import argparse
import json
from pathlib import Path

import dalle_edu
from dalle_edu.configs import read_config
from dalle_edu.data.scenes import FAMILIES
from dalle_edu.data.things import ThingScenes
from dalle_edu.evaluate.asked import held_out, verdicts
from dalle_edu.evaluate.figures import CAREFUL, draw_all
from dalle_edu.evaluate.report import rate
from dalle_edu.files import write_text

PHASES = ("picturebook-first", "picturebook")  # of the shipped model's training
OUT = Path(__file__).with_name("13-shown-elsewhere.json")


def captions_of_things(sources: tuple[dict, ...]) -> set[str]:
    """Every caption, in every wording, of the things among the sources of a training."""
    shown = set()
    for source in sources:
        if source["kind"] == "things":
            things = ThingScenes("all", length=source["length"], apart=source.get("apart", False))
            shown.update(text for i in range(len(things)) for text in things.ways(i))
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    model = dalle_edu.load("picturebook")
    shown = {text for name in PHASES for text in captions_of_things(read_config(name).data_for("dalle"))}
    found = {}
    for name in FAMILIES:
        captions = held_out(name, model.config.dvae.image_size, 64, seed=0)[1]
        right: list[bool] = []
        drawn = draw_all(
            model, captions, {1: None}, f"0/{name}/careful", CAREFUL, guidance=model.config.drawing.guidance
        )
        for owners, pictures in drawn:
            right += [said["all"] for said in verdicts(name, pictures, [captions[i] for i in owners])]
        others = [ok for ok, caption in zip(right, captions, strict=True) if caption not in shown]
        found[name] = {
            "different": len(set(captions)),
            "shown": sorted(shown.intersection(captions)),
            "right": [sum(right), len(right)],
            "right_of_others": [sum(others), len(others)],
        }
        print(f"{name:11} {len(found[name]['shown'])} of {len(set(captions))} different captions were shown; "
              f"right {rate(found[name]['right'])}, of the others {rate(found[name]['right_of_others'])}",
              flush=True)  # fmt: skip
    write_text(out, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
