"""A field in memory says what the field on disk says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_service.storage import Store
from softkv_service.storage.conditions import Comparison
from softkv_service.storage.conditions.column import TextArray
from softkv_service.storage.sqlite.statements import compile_condition
from tests.service.storage.making import collection, document
from tests.service.storage.meaning import ORDERS, TEXTS, instants, lists, ordered, passes, scalars, texts
from tests.thorough import examples

field = st.just("metadata.x")
asked = (
    st.builds(Comparison, field, st.just("=="), scalars | lists | instants)
    | st.builds(Comparison, field, st.sampled_from(sorted(ORDERS)), ordered | instants)
    | st.builds(Comparison, field, st.just("in"), st.lists(scalars | instants, max_size=4))
    | st.builds(Comparison, field, st.just("contains"), scalars)
    | st.builds(Comparison, field, st.just("contains"), texts, st.just(True))
)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(scalars | lists, min_size=1, max_size=12), st.lists(asked, min_size=1, max_size=12), st.integers(0, 9))
def test_a_column_agrees_with_the_stored_field(
    shared: Store, given: list[Any], asked: list[Comparison], first: int
) -> None:
    documents = [document(str(i), metadata={"x": value, "y": 1}) for i, value in enumerate(given)]
    number = collection(shared, documents)
    with shared.reading() as reader:
        rows = reader.rows_where(number)
        after = int(rows[min(first, len(rows) - 1)])
        parts = [reader.column(number, "x"), reader.column(number, "x", after=after)]
        for start, column in zip((0, after), parts, strict=True):
            assert column is not None
            inside = [(row, document) for row, document in zip(rows, documents, strict=True) if row > start]
            assert column.present.tolist() == [row for row, value in inside if value.metadata["x"] is not None]
            for element in asked:
                expected = [row for row, one in inside if one.metadata["x"] is not None and passes(one, element)]
                assert np.unique(column.rows(element)).tolist() == expected, element


@given(st.lists(st.text("ab\n", max_size=5), unique=True), st.text("ab", max_size=3))
def test_texts_are_searched_one_by_one(texts: list[str], part: str) -> None:
    assert list(TextArray(texts).containing(part.encode())) == [i for i, text in enumerate(texts) if part in text]


class Searches(bytes):
    """Bytes that count the work of searches: the part of each, and the bytes from its beginning to its hit."""

    work = 0

    def find(self, part: Any, start: Any = 0, end: Any = None) -> int:
        position = super().find(part, start, end)
        type(self).work += len(part) + (len(self) if position < 0 else position) - start
        return position


@pytest.mark.parametrize("texts", [["a" * 99] * 100, ["a" * 99, "a"] * 100, ["a"] * 9900, ["a" * 100, "a"] * 100])
def test_the_work_of_a_search_is_linear_in_the_texts(monkeypatch: pytest.MonkeyPatch, texts: list[str]) -> None:
    array = TextArray(texts)
    searched = Searches(b"".join(array[i] for i in range(len(array))))
    monkeypatch.setattr(array, "_bytes", searched)
    monkeypatch.setattr(Searches, "work", 0)
    part = b"a" * 100
    assert list(array.containing(part)) == [i for i, text in enumerate(texts) if part.decode() in text]
    assert Searches.work <= 4 * len(searched)


@pytest.mark.parametrize("ignore_case", [False, True])
def test_a_long_part_is_looked_for_in_linear_time(store: Store, ignore_case: bool) -> None:
    part = "ä" * 1001
    texts = [None, "", part[1:], part, f"b{part}c", part.upper()]
    documents = [document(f"{i}", key=text, metadata={"x": text}) for i, text in enumerate(texts)]
    number = collection(store, documents)
    for field in ("key", "metadata.x"):
        comparison = Comparison(field, "contains", part, ignore_case)
        assert "instr" not in compile_condition(comparison, number).sql
        with store.reading() as reader:
            rows = reader.rows_where(number, comparison)
            assert reader.ids(number, rows) == [document.id for document in documents if passes(document, comparison)]


@pytest.mark.parametrize("ignore_case", [False, True])
def test_every_text_is_looked_for_in_every_other(shared: Store, ignore_case: bool) -> None:
    values = [*TEXTS, *([element] for element in TEXTS), ["a", "SS"], [1, None, "Ab"], 1, True, None]
    documents = [document(f"{i:03}", metadata={"x": value}) for i, value in enumerate(values)]
    number = collection(shared, documents)
    with shared.reading() as reader:
        column = reader.column(number, "x")
        assert column is not None
        for text in TEXTS:
            comparison = Comparison("metadata.x", "contains", text, ignore_case)
            rows = np.unique(column.rows(comparison))
            assert reader.ids(number, rows) == [
                document.id for document in documents if passes(document, comparison)
            ], text
            assert reader.rows_where(number, comparison).tolist() == rows.tolist(), text


@pytest.mark.parametrize("value", [lambda i: i, lambda i: i / 7, lambda i: f"text {i}", lambda i: [i, "element"]])
def test_no_column_that_would_take_more_than_it_may(shared: Store, value: Any) -> None:
    number = collection(shared, [document(str(i), metadata={"x": value(i)}) for i in range(1000)])
    with shared.reading() as reader:
        column = reader.column(number, "x")
        assert column is not None
        assert reader.column(number, "x", most_bytes=column.nbytes // 2) is None
        assert reader.column(number, "x", most_bytes=column.nbytes) is not None


def test_a_column_leaves_complements_to_its_caller(shared: Store) -> None:
    number = collection(shared, [document("a", metadata={"x": 1})])
    with shared.reading() as reader:
        column = reader.column(number, "x")
    assert column is not None
    for comparison in (Comparison("metadata.x", "!=", 1), Comparison("metadata.x", "not in", [1])):
        with pytest.raises(ValueError, match=f"comparisons of order, not {comparison.operator}"):
            column.rows(comparison)
