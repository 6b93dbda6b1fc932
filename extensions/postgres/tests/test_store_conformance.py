"""What is true of the store in SQLite: all tests of the core with a store or with a catalogue over it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from extensions.postgres.tests.of_the_core import functions_with
from softkv_service.retrieval.collections import SharedCatalogue
from softkv_service.storage import SharedStore, open_shared
from tests.examples import ROOT
from tests.postgres import PostgresServer

FOLDER = ROOT / "tests" / "service" / "storage"
ELSEWHERE = {"test_cached_texts", "test_copying"}  # of SQLite alone, and in test_store_copying.py
PATHS = [path.relative_to(FOLDER) for folder in (FOLDER, FOLDER / "conditions") for path in folder.glob("test_*.py")]
MODULES = [f"storage.{'.'.join(path.with_suffix('').parts)}" for path in sorted(PATHS) if path.stem not in ELSEWHERE]


@pytest.fixture(scope="module")
def shared(postgres: PostgresServer) -> Iterator[SharedStore]:
    opened = open_shared(postgres.database())
    yield opened
    opened.close()


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
