"""The registry of slots and their ready ranges; and the log that they follow, one version at a time."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from service.storage import CollectionMissing, Comparison, Extent, NodeRecord, ShardReplica, open_shared
from tests.service.storage.making import collection, document

pytestmark = pytest.mark.postgres


def aged(store: Any, slot: str, seconds: int) -> None:
    """Make a slot's last heartbeat earlier by so many seconds."""
    with store._connection() as connection:
        connection.execute("UPDATE slots SET seen = seen - make_interval(secs => %s) WHERE name = %s", (seconds, slot))


def held(store: Any, number: int) -> list[tuple[int, str]]:
    return [(holder.first_row, holder.node.name) for holder in store.nodes.holders(number)]


def test_a_slot_is_there_until_it_was_not_seen_for_half_a_minute(store: Any) -> None:
    assert not store.nodes.beat("b")
    store.nodes.join("b", "one")
    store.nodes.join("a", "two")
    assert store.nodes.members() == [NodeRecord("a", "two"), NodeRecord("b", "one")]
    aged(store, "a", 31)
    assert store.nodes.members() == [NodeRecord("b", "one")]
    assert store.nodes.beat("a")
    assert len(store.nodes.members()) == 2
    store.nodes.leave("a")
    assert store.nodes.members() == [NodeRecord("b", "one")]
    assert store.nodes.live() == [NodeRecord("a", "two", leaving=True), NodeRecord("b", "one")]
    store.nodes.join("a", "three")
    assert store.nodes.members()[0] == NodeRecord("a", "three")
    aged(store, "a", 700)
    store.nodes.join("c", "one")
    assert not store.nodes.beat("a")


def test_what_is_held_is_of_slots_and_collections_that_are_there(store: Any) -> None:
    number, other = collection(store, name="c"), collection(store, name="d")
    for slot in ("a", "b"):
        store.nodes.join(slot, "one")
        store.nodes.hold(slot, number, [0, 131072])
    store.nodes.hold("a", number, [0])
    store.nodes.hold("b", other, [0])
    store.nodes.hold("nobody", number, [0])
    store.nodes.hold("a", 999, [0])
    assert held(store, number) == [(0, "a"), (0, "b"), (131072, "a"), (131072, "b")]
    assert store.nodes.holders()[-1] == ShardReplica(other, 0, NodeRecord("b", "one"))
    store.nodes.release("a", number, [131072])
    aged(store, "b", 31)
    assert held(store, number) == [(0, "a")]
    store.nodes.join("b", "one")  # another process of that name, which has nothing
    assert store.nodes.holders(other) == []
    with store.writing() as writer:
        writer.delete_collection("c")
    assert store.nodes.holders() == []
    store.nodes.hold("a", other, [0])
    store.nodes.remove("a")
    assert store.nodes.holders() == []


def test_a_range_is_let_go_of_only_where_as_many_others_have_it(store: Any) -> None:
    number = collection(store)
    for slot in "abcd":
        store.nodes.join(slot, slot)
    store.nodes.leave("d")
    store.nodes.hold("a", number, [0])
    store.nodes.hold("b", number, [0])
    store.nodes.hold("d", number, [0])
    assert not store.nodes.give_up("a", number, 0, [], 2)
    assert not store.nodes.give_up("a", number, 0, ["b", "c"], 2)
    assert not store.nodes.give_up("a", number, 0, ["b", "d"], 2)  # which is leaving itself
    assert not store.nodes.give_up("a", number, 0, ["a", "b"], 2)
    assert not store.nodes.give_up("a", number, 0, ["b"], 2)  # though there was one member alone a moment ago
    store.nodes.hold("c", number, [0])
    aged(store, "c", 31)
    assert not store.nodes.give_up("a", number, 0, ["b", "c"], 2)
    store.nodes.beat("c")
    assert store.nodes.give_up("a", number, 0, ["b", "c"], 2)
    assert not store.nodes.give_up("a", number, 0, ["b", "c"], 2)
    assert held(store, number) == [(0, "b"), (0, "c"), (0, "d")]
    store.nodes.remove("a")
    store.nodes.remove("c")
    assert store.nodes.give_up("d", number, 0, ["b"], 2)  # no other node exists


def test_of_many_who_rely_on_one_another_two_are_left(store: Any, address: str) -> None:
    number, names = collection(store), [f"s{i}" for i in range(6)]
    for name in names:
        store.nodes.join(name, name)
        store.nodes.hold(name, number, [0])
    opened = [open_shared(address) for _ in names]
    start = threading.Barrier(len(names))

    def give_up(index: int) -> None:
        start.wait()
        owners = [names[(index + step) % len(names)] for step in (1, 2)]
        opened[index].nodes.give_up(names[index], number, 0, owners, 2)

    threads = [threading.Thread(target=give_up, args=(position,)) for position in range(len(names))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held(store, number)) >= 2
    for store_connection in opened:
        store_connection.close()


def test_the_log_says_what_each_version_did(store: Any) -> None:
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
        writer._connection.execute("DELETE FROM changes WHERE version = 2")
    assert store.change_log(number, 1) is None
    with pytest.raises(CollectionMissing):
        store.extent(number + 1)


def test_a_reader_of_a_version_tells_when_some_of_it_may_have_been_deleted(store: Any) -> None:
    number = collection(store, [document("a")])
    for seed in range(2):
        with store.writing() as writer:
            writer.upsert(number, [document("a", seed)])
    with store.reading_at(1) as first, store.reading_at(2) as second, store.reading_at(3) as last:
        assert [reader.is_retained(number) for reader in (first, second, last)] == [True, True, True]
        with store._connection() as connection:
            connection.execute("UPDATE changes SET at = at - interval '11 minutes' WHERE version <= 2")
        assert [reader.is_retained(number) for reader in (first, second, last)] == [False, True, True]
        while store._delete_expired():
            pass
        assert [reader.is_retained(number) for reader in (first, second, last)] == [False, True, True]
        with store.writing() as writer:
            writer.delete_collection("c")
        with pytest.raises(CollectionMissing):
            last.is_retained(number)


def test_the_vectors_and_the_fields_of_some_row_numbers(store: Any) -> None:
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
