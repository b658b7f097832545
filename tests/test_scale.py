"""What a configuration costs, checked against models that are built and products that are counted."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from toy import write_config

from dalle_edu.configs import read_config
from dalle_edu.dalle import Dalle
from dalle_edu.dvae import DiscreteVAE
from dalle_edu.masks import mask_entries
from dalle_edu.scale import count_parameters, parts, table


def test_the_parts_of_each_stage_add_up_to_the_whole_model(tmp_path):
    for config in (read_config("toy"), read_config(write_config(tmp_path))):
        rows = parts(config)
        for stage, model in (("dVAE", DiscreteVAE(config.dvae)), ("DALL·E", Dalle(config.dalle))):
            assert sum(r.parameters for r in rows if r.name.startswith(stage)) == count_parameters(model)


def test_the_flops_are_those_of_a_real_forward_pass():
    config = read_config("toy")
    rows = {row.name: row.flops for row in parts(config)}
    with FlopCounterMode(display=False) as counted:
        DiscreteVAE(config.dvae).encoder(torch.zeros(1, 3, 32, 32))
    assert rows["dVAE encoder"] == counted.get_total_flops()
    # Linear layers only: the counter does not know that a mask leaves products out. Biases and norms differ.
    c, model = config.dalle, Dalle(config.dalle)
    with FlopCounterMode(display=False) as counted:
        model.transformer.blocks[0].mlp(torch.zeros(1, c.length, c.width))
    assert rows["DALL·E networks"] / c.depth == pytest.approx(counted.get_total_flops(), rel=0.02)
    entries = sum(
        mask_entries(kind, c.text_length, c.grid, c.kernel) for kind in model.transformer.config.kinds
    )
    weights = c.depth * 4 * c.width**2
    assert rows["DALL·E attention"] == pytest.approx(2 * weights * c.length + 4 * c.width * entries, rel=0.03)


def test_the_table_of_the_paper_s_model_says_12_billion_and_needs_no_memory():
    text = table(read_config("paper-12b"))
    assert "53,786,240" in text and "12,29" in text and "1280 positions" in text
