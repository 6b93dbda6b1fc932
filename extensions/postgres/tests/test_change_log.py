"""The plan of shard servers, and the log that they follow, one version at a time."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np
import pytest

from softkv_service.storage import open_shared
from softkv_service.storage.conditions import Comparison
from softkv_service.storage.errors import CollectionMissing
from softkv_service.storage.records import Extent
from tests.service.storage.making import collection, document


def test_a_plan_replaces_the_one_before_and_has_a_higher_number(store: Any, address: str) -> None:
    assert store.cluster_plan() is None
    first = store.set_cluster_plan(["softkv-0", "softkv-2"], 2)
    assert (first.names, first.copies) == (("softkv-0", "softkv-2"), 2)
    assert store.cluster_plan() == first
    second = store.set_cluster_plan(first.names, 2)
    assert second.number > first.number
    with closing(open_shared(address)) as other:
        assert other.cluster_plan() == second
        assert other.set_cluster_plan([], 0) is None
        assert store.cluster_plan() is None
        assert other.set_cluster_plan(["softkv-5"], 1).number > second.number


def test_the_log_lists_the_changes_of_each_version(store: Any) -> None:
    number = collection(store, [document("a"), document("b")])
    with store.writing() as writer:
        writer.upsert(number, [document("a", 2), document("c", 3, keys=np.ones((3, 3), np.float32))])
        writer.delete_ids(number, ["b"])
    record, extent = store.extent(number)
    assert (record.documents, extent, store.extents()) == (2, Extent(3, 7), {number: extent})
    entries = store.change_log(number, 0)
    assert [(entry.version, entry.first, entry.count, entry.removed.tolist()) for entry in entries] == [
        (1, 1, 2, []),
        (2, 3, 4, [1]),
        (3, 7, 0, [2]),
    ]
    assert 60 > entries[0].seconds >= entries[-1].seconds >= 0
    assert store.change_log(number, 3) == []
    assert [entry.version for entry in store.change_log(number, 2)] == [3]
    with store.writing() as writer:
        writer._connection.execute("DELETE FROM softkv.changes WHERE version = 2")
    assert store.change_log(number, 1) is None
    with pytest.raises(CollectionMissing):
        store.extent(number + 1)


def test_a_reader_of_a_version_knows_whether_its_rows_may_have_been_deleted(store: Any) -> None:
    number = collection(store, [document("a")])
    for seed in range(2):
        with store.writing() as writer:
            writer.upsert(number, [document("a", seed)])
    with store.reading_at(1) as first, store.reading_at(2) as second, store.reading_at(3) as last:
        assert [reader.is_retained(number) for reader in (first, second, last)] == [True, True, True]
        with store._connection() as connection:
            connection.execute("UPDATE softkv.changes SET at = at - interval '11 minutes' WHERE version <= 2")
        assert [reader.is_retained(number) for reader in (first, second, last)] == [False, True, True]
        while store._collect_garbage():
            pass
        assert [reader.is_retained(number) for reader in (first, second, last)] == [False, True, True]
        with store.writing() as writer:
            writer.delete_collection("c")
        with pytest.raises(CollectionMissing):
            last.is_retained(number)


def test_vectors_and_fields_are_read_for_a_range_of_row_numbers(store: Any) -> None:
    documents = [document(f"{i}", i, keys=np.full((2, 3), i + 1, np.float32)) for i in range(5)]
    number = collection(store, documents)  # rows 1 and 2, 3 and 4, …, 9 and 10
    with store.writing() as writer:
        writer.delete_ids(number, ["1"])
    for version, expected in [(1, [3, 4, 5, 6]), (2, [5, 6])]:
        with store.reading_at(version) as reader:
            actual = [rows.numbers.tolist() for rows in reader.vectors(number, first=2, last=6)]
            assert actual == [expected]
            assert [rows.numbers.tolist() for rows in reader.vectors(number, first=0, last=1)] == [[1, 2]]
    with store.reading() as reader:
        column = reader.column(number, "seed", after=1, last=7)
        assert column.present.tolist() == [3, 5, 7]
        assert column.rows(Comparison("metadata.seed", ">=", 2)).tolist() == [5, 7]


def test_documents_that_expire_are_found_by_row_and_by_instant(store: Any) -> None:
    expires = [30, None, 10, 20, 20]
    number = collection(store, [document(f"{i}", expires=instant) for i, instant in enumerate(expires)])
    with store.writing() as writer:
        writer.delete_ids(number, ["2"])

    def read(**limits: int) -> list[int]:
        return [row - 1 for row in reader.expiring(number, **limits).rows.tolist()]

    with store.reading() as reader:
        assert reader.extent(number) == Extent(2, 6)
        assert (read(), read(first=2, last=4), read(after=20), read(until=20)) == ([3, 4, 0], [3], [0], [3, 4])
        instants = {now: reader.find_expiries(number, now) for now in (10, 20, 29, 30)}
        assert instants == {10: (None, 20), 20: (20, 30), 29: (20, 30), 30: (30, None)}
        with pytest.raises(CollectionMissing):
            reader.extent(number + 1)
    with store.reading_at(1) as reader:
        assert (read(), reader.find_expiries(number, 10)) == ([2, 3, 4, 0], (10, 20))
