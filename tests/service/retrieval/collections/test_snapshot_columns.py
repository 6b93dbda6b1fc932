"""A filter's reads from disk: each field once, then only later writes, as far as there is room."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_service.retrieval.collections import snapshot as columns
from softkv_service.storage.conditions import Comparison
from tests.service.retrieval.making import LARGE, document, ids, numbered, opened, tidied
from tests.service.storage.meaning import conditions, keys, metadata, passes
from tests.thorough import examples

documents = st.dictionaries(st.sampled_from([f"{i:02}" for i in range(40)]), st.tuples(keys, metadata), max_size=20)
steps = st.lists(
    st.tuples(documents, st.sets(st.sampled_from([f"{i:02}" for i in range(40)]), max_size=10), conditions),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize("held_in_memory", [True, False], ids=["in columns", "by SQL"])
@settings(max_examples=examples(20), deadline=None)
@given(steps=steps, asked=st.lists(conditions, min_size=1, max_size=3))
def test_a_filter_keeps_its_documents_after_any_writes(held_in_memory, steps, asked):
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as directory:
        patch.setattr(columns, "PART_RATIO", 1)  # so that there are parts of few documents, too
        if not held_in_memory:
            patch.setattr(columns, "MIN_CACHE_BYTES", 0)
            patch.setattr(columns, "CACHE_BYTES_PER_DOCUMENT", 0)
        made = opened(Path(directory))
        collection, documents = made.collection("c"), {}
        for written, removed, condition in steps:
            records = [replace(document(identity, **fields), key=key) for identity, (key, fields) in written.items()]
            if records:
                collection.write(records)
            collection.delete(ids=sorted(removed))
            documents |= {record.id: record for record in records}
            documents = {identity: record for identity, record in documents.items() if identity not in removed}
            with collection.snapshot() as snapshot:
                for tested in (condition, *asked):
                    expected = sorted(identity for identity, record in documents.items() if passes(record, tested))
                    assert ids(snapshot, tested) == expected, tested
        tidied(collection)
        made.store.close()


def test_a_column_is_read_on_from_where_it_ended(collection, columns_read):
    tidied(collection)
    for i in range(60, 100):
        collection.write(numbered(i))
        tidied(collection)
        with collection.snapshot() as snapshot:
            assert ids(snapshot, LARGE) == [f"{row:03}" for row in range(30, i + 1)]
            assert ids(snapshot, Comparison("metadata.i", "in", [1, i, None])) == ["001", f"{i:03}"]
    assert len(columns_read) == 40
    from_the_start = [after for _, after in columns_read if after == 0]
    assert 1 <= len(from_the_start) <= 10
    assert len(collection.in_memory.masks._columns._held["i"].parts) <= 4


def test_a_column_of_removed_rows_is_read_again(collection):
    collection.write(numbered(*range(60, 3000)))
    with collection.snapshot() as snapshot:
        assert snapshot.mask(LARGE).n == 2970
    collection.delete(condition=Comparison("metadata.i", ">=", 50))
    collection.write(numbered(3000))
    with collection.snapshot() as snapshot:
        assert snapshot.mask(LARGE).n == 21
    cached = collection.in_memory.masks._columns._held["i"]
    assert sum(len(part.column.present) for part in cached.parts) == 51


def test_old_columns_are_dropped_for_space_and_too_large_ones_are_not_cached(collection, monkeypatch, columns_read):
    def passing(field, value):
        with collection.snapshot() as snapshot:
            return snapshot.mask(Comparison(f"metadata.{field}", "!=", value)).n

    assert [passing("i", row) for row in (1, 2)] == [59, 59]
    cached = collection.in_memory.masks._columns._held
    monkeypatch.setattr(columns, "MIN_CACHE_BYTES", int(1.5 * cached["i"].nbytes))
    monkeypatch.setattr(columns, "CACHE_BYTES_PER_DOCUMENT", 0)
    assert passing("odd", True) == 30
    assert list(cached) == ["odd"]
    assert collection.in_memory.masks._columns._bytes == cached["odd"].nbytes
    monkeypatch.setattr(columns, "MIN_CACHE_BYTES", 100)
    assert [passing("i", row) for row in (3, 4)] == [59, 59]
    assert [field for field, _ in columns_read] == ["i", "odd", "i"]


def test_rows_that_come_after_a_version_are_in_the_part_of_the_next_one(collection):
    # A database that is read at a version, without a transaction, tells of a field's newer rows too.
    with collection.snapshot() as older:
        collection.write(numbered(60, 61))
        with collection.snapshot() as newer:
            before = collection.in_memory.masks.columns("i", replace(older._source, reader=newer.reader))
            after = np.concatenate([part.present for part in newer.columns("i", "")])
    assert sum(len(part.present) for part in before) == 60
    assert len(after) == len(np.unique(after)) == 62
