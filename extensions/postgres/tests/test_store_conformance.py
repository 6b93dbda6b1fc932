"""What is true of the store in SQLite: all tests of the core with a store or with a catalogue over it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from extensions.postgres.tests.conftest import emptied
from extensions.postgres.tests.of_the_core import functions_with
from service.retrieval.collections import SharedCatalogue
from service.storage import SharedStore, Store, open_shared
from tests.postgres import PostgresServer

MODULES = (
    "storage.test_column",
    "storage.test_conditions",
    "storage.test_fields",
    "storage.test_idempotency",
    "storage.test_key_rows",
    "storage.test_ordering",
    "storage.test_search_terms",
    "storage.test_serialisation",
    "storage.test_storage_aliases",
    "storage.test_storage_encoder_measurements",
    "storage.test_storage_feedback",
    "storage.test_storage_ranks",
    "storage.test_visibility",
)


@pytest.fixture
def store(shared_store: SharedStore) -> Store:
    return emptied(shared_store)


@pytest.fixture(scope="module")
def shared(shared_store: SharedStore) -> Store:
    return emptied(shared_store)


@pytest.fixture(scope="module")
def catalogue(postgres: PostgresServer) -> Iterator[SharedCatalogue]:
    made = SharedCatalogue(open_shared(postgres.database()), None)
    made.rebuild()
    asyncio.run(made.create("c", {"similarity": "dot"}))
    yield made
    made.store.close()


globals().update(functions_with("store", *MODULES))
globals().update(functions_with("shared", *MODULES))
globals().update(functions_with("catalogue", "retrieval.queries.test_terms"))
