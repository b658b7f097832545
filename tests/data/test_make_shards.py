"""Shards of any source: what goes in comes out, what is broken is named, tokens are the dVAE's."""

import json

import pytest
import torch
from PIL import Image
from toy import png, trained_folder

from dalle_edu.cli import main
from dalle_edu.configs import read_config
from dalle_edu.data import EmojiPictures, Scenes, Shards
from dalle_edu.data.make_shards import make_shards
from dalle_edu.data.readers import TokenReader
from dalle_edu.data.stream import ShardStream
from dalle_edu.dvae import DiscreteVAE
from dalle_edu.errors import ReaderError, ReaderWarning
from dalle_edu.files import load_weights


def read(made, size=8):
    return [caption for _, caption in Shards([str(path) for path in made.paths], size)]


def test_a_folder_and_a_table_of_any_name_go_in_as_the_files_that_they_are(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("red", "blue"):
        Image.new("RGB", (30, 20), name).save(folder / f"{name}.jpg")
        (folder / f"{name}.txt").write_text(f"a {name} card\n")
    made = make_shards(str(folder), tmp_path / "out", per_shard=1)
    assert made.samples == len(made.paths) == 2 and read(made) == ["a blue card", "a red card"]
    assert (folder / "red.jpg").read_bytes() in made.paths[1].read_bytes()
    (folder / "two.csv").write_text("file;caption\nred.jpg;one\nblue.jpg;two\n")
    (folder / "one.jsonl").write_text(json.dumps({"file": "red.jpg", "caption": "three"}))
    assert read(make_shards(str(folder / "two.csv"), tmp_path / "csv")) == ["one", "two"]
    with pytest.warns(ReaderWarning, match="does not name"):
        assert read(make_shards(str(folder / "one.jsonl"), tmp_path / "jsonl")) == ["three"]
    with pytest.raises(ReaderError, match="already holds shards"):
        make_shards(str(folder), tmp_path / "out")
    with pytest.raises(ReaderError, match="is no source"):
        make_shards(str(folder / "red.jpg"), tmp_path / "new")
    (folder / "red.txt").unlink()
    with pytest.raises(ReaderError, match="have no caption"):
        make_shards(str(folder), tmp_path / "new")


def test_a_picture_that_ends_too_early_is_left_out_counted_and_named(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    noise = torch.randint(256, (64, 64, 3), generator=torch.Generator().manual_seed(0)).byte()
    Image.fromarray(noise.numpy()).save(tmp_path / "b.png")
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[:3000])
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(name)
    with pytest.warns(ReaderWarning, match="1 pictures were left out.*b.png"):
        made = make_shards(str(tmp_path), tmp_path / "out")
    assert read(made) == ["a"] and len(made.broken) == 1


def test_our_own_sets_are_written_as_they_are(tmp_path):
    emoji = EmojiPictures(16, "test")
    made = make_shards("emoji", tmp_path / "emoji", size=16, split="test", per_shard=200)
    assert read(made) == emoji.captions
    made = make_shards("scenes:attributes", tmp_path / "scenes", size=16, length=5)
    items = list(Shards(made.paths[0], 16))
    scenes = Scenes("attributes", 16, 0, 5)
    assert [caption for _, caption in items] == [scenes[i][1] for i in range(5)]
    assert all(torch.allclose(image, scenes[i][0], atol=1 / 255) for i, (image, _) in enumerate(items))
    assert make_shards("things", tmp_path / "things", size=32, length=3).samples == 3


def test_tokens_in_shards_are_those_of_the_dvae_and_stream(tmp_path, capsys):
    model = trained_folder()
    config = read_config(model / "config.toml").dvae
    with pytest.raises(SystemExit) as end:
        main(["shards", "make", "scenes:attributes", str(tmp_path), "--length", "70", "--tokens", str(model),
              "--per-shard", "35"])  # fmt: skip
    assert not end.value.code and "70 pictures in 2 shards" in capsys.readouterr().out
    about = json.loads((tmp_path / "tokens.json").read_text())
    assert about["grid"] == list(config.grid) and len(about["dvae"]) == 16
    vae = load_weights(DiscreteVAE(config), model / "dvae.safetensors")
    scenes = Scenes("attributes", config.image_size, 0, 70)
    expected = {}
    for i in range(70):
        expected.setdefault(scenes[i][1], []).append(vae.encode(scenes[i][0][None]).flatten().tolist())
    read = TokenReader(config.grid, config.vocabulary)
    tokens, captions = ShardStream(tmp_path / "*.tar", read, 70, buffer=10, lanes=2).batch(0)
    assert all(row.tolist() in expected[caption] for row, caption in zip(tokens, captions, strict=True))


def test_what_cannot_be_made_is_one_sentence(tmp_path, capsys):
    for arguments, sentence in (
        (["nowhere", "out"], "does not exist"),
        (["shards:x", "out"], "shards already"),
        (["emoji", "out", "--per-shard", "0"], "per_shard is 0"),
        (["scenes:nothing", "out"], "nothing"),
        (["emoji", "out", "--tokens", "nobody"], "no model named"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["shards", "make", arguments[0], str(tmp_path / "out"), *arguments[2:]])
        assert end.value.code == 2 and sentence in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
