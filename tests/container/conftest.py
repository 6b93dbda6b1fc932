"""The image, built once from the working tree, and containers of it as the compose file would run them."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.api.keyring import line_of
from tests.container.composition import build_options
from tests.container.tool import Tool

IMAGE = "softkv:test"
KEY = "the-key-of-these-tests"


@pytest.fixture(scope="session")
def tool() -> Tool:
    """podman or docker; without either the tests are skipped, but not where a build was prepared for."""
    tool = Tool.find()
    if tool is None:
        assert "CONTAINER_BUILD_FLAGS" not in os.environ, "this machine was prepared, and no container tool answers"
        pytest.skip("neither podman nor docker answers here")
    return tool


@pytest.fixture(scope="session")
def image(tool: Tool) -> str:
    """The image; minutes the first time, then the layers that did not change are there."""
    try:
        tool.build(IMAGE, *build_options())
    except RuntimeError as error:
        if "softkv: pip did not get torch" not in str(error) or "CONTAINER_BUILD_FLAGS" in os.environ:
            raise
        pytest.skip("pip finds no CPU build of torch: set PIP_EXTRA_INDEX_URL, as docker/README.md says")
    return IMAGE


_numbers = itertools.count()


@pytest.fixture
def name() -> str:
    """A name for a container or a volume that no other run has."""
    return f"softkv-test-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def volume(tool: Tool, name: str) -> Iterator[str]:
    """A volume for the data, gone after the test."""
    with tool.volume(name) as volume:
        yield volume


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A file in which `KEY` may write; the container's user reads it as anyone."""
    path = tmp_path / "keys"
    path.write_text(line_of("tests", "write", "", KEY) + "\n")
    for folder in (path, *tmp_path.parents[:2], tmp_path):
        folder.chmod(0o755)
    return path


@pytest.fixture
def port() -> int:
    """A port of this machine that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
        return number
