"""A full disk, a folder that may not be written to: one sentence, and nothing is half-written.

The disk is full after so many bytes of a file (RLIMIT_FSIZE), which the system itself sees to; each piece of
work runs in a fork, so that the limit ends with it. That a folder may not be written to is played by a file
in its place, and by Python's calls refusing it: root, as which tests often run, may write anywhere.
"""

import contextlib
import io
import json
import os
import shutil
from pathlib import Path

import model_card
import pytest
import torch
from toy import png, shard, trained_folder, write_config

from dalle_edu.cli import main
from dalle_edu.data import emoji
from dalle_edu.data.shards import Shards, samples_of, write_shards
from dalle_edu.errors import ReaderError
from dalle_edu.evaluate import figures
from dalle_edu.files import making, read_tensors, replacing, write_text
from dalle_edu.train.run import publish

pytestmark = [pytest.mark.skipif(os.name == "nt", reason="no fork"), pytest.mark.fresh_process]


def in_a_fork(work, most: int | None = None) -> tuple[str, str]:
    """("done" or "sentence", what was said) of `work` where files may have `most` bytes."""
    end, begin = os.pipe()
    child = os.fork()
    if not child:
        said = "nothing"
        try:
            import resource

            os.close(end)
            out, err = io.StringIO(), io.StringIO()
            if most is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            try:
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                    work()
                said = "done"
            except ReaderError as error:
                said = f"sentence {error}"
            except SystemExit as error:
                lines = [line for line in err.getvalue().splitlines() if line.startswith("dalle-edu:")]
                said = "done" if not error.code else f"sentence {lines[-1]}"
                if error.code not in (None, 0, 1, 2) or (error.code and len(lines) != 1):
                    said = f"code {error.code} {err.getvalue()}"
            except BaseException as error:
                said = f"{type(error).__name__} {error}"
        finally:
            os.write(begin, said.encode()[:4000])
            os._exit(0)
    os.close(begin)
    with os.fdopen(end, encoding="utf-8", errors="replace") as pipe:
        kind, _, text = pipe.read().partition(" ")
    os.waitpid(child, 0)
    assert kind in ("done", "sentence"), f"{kind}: {text}"
    return kind, text


def check_whole(folder: Path) -> None:
    """Every file of a folder can be read to its end, and none is a temporary one."""
    for path in folder.rglob("*") if folder.is_dir() else ():
        assert not path.name.endswith(".tmp"), path
        if path.suffix == ".safetensors":
            read_tensors(path)
        elif path.suffix == ".json" or path.suffix == ".ipynb":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".tar":
            list(samples_of(os.fspath(path)))
        elif path.suffix == ".png":
            from PIL import Image

            Image.open(path).load()
        elif path.name == "checkpoint.json":
            assert (path.parent / json.loads(path.read_text())["file"]).is_dir()


def training(place):
    for part in ("dvae", "clip", "dalle"):
        main_quietly("train", part, "--config", place / "small.toml", "--out", place / "new")


def main_quietly(*arguments):
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        if end.code:
            raise


def card(place):
    """The model card's own writers; what it measures is measured elsewhere."""
    model_card.write_text(place / "README.md", "x" * 10_000)


WORKS = {
    "training": training,
    "drawing": lambda place: main_quietly(
        "draw", "a red circle", "--model", trained_folder(), "--samples", 2, "--out", place / "drawing.png"
    ),
    "shards": lambda place: main_quietly(
        "shards", "make", "scenes", place / "shards", "--length", 30, "--size", 32, "--per-shard", 10
    ),
    "tokens": lambda place: main_quietly(
        "shards", "make", "scenes", place / "shards", "--length", 30, "--tokens", trained_folder()
    ),
    "page": lambda place: main_quietly("export", trained_folder(), place / "page"),
    "publishing": lambda place: publish(trained_folder(), place / "published"),
    "figures": lambda place: figures.write({"a": list(range(3000))}, place / "figures.json"),
    "card": card,
}


@pytest.mark.parametrize("most", [0, 1_000, 20_000, 100_000])
@pytest.mark.parametrize("work", WORKS)
def test_a_full_disk_is_one_sentence_and_nothing_is_half_written(tmp_path, work, most):
    trained_folder(), write_config(tmp_path)
    kind, said = in_a_fork(lambda: WORKS[work](tmp_path), most)
    check_whole(tmp_path)
    if most == 0:
        assert kind == "sentence", "a file was written though none can be"
    if kind == "sentence":
        assert "could not be written" in said and "File too large" in said and "\n" not in said, said
        if work in ("shards", "tokens"):
            assert not list(tmp_path.rglob("*.tar"))
        # Where there is room again, the same command does its work.
        again = WORKS[work] if work != "training" else goes_on
        assert in_a_fork(lambda: again(tmp_path)) == ("done", "")
        check_whole(tmp_path)


def goes_on(place):
    """Trains what is not trained, from the checkpoint where there is one."""
    for part in ("dvae", "clip", "dalle"):
        if not (place / "new" / f"{part}.trained.toml").exists():
            more = ["--resume"] if (place / "new" / f"training-{part}" / "checkpoint.json").exists() else []
            arguments = ["train", part, "--config", place / "small.toml", "--out", place / "new", *more]
            main_quietly(*arguments)


def test_training_that_met_a_full_disk_ends_where_an_unbroken_one_ends(tmp_path):
    trained_folder(), write_config(tmp_path)
    assert in_a_fork(lambda: training(tmp_path), 20_000)[0] == "sentence"
    assert in_a_fork(lambda: goes_on(tmp_path)) == ("done", "")
    for part in ("dvae", "clip", "dalle"):
        ours, theirs = (read_tensors(f / f"{part}.safetensors") for f in (tmp_path / "new", trained_folder()))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs), part


def test_a_course_is_there_whole_or_not_at_all(tmp_path):
    kind, said = in_a_fork(lambda: main_quietly("course", tmp_path / "course"), 30_000)
    assert kind == "sentence" and "could not be written" in said, said
    assert list(tmp_path.iterdir()) == []


def test_the_page_that_was_there_draws_until_the_new_one_is_whole(tmp_path):
    main_quietly("export", trained_folder(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    other = tmp_path / "other"
    shutil.copytree(trained_folder(), other)
    tensors = read_tensors(other / "dalle.safetensors")
    from dalle_edu.files import write_tensors

    write_tensors(other / "dalle.safetensors", {name: 2 * tensor for name, tensor in tensors.items()})
    assert in_a_fork(lambda: main_quietly("export", other, tmp_path), 20_000)[0] == "sentence"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    main_quietly("export", other, tmp_path)
    assert len(list(tmp_path.glob("model-*"))) == 3


def test_a_cache_that_cannot_be_kept_is_a_warning_and_the_pictures_are_right(tmp_path, monkeypatch):
    import numpy as np

    drawn = np.random.default_rng(0).integers(0, 255, (400, 16, 16, 3), np.uint8), ["x"] * 400, ["red"] * 400
    monkeypatch.setattr(emoji, "_draw_all", lambda size, rendering="averaged": drawn)

    def load():
        with pytest.warns(Warning, match="could not be kept"):
            pixels = emoji.EmojiPictures(16, "all", tmp_path / "cache")._pixels
        assert np.array_equal(pixels.permute(0, 2, 3, 1).numpy(), drawn[0])

    assert in_a_fork(load, 5_000) == ("done", "")
    assert list((tmp_path / "cache").iterdir()) == []


def test_two_processes_that_fill_one_cache_both_have_the_pictures(tmp_path, monkeypatch):
    import time

    import numpy as np

    drawn = np.random.default_rng(0).integers(0, 255, (400, 16, 16, 3), np.uint8), ["x"] * 400, ["red"] * 400

    def slowly(size, rendering="averaged"):
        time.sleep(0.2)
        return drawn

    monkeypatch.setattr(emoji, "_draw_all", slowly)
    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            code = 1
            with contextlib.suppress(BaseException):
                for _ in range(3):  # the second and third find what any of them kept
                    pixels = emoji.EmojiPictures(16, "all", tmp_path)._pixels
                    assert np.array_equal(pixels.permute(0, 2, 3, 1).numpy(), drawn[0])
                code = 0
            os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    (kept,) = tmp_path.iterdir()
    with np.load(kept, allow_pickle=False) as stored:
        assert np.array_equal(stored["pixels"], drawn[0])


@pytest.mark.parametrize("work", [*WORKS, "course"])
def test_a_folder_that_may_not_be_written_to_is_one_sentence(tmp_path, monkeypatch, work):
    trained_folder(), write_config(tmp_path)
    closed = os.fspath(tmp_path)

    def refuse(call):
        def refusing(path, *arguments, **named):
            mode = str(arguments[0] if arguments and isinstance(arguments[0], str) else named.get("mode", ""))
            writes = call is not io.open or any(letter in mode for letter in "wax+")
            if writes and isinstance(path, str | os.PathLike) and os.fspath(path).startswith(closed):
                raise PermissionError(13, "Permission denied", os.fspath(path))
            return call(path, *arguments, **named)

        return refusing

    def work_there():
        os.mkdir, io.open = refuse(os.mkdir), refuse(io.open)
        import builtins

        builtins.open = io.open
        WORKS.get(work, lambda place: main_quietly("course", place / "course"))(tmp_path)

    kept = WORKS["training"]
    monkeypatch.setitem(WORKS, "training", lambda place: goes_on(place) if kept is training else None)
    kind, said = in_a_fork(work_there)
    assert kind == "sentence" and "Permission denied" in said and ".tmp" not in said, said
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]


@pytest.mark.parametrize("work", ["training", "shards", "page", "course"])
def test_a_file_in_place_of_a_folder_stays(tmp_path, work):
    config = write_config(tmp_path)
    arguments = {
        "training": ["train", "dvae", "--config", config, "--out"],
        "shards": ["shards", "make", "scenes", "--length", 3],
        "page": ["export", trained_folder()],
        "course": ["course"],
    }[work]
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        kind, said = in_a_fork(lambda out=out: main_quietly(*arguments, out))
        assert kind == "sentence" and "file" in said, said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "small.toml"]
    assert (tmp_path / "file").read_text() == "mine"


def test_an_error_of_what_is_written_is_not_taken_for_the_disk(tmp_path):
    """A picture that vanishes while a shard is written is not a shard that cannot be written."""

    class Vanishing:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            if index == 2:
                (tmp_path / "gone.png").read_bytes()
            return torch.rand(3, 8, 8), "red"

    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        write_shards(Vanishing(), tmp_path / "shards", 1)
    assert not list(tmp_path.rglob("*.tar"))


def test_a_folder_is_whole_or_not_there(tmp_path):
    with pytest.raises(RuntimeError), making(tmp_path / "a" / "b") as folder:
        write_text(folder / "one", "1")
        raise RuntimeError
    assert not list(tmp_path.rglob("one")) and not list(tmp_path.rglob("*.tmp"))
    (tmp_path / "empty").mkdir()
    with making(tmp_path / "empty") as folder:
        write_text(folder / "one", "1")
    assert (tmp_path / "empty" / "one").read_text() == "1"


def test_what_cannot_be_replaced_names_the_file_and_not_its_temporary_one(tmp_path):
    path, said = tmp_path / "missing" / "a.png", r"missing/a\.png could not be written \(No such file"
    with pytest.raises(ReaderError, match=said) as error, replacing(path) as temporary:
        temporary.write_bytes(b"x")
    assert ".tmp" not in str(error.value)


def test_shards_that_cannot_all_be_written_are_not_there(tmp_path):
    class Broken:
        def __len__(self):
            return 30

        def __getitem__(self, index):
            return torch.rand(3, 8, 8), "red" if index < 25 else "\ud83d"

    with pytest.raises(ReaderError, match="half a character"):
        write_shards(Broken(), tmp_path / "shards", 10)
    assert list(tmp_path.iterdir()) == []
    shard(tmp_path / "a.tar", a_png=png(), a_txt=b"red")  # a whole one can be read
    assert len(list(Shards(tmp_path / "a.tar", 8))) == 1
