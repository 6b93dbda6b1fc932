"""Copies to a database, and from there to the other kind of store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from extensions.postgres.tests.of_the_core import functions_with
from softkv_service.storage import SQLiteStore, Store, open_shared
from tests.postgres import PostgresServer


@pytest.fixture(params=["from SQLite", "to SQLite", "to another database"])
def stores(request: pytest.FixtureRequest, postgres: PostgresServer, tmp_path: Path) -> Iterator[list[Store]]:
    """Yield a source and a target, both empty."""
    sqlite = SQLiteStore.open(tmp_path / "data")
    both = {
        "from SQLite": lambda: [sqlite, open_shared(postgres.database())],
        "to SQLite": lambda: [open_shared(postgres.database()), sqlite],
        "to another database": lambda: [open_shared(postgres.database()), open_shared(postgres.database())],
    }[request.param]()
    yield both
    for store in {sqlite, *both}:
        store.close()


@pytest.fixture
def store(stores: list[Store]) -> Store:
    return stores[0]


@pytest.fixture
def other(stores: list[Store]) -> Store:
    return stores[1]


globals().update(functions_with("store", "storage.test_copying"))
