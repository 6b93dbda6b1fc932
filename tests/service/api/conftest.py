"""Every answer in the tests of this room is held against /openapi.json."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.running import RunningService
from tests.service.api.contract import Contract


@pytest.fixture(scope="session")
def contract(service: RunningService) -> Contract:
    """What the service promises."""
    with service.client() as client:
        return Contract(client.get("/openapi.json").json())


@pytest.fixture(scope="session")
def client(service: RunningService, contract: Contract) -> Iterator[httpx.Client]:
    """A client of `service` that fails where an answer is not as documented."""
    with service.client(event_hooks={"response": [contract.keeps]}) as client:
        yield client
