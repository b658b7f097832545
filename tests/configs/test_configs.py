"""Configurations: what stands in the files is what the models get, and a slip of the pen is named."""

import pytest
from toy import TOML, write_config

from dalle_edu.configs import config_names, read_config
from dalle_edu.errors import ReaderError


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


def test_a_reader_s_own_file_is_read(tmp_path):
    config = read_config(write_config(tmp_path))
    assert config.name == "small" and config.clip.image_size == 16 and config.dvae.grid == (4, 4)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ReaderError, match="named 'picturebok'.*paper-12b, picturebook, picturebook-2, toy"):
        read_config("picturebok")
    with pytest.raises(ReaderError, match="no configuration file"):
        read_config("nowhere/mine.toml")


@pytest.mark.parametrize("old, new, sentence", [
    ("[dalle]", "[dalee]", r"section \[dalee\]"),
    ("width = 16\ndepth = 3", "wdth = 16\ndepth = 3", "no field 'wdth'.*width"),
    ("depth = 3\n", "", "lacks depth"),
    ("depth = 3", 'depth = "three"', "depth in .dalle. is 'three'; it must be a whole number"),
    ("depth = 3", "depth = 0", "whole number from 1"),
    ("depth = 3", "depth = 2.5", "whole number"),
    ("depth = 3", "depth = true", "whole number"),
    ("learning_rate = 1e-3\nwarmup", 'learning_rate = "fast"\nwarmup', "learning_rate"),
    ("heads = 2\nkernel", "heads = 3\nkernel", "no multiple of heads 3"),
    ("image_size = 16", "image_size = 18", "no multiple of 4"),
    ('likelihood = "mean-squared-error"', 'likelihood = "guess"', "likelihood is 'guess'"),
    ("patch_codebook = true", 'patch_codebook = "yes"', "true or false"),
    ("patch_codebook = true", "patch_codebook = true\ncrop = 6", "crop is 6"),
    ("text_heads = 2", "text_heads = 2\nshift = 99", "shift is 99"),
    ("text_heads = 2", "text_heads = 2\ntogether = 2", "together is 2; it must be a share"),
    ("text_heads = 2", "text_heads = 2\nspoilt = 1", "spoilt is 1; it must be true or false"),
    ("text_heads = 2", "text_heads = 2\ndata = 'emoji'", r"write \[\[clip.data\]\]"),
    ("[dalle]", "[dalle]\nappearance = 1", "appearance is 1; it must be true or false"),
    ("[dalle]", "[dalle]\nnoise = -0.1", "noise is -0.1; it must be a share, from 0 to 1"),
    ("[dalle]", "[dalle]\ndata = 'emoji'", r"write \[\[dalle.data\]\]"),
    ("[[data]]", "[data]", "write \\[\\[data\\]\\]"),
    ("[dvae.schedule]", "[dvae.shedule]", "no field 'shedule'"),
    ("text_length = 16\n", "", "lacks text_length"),
    ("[tokenizer]", "[tokenizer", "no TOML"),
])  # fmt: skip
def test_a_slip_of_the_pen_is_named_in_one_line(tmp_path, old, new, sentence):
    assert old in TOML
    (tmp_path / "mine.toml").write_text(TOML.replace(old, new, 1))
    with pytest.raises(ReaderError, match=sentence) as caught:
        read_config(tmp_path / "mine.toml")
    assert "\n" not in str(caught.value).strip()


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
