"""Pages, vectors and rows come in their order, and are looked up, not searched for."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import orjson

from service.storage import Comparison, Store
from tests.service.storage.making import collection, document


def test_vectors_stream_in_row_order_and_keys_stand_in_for_missing_values(store: Store) -> None:
    keys = np.random.default_rng(3).standard_normal((11, 3)).astype(np.float32)
    values = -keys
    number = collection(
        store,
        [document(f"{i}", keys=keys[[i]], value_vector=values[i] if i > 5 else None) for i in range(11)],
    )
    with store.reading() as reader:
        batches = list(reader.vectors(number, batch=4))
    assert [len(batch.numbers) for batch in batches] == [4, 4, 3]
    assert batches[0].values is None
    rows = np.concatenate([batch.numbers for batch in batches])
    assert (np.diff(rows) > 0).all()
    assert rows.dtype == np.int64
    np.testing.assert_array_equal(np.concatenate([batch.keys for batch in batches]), keys)
    stood_in = np.concatenate([batch.keys if batch.values is None else batch.values for batch in batches])
    np.testing.assert_array_equal(stood_in, np.concatenate([keys[:6], values[6:]]))


def test_pages_go_by_code_point_and_each_document_is_seen_once(store: Store) -> None:
    ids = ["a", "B", "é", "猫", "😺", "z/1", "10", "9", "\uffff"]
    number = collection(store, [document(identity) for identity in ids])
    seen: list[str] = []
    while True:
        with store.reading() as reader:
            page = reader.page(number, after=seen[-1] if seen else None, limit=2)
        if not page:
            break
        seen += [document.id for document in page]
        with store.writing() as writer:
            writer.upsert(number, [document(identity, seed=1) for identity in ids])
    assert seen == sorted(ids)
    expected = [f"n{i}" for i in range(3000)] + ["z/1", "a", "a", "\ud800"]
    with store.reading() as reader:
        assert [document.id for document in reader.page(number, ids=expected)] == ["a", "z/1"]
        assert [document.id for document in reader.page(number, ids=expected, after="a", limit=1)] == ["z/1"]
        assert reader.page(number, ids=[]) == []
        condition = Comparison("metadata.seed", "==", 1)
        assert reader.count(number, ids=expected, condition=condition) == 2
        assert reader.count(number, condition=Comparison("id", "<", "a")) == 3


def test_texts_return_the_stored_json_of_the_written_values(store: Store) -> None:
    values = [
        None,
        True,
        0,
        -0.0,
        1e22,
        5e-324,
        2**64 - 1,
        -(2**63),
        "",
        'é😺\u2028\x00"\\',
        [[], {}],
        {"a": {"é": [1.5]}},
    ]
    written = [replace(document(str(i)), value=value, metadata={"v": i, "n": [1e22]}) for i, value in enumerate(values)]
    number = collection(store, written)
    with store.reading() as reader:
        read = reader.page_of_texts(number, ids=[document.id for document in written])
        again = reader.texts(number, np.array([document.row for document in read][::-1]))
    assert again == read[::-1]
    by_id = {document.id: document for document in read}
    for stored in written:
        text = by_id[stored.id]
        assert repr(json.loads(text.value)) == repr(stored.value)
        assert json.loads(text.metadata) == stored.metadata
        whole = orjson.loads(orjson.dumps([orjson.Fragment(text.value), orjson.Fragment(text.metadata)]))
        assert repr(whole[0]) == repr(stored.value)
        assert whole[1] == stored.metadata


def test_documents_are_looked_up_by_row_and_not_searched_for(store: Store) -> None:
    number = collection(store)
    with store.writing() as writer:
        rows = writer.upsert(number, [document(str(i)) for i in range(20)]).added
    ran: list[str] = []
    with store.reading() as reader:
        reader._connection.set_trace_callback(ran.append)
        assert reader.ids(number, rows[[7, 3]]) == ["7", "3"]
        assert [document.id for document in reader.documents(number, rows[[7, 3]])] == ["7", "3"]
        reader._connection.set_trace_callback(None)
        steps = [row[3] for read in ran for row in reader._connection.execute(f"EXPLAIN QUERY PLAN {read}")]
    assert not [step for step in steps if "(collection=?" in step]
    assert sum("USING INTEGER PRIMARY KEY" in step for step in steps) == 3
