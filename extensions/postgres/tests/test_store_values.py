"""Values that are encoded behind in PostgreSQL, as in SQLite; of several processes, one encodes each."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from psycopg import connect

from extensions.postgres.tests.of_the_core import functions_with
from softkv_service.encoding import Encoder
from softkv_service.retrieval.documents import Worker
from softkv_service.retrieval.documents.work import Slices
from softkv_service.storage import open_shared
from tests.service.retrieval.documents.test_backfill import serving
from tests.service.retrieval.documents.test_backfill_values import ask, count, documents, model, written
from tests.service.storage.making import SETTINGS, document

__all__ = ["model"]  # a fixture


def test_tables_of_an_earlier_version_get_the_column(address: str) -> None:
    with open_shared(address) as store, store.writing() as writer:
        number = writer.create_collection("c", SETTINGS).id
        writer.upsert(number, [document("a")])
    with connect(address) as connection:
        connection.execute("ALTER TABLE softkv.vectors DROP COLUMN waiting")
        connection.execute("UPDATE softkv.state SET schema_version = 13")
    for _ in range(2):
        with open_shared(address) as store:
            assert list(store.check()) == []
            with store.writing() as writer:
                writer.upsert(number, [document("a")])
            with store.reading() as reader:
                assert reader.page(number)[0].id == "a"


globals().update(functions_with("store", "retrieval.documents.test_backfill_values", "storage.test_storage_values"))


async def test_two_processes_encode_each_value_once_and_both_show_it(
    address: str, model: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = list[str]()
    real = Slices.encode

    async def encode(self: Slices, queue: Any, texts: list[str], *arguments: Any, **options: Any) -> Any:
        encoded.extend(texts)
        return await real(self, queue, texts, *arguments, **options)

    monkeypatch.setattr(Slices, "encode", encode)
    with open_shared(address) as one, open_shared(address) as two:
        async with serving(one, model) as first, serving(two, model) as second:
            collection = await written(first, documents(600))
            await second.refresh()
            await asyncio.gather(Worker(first).finish(), Worker(second).finish())
            await Worker(second).finish()
            assert count(collection) == (0, 0)
            assert len(encoded) == len(set(encoded)) == 600
            outputs = [await ask(catalogue.collection("c")) for catalogue in (first, second)]
            assert np.array_equal(*outputs)
