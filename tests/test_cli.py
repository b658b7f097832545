"""The `dalle-edu` command: what it does, and one line and exit code 2 for whatever it cannot do."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image, ImageChops
from toy import TOML, trained_folder, write_config

from dalle_edu.cli import main
from dalle_edu.train.checkpoint import checkpoint_tensors, read_about


def run(capfd, *arguments):
    """The command in this process: exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    out, err = capfd.readouterr()
    return end.value.code or 0, out, err


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in: the trained model as `model`, its configuration as `small.toml`, bad files."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained_folder(), tmp_path / "model")
    write_config(tmp_path)
    (tmp_path / "no picture.png").write_text("this is text")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bare").mkdir()
    Image.new("RGB", (20, 30), "red").save(tmp_path / "bare/a.png")
    Image.new("RGB", (20, 30), "red").save(tmp_path / "start.png")
    return tmp_path


BAD_INPUT = {
    "unknown model": ("draw x --model picturebok", "There is no model named 'picturebok'"),
    "a folder that is no model": ("draw x --model empty", "holds no config.toml"),
    "unknown configuration": ("info picturebok", "large-1300m, medium-100m, paper-12b, picturebook, "),
    "unknown configuration to train": ("train dvae --config picturebok --out new",
    "large-1300m, medium-100m, paper-12b, picturebook, picturebook-first, toy"),
    "an empty configuration": (["info", ""], "There is no configuration named ''"),
    "a folder as configuration": ("info .", "There is no configuration named '.'"),
    "the root as configuration": ("info /", "There is no configuration named '/'"),
    "an empty folder to train into": (
        ["train", "dvae", "--config", "small.toml", "--out", ""],
        "'--out': it is empty",
    ),
    "an empty folder for shards": (["shards", "make", "emoji", ""], "'out': it is empty"),
    "an empty file for figures": (["evaluate", "--model", "model", "--out", " "], "'--out': it is empty"),
    "an empty picture to begin with": (
        ["draw", "x", "--model", "model", "--keep-rows", "1", "--start", ""],
        "'--start': it is empty",
    ),
    "missing configuration file": ("info nowhere.toml", "no configuration file"),
    "empty prompt": (["draw", "", "--model", "model"], "The text is empty"),
    "blank prompt": (["draw", "  ", "--model", "model"], "The text is empty"),
    "too long a prompt": (["draw", "zebra " * 10, "--model", "model"], "at most 16 fit"),
    "a seed that is a word": ("draw x --seed abc --model model", "--seed"),
    "a seed that is a fraction": ("draw x --seed 1.5 --model model", "--seed"),
    "a negative seed": ("draw x --seed -1 --model model", "seed is -1"),
    "no samples": ("draw x --samples 0 --model model", "samples is 0"),
    "nothing to show": ("draw x --best 0 --model model", "--best is 0"),
    "temperature zero": ("draw x --temperature 0 --model model", "temperature is 0"),
    "temperature not a number": ("draw x --temperature nan --model model", "temperature is nan"),
    "negative top-k": ("draw x --top-k -1 --model model", "top_k is -1"),
    "no png": ("draw x --out a.jpg --model model", "must end in .png"),
    "no such folder for the png": ("draw x --out nowhere/a.png --model model", "no folder nowhere"),
    "a folder in place of the png": ("draw x --out folder.png --model model", "folder.png"),
    "a start that is no picture": (["draw", "x", "--model", "model", "--start", "no picture.png",
    "--keep-rows", "1"], "not a picture"),
    "a start that is missing": ("draw x --model model --start nowhere.png --keep-rows 1", "no such file"),
    "a start without rows": ("draw x --model model --start start.png", "go together"),
    "rows without a start": ("draw x --model model --keep-rows 2", "go together"),
    "all rows kept": ("draw x --model model --start start.png --keep-rows 4", "keep 0 to 3"),
    "no prompt": ("draw", "Missing argument"),
    "unknown command": ("drow x", "No such command 'drow'"),
    "unknown option": ("draw x --sampels 3", "No such option"),
    "unknown part": ("train gan --config small.toml --out new", "clip, dalle, decoder, dvae"),
    "missing --out": ("train dvae --config small.toml", "Missing option"),
    "unknown data": ("train dvae --config small.toml --out new --data photos",
    "emoji, folder, scenes, shards"),
    "data without a path": ("train dvae --config small.toml --out new --data folder", "folder:PATH"),
    "missing folder of pictures": ("train dvae --config small.toml --out new --data folder:nowhere",
    "does not exist"),
    "a folder without pictures": ("train dvae --config small.toml --out new --data folder:empty",
    "holds no pictures"),
    "a folder without captions": ("train dvae --config small.toml --out new --data folder:bare",
    "no captions"),
    "the transformer before its dVAE": ("train dalle --config small.toml --out new", "needs a finished dVAE"),
    "nothing to resume": ("train dvae --config small.toml --out new --resume", "no checkpoint"),
    "already trained": ("train dvae --config small.toml --out model", "already holds a dvae"),
    "another configuration": ("train dvae --config toy --out model --resume", "differs from"),
    "a device that is none": ("train dvae --config small.toml --out new --device quantum",
    "--device quantum"),
    "a file in place of the folder": ("train dvae --config small.toml --out start.png", "start.png"),
    "nothing to measure": ("evaluate --samples 0 --model model", "--samples is 0"),
    "a negative seed to measure with": ("evaluate --seed -1 --model model", "--seed is -1"),
    "no folder for the figures": ("evaluate --out nowhere/a.json --model model", "no folder nowhere"),
    "a folder in place of the figures": ("evaluate --out empty --model model", "--out empty is a folder"),
    "an unknown model to measure": ("evaluate --model picturebok", "no model named 'picturebok'"),
    "no configuration at all": (["info", "no picture.png"], "no configuration named"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_gets_one_line_and_exit_code_2_and_nothing_changes(place, capfd, name):
    arguments, sentence = BAD_INPUT[name]
    (place / "folder.png").mkdir()
    before = contents(place)
    code, out, err = run(capfd, *(arguments.split() if isinstance(arguments, str) else arguments))
    lines = [line for line in err.replace("\r", "\n").splitlines() if line.strip()]
    assert code == 2 and out == ""
    assert len(lines) == 1 and lines[0].startswith("dalle-edu: ") and sentence in lines[0], err
    assert contents(place) == before and not (place / "new").exists()


@pytest.mark.parametrize("part", ["dvae", "dalle", "clip"])
def test_weights_that_are_cut_short_are_named(place, capfd, part):
    path = place / f"model/{part}.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    code, _, err = run(capfd, "draw", "a circle", "--model", "model", "--samples", "1")
    assert code == 2 and f"{part}.safetensors is cut short" in err and "Traceback" not in err
    assert not (place / "drawing.png").exists()


def test_a_checkpoint_that_is_cut_short_is_not_resumed(place, capfd):
    (place / "model/dvae.safetensors").unlink()
    checkpoint = next((place / "model/training-dvae").glob("checkpoint-*/*.safetensors"))
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    before = contents(place)
    code, _, err = run(capfd, "train", "dvae", "--config", "small.toml", "--out", "model", "--resume")
    assert code == 2 and "cut short" in err and contents(place) == before


def test_draw_writes_a_ranked_sheet(place, capfd):
    code, out, _ = run(
        capfd,
        "draw",
        "a red circle",
        "--model",
        "model",
        "--samples",
        6,
        "--best",
        4,
        "--seed",
        3,
        "--top-k",
        8,
    )
    assert code == 0 and "drawing.png: the best 4 of 6" in out
    with Image.open(place / "drawing.png") as sheet:
        assert sheet.size == (4 * (4 * 18 + 2), 4 * 20)
    first = (place / "drawing.png").read_bytes()
    run(
        capfd,
        "draw",
        "a red circle",
        "--model",
        "model",
        "--samples",
        6,
        "--best",
        4,
        "--seed",
        3,
        "--top-k",
        8,
        "--out",
        "b.png",
    )
    assert (place / "b.png").read_bytes() == first


def test_draw_finishes_a_picture_from_its_first_rows(place, capfd):
    code, _, _ = run(capfd, "draw", "a red circle", "--model", "model", "--samples", 2, "--best", 2,
                     "--start", "start.png", "--keep-rows", 2, "--out", "c.png")  # fmt: skip
    assert code == 0
    with Image.open(place / "c.png") as sheet:
        first, second = (sheet.crop((8 + x, 8, 8 + x + 64, 8 + 16)) for x in (0, 72))
    # The decoder mixes neighbours a little, so rows that are the same tokens are almost the same pixels.
    assert max(high for _, high in ImageChops.difference(first, second).getextrema()) < 20


def test_train_goes_through_all_parts_and_resumes(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path)
    for part in ("dvae", "clip", "dalle"):
        code, out, _ = run(capfd, "train", part, "--config", "small.toml", "--out", "new")
        assert code == 0 and out.strip().endswith(f"{part}.safetensors is trained.")
    ours, theirs = ((f / "dalle.safetensors").read_bytes() for f in (tmp_path / "new", trained_folder()))
    assert ours == theirs
    assert run(capfd, "train", "dalle", "--config", "small.toml", "--out", "new", "--resume")[0] == 0


def test_train_takes_the_reader_s_own_pictures(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path)
    (tmp_path / "mine").mkdir()
    for i, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (20 + i, 30), colour).save(tmp_path / f"mine/{i}.png")
        (tmp_path / f"mine/{i}.txt").write_text(f"a {colour} picture")
    assert (
        run(capfd, "train", "dvae", "--config", "small.toml", "--out", "new", "--data", "folder:mine")[0] == 0
    )


def test_info_says_what_a_configuration_costs(capfd):
    code, out, _ = run(capfd, "info", "paper-12b")
    assert code == 0 and "DALL·E, all" in out and "12,29" in out


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], ["draw", "--help"], ["train", "--help"], ["info", "--help"]]
)
def test_help_is_help_and_not_a_mistake(capfd, arguments):
    code, out, err = run(capfd, *arguments)
    assert code == 0 and "Usage" in out and err == ""


# ---- as a real command


def command(*arguments):
    return [sys.executable, "-m", "dalle_edu.cli", *map(str, arguments)]


def test_help_does_not_wait_for_torch():
    code = "import sys, dalle_edu.cli; print(sorted({'torch', 'numpy', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_mistake_on_the_real_command_line_is_one_line_without_a_traceback(tmp_path):
    done = subprocess.run(command("draw", "x", "--seed", "abc"), capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == "" and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="another kind of signal")
def test_ctrl_c_stops_the_real_command_at_a_checkpoint_from_which_it_goes_on(tmp_path):
    (tmp_path / "long.toml").write_text(TOML.replace("steps = 6", "steps = 100000", 1))
    training = command("train", "dvae", "--config", "long.toml", "--out", "new")

    def heed_ctrl_c():  # who runs the tests in the background may have switched it off
        signal.signal(signal.SIGINT, signal.default_int_handler)

    process = subprocess.Popen(
        training, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c
    )
    while process.poll() is None and not (tmp_path / "new/training-dvae/checkpoint.json").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "add --resume" in err and "Traceback" not in err, err
    assert not (tmp_path / "new/dvae.safetensors").exists()
    state = read_about(tmp_path / "new/training-dvae/checkpoint.json")
    assert len(checkpoint_tensors(tmp_path / "new/training-dvae" / state["file"])) > 10


def test_ctrl_c_while_drawing_writes_what_is_finished_and_says_so_in_one_line(place, capfd, monkeypatch):
    import dalle_edu.drawing as drawing

    sample, calls = drawing.sample_tokens, []

    def impatient(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return sample(*arguments, **options)

    monkeypatch.setattr(drawing, "sample_tokens", impatient)
    code, out, err = run(
        capfd,
        "draw",
        "a red circle",
        "--model",
        "model",
        "--samples",
        "70",
        "--workers",
        "1",
        "--out",
        "a.png",
    )
    assert code == 0 and "the best 8 of 64 drawings" in out
    assert "dalle-edu: Interrupted: 64 of 70 samples are kept." in err.splitlines()
    assert (place / "a.png").is_file()
    calls[:] = [1]
    code, out, err = run(capfd, "draw", "a red circle", "--model", "model", "--out", "b.png")
    assert code == 130 and "Traceback" not in err and "nothing is written" in err
    assert not (place / "b.png").exists()
