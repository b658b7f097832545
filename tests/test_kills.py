"""kill -9 twenty times; `make kills` does it two hundred times."""

import os

import kills
import pytest
import torch


@pytest.mark.skipif(os.name == "nt", reason="no fork")
def test_whatever_is_killed_leaves_whole_files_and_goes_on_to_the_same_end(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # a fork of a process whose threads have worked can hang
    try:
        counts = kills.run(20, 21, tmp_path)
    finally:
        torch.set_num_threads(before)
    assert sum(count for (_, how), count in counts.items() if how == "killed") == 20
