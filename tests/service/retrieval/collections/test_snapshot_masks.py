"""A filter's mask: made once a view, right after any writes, and never of another view."""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from softkv_attention.lookup import Question, answer
from softkv_service.retrieval.collections import snapshot as masks
from softkv_service.storage.conditions import Combination, Comparison
from softkv_service.storage.instants import Instant
from tests.service.retrieval.making import LARGE, ODD, document, ids, numbered, opened, rows, tidied, wait_until_gone


def held(collection):
    """The views whose masks are kept."""
    return {cached.mask.view for cached in collection.in_memory.masks._kept.values() if cached.mask is not None}


def test_an_equal_filter_gets_the_same_mask(collection, columns_read):
    tidied(collection)
    both = Combination("AND", (ODD, LARGE))
    turned = Combination("AND", (Comparison("metadata.i", ">=", 30.0), ODD, ODD))
    with collection.snapshot() as first:
        mask = first.mask(both)
        assert mask.n == 15
    with collection.snapshot() as second:
        assert second.view is first.view
        assert second.mask(both) is mask
        assert second.mask(turned) is mask
        assert second.mask(ODD) is not mask
        assert (second.mask(ODD).n, second.mask(Combination("NOT", (ODD,))).n) == (30, 30)
    assert sorted(columns_read) == [("i", 0), ("odd", 0)]


def dated(operator, instant):
    return Comparison("metadata.written", operator, Instant(instant))


def test_instants_share_a_mask_until_one_passes_a_date(tmp_path):
    hour = 3_600_000_000
    texts = ["1970-01-01T01:00Z", "1970-01-01T04:00+01:00", "1970-01-01T05:00", "noon", 5, None]
    collection = opened(tmp_path, [document(str(i), written=text) for i, text in enumerate(texts)]).collection("c")
    tidied(collection)
    with collection.snapshot() as first:
        shared = {how: first.mask(dated(how, 2 * hour)) for how in (">", ">=", "<", "<=")}
        assert ids(first, dated(">", hour)) == ids(first, dated(">=", hour + 1)) == ["1", "2"]
    for how, mask in shared.items():
        with collection.snapshot() as snapshot:
            assert snapshot.mask(dated(how, 2 * hour + 7)) is mask
            assert snapshot.mask(Combination("AND", (dated(how, 2 * hour - 7),))) is mask
            assert snapshot.mask(dated(how, 4 * hour)) is not mask
            assert snapshot.mask(dated(how, 9 * hour)) is snapshot.mask(dated(how, 10 * hour))
    collection.write([document("6", written="1970-01-01T01:30Z")])
    with collection.snapshot() as after:
        assert ids(after, dated("<", 2 * hour)) == ["0", "6"]
        assert ids(after, dated("<=", hour + hour // 2 - 1)) == ["0"]


def test_a_write_changes_the_answer_and_a_reader_from_before_keeps_its_own(collection):
    small = Comparison("metadata.i", "<", 3)
    with collection.snapshot() as before:
        mask = before.mask(ODD)
        collection.write(numbered(61, 63))
        collection.delete(ids=["001"])
        with collection.snapshot() as after:
            assert after.mask(ODD) is not mask
            assert after.mask(ODD).view is after.view
            assert ids(after, ODD) == [f"{i:03}" for i in (*range(3, 60, 2), 61, 63)]
            assert ids(after, small) == ["000", "002"]
        assert before.mask(ODD) is mask
        unseen = Comparison("metadata.odd", "!=", False)
        assert ids(before, unseen) == [f"{i:03}" for i in range(1, 60, 2)]
        assert before.mask(unseen) is before.mask(unseen)
        assert before.mask(unseen).view is before.view
        assert ids(before, small) == ["000", "001", "002"]
    tidied(collection)
    assert held(collection) <= {collection.in_memory.memory.view}


@pytest.fixture
def looked_at(monkeypatch):
    """Return how many rows each filter was evaluated for."""
    row_counts, real = [], masks._evaluate

    def counted(condition, source, columns, spans, *rest):
        row_counts.append(sum(map(len, spans)))
        return real(condition, source, columns, spans, *rest)

    monkeypatch.setattr(masks, "_evaluate", counted)
    return row_counts


def test_after_a_write_a_filter_looks_at_new_rows_only(collection, looked_at):
    tidied(collection)
    null = Comparison("metadata.none", "==", None)
    with collection.snapshot() as before:
        assert [len(ids(before, condition)) for condition in (ODD, null)] == [30, 60]
    assert looked_at == [60, 60]
    collection.delete(ids=["001", "002"])
    with collection.snapshot() as after:
        assert [len(ids(after, condition)) for condition in (ODD, null)] == [29, 58]
        looked_at.clear()
    collection.write([*numbered(1, 61), document("62", none=1)])
    with collection.snapshot() as last:
        assert [len(ids(last, condition)) for condition in (ODD, null)] == [31, 60]
        assert looked_at == [3, 3]
        with collection.snapshot() as again:
            assert last.mask(ODD) is again.mask(ODD)
        assert len(looked_at) == 2


def test_the_least_recently_used_masks_are_dropped(collection, monkeypatch):
    tidied(collection)
    monkeypatch.setattr(masks, "MAX_MASKS", 4)
    filters = [Comparison("metadata.i", "<", i) for i in range(1, 8)]

    def asked(*which):
        with collection.snapshot() as snapshot:
            return [snapshot.mask(filters[i]) for i in which]

    first, *_ = asked(0, 1, 2, 3)
    assert asked(0)[0] is first
    asked(4)
    assert asked(0)[0] is first
    (again,) = asked(1)
    monkeypatch.setattr(masks, "MAX_MASK_BYTES", 2 * again.nbytes)
    (last,) = asked(5)
    assert asked(5, 1) == [last, again]
    assert asked(0)[0] is not first
    monkeypatch.setattr(masks, "MAX_MASK_BYTES", 0)
    with collection.snapshot() as snapshot:
        assert snapshot.mask(filters[6]) is snapshot.mask(filters[6])
    assert not collection.in_memory.masks._kept


def test_a_new_view_lets_the_old_one_go(collection):
    def seen():
        with collection.snapshot() as snapshot:
            assert snapshot.mask(ODD).view is snapshot.view
            return weakref.ref(snapshot.view), weakref.ref(snapshot.mask(ODD))

    before = seen()
    collection.write(numbered(61))
    tidied(collection)
    wait_until_gone(*before)


def test_concurrent_filters_during_writes_see_one_view(collection):
    """Each generation replaces all documents; every reader sees one generation, by mask as by SQL."""
    done, have_read = threading.Event(), [threading.Event() for _ in range(4)]
    conditions = [ODD, LARGE, Combination("OR", (LARGE, ODD)), Comparison("metadata.generation", "<", 20)]
    conditions += [Combination("NOT", (condition,)) for condition in conditions]

    def read(turn: int) -> int:
        times = 0
        while not done.is_set():
            with collection.snapshot() as snapshot:
                for condition in (conditions[(turn + times) % len(conditions)], conditions[times % len(conditions)]):
                    mask = snapshot.mask(condition)
                    assert rows(mask).tolist() == snapshot.reader.rows_where(snapshot.record.id, condition).tolist()
                    result = answer(snapshot.view, Question(np.ones(2), 1.0, mask=mask, top_k=100))
                    assert result.documents == len(result.numbers) == mask.n
            times += 1
            have_read[turn].set()
        return times

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read, turn) for turn in range(4)]
        try:
            for generation in range(40):
                if generation == 20:  # a writer may be done before a reader's thread begins, on a busy machine
                    for again in have_read:
                        again.clear()
                        assert again.wait(60)
                fields = [
                    condition.metadata | {"generation": generation} for condition in numbered(*range(generation, 60))
                ]
                collection.write([document(f"{field['i']:03}", **field) for field in fields])
                collection.delete(condition=Comparison("metadata.generation", "<", generation - 5))
        finally:
            done.set()
        assert all(reader.result() > 0 for reader in readers)
    tidied(collection)
