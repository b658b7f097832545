"""What all tests share: figures are drawn without a screen; tests that fork have a process of their own."""

import fresh_process
import matplotlib
import pytest

matplotlib.use("Agg")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    return fresh_process.run_fresh(pyfuncitem)
