"""Pages in the order of a metadata field, in each store, against Python's own order of the same values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_service.storage import Reader, Store
from softkv_service.storage.conditions import Order, Position, Visibility, parse_condition
from tests.service.storage.making import collection, document
from tests.thorough import examples

MISSING = object()
values = st.one_of(
    st.sampled_from(
        [True, False, 0, 1, 1.0, 0.5, -3, 2**53, 2**53 + 1, 2.0**53, 2**63, 2**64 - 1, -(2**63), 1e300, -1e300]
    ),
    st.sampled_from(["", "a", "B", "é", "猫", "😀", "a" * 300, "a" * 299 + "b", "10", "9"]),
    st.sampled_from([None, [], [1], {"b": 1}, MISSING]),
    st.integers(-3, 3),
)
orders = st.builds(Order, st.sampled_from(["a", "a.b"]), st.booleans())


def value_of(metadata: dict[str, Any], field: str) -> Any:
    value = metadata.get("a")
    if field == "a":
        return value
    return value.get("b") if isinstance(value, dict) else None


def expected(documents: dict[str, dict[str, Any]], order: Order) -> list[str]:
    """The ids in order: by class and value, each reversed if it descends, then by id; others at the end."""

    def rank(identity: str) -> tuple[int, Any]:
        value = value_of(documents[identity], order.field)
        if isinstance(value, bool):
            return 0, value
        return (1, value) if isinstance(value, int | float) else (2, value.encode())

    ids = sorted(documents)
    valued = [i for i in ids if isinstance(value_of(documents[i], order.field), bool | int | float | str)]
    ranks = sorted({rank(i) for i in valued}, reverse=order.descending)
    return [i for one in ranks for i in valued if rank(i) == one] + [i for i in ids if i not in valued]


def listed(reader: Reader, number: int, order: Order, limit: int, **only: Any) -> list[str]:
    """The ids of all pages, each after the position of the last document of the page before."""
    ids: list[str] = []
    after = None
    while page := reader.page_in_order(number, order, after=after, limit=limit, **only):
        assert len(page) <= limit
        ids += [text.id for text in page]
        last = reader.page(number, ids=[page[-1].id])[0]
        written = Position.of(order, last.id, last.metadata).write(order)
        after = Position.read(order, written)
        assert after is not None
    return ids


@settings(max_examples=examples(120), deadline=None)
@given(st.lists(values, max_size=14), orders, st.integers(1, 5))
def test_pages_have_each_document_once_in_order(shared: Store, fields: list[Any], order: Order, limit: int) -> None:
    documents = {f"d{i:02}": {} if value is MISSING else {"a": value} for i, value in enumerate(fields)}
    number = collection(shared, [document(i, metadata=metadata) for i, metadata in documents.items()])
    with shared.writing() as writer:
        writer.upsert(number, [document("d00expired", metadata={"a": 1}, expires=5)])
    collection(shared, [document("x", metadata={"a": 1})], "other")
    with shared.reading() as reader:
        reader = reader.seeing(Visibility(instant=5))
        assert listed(reader, number, order, limit) == expected(documents, order)
        some = {i: metadata for i, metadata in documents.items() if int(i[1:]) % 3}
        assert listed(reader, number, order, limit, ids=[*some, "unknown"]) == expected(some, order)
        small = parse_condition({"field": "id", "operator": "<", "value": "d06"})
        part = {i: metadata for i, metadata in documents.items() if i < "d06"}
        assert listed(reader, number, order, limit, condition=small) == expected(part, order)
        assert listed(reader.seeing(Visibility(small, instant=5)), number, order, limit) == expected(part, order)


def test_documents_that_stay_are_listed_once_while_others_are_written(shared: Store) -> None:
    number = collection(shared, [document(f"d{i}", metadata={"a": i // 3}) for i in range(9)])
    ids, after = list[str](), None
    for turn in range(5):
        with shared.reading() as reader:
            page = reader.page_in_order(number, Order("a", descending=True), after=after, limit=2)
        ids += [text.id for text in page]
        after = Position(int(page[-1].id[1:]) // 3, page[-1].id)
        with shared.writing() as writer:  # the last one gets another row number, and another comes first
            writer.upsert(number, [document(page[-1].id, metadata={"a": after.value})])
            writer.upsert(number, [document(f"new{turn}", metadata={"a": 100 + turn})])
    assert ids == ["d6", "d7", "d8", "d3", "d4", "d5", "d0", "d1", "d2"]
    with shared.writing() as writer:
        writer.delete_collection("c")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "null",
        "[]",
        '["a", false, 1]',
        '["b", false, 1, "x"]',
        '["a", true, 1, "x"]',
        '["a", 0, 1, "x"]',
        '["a", false, [1], "x"]',
        '["a", false, NaN, "x"]',
        '["a", false, 1e999, "x"]',
        '["a", false, 1, 3]',
        '["a", false, "\\u0000", "x"]',
        '["a", false, 1, "\\ud800"]',
        "[" * 100_000,
        '["a", false, ' + "9" * 5000 + ', "x"]',
    ],
)
def test_a_position_of_another_order_is_not_read(text: str) -> None:
    assert Position.read(Order("a"), text) is None
