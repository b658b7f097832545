"""How much CLIP's choice among N drawings is worth: `python experiments/best_of_n.py [--captions 8]`.

For held-out captions of each family of `Scenes`, `--samples` drawings each (temperature 1, as in the paper,
and the guidance with which the model draws by default), every one scored by the model's CLIP and read by the
family's judge. Stored are all scores and verdicts, from which chapter 12 computes the best of any N, and the
tokens of the best of the first 1, 8, 64 and 512. Each caption is written when it is done; interrupted, the
same command goes on where it stopped, and files of other weights or dials are refused. Captions of all
families take turns, so that an unfinished file is a fair, smaller one. Drawing takes nearly all the time, so
the drawn tokens are kept (--kept) for another CLIP or decoder; --only-draw stops there. No figure depends on
a clock; a few floats may differ on another processor.
"""

import argparse
import base64
import hashlib
import json
import os
import time
from pathlib import Path

import numpy as np
import torch

import dalle_edu
from dalle_edu.abilities import score
from dalle_edu.data import Scenes
from dalle_edu.data.scenes import FAMILIES
from dalle_edu.drawing import DrawingModel
from dalle_edu.errors import ReaderError
from dalle_edu.files import files_digest, read_tensors, write_tensors, write_text
from dalle_edu.reranking import expected_best
from dalle_edu.sampling import sample_tokens

SHOWN = (1, 8, 64, 512)
BATCH = 64
OUT = Path(__file__).parent / "12-best-of-n.json"
KEPT = Path(__file__).parents[1] / "runs" / "best-of-n"


def held_out_captions(count: int, seed: int) -> list[tuple[str, str]]:
    """`count` different held-out captions a family, in turns: [(family, caption)]."""
    each = []
    for family in FAMILIES:
        scenes = Scenes(family, seed=seed, length=50 * count, split="held_out")
        different = dict.fromkeys(scenes.caption(i) for i in range(len(scenes)))
        each.append([(family, caption) for caption in different][:count])
    return [pair for turn in zip(*each, strict=True) for pair in turn]


def weights_hash(model: DrawingModel) -> str:
    """Names the three trained parts."""
    return files_digest(model.folder / f"{part}.safetensors" for part in ("dvae", "clip", "dalle"))


def drawn_tokens(model: DrawingModel, caption: str, samples: int, seed: int, kept: Path) -> torch.Tensor:
    """(samples, picture_length) int64 in the order of drawing, from the folder `kept` if they are there."""
    name = hashlib.sha256(f"{seed}/{caption}".encode()).digest()
    guidance = model.config.drawing.guidance
    weights = files_digest([model.folder / "dalle.safetensors"])
    path = kept / f"{weights}-{guidance:g}" / f"{name.hex()[:16]}-{samples}.safetensors"
    if not path.is_file():
        generator = torch.Generator().manual_seed(int.from_bytes(name[:7], "big"))
        text = model.encode_text(caption)
        sizes = [min(BATCH, samples - start) for start in range(0, samples, BATCH)]
        dials = {"generator": generator, "guidance": guidance}
        drawn = [sample_tokens(model.dalle, text, size, **dials) for size in sizes]
        write_tensors(path, {"tokens": torch.cat(drawn).to(torch.int16)})  # codes are below 2 ** 15
    return read_tensors(path)["tokens"].long()


def measure(model: DrawingModel, caption: str, tokens: torch.Tensor) -> dict:
    """CLIP's scores and the judge's verdicts of all samples, and the tokens of the best of the first N."""
    pictures = model.pictures(tokens)
    scores = model.score(pictures, caption)
    winners = {}
    for n in (n for n in SHOWN if n <= len(tokens)):
        place = int(scores[:n].argmax())
        packed = base64.b64encode(tokens[place].numpy().astype("<u2").tobytes()).decode()
        winners[str(n)] = {"sample": place, "tokens": packed}
    return {
        "scores": [round(s, 4) for s in scores.tolist()],
        "right": "".join(str(int(score(picture, caption)["all"])) for picture in pictures),
        "winners": winners,
    }


def read(path: Path, key: dict) -> dict:
    """The file so far; a fresh one where there is none. Raises ReaderError where other dials made it."""
    if not path.is_file():
        return {**key, "captions": []}
    found = json.loads(path.read_text())
    other = [name for name in key if found.get(name) != key[name]]
    if other:
        raise ReaderError(
            f"{path} was made with other {', '.join(other)}: move it away, or name another with --out."
        )
    return found


def table(found: dict) -> str:
    """Best of N, the mean over captions: right by the judge, by CLIP's choice and by a perfect one."""
    rows = [
        "| N | CLIP's similarity | right, chosen by CLIP | right, chosen perfectly |",
        "|---|---|---|---|",
    ]
    n = 1
    while n <= found["samples"]:
        means = np.zeros(3)
        for one in found["captions"]:
            scores, right = torch.tensor(one["scores"]), torch.tensor([float(r) for r in one["right"]])
            means += [expected_best(*pair, n) for pair in ((scores, scores), (scores, right), (right, right))]
        means /= len(found["captions"])
        rows.append(f"| {n} | {means[0]:.2f} | {means[1]:.1%} | {means[2]:.1%} |")
        n *= 2
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="picturebook")
    parser.add_argument("--samples", type=int, default=512, help="drawings a caption (default 512)")
    parser.add_argument("--captions", type=int, default=8, help="captions a family (default 8)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder for the drawn tokens")
    parser.add_argument("--only-draw", action="store_true", help="draw and keep; score and judge later")
    arguments = parser.parse_args()
    model = dalle_edu.load(arguments.model)
    if arguments.only_draw:
        for _, caption in held_out_captions(arguments.captions, arguments.seed):
            start = time.perf_counter()
            drawn_tokens(model, caption, arguments.samples, arguments.seed, arguments.kept)
            print(f"{caption}: {time.perf_counter() - start:.0f} s", flush=True)
        return
    key = {
        "weights": weights_hash(model),
        "samples": arguments.samples,
        "seed": arguments.seed,
        "temperature": 1.0,
        "guidance": model.config.drawing.guidance,
    }
    found = read(arguments.out, key)
    done = {one["caption"] for one in found["captions"]}
    # All captions that will be asked for, so that a larger --captions goes on with the same file.
    wanted = [pair for pair in held_out_captions(arguments.captions, arguments.seed) if pair[1] not in done]
    for number, (family, caption) in enumerate(wanted, 1):
        start = time.perf_counter()
        tokens = drawn_tokens(model, caption, arguments.samples, arguments.seed, arguments.kept)
        result = measure(model, caption, tokens)
        found["captions"].append({"family": family, "caption": caption, **result})
        text = json.dumps(found, separators=(",", ":")).replace('{"family"', '\n{"family"')
        write_text(arguments.out, text + "\n")
        seconds = time.perf_counter() - start
        rate = result["right"].count("1") / arguments.samples
        print(f"{number} of {len(wanted)}: {caption}: {rate:.1%} right, {seconds:.0f} s", flush=True)
    print(f"{len(found['captions'])} captions, {torch.get_num_threads()} threads of {os.cpu_count()}")
    print(table(found))


if __name__ == "__main__":
    try:
        main()
    except ReaderError as error:
        raise SystemExit(str(error)) from None
