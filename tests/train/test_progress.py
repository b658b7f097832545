"""What a training shows while it runs: its speed, and its share of what the machine can do."""

import re

import pytest
import torch
from toy import write_config

from dalle_edu.configs import read_config
from dalle_edu.scale import dalle_parts
from dalle_edu.train.config import TrainingConfig
from dalle_edu.train.progress import Progress, Work, device_speed
from dalle_edu.train.run import train_part, work_of

CONFIG = TrainingConfig(steps=9, batch_size=4, learning_rate=0.1)


def test_the_share_is_operations_done_over_operations_possible():
    bar = Progress(CONFIG, 0, Work(operations=5e9, tokens=100), torch.device("cpu"), shown=False)
    assert bar.peak == 0.0 and "measured" not in bar.text(1.0, 10.0)
    bar.peak = 2e11
    said = bar.text(1.25, 10.0)
    assert said == "loss 1.250, 10 pictures/s, 1,000 tokens/s, 25 % of the 0.2 TFLOPs/s measured"


def test_the_speed_of_a_device_is_that_of_its_products():
    x = torch.randn(600, 600)
    once = 2 * 600**3
    import time

    seconds = []
    for _ in range(20):
        begun = time.process_time()
        x @ x
        seconds.append(time.process_time() - begun)
    assert device_speed(torch.device("cpu"), "float32") == pytest.approx(once / min(seconds), rel=0.9)


def test_the_work_of_a_picture_is_three_forward_passes(tmp_path):
    config = read_config(write_config(tmp_path))
    work = work_of("dalle", config)
    assert work.operations == pytest.approx(3 * sum(part.flops for part in dalle_parts(config.dalle)))
    assert work.tokens == 16 + 16 and work_of("dvae", config).tokens == 0
    assert work_of("clip", config).operations > 0


def test_a_training_says_loss_speed_share_and_time_left(tmp_path, capfd):
    config = write_config(tmp_path)
    train_part("dvae", config, tmp_path / "model", progress=False)
    train_part("dalle", config, tmp_path / "model")
    said = capfd.readouterr().err
    assert re.search(r"6/6 \[\d\d:\d\d<\d\d:\d\d", said)
    assert re.search(r"loss \d.*pictures/s, [\d,]+ tokens/s, \d+ % of the .* TFLOPs/s measured", said)
