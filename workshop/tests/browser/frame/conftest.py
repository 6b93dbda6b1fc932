"""The exported page: its folder, and its documents opened from files or a plain file server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from softkv.cli import program
from tests.browser.conftest import Visit

LOAD_MS = 120_000
"""The encoder is read, and texts are encoded, on a busy machine."""


class Quiet(SimpleHTTPRequestHandler):
    """Files and nothing else: no header of CORS, no other path."""

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported page, which no service helped to write."""
    folder: Path = tmp_path_factory.mktemp("exported") / "public"
    result = CliRunner().invoke(program(), ["page", "export", str(folder), "--json"])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def offline(chromium: Any, folder: Path) -> Iterator[Visit]:
    """A page that is opened from the folder's files, while there is no network."""
    context = chromium.new_context(viewport={"width": 1280, "height": 720}, offline=True)
    opened = Visit(context.new_page(), folder.as_uri())
    yield opened
    assert (opened.errors, opened.strangers) == ([], [])
    context.close()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder by a plain file server; yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def origin(folder: Path) -> Iterator[str]:
    """The address of a plain file server of the folder."""
    with serving(folder) as address:
        yield address
