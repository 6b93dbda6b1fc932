from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from softkv_service.encoding.remote import RemoteSettings
from softkv_service.encoding.remote.encoder import RemoteEncoder
from tests.service.encoding.remote.provider import StubProvider

KEY = "sk-a-secret-that-nobody-may-read"


@pytest.fixture
def nowhere() -> Iterator[str]:
    """Yield a URL that refuses connections. Its port is reserved during the test."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/v1"


@pytest.fixture
def encoder_at(stub: StubProvider) -> Callable[..., RemoteEncoder]:
    """Makes encoders of the stub, or of another URL."""

    def make(**fields: Any) -> RemoteEncoder:
        usual: dict[str, Any] = {"name": "nomic", "url": stub.url, "model": "nomic-embed-text", "timeout_seconds": 60}
        return RemoteEncoder(RemoteSettings(**(usual | fields)))

    return make
