"""Databases, and stores in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from service.storage import SharedStore, Store, open_shared
from tests.postgres import PostgresServer


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture
def store(address: str) -> Iterator[Any]:
    opened = open_shared(address)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def shared_store(postgres: PostgresServer) -> Iterator[SharedStore]:
    """One with what other tests left in it."""
    opened = open_shared(postgres.database())
    yield opened
    opened.close()


def emptied(store: Any) -> Store:
    """Remove all collections and all answers to writes."""
    with store.writing() as writer:
        for record in writer.collections():
            writer.delete_collection(record.name)
        writer._connection.execute("DELETE FROM softkv.answered_writes")
        writer._connection.execute("DELETE FROM softkv.encoder_measurements")
    return store  # type: ignore[no-any-return]
