"""JupyterLab and marimo on this machine, and a browser that reaches nothing else."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
HERE = ("127.0.0.1", "localhost")
OFFLINE = f"--host-resolver-rules=MAP * ~NOTFOUND, {', '.join(f'EXCLUDE {name}' for name in HERE)}"
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run", OFFLINE]
SECONDS = 40
"""A start or a drawing that takes longer has failed."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser."""
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """A page of a notebook, and what it asked other machines for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.strangers: list[str] = []
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))
        page.set_default_timeout(1000 * SECONDS)

    def _asked(self, url: str) -> None:
        address = urlsplit(url)
        if address.scheme not in ("data", "blob") and address.hostname not in HERE:
            self.strangers.append(url)


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Visit]]:
    """Yield a function that opens a page in a context of its own, with options of playwright's."""
    contexts = []

    def opened(**options: Any) -> Visit:
        contexts.append(chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}))
        return Visit(contexts[-1].new_page())

    yield opened
    for context in contexts:
        context.close()


def until(condition: Callable[[], Any], what: str) -> Any:
    """Return the first true result of a condition; fail if it does not come."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come in {SECONDS} seconds")


def drag(visit: Visit, handle: Locator, x: float, y: float) -> None:
    """Drag the middle of an element by some pixels."""
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    visit.page.mouse.move(*middle)
    visit.page.mouse.down()
    visit.page.mouse.move(middle[0] + x / 2, middle[1] + y / 2)
    visit.page.mouse.move(middle[0] + x, middle[1] + y)
    visit.page.mouse.up()


def answers(url: str) -> bool:
    """Return whether a server answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def free_port() -> int:
    """Return a port of this machine that is free."""
    with socket.socket() as listener:
        listener.bind((HERE[0], 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(folder: Path, *words: str) -> Iterator[None]:
    """Run a program of this environment in a folder, with all of its own files in that folder."""
    places = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "XDG_CONFIG_HOME")
    folders = {
        name: str(folder / name.lower()) for name in (*places, "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME")
    }
    for place in folders.values():
        Path(place).mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **folders, "MARIMO_SKIP_UPDATE_CHECK": "1", "DO_NOT_TRACK": "1"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *words], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(SECONDS)


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of JupyterLab, in which its notebooks run."""
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="session")
def lab(lab_folder: Path) -> Iterator[Callable[..., str]]:
    """Yield a function that writes a notebook of cells, and returns its address in JupyterLab."""
    folder, port = lab_folder, free_port()
    settings = (
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        "--ServerApp.allow_root=True",
        "--ServerApp.open_browser=False",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    )
    extensions = folder / "jupyter_config_dir" / "lab" / "user-settings" / "@jupyterlab"
    # No question about news of Jupyter; and cells that are out of sight are drawn.
    preferences = {
        "apputils-extension/notification": {"fetchNews": "false"},
        "notebook-extension/tracker": {"windowingMode": "none"},
    }
    for name, setting in preferences.items():
        file = extensions / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(setting), encoding="utf-8")

    def write(name: str, *cells: str) -> str:
        sources = [
            {
                "cell_type": "code",
                "id": f"cell-{i}",
                "metadata": {},
                "source": cell,
                "outputs": [],
                "execution_count": None,
            }
            for i, cell in enumerate(cells)
        ]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = {"cells": sources, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        return f"{url}/lab/workspaces/{name}/tree/{name}.ipynb"

    url = f"http://{HERE[0]}:{port}"
    with running(folder, "jupyterlab", *settings):
        until(lambda: answers(f"{url}/api"), "JupyterLab")
        yield write


@pytest.fixture
def marimo(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Yield a function that serves a notebook by marimo, and returns its address."""
    processes = []

    def serve(notebook: str) -> str:
        port = free_port()
        file = tmp_path / "notebook.py"
        file.write_text(notebook, encoding="utf-8")
        words = ("marimo", "run", str(file), "--headless", "--no-token", "--host", HERE[0], "--port", str(port))
        processes.append(running(tmp_path, *words))
        processes[-1].__enter__()
        url = f"http://{HERE[0]}:{port}"
        until(lambda: answers(f"{url}/health"), "marimo")
        return url

    yield serve
    for process in processes:
        process.__exit__(None, None, None)
