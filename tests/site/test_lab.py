"""The book in JupyterLab itself: `lab` brings the explorers to life; without trust their pictures stay."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from dalle_edu.explore import Explorer
from dalle_edu.explore.figures import small_png


@pytest.fixture
def small_book(tmp_path):
    folder = tmp_path / "book"
    folder.mkdir()
    png = small_png(Image.new("RGB", (40, 20), "white"))
    touch = Explorer(title="T", alt="A still.", data=1, png=png, script="kit.el('button', {}, root, 'b');")
    output = new_output("display_data", data={"text/html": touch._repr_html_(), "text/plain": repr(touch)})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = new_notebook(
        cells=[new_code_cell("touch", execution_count=1, outputs=[output])], metadata={"kernelspec": kernel}
    )
    nbformat.write(content, folder / "01-touch.ipynb")
    return folder


@contextmanager
def server(tmp_path, code):
    """JupyterLab started by `code`, with settings of its own; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = tmp_path / "settings"
    settings.mkdir(exist_ok=True)
    (settings / "jupyter_server_config.json").write_text(
        json.dumps(
            {
                "ServerApp": {"port": port, "port_retries": 0, "open_browser": False, "ip": "127.0.0.1"},
                "IdentityProvider": {"token": ""},
            }
        )
    )
    places = {
        "JUPYTER_CONFIG_DIR": settings,
        "JUPYTER_DATA_DIR": tmp_path / "data",
        "IPYTHONDIR": tmp_path / "ipython",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {name: str(place) for name, place in places.items()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5)
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, "JupyterLab did not start"
                time.sleep(0.3)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):  # a kernel that is still starting can hold it up
            process.wait(timeout=15)
        with suppress(ProcessLookupError):  # JupyterLab can outlive what started it
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=15)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="JupyterLab is stopped by a signal to its group here")
@pytest.mark.parametrize("trusted", [False, True])
def test_an_explorer_in_jupyterlab_lives_when_trusted_and_shows_its_picture_when_not(
    browser, small_book, tmp_path, trusted
):
    book = "from pathlib import Path; from dalle_edu.publish import book; "
    book += f"book.folder = lambda: Path({str(small_book)!r})"
    plain = f"import sys; sys.argv = ['jupyter-lab', '--allow-root', '--ServerApp.root_dir={small_book}']; "
    plain += "from jupyterlab.labapp import main; main()"
    with server(tmp_path, f"{book}; book.lab()" if trusted else plain) as address:
        browser.open(f"{address}/lab/tree/01-touch.ipynb?reset", width=1100)
        browser.wait_for("!!document.querySelector('.dalle-explorer img')", seconds=90)
        if trusted:
            browser.wait_for("!!document.querySelector('.dalle-explorer[data-live=yes] button')")
        else:
            assert browser.value("document.querySelector('.dalle-explorer img').offsetHeight") > 0
            assert not browser.value("document.querySelector('.dalle-explorer button')")
        outside = [r for r in browser.requests if not r.startswith((address, "data:", "blob:", "ws:"))]
        assert outside == []
        browser.open("about:blank")
