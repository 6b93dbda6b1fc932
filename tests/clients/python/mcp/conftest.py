"""The real service with the demo library, and the ways to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from softkv_service.datasets import DEMOS
from tests.clients.python.conftest import reranking_service
from tests.running import RunningService
from tests.speaking import VERSIONS, Way

__all__ = ["reranking_service"]  # a fixture

LIBRARY = "mcp-library"


@pytest.fixture(scope="session")
def library(service: RunningService) -> Iterator[str]:
    """The name of a collection with the documents of the demo library."""
    demo = DEMOS["library"]
    with service.client() as client:
        assert client.put(f"/v1/collections/{LIBRARY}", json=demo.settings).status_code == 201
        sent = client.post(f"/v1/collections/{LIBRARY}/documents", json={"documents": list(demo.documents())})
        assert sent.status_code == 200, sent.text
        yield LIBRARY
        client.delete(f"/v1/collections/{LIBRARY}")


@pytest.fixture
def http(service: RunningService) -> Way:
    """Over HTTP, in the current revision."""
    return Way(service.url)


@pytest.fixture(params=[(how, mode) for how in ("http", "stdio") for mode in VERSIONS], ids="-".join)
def way(service: RunningService, request: pytest.FixtureRequest) -> Way:
    """Each way in each revision."""
    how, mode = request.param
    return Way(service.url, mode, options=None if how == "http" else ())
