from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.encoding.remote import RemoteSettings
from service.encoding.remote.encoder import RemoteEncoder
from tests.service.encoding.remote.provider import StubProvider

KEY = "sk-a-secret-that-nobody-may-read"


@pytest.fixture
def stub() -> Iterator[StubProvider]:
    with StubProvider().running() as provider:
        yield provider


@pytest.fixture
def encoder_at(stub: StubProvider) -> Callable[..., RemoteEncoder]:
    """Makes encoders of the stub, or of another URL."""

    def make(**fields: Any) -> RemoteEncoder:
        usual: dict[str, Any] = {"name": "nomic", "url": stub.url, "model": "nomic-embed-text", "timeout_seconds": 20}
        return RemoteEncoder(RemoteSettings(**(usual | fields)))

    return make
