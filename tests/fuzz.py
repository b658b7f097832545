"""Damaged files, odd arguments and random command lines, each case from its own seed: what comes out is a
right answer, or `ReaderError` in one line. Anything else is a mistake of ours, and is printed with the seed
that brings it back.

    python tests/fuzz.py --cases 1000000 --seed 21       (make fuzz)
    python tests/fuzz.py --only 4711 --seed 21           one case again, with its traceback
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import math
import random
import re
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save as tensor_bytes
from torch import nn

from dalle_edu.configs import read_config
from dalle_edu.data.folder import FolderOfPictures
from dalle_edu.data.mixture import parse_data
from dalle_edu.data.pictures import read_picture
from dalle_edu.data.readers import TOKENS, TokenReader
from dalle_edu.data.shards import Shards
from dalle_edu.data.tables import read_caption, read_csv, read_jsonl
from dalle_edu.data.words import KnownWords
from dalle_edu.errors import ReaderError
from dalle_edu.files import load_weights, read_history
from dalle_edu.formats.openai_dvae import read_published
from dalle_edu.tokens import CaptionTokenizer, merges_of, numbers_of, split
from dalle_edu.train.checkpoint import read_about

PLANES = (
    (0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x5D0, 0x5EA), (0x600, 0x6FF), (0x4E00,
    0x4FFF), (0xE000, 0xE0FF), (0xFFF0, 0xFFFF), (0x1F300, 0x1FAFF), (0x20000, 0x200FF), (0xE0000, 0xE01EF),
    (0xF0000, 0xF00FF), (0x10FFF0, 0x10FFFF), (0, 0x1F), (0x2000, 0x206F), (0xD800, 0xDFFF),
)  # fmt: skip
NUMBERS = (0, 1, 2, 3, -1, 7, 255, 256, 2**31, 2**63, 10**30, 0.0, -0.0, 0.5, 2.0, 2.5, 1e-40, 1e300,
math.nan,
           math.inf, -math.inf, True, None, "1", "", [], "\ud800", b"x", (1, 2))  # fmt: skip


def text(rng: random.Random, most: int = 40) -> str:
    """Letters of all planes, halves of characters among them."""
    letters = []
    for _ in range(rng.choice((0, 1, 2, 5, most, most))):
        low, high = rng.choice(
            PLANES[:5] if rng.random() < 0.6 else PLANES[: 17 if rng.random() < 0.2 else 16]
        )
        letters.append(chr(rng.randint(low, high)))
    return "".join(letters) * (1000 if rng.random() < 0.002 else 1)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, a stretch removed or doubled, the end cut off: what happens to files on their
    way."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content) or 1)
        how = rng.randrange(5)
        if how < 2 and content:
            content[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        elif how == 2:
            content[at : at + 4] = rng.choice((b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", rng.randbytes(4)))
        elif how == 3:
            del content[at : at + rng.randint(1, 30)]
        else:
            content[at:at] = content[at : at + rng.randint(1, 30)]
    return bytes(content[: rng.randrange(len(content) + 1)] if rng.random() < 0.1 else content)


def mutated_text(content: str, rng: random.Random) -> bytes:
    """The same for texts that have a grammar: numbers exchanged, lines lost or doubled, signs put in."""
    if rng.random() < 0.3:
        return mutated(content.encode("utf-8", "surrogatepass"), rng)
    for _ in range(rng.randint(1, 3)):
        how = rng.randrange(4)
        numbers = list(re.finditer(r"-?\d+(\.\d+)?|true|false|\"[^\"\n]*\"", content))
        if how < 2 and numbers:
            found = rng.choice(numbers)
            new = rng.choice(
                ("0", "-1", "1", "3", "2.5", "nan", "inf", "1e400", "true", "null", '"a"', '""', "[]", "{}",
                "[1, 2]",
                 str(10**30), '"\\ud800"', "[" * 3000)
            )  # fmt: skip
            content = content[: found.start()] + new + content[found.end() :]
        else:
            lines = content.split("\n")
            at = rng.randrange(len(lines))
            if how == 2:
                lines[at : at + 1] = rng.choice(
                    ([], [lines[at]] * 2, [lines[at], text(rng)], ["[x]", lines[at]])
                )
            else:
                place = rng.randrange(len(lines[at]) + 1)
                lines[at] = (
                    lines[at][:place]
                    + rng.choice('",\\;=[]{}\r\t\u2028\x85\0' + text(rng))
                    + lines[at][place:]
                )
            content = "\n".join(lines)
    return content.encode("utf-8", "surrogatepass")


class Small(nn.Module):
    """Something to load weights into."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)


class Fuzz:
    """The targets, with the sound files that they damage."""

    def __init__(self, place: Path):
        from toy import TOML, loaded_model

        self.place, self.toml, self.model = place, TOML, loaded_model()
        self.pictures = sound_pictures()
        self.weights = tensor_bytes(Small().state_dict())
        self.tokenizer = self.model.tokenizer
        self.tokenizer_json = self.tokenizer.tokenizer.to_str()
        self.merges, self.numbers = merges_of(self.tokenizer), numbers_of(self.tokenizer)
        file = io.BytesIO()
        torch.save({"blocks.input.w": torch.ones(2, 3), "b": torch.zeros(2)}, file)
        older = io.BytesIO()
        torch.save({"b": torch.zeros(2)}, older, _use_new_zipfile_serialization=False)
        self.pickles = [file.getvalue(), older.getvalue()]
        self.tar = sound_tar(self.pictures["PNG"])
        self.targets = {
            "picture": 30, "csv": 10, "jsonl": 8, "caption": 4, "tar": 10, "weights": 8, "tokenizer": 1,
            "config": 2, "checkpoint": 4, "known": 2, "tokens": 5, "history": 4, "pickle": 3, "words": 14,
            "numbers": 12, "folder": 2, "command": 1, "draw": 0.3,
        }  # fmt: skip

    def file(self, name: str, content: bytes) -> Path:
        path = self.place / name
        path.write_bytes(content)
        return path

    def fuzz_picture(self, rng):
        kind = rng.choice(sorted(self.pictures))
        image = read_picture(io.BytesIO(mutated(self.pictures[kind], rng)), 8, "theirs")
        assert image.shape == (3, 8, 8) and 0 <= image.min() <= image.max() <= 1

    def fuzz_csv(self, rng):
        rows = "".join(f'{i}.png,"{text(rng)}"\n' if i % 2 else f"{i}.png,word {i}\n" for i in range(4))
        for _, name, caption in read_csv(
            self.file("captions.csv", mutated_text(f"file,caption\n{rows}", rng))
        ):
            assert isinstance(name, str) and caption == " ".join(caption.split()) and caption

    def fuzz_jsonl(self, rng):
        rows = "\n".join(json.dumps({"file": "a.png", "caption": text(rng)}) for _ in range(3))
        for _, _, caption in read_jsonl(self.file("captions.jsonl", mutated_text(rows, rng))):
            assert caption == " ".join(caption.split()) and caption
            caption.encode()

    def fuzz_caption(self, rng):
        read_caption(self.file("a.txt", mutated_text(text(rng), rng))).encode()

    def fuzz_tar(self, rng):
        assert len(list(Shards(self.file("a.tar", mutated(self.tar, rng)), 8))) == 2

    def fuzz_folder(self, rng):
        with tempfile.TemporaryDirectory(dir=self.place) as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for i in range(rng.randint(0, 3)):
                stem = re.sub(r"[/\0]", "", text(rng, 8)) or "a"
                stem = stem.encode("utf-8", "ignore")[:60].decode("utf-8", "ignore") or "b"
                stem += "\udcff" if rng.random() < 0.1 else ""  # a name in Latin-1, as Python shows it
                for suffix, content in (
                    (rng.choice((".png", ".JPG", ".heic")), self.pictures["PNG"]),
                    (".txt", b"red"),
                ):
                    if rng.random() < 0.95:
                        with contextlib.suppress(OSError):
                            (Path(folder) / f"{stem}{i}{suffix}").write_bytes(content)
            for image, caption in FolderOfPictures(folder, 8):
                assert image.shape == (3, 8, 8) and caption == "red"

    def fuzz_weights(self, rng):
        model = load_weights(Small(), self.file("w.safetensors", mutated(self.weights, rng)))
        assert all(parameter.isfinite().all() for parameter in model.parameters())

    def fuzz_tokenizer(self, rng):
        path = self.file("tokenizer.json", mutated_text(self.tokenizer_json, rng))
        CaptionTokenizer.load(path).encode("a red circle", 16, cut=True)

    def fuzz_config(self, rng):
        read_config(self.file("small.toml", mutated_text(self.toml, rng)))

    def fuzz_checkpoint(self, rng):
        about = {"step": 3, "seconds": 1.5, "file": "checkpoint-0000003", "training": {}, "description": {}}
        found = read_about(self.file("checkpoint.json", mutated_text(json.dumps(about, indent=1), rng)))
        assert found["step"] >= 0 and found["file"] == f"checkpoint-{found['step']:07d}"

    def fuzz_known(self, rng):
        self.file("words.json", mutated_text(json.dumps({"red": "a red apple", "cat": text(rng)}), rng))
        KnownWords.load(self.place).sentence(text(rng)).encode("utf-8", "surrogatepass")

    def fuzz_tokens(self, rng):
        kind = rng.choice(("i1", "u1", "<i2", ">i2", "<u2", "<i4", "<i8", "<u8", "<f4", "?", "<c8", "<U1"))
        file = io.BytesIO()
        np.save(file, np.arange(16).reshape(4, 4).astype(kind), allow_pickle=False)
        content = mutated(file.getvalue(), rng) if rng.random() < 0.8 else file.getvalue()
        sample = {"__key__": "a", "__url__": "a.tar", "files": {TOKENS: content, ".txt": b"red"}}
        tokens, _ = TokenReader((4, 4), rng.choice((1, 16, 256, 70_000)))(sample, rng)
        assert tokens.shape == (16,) and tokens.dtype == torch.int64 and tokens.min() >= 0

    def fuzz_history(self, rng):
        rows = "".join(json.dumps({"step": i, "loss": 1.5}) + "\n" for i in range(4))
        for row in read_history(self.file("h.jsonl", mutated_text(rows, rng))):
            assert row["step"] >= 0 and row["step"] % 1 == 0  # 3.0 is a whole number, too

    def fuzz_pickle(self, rng):
        tensors = read_published(self.file("encoder.pkl", mutated(rng.choice(self.pickles), rng)))
        assert all(tensor.dtype == torch.float32 for tensor in tensors.values())

    def fuzz_words(self, rng):
        prompt = text(rng)
        tokens = self.tokenizer.encode(prompt, 64, cut=True)[0]
        ids = [int(token) for token in tokens if token < self.tokenizer.vocabulary]
        assert [self.numbers[piece] for piece in split(prompt, self.merges)][:64] == ids, ascii(prompt)
        again = prompt.replace(" ", rng.choice(("  ", "\n", " \t ", "\u2028")))
        assert torch.equal(self.tokenizer.encode(again, 64, cut=True)[0], tokens)

    def fuzz_numbers(self, rng):
        from dalle_edu.gumbel import gumbel_softmax
        from dalle_edu.reranking import chance_to_win
        from dalle_edu.sampling import adjust_logits, check_dials, draw_from, first_rows, outside_rectangle

        one, two, three = (rng.choice(NUMBERS) for _ in range(3))
        logits = torch.randn(rng.choice((1, 2, 5)), rng.choice((1, 2, 17))) * rng.choice((1e-6, 1.0, 1e4))
        which = rng.randrange(7)
        if which == 0:
            check_dials(one, two, three)
        elif which == 1:
            temperature = math.exp(rng.uniform(math.log(1e-8), math.log(1e8)))
            drawn = draw_from(adjust_logits(logits, temperature, rng.randint(0, 20), rng.uniform(0.01, 1)))
            assert drawn.min() >= 0 and drawn.max() < logits.shape[-1]
        elif which == 2:
            logits.requires_grad_()
            soft = gumbel_softmax(logits, math.exp(rng.uniform(math.log(1e-6), math.log(1e6))))
            soft.square().sum().backward()
            assert (
                soft.isfinite().all()
                and logits.grad.isfinite().all()
                and (soft.sum(-1) - 1).abs().max() < 1e-4
            )
        elif which == 3:
            assert first_rows((4, 4), one).shape == (16,)
        elif which == 4:
            assert outside_rectangle((4, 4), rng.randint(-1, 5), rng.randint(-1, 5)).shape == (16,)
        elif which == 5:
            assert abs(float(chance_to_win(rng.randint(-1, 9), rng.randint(-1, 9)).sum()) - 1) < 1e-9
        else:
            kind = rng.choice((torch.int64, torch.uint8, torch.int16, torch.float32, torch.bool))
            shape = [rng.randint(0, 3) for _ in range(rng.randint(0, 5))]
            if rng.random() < 0.5:
                self.model.vae.encode(torch.full(shape, 0.5))
            else:
                self.model.vae.decode(torch.full(shape, rng.randint(0, 40)).to(kind))
        parse_data(rng.choice(("emoji", "scenes:", "folder:", "shards:", "")) + text(rng, 5))

    def fuzz_draw(self, rng):
        odd = {
            "prompt": lambda: rng.choice((text(rng), *NUMBERS)), "samples": lambda: rng.choice(NUMBERS[:6]),
            "seed": lambda: rng.choice(NUMBERS), "temperature": lambda: rng.choice(NUMBERS),
            "top_k": lambda: rng.choice(NUMBERS), "top_p": lambda: rng.choice(NUMBERS), "batch": lambda:
            rng.choice(NUMBERS), "keep_rows": lambda: rng.choice(NUMBERS), "start": lambda:
            rng.choice((*NUMBERS, torch.full((3, 16, 16), math.nan), torch.full((3, 16, 16), 255.0),
                                         torch.rand(3, 16, 16), torch.rand(16, 16), Image.new("P", (5, 9)))),
        }  # fmt: skip
        arguments = {"prompt": "a red circle", "samples": 1}
        for name in rng.sample(sorted(odd), rng.randint(1, 2)):
            if rng.random() < 0.6:  # or what it would have been anyway
                arguments[name] = odd[name]()
        drawing = self.model.draw(**arguments)
        assert len(drawing) == arguments["samples"] and drawing.images.isfinite().all()

    def fuzz_command(self, rng):
        from dalle_edu.cli import main

        words = [
            "draw", "train", "info", "evaluate", "x", "dvae", "dalle", "--model", "--samples", "--seed",
            "--out", "--config", "--data", "--start", "--keep-rows", "--temperature", "--top-k", "--best",
            "--resume", "--device", "nowhere", "0", "-1", "nan", "1e-99", "toy", "folder:", "emoji:x",
            str(self.place / "a.png"), "--", "",
        ]  # fmt: skip
        # Nothing that would work for long: wherever a command is named, its model and data are not there.
        elsewhere = {
            "draw": ["--model", "nowhere"], "evaluate": ["--model", "nowhere"],
            "train": ["--data", "folder:nowhere", "--out", str(self.place / "new")],
        }  # fmt: skip
        chosen = [rng.choice(words) if rng.random() < 0.8 else text(rng, 6) for _ in range(rng.randint(1, 6))]
        arguments = [part for word in chosen for part in (word, *elsewhere.get(word, ()))]
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(arguments)
            except SystemExit as end:
                code = end.code or 0
        said = err.buffer.getvalue().decode().strip()
        assert code in (0, 2), (arguments, said)
        if code == 2:
            assert len(said.splitlines()) == 1, (arguments, said)
            raise ReaderError(said)

    def case(self, name: str, rng: random.Random) -> str:
        """Runs one case: "answer" or "sentence"; raises whatever else comes out."""
        try:
            getattr(self, f"fuzz_{name}")(rng)
        except ReaderError as error:
            said = str(error)
            assert said.strip() and "\n" not in said and len(said) < 2000, said[:300]
            said.encode("utf-8", "surrogateescape")
            return "sentence"
        return "answer"


def sound_pictures() -> dict[str, bytes]:
    """Small files of each kind, with the metadata that Pillow parses."""
    random.seed(0)
    noise = Image.frombytes("RGB", (24, 16), random.randbytes(24 * 16 * 3))
    exif = Image.Exif()
    exif[274], exif[270], exif[33434] = 6, "a description", 0.01
    exif.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
    common = {"exif": exif, "icc_profile": b"\0\0\0\x80" + bytes(124)}
    more = {"PNG": common, "JPEG": common | {"comment": b"c"}, "WEBP": common, "AVIF": common,
            "TIFF": common | {"compression": "tiff_lzw"}, "GIF": {"comment": b"c"}}  # fmt: skip
    files = {}
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "QOI", "ICO", "JPEG2000", "AVIF"):
        file = io.BytesIO()
        noise.save(file, kind, **more.get(kind, {}))
        files[kind] = file.getvalue()
    file = io.BytesIO()
    noise.quantize(8).save(file, "PNG", transparency=0)
    return files | {"PNG with a palette": file.getvalue()}


def sound_tar(png: bytes) -> bytes:
    """Two pictures with captions."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in (("a.png", png), ("a.txt", b"red"), ("b.png", png), ("b.txt", b"blue")):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def run(cases: int, seed: int, place: Path, only: int | None = None, say=lambda line: None, first: int = 0):
    """Runs cases `first` to `cases` - 1; returns counts by target and outcome, and the mistakes: (case,
    target, traceback)."""
    fuzz = Fuzz(place)
    names, weights = list(fuzz.targets), list(fuzz.targets.values())
    counts: collections.Counter = collections.Counter()
    mistakes: list[tuple[int, str, str]] = []
    begun = time.perf_counter()
    for i in range(first, cases) if only is None else [only]:
        rng = random.Random(f"{seed} {i}")
        torch.manual_seed(i)
        name = rng.choices(names, weights)[0]
        try:
            counts[name, fuzz.case(name, rng)] += 1
        except KeyboardInterrupt:  # what was run so far is told
            break
        except Exception:
            counts[name, "MISTAKE"] += 1
            mistakes.append((i, name, traceback.format_exc()))
            if len(mistakes) <= 20:
                say(f"case {i} ({name}): {traceback.format_exc(limit=-2)}")
        if (i + 1) % 50_000 == 0:
            say(f"{i + 1} cases, {len(mistakes)} mistakes, {time.perf_counter() - begun:.0f} s")
    return counts, mistakes


def table(counts: collections.Counter) -> str:
    outcomes = ("answer", "sentence", "MISTAKE")
    lines = [f"{'target':12}" + "".join(f"{outcome:>12}" for outcome in outcomes)]
    for name in sorted({name for name, _ in counts}):
        lines.append(f"{name:12}" + "".join(f"{counts[name, outcome]:12,}" for outcome in outcomes))
    total = [sum(counts[name, outcome] for name, o in counts if o == outcome) for outcome in outcomes]
    return "\n".join([*lines, f"{'all':12}" + "".join(f"{count:12,}" for count in total)])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--first", type=int, default=0, help="go on from this case")
    parser.add_argument("--only", type=int, help="run this one case")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sys.stdout.reconfigure(errors="backslashreplace")  # a mistake may quote half a character
    with tempfile.TemporaryDirectory(prefix="dalle-edu-fuzz-") as place:
        counts, mistakes = run(
            arguments.cases,
            arguments.seed,
            Path(place),
            arguments.only,
            lambda s: print(s, flush=True),
            arguments.first,
        )
    print(table(counts))
    sys.exit(bool(mistakes))


if __name__ == "__main__":
    main()
