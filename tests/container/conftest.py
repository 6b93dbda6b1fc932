"""The image, built once from the working tree, and containers of it as the compose file would run them."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator

import pytest

from tests.container.composition import build_options
from tests.container.tool import IMAGE, Tool


@pytest.fixture(scope="session")
def tool() -> Tool:
    """Return podman or docker; without either the tests skip, unless a build was prepared for them."""
    tool = Tool.find()
    if tool is None:
        assert "CONTAINER_BUILD_FLAGS" not in os.environ, "this machine was prepared, and no container tool answers"
        pytest.skip("neither podman nor docker answers here")
    return tool


@pytest.fixture(scope="session")
def image(tool: Tool) -> str:
    """Build the image and return its name; this takes minutes the first time, and later only changed layers."""
    tool.build(IMAGE, *build_options())
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
def port() -> int:
    """A port of this machine that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
        return number
