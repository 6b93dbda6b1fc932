"""The collection of a store: created if missing, queried in both ways, written in parts."""

from __future__ import annotations

import asyncio
import inspect

import pytest

import softkv
from softkv import Client, Document
from softkv.calls import documents
from softkv.calls.call import Plan
from softkv.integrations import (
    CollectionSource,
    Connection,
    async_store_method,
    collect_pages,
    sync_store_method,
)


def all_ids(source: CollectionSource, /, *, page: int = 2) -> Plan[list[str]]:
    """The ids of all documents."""
    yield from source.info()
    pages = yield from collect_pages(documents.find(source.place, page=page))
    return [document.id for document in pages]


class Shelf:
    def __init__(self, source):
        self._source = source

    ids = sync_store_method(all_ids)
    aids = async_store_method(all_ids)


@pytest.fixture
def client(service):
    with Client(service.url) as client:
        yield client


@pytest.fixture
def source(client):
    source = CollectionSource(
        "integrations-source", lambda: Connection(client=client), {"encoder": None, "similarity": "dot"}
    )
    yield source
    if source._info is not None:
        client.collection("integrations-source").drop()


def test_it_is_made_where_it_is_not_there_and_asked_in_both_ways(source):
    shelf = Shelf(source)
    assert shelf.ids() == asyncio.run(shelf.aids()) == []
    assert source.run(source.info()).similarity == "dot"
    rows = [Document(f"n{n}", metadata={"n": n}) for n in range(5)]
    assert asyncio.run(source.run_async(source.write(rows))).upserted == 5
    assert shelf.ids(page=2) == asyncio.run(shelf.aids(page=3)) == ["n0", "n1", "n2", "n3", "n4"]
    assert list(inspect.signature(shelf.ids).parameters) == ["page"]
    assert shelf.ids.__doc__ == "The ids of all documents."


def test_one_that_is_there_is_taken_unless_other_settings_are_wanted(source, client):
    source.run(source.info())
    same = CollectionSource("integrations-source", lambda: Connection(client=client))
    assert same.run(same.info()).encoder is None
    other = CollectionSource("integrations-source", lambda: Connection(client=client), {"similarity": "cosine"})
    with pytest.raises(softkv.Conflict, match="integrations-source"):
        other.run(other.info())


def test_what_is_too_large_together_is_written_in_parts(source):
    rows = [Document(f"l{n}", "x" * 4_000_000) for n in range(9)]
    written = source.run(source.write(rows, "skip"))
    assert (written.upserted, written.skipped) == (9, [])
    assert sorted(source.run(source.write(rows, "skip")).skipped) == [row.id for row in rows]
    with pytest.raises(softkv.TooLarge):
        source.run(source.write([Document("one", "x" * 40_000_000)]))


def test_made_anew_it_holds_nothing_and_takes_other_vectors(source):
    source.run(source.write([Document("a", key_vector=[1, 0])]))
    source.run(source.recreate())
    source.run(source.write([Document("a", key_vector=[1, 0, 0])]))
    assert source.run(documents.count(source.place)) == 1
    source.run(source.recreate())
    assert source.run(documents.count(source.place)) == 0


def test_its_settings_may_be_all_that_a_collection_has(client):
    settings = {"encoder": None, "defaults": {"top_k": 3}, "expire_after": "30d"}
    source = CollectionSource("integrations-settings", lambda: Connection(client=client), settings)
    for _ in range(2):
        info = source.run(source.info())
        assert (info.defaults, info.expire_after) == ({"top_k": 3}, 30 * 86_400)
        source.run(source.recreate())
    client.collection("integrations-settings").drop()


def test_settings_that_no_collection_has_are_refused():
    with pytest.raises(softkv.Invalid, match=r"not encoders, metric"):
        CollectionSource("a", lambda: Connection(), {"encoders": None, "metric": "l2"})
