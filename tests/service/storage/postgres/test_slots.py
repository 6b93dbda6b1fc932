"""Which slots there are and what they have ready; and the log, one version at a time, that they follow."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from service.storage import CollectionMissing, Comparison, Extent, Holder, Slot, open_shared
from tests.service.storage.making import collection, document

pytestmark = pytest.mark.postgres


def aged(store: Any, slot: str, seconds: int) -> None:
    """As if it had been seen so much earlier."""
    with store._connection() as connection:
        connection.execute("UPDATE slots SET seen = seen - make_interval(secs => %s) WHERE name = %s", (seconds, slot))


def held(store: Any, number: int) -> list[tuple[int, str]]:
    return [(each.first_row, each.slot.name) for each in store.slots.holders(number)]


def test_a_slot_is_there_until_it_was_not_seen_for_half_a_minute(store: Any) -> None:
    assert not store.slots.beat("b")
    store.slots.join("b", "one")
    store.slots.join("a", "two")
    assert store.slots.members() == [Slot("a", "two"), Slot("b", "one")]
    aged(store, "a", 31)
    assert store.slots.members() == [Slot("b", "one")]
    assert store.slots.beat("a")
    assert len(store.slots.members()) == 2
    store.slots.leave("a")
    assert store.slots.members() == [Slot("b", "one")]
    assert store.slots.present() == [Slot("a", "two", leaving=True), Slot("b", "one")]
    store.slots.join("a", "three")
    assert store.slots.members()[0] == Slot("a", "three")
    aged(store, "a", 700)
    store.slots.join("c", "one")
    assert not store.slots.beat("a")


def test_what_is_held_is_of_slots_and_collections_that_are_there(store: Any) -> None:
    number, other = collection(store, name="c"), collection(store, name="d")
    for slot in ("a", "b"):
        store.slots.join(slot, "one")
        store.slots.hold(slot, number, [0, 131072])
    store.slots.hold("a", number, [0])
    store.slots.hold("b", other, [0])
    store.slots.hold("nobody", number, [0])
    store.slots.hold("a", 999, [0])
    assert held(store, number) == [(0, "a"), (0, "b"), (131072, "a"), (131072, "b")]
    assert store.slots.holders()[-1] == Holder(other, 0, Slot("b", "one"))
    store.slots.release("a", number, [131072])
    aged(store, "b", 31)
    assert held(store, number) == [(0, "a")]
    store.slots.join("b", "one")  # another process of that name, which has nothing
    assert store.slots.holders(other) == []
    with store.writing() as writer:
        writer.delete_collection("c")
    assert store.slots.holders() == []
    store.slots.hold("a", other, [0])
    store.slots.gone("a")
    assert store.slots.holders() == []


def test_a_range_is_let_go_of_only_where_as_many_others_have_it(store: Any) -> None:
    number = collection(store)
    for slot in "abcd":
        store.slots.join(slot, slot)
    store.slots.leave("d")
    store.slots.hold("a", number, [0])
    store.slots.hold("b", number, [0])
    store.slots.hold("d", number, [0])
    assert not store.slots.give_up("a", number, 0, [], 2)
    assert not store.slots.give_up("a", number, 0, ["b", "c"], 2)
    assert not store.slots.give_up("a", number, 0, ["b", "d"], 2)  # which is leaving itself
    assert not store.slots.give_up("a", number, 0, ["a", "b"], 2)
    assert not store.slots.give_up("a", number, 0, ["b"], 2)  # though there was one member alone a moment ago
    store.slots.hold("c", number, [0])
    aged(store, "c", 31)
    assert not store.slots.give_up("a", number, 0, ["b", "c"], 2)
    store.slots.beat("c")
    assert store.slots.give_up("a", number, 0, ["b", "c"], 2)
    assert not store.slots.give_up("a", number, 0, ["b", "c"], 2)
    assert held(store, number) == [(0, "b"), (0, "c"), (0, "d")]
    store.slots.gone("a")
    store.slots.gone("c")
    assert store.slots.give_up("d", number, 0, ["b"], 2)  # there is no other


def test_of_many_who_rely_on_one_another_two_are_left(store: Any, address: str) -> None:
    number, names = collection(store), [f"s{i}" for i in range(6)]
    for name in names:
        store.slots.join(name, name)
        store.slots.hold(name, number, [0])
    opened = [open_shared(address) for _ in names]
    start = threading.Barrier(len(names))

    def give_up(at: int) -> None:
        start.wait()
        others = [names[(at + step) % len(names)] for step in (1, 2)]
        opened[at].slots.give_up(names[at], number, 0, others, 2)

    threads = [threading.Thread(target=give_up, args=(at,)) for at in range(len(names))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held(store, number)) >= 2
    for each in opened:
        each.close()


def test_the_log_says_what_each_version_did(store: Any) -> None:
    number = collection(store, [document("a"), document("b")])
    with store.writing() as writer:
        writer.upsert(number, [document("a", 2), document("c", 3, keys=np.ones((3, 3), np.float32))])
        writer.delete_ids(number, ["b"])
    record, extent = store.extent(number)
    assert (record.documents, extent, store.extents()) == (2, Extent(3, 7), {number: extent})
    entries = store.log(number, 0)
    assert [(each.version, each.first, each.count, each.removed.tolist()) for each in entries] == [
        (1, 1, 2, []),
        (2, 3, 4, [1]),
        (3, 7, 0, [2]),
    ]
    assert 60 > entries[0].seconds >= entries[-1].seconds >= 0
    assert store.log(number, 3) == []
    assert [each.version for each in store.log(number, 2)] == [3]
    with store.writing() as writer:
        writer._connection.execute("DELETE FROM changes WHERE version = 2")
    assert store.log(number, 1) is None
    with pytest.raises(CollectionMissing):
        store.extent(number + 1)


def test_a_reader_of_a_version_tells_when_some_of_it_may_have_been_deleted(store: Any) -> None:
    number = collection(store, [document("a")])
    for seed in range(2):
        with store.writing() as writer:
            writer.upsert(number, [document("a", seed)])
    with store.reading_at(1) as first, store.reading_at(2) as second, store.reading_at(3) as last:
        assert [each.kept(number) for each in (first, second, last)] == [True, True, True]
        with store._connection() as connection:
            connection.execute("UPDATE changes SET at = at - interval '11 minutes' WHERE version <= 2")
        assert [each.kept(number) for each in (first, second, last)] == [False, True, True]
        while store._clear():
            pass
        assert [each.kept(number) for each in (first, second, last)] == [False, True, True]
        with store.writing() as writer:
            writer.delete_collection("c")
        with pytest.raises(CollectionMissing):
            last.kept(number)


def test_the_vectors_and_the_fields_of_some_row_numbers(store: Any) -> None:
    documents = [document(f"{i}", i, keys=np.full((2, 3), i + 1, np.float32)) for i in range(5)]
    number = collection(store, documents)  # rows 1 and 2, 3 and 4, …, 9 and 10
    with store.writing() as writer:
        writer.delete_ids(number, ["1"])
    for version, wanted in [(1, [3, 4, 5, 6]), (2, [5, 6])]:
        with store.reading_at(version) as reader:
            found = [rows.numbers.tolist() for rows in reader.vectors(number, first=2, last=6)]
            assert found == [wanted]
            assert [rows.numbers.tolist() for rows in reader.vectors(number, first=0, last=1)] == [[1, 2]]
    with store.reading() as reader:
        column = reader.column(number, "seed", after=1, last=7)
        assert column.present.tolist() == [3, 5, 7]
        assert column.rows(Comparison("metadata.seed", ">=", 2)).tolist() == [5, 7]
