"""Configurations: what stands in the files is what the models get, and a slip of the pen is named."""

import dataclasses
import datetime
import math
import tomllib
from pathlib import Path

import pytest
from toy import TOML, write_config

from dalle_edu.configs import config_names, read_config, schema
from dalle_edu.dalle import DalleConfig
from dalle_edu.data.sources import Source
from dalle_edu.drawing import model_folder, model_names
from dalle_edu.dvae import DiscreteVAEConfig
from dalle_edu.errors import ReaderError
from dalle_edu.reranking import ClipConfig
from dalle_edu.train.config import ClipRecipe, DalleRecipe, DvaeRecipe, Schedule, TrainingConfig
from dalle_edu.train.run import train_part


def test_every_shipped_configuration_can_be_read_by_name_and_as_a_file():
    assert {"paper-12b", "picturebook", "toy"} <= set(config_names())
    for name in config_names():
        config = read_config(name)
        assert config.name == name and read_config(f"{name}.toml") == config
        assert (
            config.dalle.grid == config.dvae.grid and config.dalle.image_vocabulary == config.dvae.vocabulary
        )


def test_the_paper_s_configuration_holds_the_paper_s_numbers():
    paper = read_config("paper-12b")
    assert (paper.tokenizer_vocabulary, paper.dalle.text_length, paper.dvae.vocabulary) == (
        16_384,
        256,
        8_192,
    )
    assert paper.dalle.grid == (32, 32) and paper.dalle.text_weight == 1 / 8
    assert (paper.schedule.temperature_end, paper.schedule.kl_weight) == (1 / 16, 6.6)
    assert (
        paper.dalle_training.beta_2,
        paper.dalle_training.weight_decay,
        paper.dalle_training.gradient_clip,
    ) == (0.96, 0.045, 4.0)


@pytest.mark.parametrize("name", model_names())
def test_a_shipped_model_was_trained_with_the_configuration_of_its_name(name):
    ours = Path(schema.__file__).with_name(f"{name}.toml")
    assert (model_folder(name) / "config.toml").read_text("utf-8") == ours.read_text("utf-8")


def test_a_reader_s_own_file_is_read(tmp_path):
    config = read_config(write_config(tmp_path))
    assert config.name == "small" and config.clip.image_size == 16 and config.dvae.grid == (4, 4)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ReaderError,
        match="named 'picturebok'.*large-1300m, medium-100m, paper-12b, picturebook, picturebook-first, toy",
    ):
        read_config("picturebok")
    with pytest.raises(ReaderError, match="no configuration file"):
        read_config("nowhere/mine.toml")


@pytest.mark.parametrize("old, new, sentence", [
    ("[dalle]", "[dalee]", r"no section \[dalee\]"),
    ("width = 16\ndepth = 3", "wdth = 16\ndepth = 3", "no field 'wdth'.*width"),
    ("depth = 3\n", "", "lacks depth"),
    ("depth = 3", 'depth = "three"', "depth in .dalle. is 'three'; it must be a whole number"),
    ("depth = 3", "depth = 0", "whole number from 1"),
    ("depth = 3", "depth = 2.5", "whole number"),
    ("depth = 3", "depth = true", "whole number"),
    ("learning_rate = 1e-3\nwarmup", 'learning_rate = "fast"\nwarmup', "learning_rate"),
    ("heads = 2\nkernel", "heads = 3\nkernel", "no multiple of heads 3"),
    ("image_size = 16", "image_size = 18", "no multiple of 4"),
    ('likelihood = "mean-squared-error"', 'likelihood = "guess"', r"likelihood in \[dvae\] is 'guess'"),
    ("patch_codebook = true", 'patch_codebook = "yes"', "true or false"),
    ("patch_codebook = true", "patch_codebook = true\ncrop = 6", r"crop in \[dvae\] is 6"),
    ("text_heads = 2", "text_heads = 2\nshift = 99", r"shift in \[clip\] is 99"),
    ("[clip.training]", "[clip.training]\naccumulate = 2", r"accumulate in \[clip.training\] is 2.*all of "),
    ("text_heads = 2", "text_heads = 2\ntogether = 2", "together in .clip. is 2; it must be a share"),
    ("text_heads = 2", "text_heads = 2\nspoilt = 1", "spoilt in .clip. is 1; it must be true or false"),
    ("text_heads = 2", "text_heads = 2\ndata = 'emoji'", r"write \[\[clip.data\]\]"),
    ("[dalle]", "[dalle]\nappearance = 1", "appearance in .dalle. is 1; it must be true or false"),
    ("[dalle]", "[dalle]\nnoise = -0.1", "noise in .dalle. is -0.1; it must be a share, from 0 to 1"),
    ("[dalle]", "[dalle]\ndata = 'emoji'", r"write \[\[dalle.data\]\]"),
    ("[[data]]", "[data]", "write \\[\\[data\\]\\]"),
    ("[dvae.schedule]", "[dvae.shedule]", "no field 'shedule'"),
    ("text_length = 16\n", "", "lacks text_length"),
    ("[tokenizer]", "[tokenizer", "no TOML"),
    ("kernel = 3\n", "kernel = 4\n", "kernel is 4; it must be odd"),
    ("input_kernel = 3", "input_kernel = 2", "input_kernel is 2; it must be odd"),
    ("heads = 2\npatch", "heads = 3\npatch", "width 16 in .clip. is no multiple of heads 3"),
    ("patch_size = 8", "patch_size = 5", "image_size 16 in .clip. is no multiple of patch_size 5"),
    ("hidden = 8", "hidden = 2", "hidden in .dvae. is 2; it must be a whole number from 4 on"),
    ("[dalle]", "[dalle]\ntext_weight = 3", "text_weight in .dalle. is 3; it must be a share"),
    ("[dalle]", "[dalle]\ngrid = [2, 2]", "grid in .dalle. is .2, 2., but the grid of the dVAE is .4, 4."),
    ("[dalle]", '[dalle]\ngrid = ["a", "b"]', "grid in .dalle. holds 'a'; it must be two whole numbers"),
    ("[dalle]", '[dalle]\nkinds = ["row", "spiral", "conv"]', "kinds in .dalle. holds 'spiral'"),
    ("[dalle]", "[dalle]\ntext_length = 3", "text_length in .dalle. is 3, but .* in .tokenizer. is 16"),
    ("warmup = 2", "warmup = 2\nbeta_1 = 1.5", r"beta_1 in \[dalle.training\] is 1.5; it must be a"),
    ("warmup = 2", "warmup = 7", "warmup is 7, longer than the 6 steps"),
    ("warmup = 2", "warmup = 2\nprecision = 'float16'", "precision in .dalle.training. is 'float16'"),
    ("vocabulary = 300", "vocabulary = 20", "vocabulary in .tokenizer. is 20; .* from 256 on"),
    ('family = "attributes"', 'family = "animals"', "no family of scenes named 'animals'"),
    ('kind = "scenes"', 'kind = "emoji"', "kind 'emoji' has no field 'family'"),
    ("length = 40", "length = -1", "length in .data. is -1; it must be a whole number from 1 on"),
])  # fmt: skip
def test_a_slip_of_the_pen_is_named_in_one_line(tmp_path, old, new, sentence):
    assert old in TOML
    (tmp_path / "mine.toml").write_text(TOML.replace(old, new, 1))
    with pytest.raises(ReaderError, match=sentence) as caught:
        read_config(tmp_path / "mine.toml")
    assert "\n" not in str(caught.value).strip()


# The places of all fields: a table, and what it holds without being asked.
FIELDS = [
    (section, name)
    for section, cls in {
        "tokenizer": schema.TokenizerConfig, "dvae": DiscreteVAEConfig, "dvae+": DvaeRecipe,
        "clip": ClipConfig, "clip+": ClipRecipe, "dalle": DalleConfig, "dalle+": DalleRecipe,
        "dvae.schedule": Schedule,
        "dvae.training": TrainingConfig, "dvae.decoder.training": TrainingConfig,
        "clip.training": TrainingConfig, "dalle.training": TrainingConfig, "data": Source,
    }.items()
    for name in (field.name for field in dataclasses.fields(cls))
    if (section, name) != ("dvae+", "schedule")
]  # fmt: skip
WRONG = [
    "word", "", True, -1, -0.5, 0.3, 0, 1e30, math.nan, math.inf, -math.inf, 10**12, [], [1, 2, 3], ["a"],
    [-1, 0], {"a": 1}, [[1]], datetime.date(2021, 1, 5),
]  # fmt: skip


@pytest.mark.parametrize("section, name", FIELDS)
def test_a_wrong_value_of_every_kind_in_every_field_is_one_sentence_that_names_it(tmp_path, section, name):
    """Or it is a value that fits; then the configuration can be built. Nothing else ever happens."""
    taken = 0
    for value in WRONG:
        table = tomllib.loads(TOML)
        table["dvae"]["decoder"] = {"training": {"steps": 3, "batch_size": 2, "learning_rate": 0.1}}
        *outer, inner = section.removesuffix("+").split(".")
        place = table
        for part in outer:
            place = place[part]
        (place[inner][0] if section == "data" else place[inner])[name] = value
        try:
            schema._config(table, "mine")
            taken += 1
        except ReaderError as error:
            text = str(error)
            assert name in text or "kind" in text or "section" in text, (value, text)
            assert len(text) < 400 and "pydantic" not in text and "Traceback" not in text
    assert taken <= 6, f"{taken} of {len(WRONG)} wrong values were taken"


def test_nothing_is_written_where_a_field_is_wrong(tmp_path):
    for old, new in (
        ("kernel = 3\n", "kernel = 4\n"),
        ("checkpoint_every = 2\n", 'checkpoint_every = 2\nprecision = "float16"\n'),
        ("[dalle]", '[[dalle.data]]\nkind = "scenes"\nfamily = "animals"\n[dalle]'),
    ):
        (tmp_path / "mine.toml").write_text(TOML.replace(old, new, 1))
        with pytest.raises(ReaderError):
            train_part("dvae", tmp_path / "mine.toml", tmp_path / "model", progress=False)
        assert not (tmp_path / "model").exists()


def test_a_byte_order_mark_is_forgiven_and_a_table_without_end_is_not(tmp_path):
    (tmp_path / "mine.toml").write_text("\ufeff" + TOML, encoding="utf-8")
    assert read_config(tmp_path / "mine.toml").dalle.depth == 3
    (tmp_path / "mine.toml").write_text("a = " + "[" * 20_000)
    with pytest.raises(ReaderError, match="no TOML"):
        read_config(tmp_path / "mine.toml")


def test_a_path_that_is_not_there_is_not_the_packages_own(tmp_path):
    with pytest.raises(ReaderError, match="no configuration file .*toy.toml"):
        read_config(tmp_path / "toy.toml")
    assert read_config("toy.toml").name == "toy"


def test_a_part_may_have_its_own_data(tmp_path):
    own = '[[dalle.data]]\nkind = "emoji"\n[[clip.data]]\nkind = "shards"\npath = "a.tar"\n'
    (tmp_path / "mine.toml").write_text(TOML + own)
    config = read_config(tmp_path / "mine.toml")
    assert config.data_for("dalle") == ({"kind": "emoji"},)
    assert config.data_for("clip") == ({"kind": "shards", "path": "a.tar"},)
    assert config.data_for("dvae") == config.data_for("decoder") == config.data != config.data_for("clip")


def test_a_picture_in_place_of_a_configuration_is_refused(tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ReaderError, match="no TOML"):
        read_config(tmp_path / "mine.toml")
