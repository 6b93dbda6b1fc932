"""Filters against a small model of what they mean, and what is refused as a filter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.storage import (
    Combination,
    Comparison,
    Condition,
    Instant,
    InvalidCondition,
    Store,
    condition_digest,
    parse_condition,
)
from service.storage.conditions import MAX_DEPTH
from tests.service.storage.making import collection, document
from tests.service.storage.meaning import NAMES, NUMBERS, ORDERS, SCALARS, TEXTS, conditions, keys, metadata, passes
from tests.thorough import examples

DAY = 86_400_000_000  # microseconds


@settings(max_examples=examples(80), deadline=None)
@given(st.lists(st.tuples(keys, metadata), min_size=1, max_size=12), st.lists(conditions, min_size=1, max_size=8))
def test_a_filter_keeps_the_documents_of_its_definition(
    shared: Store, given: list[tuple[str | None, dict[str, Any]]], filters: list[Condition]
) -> None:
    documents = [document(str(i), key=key, metadata=value) for i, (key, value) in enumerate(given)]
    number = collection(shared, documents)
    other = collection(shared, [document(str(i), metadata=dict.fromkeys(NAMES, 1)) for i in range(3)], "other")
    with shared.reading() as reader:
        for condition in filters:
            expected = [document.id for document in documents if passes(document, condition)]
            assert sorted(reader.ids(number, reader.rows_where(number, condition))) == sorted(expected)
            assert [document.id for document in reader.page(number, condition=condition)] == sorted(expected)
            assert reader.count(number, condition=condition) == len(expected)
    with shared.writing() as writer:
        first = filters[0]
        assert len(writer.delete_where(number, first)) == sum(passes(document, first) for document in documents)
        assert writer.count(number) == sum(not passes(document, first) for document in documents)
        assert writer.count(other) == 3
        writer.delete_collection("c")
        writer.delete_collection("other")


@pytest.mark.parametrize("number", NUMBERS)
def test_every_number_orders_with_every_other(shared: Store, number: float) -> None:
    documents = [document(str(i), metadata={"x": scalar}) for i, scalar in enumerate(SCALARS)]
    stored = collection(shared, documents)
    with shared.writing() as writer:
        for how in ("==", "!=", *ORDERS, "contains"):
            condition = Comparison("metadata.x", how, number)
            rows = writer.rows_where(stored, condition)
            expected = sorted(document.id for document in documents if passes(document, condition))
            assert sorted(writer.ids(stored, rows)) == expected, how
        writer.delete_collection("c")


@pytest.mark.parametrize("how", ["==", "!=", *ORDERS, "contains", "in", "not in"])
def test_every_key_is_compared_with_every_text(shared: Store, how: str) -> None:
    documents = [document(f"{i:03}", key=value) for i, value in enumerate([None, *TEXTS])]
    number = collection(shared, documents)
    with shared.reading() as reader:
        for text in [None, *TEXTS] if how in ("==", "!=", "in", "not in") else TEXTS:
            for ignore_case in [False, True] if how == "contains" else [False]:
                comparison = Comparison("key", how, [text, "猫"] if "in" in how.split() else text, ignore_case)
                for condition in (comparison, Combination("NOT", (comparison,))):
                    expected = [document.id for document in documents if passes(document, condition)]
                    assert reader.ids(number, reader.rows_where(number, condition)) == expected, condition
    with shared.writing() as writer:
        writer.delete_collection("c")


def leaf(i: int) -> Comparison:
    return Comparison("metadata.seed", ("<", ">", "==", "!=", "in")[i % 5], [i] if i % 5 == 4 else i)


@pytest.mark.parametrize("how", ["AND", "OR", "NOT"])
def test_a_thousand_conditions_side_by_side(store: Store, how: str) -> None:
    documents = [document(str(i), i) for i in range(20)]
    number = collection(store, documents)
    condition = Combination(how, tuple(leaf(i) for i in range(1000)))
    with store.reading() as reader:
        matching = sorted(reader.ids(number, reader.rows_where(number, condition)))
    assert matching == sorted(document.id for document in documents if passes(document, condition))


def test_conditions_as_deep_as_they_may_be_and_broad_at_the_bottom(store: Store) -> None:
    documents = [document(str(i), i) for i in range(20)]
    number = collection(store, documents)
    tree: Condition = Combination("AND", tuple(Combination("OR", (leaf(i), leaf(i + 1))) for i in range(500)))
    parts = Comparison("id", "contains", "B1", ignore_case=True)
    for i in range(MAX_DEPTH - 2):
        tree = Combination(
            ("OR", "NOT", "AND")[i % 3], (leaf(i), parts, Combination("OR", (leaf(i + 2),)).conditions[0], tree)
        )
    assert tree.depth == MAX_DEPTH
    with store.reading() as reader:
        matching = sorted(reader.ids(number, reader.rows_where(number, tree)))
    assert matching == sorted(document.id for document in documents if passes(document, tree))
    with pytest.raises(InvalidCondition, match="deep"):
        Combination("AND", (tree,))


def test_a_list_of_thousands_and_one_too_long(store: Store) -> None:
    number = collection(store, [document(str(i), i) for i in range(20)])
    with store.reading() as reader:
        many = Comparison("metadata.seed", "in", list(range(10, 5010)))
        assert reader.count(number, condition=many) == 10
        assert reader.count(number, condition=Comparison("id", "not in", [str(i) for i in range(10, 5010)])) == 10
    with pytest.raises(InvalidCondition, match="5000"):
        Comparison("metadata.seed", "in", list(range(5001)))
    with pytest.raises(InvalidCondition, match="5000"):
        Combination("OR", (many, leaf(1)))


def test_a_text_of_contains_counts_as_a_hundred_values() -> None:
    text, number = Comparison("metadata.seed", "contains", "b"), Comparison("metadata.seed", "contains", 1)
    Combination("OR", (text,) * 50)
    Combination("OR", (number,) * 5000)
    with pytest.raises(InvalidCondition, match=r"not 5001 \(a text of contains counts as 100\)"):
        Combination("OR", (*(text,) * 50, number))


@pytest.mark.parametrize(
    ("field", "how", "value", "pointer"),
    [
        ("name", "==", "a", "field"),
        ("metadata", "==", "a", "field"),
        (3, "==", "a", "field"),
        ("id", "=", "a", "operator"),
        ("id", ["=="], "a", "operator"),
        ("id", "==", 3, "value"),
        ("id", "==", None, "value"),
        ("id", "in", ["a", None], "value"),
        ("key", "==", 3, "value"),
        ("key", "!=", ["a"], "value"),
        ("key", "<", None, "value"),
        ("key", "contains", None, "value"),
        ("key", "in", ["a", 1], "value"),
        ("key", "not in", None, "value"),
        ("keys", "==", "a", "field"),
        ("key.x", "==", "a", "field"),
        ("metadata.x", "<", True, "value"),
        ("metadata.x", ">=", None, "value"),
        ("metadata.x", ">=", [1], "value"),
        ("metadata.x", "in", "abc", "value"),
        ("metadata.x", "in", [[1]], "value"),
        ("metadata.x", "contains", ["a"], "value"),
        ("metadata.x", "==", {"a": 1}, "value"),
        ("metadata.x", "==", [Instant(0)], "value"),
        ("metadata.x", "contains", Instant(0), "value"),
        ("id", "==", Instant(0), "value"),
        ("key", ">", Instant(0), "value"),
        ("key", "in", [Instant(0)], "value"),
        ("metadata.x", "==", float("nan"), "value"),
        ("metadata.x", "==", ["\ud800"], "value"),
        ("metadata.\ud800", "==", 1, "field"),
    ],
)
def test_an_invalid_comparison_is_refused_with_a_pointer(field: Any, how: Any, value: Any, pointer: str) -> None:
    with pytest.raises(InvalidCondition) as refused:
        Comparison(field, how, value)
    assert refused.value.pointer == pointer


@pytest.mark.parametrize(
    ("how", "value", "ignore_case", "pointer"),
    [
        *((how, "a", True, "ignore_case") for how in ("==", "!=", "<", ">=")),
        ("in", ["a"], True, "ignore_case"),
        ("not in", ["a"], True, "ignore_case"),
        *(("contains", "a", values, "ignore_case") for values in (None, 1, "true")),
        *(("contains", values, True, "value") for values in (None, 1, True, ["a"])),
    ],
)
def test_case_is_ignored_in_parts_of_texts_only(how: str, value: Any, ignore_case: Any, pointer: str) -> None:
    tree = {"field": "metadata.x", "operator": how, "value": value, "ignore_case": ignore_case}
    with pytest.raises(InvalidCondition) as refused:
        parse_condition({"operator": "NOT", "conditions": [tree]})
    assert refused.value.pointer == f"conditions/0/{pointer}"


def test_case_is_ignored_as_unicode_folds_it(store: Store) -> None:
    titles = ["Straße", "STRASSE", "strasse 5", "Gasse", ["STRASSE"], ["Straßen"], 5, None]
    number = collection(store, [document(str(i), metadata={"x": title}) for i, title in enumerate(titles)])
    with store.reading() as reader:
        for part in ("straße", "STRASSE"):
            tree = {"field": "metadata.x", "operator": "contains", "value": part, "ignore_case": True}
            assert [document.id for document in reader.page(number, condition=parse_condition(tree))] == [
                "0",
                "1",
                "2",
                "4",
            ]
            page = reader.page(number, condition=parse_condition(tree | {"ignore_case": False}))
            assert [value.id for value in page] == (["1", "4"] if part == "STRASSE" else [])
    same = Comparison("metadata.x", "==", 1)
    assert parse_condition({"field": "metadata.x", "operator": "==", "value": 1, "ignore_case": False}) == same


def test_an_unknown_combination_names_the_allowed_ones() -> None:
    with pytest.raises(InvalidCondition, match="AND, OR, NOT") as refused:
        Combination("XOR", ())
    assert refused.value.pointer == "operator"


@pytest.mark.parametrize(
    ("tree", "pointer"),
    [
        ({"operator": "AND", "conditions": [], "ignore_case": True}, "ignore_case"),
        (3, ""),
        ({}, "field"),
        ({"field": "id", "operator": "=="}, "value"),
        ({"field": "id", "operator": "==", "value": "a", "also": 1}, "also"),
        ({"operator": "AND", "conditions": [], "field": "id"}, "field"),
        ({"operator": "AND", "conditions": {}}, "conditions"),
        ({"operator": "AND", "conditions": ["id"]}, "conditions/0"),
        (
            {"operator": "AND", "conditions": [{"operator": "NOT", "conditions": [{"field": "id"}]}]},
            "conditions/0/conditions/0/operator",
        ),
        (
            {"operator": "AND", "conditions": [{"field": "metadata.x", "operator": "<", "value": None}]},
            "conditions/0/value",
        ),
        *(
            (
                {
                    "operator": "OR",
                    "conditions": [{"field": "metadata.x", "operator": ">", "value": {"datetime": value}}],
                },
                "conditions/0/value/datetime",
            )
            for value in ("yesterday", "", "now-7", "now-7y", "now - 7d", "now-400000d", "2026-13-01", "30d", 7, None)
        ),
        ({"field": "metadata.x", "operator": ">", "value": {"date": "now"}}, "value"),
        ({"field": "metadata.x", "operator": ">", "value": {"datetime": "now", "zone": "UTC"}}, "value"),
        ({"field": "metadata.x", "operator": "in", "value": ["a", {"datetime": "soon"}]}, "value/1/datetime"),
    ],
)
def test_an_invalid_filter_is_refused_with_a_pointer(tree: Any, pointer: str) -> None:
    with pytest.raises(InvalidCondition) as refused:
        parse_condition(tree)
    assert refused.value.pointer == pointer


def test_a_filter_is_read_as_it_is_written() -> None:
    year = {"field": "metadata.year", "operator": ">=", "value": 2000}
    tree = {"operator": "OR", "conditions": [year, {"operator": "NOT", "conditions": []}]}
    assert parse_condition(tree) == Combination("OR", (Comparison("metadata.year", ">=", 2000), Combination("NOT", ())))
    for _ in range(5000):
        tree = {"operator": "AND", "conditions": [tree]}
    with pytest.raises(InvalidCondition, match="deep"):
        parse_condition(tree)


def test_a_relative_instant_counts_from_the_start_of_the_request(shared: Store) -> None:
    week = {"field": "metadata.x", "operator": ">=", "value": {"datetime": "now-7d"}}
    listed = {"field": "metadata.x", "operator": "in", "value": [{"datetime": "now"}, "a"]}
    tree = {"operator": "AND", "conditions": [{"operator": "NOT", "conditions": [listed]}, week]}
    condition, now = parse_condition(tree), 20_000 * DAY
    assert condition.relative
    assert parse_condition(condition.tree) == condition
    absolute = condition.at(now)
    assert not absolute.relative
    assert absolute.at(now + 1) is absolute
    assert parse_condition(absolute.tree) == absolute
    assert absolute.tree["conditions"][1]["value"] == {"datetime": "2024-09-27T00:00:00Z"}
    assert condition_digest(condition.at(now + 1)) != condition_digest(absolute) != condition_digest(condition)
    number = collection(shared, [document("a", metadata={"x": "2024-09-27"}), document("b", metadata={"x": "b"})])
    with shared.reading() as reader:
        assert reader.count(number, condition=absolute) == 1
        with pytest.raises(ValueError, match="now-7d"):
            reader.count(number, condition=parse_condition(week))
    with shared.writing() as writer:
        writer.delete_collection("c")


def test_no_filter_that_is_not_among_its_own(store: Store, tmp_path: Path) -> None:
    """A thousand documents with one that has the field: the rest reads as null."""
    number = collection(store, [document(f"{i:04}", metadata={"x": 3} if i == 7 else {}) for i in range(1000)])
    with store.reading() as reader:
        assert reader.count(number, condition=Comparison("metadata.x", "!=", 3)) == 999
        assert reader.count(number, condition=Comparison("metadata.x", "==", None)) == 999
        assert reader.count(number, condition=Comparison("metadata.x", "not in", [None])) == 1
        assert reader.rows_where(number).dtype == np.int64
