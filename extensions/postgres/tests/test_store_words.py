"""The words of keys in PostgreSQL: tables of earlier versions, and one process that makes them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from psycopg import connect

from extensions.postgres.tests.of_the_core import functions_with
from softkv_postgres.garbage_collection import collect_garbage
from softkv_service.encoding import Encoder
from softkv_service.retrieval.documents import Worker
from softkv_service.retrieval.documents.work import Slices
from softkv_service.storage import open_shared
from softkv_service.storage.records import KeptWords
from tests.service.retrieval.documents.test_backfill import count, filled, model, serving
from tests.service.storage.making import SETTINGS, document

__all__ = ["model"]  # a fixture

LATE = replace(SETTINGS, late=True)


def test_tables_of_an_earlier_version_get_the_table(address: str) -> None:
    with open_shared(address) as store, store.writing() as writer:
        number = writer.create_collection("c", SETTINGS).id
        writer.upsert(number, [document("a")])
    with connect(address) as connection:
        connection.execute("DROP TABLE softkv.words")
        connection.execute("ALTER TABLE softkv.collections DROP COLUMN late")
        connection.execute("UPDATE softkv.state SET schema_version = 12")
    for _ in range(2):
        with open_shared(address) as store:
            assert list(store.check()) == []
            with store.writing() as writer:
                settings = writer.record(number).settings
                writer.update_collection("c", replace(settings, late=True))
                writer.upsert(number, [document("a", words=(b"one",))])
                assert writer.count_words(number) == KeptWords(1, 0)


def test_another_process_takes_the_work_when_the_lease_is_over(store: Any) -> None:
    with store.writing() as writer:
        number = writer.create_collection("late", LATE).id
    with store.writing() as writer:
        assert writer.lease(number, "one")
        assert not writer.lease(number, "two")
        writer._run("UPDATE softkv.leases SET renewed = renewed - interval '1 hour'")
        assert writer.lease(number, "two")
        assert not writer.lease(number, "one")


def test_words_of_deleted_documents_leave_the_disk(store: Any, address: str) -> None:
    with store.writing() as writer:
        number = writer.create_collection("late", LATE).id
        writer.upsert(number, [document("a", words=(b"one",)), document("b", words=(b"two",))])
    with store.writing() as writer:
        rows = writer.rows_among(number, ["a", "b"])
        writer.delete_ids(number, ["a"])
        writer.upsert(number, [document("c")])
    with store.reading() as reader:
        assert reader.count_words(number) == KeptWords(1, 1)
    with connect(address, autocommit=True) as connection:
        connection.execute("UPDATE softkv.changes SET at = at - interval '1 day'")
        while collect_garbage(connection, 10):
            pass
    with store.reading() as reader:
        assert reader.words(number, np.array(rows)) == {int(rows[1]): b"two"}
    assert list(store.check()) == []


globals().update(functions_with("store", "retrieval.documents.test_backfill"))


async def test_two_processes_make_each_word_once(address: str, model: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = list[str]()
    real = Slices.encode

    async def encode(self: Slices, queue: Any, texts: list[str], *arguments: Any, **options: Any) -> Any:
        encoded.extend(texts)
        return await real(self, queue, texts, *arguments, **options)

    monkeypatch.setattr(Slices, "encode", encode)
    with open_shared(address) as one, open_shared(address) as two:
        async with serving(one, model) as first, serving(two, model) as second:
            collection = await filled(first, 130)
            await second.refresh()
            await asyncio.gather(Worker(first).finish(), Worker(second).finish())
            assert count(collection).waiting == 0
            assert len(encoded) == len(set(encoded))
