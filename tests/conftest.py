"""What all tests share: figures are drawn without a screen; tests that fork have a process of their own;
Ctrl-C is heard."""

import signal

import fresh_process
import matplotlib
import pytest

matplotlib.use("Agg")

# Where a shell starts the tests in its background, Ctrl-C is ignored, by every child as well: those of the
# tests that send it would wait for nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    return fresh_process.run_fresh(pyfuncitem)
