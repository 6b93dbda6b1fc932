"""Fixtures with each kind of client: blocking, asynchronous, and with a service in this process."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from softkv import AsyncClient, Client
from tests.checkpoints import write_cross_encoder
from tests.clients.python.ways import Awaited
from tests.running import RunningService

_numbers = itertools.count()


@pytest.fixture(scope="package", autouse=True)
def logged_as_before() -> Iterator[None]:
    """Restore the log's level, which a local service changes and tests of other packages read."""
    log = logging.getLogger("softkv")
    before = (log.handlers[:], log.level, log.propagate)
    yield
    log.handlers[:], log.level, log.propagate = before


@pytest.fixture(scope="session")
def local_client() -> Iterator[Client]:
    """A client of a service in this process, which takes seconds to begin."""
    with Client.local(precision="int16") as client:  # as the service that it is compared with
        yield client


@pytest.fixture(scope="session")
def reranking_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with the demo library and `pairs`, a small random cross-encoder."""
    folder = tmp_path_factory.mktemp("reranking")
    model, file = write_cross_encoder(folder / "pairs"), folder / "encoders.toml"
    file.write_text(f'[encoders.minilm]\nmodel = "all-MiniLM-L6-v2"\n[rerankers.pairs]\nmodel = "{model}"\n')
    with RunningService(data_dir=folder / "data", encoders=file, demo=("library",)) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="package", params=["blocking", "awaited", "local"])
def softkv_client(request: pytest.FixtureRequest, logged_as_before: None) -> Iterator[Any]:
    """A client, in each of the three ways."""
    if request.param == "local":
        yield request.getfixturevalue("local_client")
        return
    service: RunningService = request.getfixturevalue("service")
    if request.param == "blocking":
        with Client(service.url) as client:
            yield client
        return
    with asyncio.Runner() as runner:
        awaited = AsyncClient(service.url)
        yield Awaited(awaited, runner)
        runner.run(awaited.close())


@pytest.fixture
def made(softkv_client: Any) -> Iterator[Callable[..., Any]]:
    """Makes collections that are gone after the test."""
    all_made: list[Any] = []

    def make(**settings: Any) -> Any:
        collection = softkv_client.collection(f"client-{next(_numbers)}")
        collection.create(**settings)
        all_made.append(collection)
        return collection

    yield make
    for collection in all_made:
        collection.drop()


@pytest.fixture
def shelf(made: Callable[..., Any]) -> Any:
    """Three documents with vectors of their own."""
    collection = made(encoder=None, similarity="dot", temperature=1.0, null=0.2)
    collection.write(
        [
            {"id": "codd", "key": "relations", "key_vector": [1, 0], "metadata": {"year": 1970, "topics": ["data"]}},
            {"id": "hopper", "key_vector": [1, 1], "metadata": {"year": 1952, "topics": ["code", "data"]}},
            {"id": "noether", "key_vector": [0, 1], "value": {"rings": 2}, "metadata": {"loc": {"page": 7}}},
        ]
    )
    return collection


@pytest.fixture(scope="session")
def silent() -> Callable[..., Client]:
    """Makes a client that may send nothing."""

    class Silence:
        def handle_request(self, request: Any) -> Any:
            raise AssertionError(f"{request.method} {request.url} was sent")

        def close(self) -> None:
            pass

    return lambda: Client("http://127.0.0.1:9", transport=Silence(), retries=0)  # type: ignore[arg-type]
