"""Pages, vectors and rows come in their order, and are looked up, not searched for."""

from __future__ import annotations

from softkv_service.storage import Store
from softkv_service.storage.conditions import Comparison
from tests.service.storage.making import collection, document


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
