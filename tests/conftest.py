"""What all tests share: figures are drawn without a screen, and how many files are tested at a time."""

import matplotlib

from dalle_edu.machine.workers import cores

matplotlib.use("Agg")
MOST = 4  # at once they take up to 12 GiB


def pytest_xdist_auto_num_workers(config):
    """`-n auto`: one more than there are cores, of whose time one each left a quarter unused: tests wait for
    browsers, kernels and other processes."""
    return min(cores() + 1, MOST)
