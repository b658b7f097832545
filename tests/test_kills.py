"""kill -9 twenty times; `make kills` does it two hundred times."""

import os
import signal
import socket

import kills
import kills_together
import pytest
import torch
import torch.distributed as dist

from dalle_edu.errors import ReaderError
from dalle_edu.train.distributed import together


@pytest.mark.skipif(os.name == "nt", reason="no fork")
def test_whatever_is_killed_leaves_whole_files_and_goes_on_to_the_same_end(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # a fork of a process whose threads have worked can hang
    try:
        counts = kills.run(20, 21, tmp_path)
    finally:
        torch.set_num_threads(before)
    assert sum(count for (_, how), count in counts.items() if how == "killed") == 20


@pytest.mark.skipif(os.name == "nt", reason="no fork")
def test_where_one_of_several_processes_is_killed_nothing_is_lost(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert sum(kills_together.run(2, 21, tmp_path).values()) == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
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
