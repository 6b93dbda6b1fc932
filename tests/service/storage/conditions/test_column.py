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
