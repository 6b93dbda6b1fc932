"""Fixtures of the suites in clients/: a client of the service that `tests.integrations.run` started."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator

import pytest

from softkv import Client

_numbers = itertools.count()


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """A client of the service, whose address is in SOFTKV_URL.

    It has the demo collection `library` and two encoders, see `tests.checkpoints.save_two_encoders`.
    """
    with Client() as client:
        yield client


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """Yield an event loop for tests of coroutines."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def name(client: Client) -> Iterator[Callable[[], str]]:
    """Yield a function that makes names of collections, which are dropped after the test if it created them."""
    made: list[str] = []

    def make() -> str:
        made.append(f"integrations-{next(_numbers)}")
        return made[-1]

    yield make
    for item in made:
        if client.collections(item).first() is not None:
            client.collection(item).drop()
