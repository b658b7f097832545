"""kill -9 twenty times; `make kills` does it two hundred times."""

import os
import signal
import socket

import kills
import kills_together
import pytest
import torch.distributed as dist

from dalle_edu.errors import ReaderError
from dalle_edu.train.distributed import together

pytestmark = [pytest.mark.skipif(os.name == "nt", reason="no fork"), pytest.mark.fresh_process]


def test_whatever_is_killed_leaves_whole_files_and_goes_on_to_the_same_end(tmp_path):
    counts = kills.run(20, 21, tmp_path)
    assert sum(count for (_, how), count in counts.items() if how == "killed") == 20


def test_where_one_of_several_processes_is_killed_nothing_is_lost(tmp_path):
    assert sum(kills_together.run(2, 21, tmp_path).values()) == 2


def test_a_process_that_is_told_to_end_says_one_sentence_from_wherever_it_is(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    settings |= {"RANK": "0", "WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "test"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ReaderError, match="^Another process .* --resume.$"), together("cpu"):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except ReaderError as error:  # as PyTorch does with what is raised inside of it
            raise RuntimeError(f"{error}\n\nSharding propagation failed for aten._foreach_mul_") from error
    assert signal.getsignal(signal.SIGTERM) is before and not dist.is_initialized()
