"""Filters against a small model of what they mean, what is refused as one, and which have one name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_service.storage import Store
from softkv_service.storage.conditions import (
    MAX_DEPTH,
    Combination,
    Comparison,
    Condition,
    condition_digest,
    constant_result,
    parse_condition,
)
from softkv_service.storage.errors import InvalidCondition
from softkv_service.storage.instants import Instant
from tests.service.storage.making import collection, document
from tests.service.storage.meaning import NAMES, NUMBERS, ORDERS, SCALARS, conditions, keys, metadata, passes
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
        tree = Combination(("OR", "NOT", "AND")[i % 3], (leaf(i), parts, leaf(i + 2), tree))
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


X, BELOW = "metadata.x", "conditions/0/"
COMPARISONS = [
    *((field, "==", "a", "field") for field in ("name", "metadata", 3, "keys", "key.x", "metadata.\ud800")),
    *(("id", how, "a", "operator") for how in ("=", ["=="])),
    *(("id", "==", value, "value") for value in (3, None, Instant(0))),
    ("id", "in", ["a", None], "value"),
    ("key", "==", 3, "value"),
    ("key", "!=", ["a"], "value"),
    *(("key", how, None, "value") for how in ("<", "contains", "not in")),
    ("key", ">", Instant(0), "value"),
    *(("key", "in", values, "value") for values in (["a", 1], [Instant(0)])),
    *((X, "<", value, "value") for value in (True, None, [1])),
    *((X, "in", values, "value") for values in ("abc", [[1]])),
    *((X, "contains", value, "value") for value in (["a"], Instant(0))),
    *((X, "==", value, "value") for value in ({"a": 1}, [Instant(0)], float("nan"), ["\ud800"])),
]


@pytest.mark.parametrize(("field", "how", "value", "pointer"), COMPARISONS)
def test_an_invalid_comparison_is_refused_with_a_pointer(field: Any, how: Any, value: Any, pointer: str) -> None:
    with pytest.raises(InvalidCondition) as refused:
        Comparison(field, how, value)
    assert refused.value.pointer == pointer


def comparison(how: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"field": X, "operator": how, "value": value, **more}


def within(*inner: Any, **more: Any) -> dict[str, Any]:
    return {"operator": "NOT", "conditions": list(inner), **more}


@pytest.mark.parametrize(
    ("tree", "pointer"),
    [
        (within(ignore_case=True), "ignore_case"),
        *((within(comparison(how, "a", ignore_case=True)), BELOW + "ignore_case") for how in ("==", "<")),
        (within(comparison("in", ["a"], ignore_case=True)), BELOW + "ignore_case"),
        *((within(comparison("contains", "a", ignore_case=case)), BELOW + "ignore_case") for case in (None, 1, "true")),
        *((within(comparison("contains", value, ignore_case=True)), BELOW + "value") for value in (None, 1, ["a"])),
        (3, ""),
        ({}, "field"),
        ({"operator": "XOR", "conditions": []}, "operator"),
        ({"field": "id", "operator": "=="}, "value"),
        (comparison("==", "a", also=1), "also"),
        (within(field="id"), "field"),
        ({"operator": "AND", "conditions": {}}, "conditions"),
        (within("id"), "conditions/0"),
        (within(within({"field": "id"})), f"{BELOW}conditions/0/operator"),
        (within(comparison("<", None)), BELOW + "value"),
        *(
            (within(comparison(">", {"datetime": value})), BELOW + "value/datetime")
            for value in ("yesterday", "", "now-7", "now-7y", "now - 7d", "now-400000d", "2026-13-01", "30d", 7, None)
        ),
        (comparison(">", {"date": "now"}), "value"),
        (comparison(">", {"datetime": "now", "zone": "UTC"}), "value"),
        (comparison("in", ["a", {"datetime": "soon"}]), "value/1/datetime"),
    ],
)
def test_an_invalid_filter_is_refused_with_a_pointer(tree: Any, pointer: str) -> None:
    with pytest.raises(InvalidCondition) as refused:
        parse_condition(tree)
    assert refused.value.pointer == pointer


def test_a_filter_is_read_as_it_is_written() -> None:
    year = {"field": "metadata.year", "operator": ">=", "value": 2000}
    tree = {"operator": "OR", "conditions": [year, {"operator": "NOT", "conditions": []}]}
    assert parse_condition(year | {"ignore_case": False}) == Comparison("metadata.year", ">=", 2000)
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


@settings(max_examples=examples(60), deadline=None)
@given(conditions, conditions, st.randoms(use_true_random=False))
def test_the_order_of_conditions_does_not_change_their_name(left: Any, right: Any, random: Any) -> None:
    inner = [left, right, left]
    for how in ("AND", "OR", "NOT"):
        first = Combination(how, tuple(inner))
        random.shuffle(inner)
        assert condition_digest(Combination(how, tuple(inner))) == condition_digest(first)
    assert (
        condition_digest(Combination("AND", (left,)))
        == condition_digest(Combination("OR", (left, left)))
        == condition_digest(left)
    )
    assert condition_digest(Combination("NOT", (left,))) != condition_digest(left)
    assert condition_digest(Combination("AND", (left, Combination("NOT", (left,))))) != condition_digest(left)


def test_only_equivalent_filters_have_one_name() -> None:
    x = "metadata.x"
    same = [
        (Comparison(x, "in", [1, 2, True]), Comparison(x, "in", [True, 2.0, 1.0, 1])),
        (Comparison(x, "==", 2**70), Comparison(x, "==", float(2**70))),
        (Comparison(x, "<", 0), Comparison(x, "<", -0.0)),
        (Comparison(x, "contains", "Straße", ignore_case=True), Comparison(x, "contains", "STRASSE", ignore_case=True)),
    ]
    for left, right in same:
        assert condition_digest(left) == condition_digest(right)
    different: list[Comparison | Combination] = [
        *(
            Comparison(x, "==", value)
            for value in (True, False, None, 0, 1, "1", "", "a", "null", [], [1], ["1"], [None])
        ),
        *(Comparison(x, "==", value) for value in (0.5, 2**53, 2**53 + 1, 2**70, 2**70 + 1, [1, 2], [2, 1])),
        *(Comparison(x, how, 1) for how in ("!=", "<", "<=", ">", ">=", "contains")),
        *(Comparison(x, "in", value) for value in ([], [None], [1], [1, 2], ["1"], ["1', '2"], ["1", "2"])),
        Comparison(x, "not in", [1]),
        *(Comparison(x, "contains", value) for value in "aA"),
        *(Comparison(x, "contains", value, ignore_case=True) for value in "ab"),
        *(Comparison(field, "==", "a") for field in ("metadata.id", "id", "key", "metadata.key")),
        *(Comparison(field, "==", value) for field, value in (("metadata.y", 1), ("key", None))),
        *(Combination(operator, ()) for operator in ("AND", "OR", "NOT")),
    ]
    assert len({condition_digest(value) for value in different}) == len(different)


def test_a_filter_whose_conditions_are_empty_has_a_constant_result() -> None:
    year, everything, nothing = Comparison("metadata.year", "==", 1), Combination("AND", ()), Combination("OR", ())
    results = {
        everything: True,
        nothing: False,
        Combination("NOT", ()): False,
        Combination("NOT", (nothing, year)): True,
        Combination("AND", (everything, everything)): True,
        Combination("AND", (year, nothing)): False,
        Combination("OR", (year, everything)): True,
        Combination("AND", (year, everything)): None,
        Combination("OR", (year, nothing)): None,
        Combination("NOT", (year, everything)): None,
        year: None,
    }
    assert {condition: constant_result(condition) for condition in results} == results
    assert constant_result(Comparison("id", "not in", [])) is True
    assert constant_result(Comparison("id", "in", [])) is False
    assert constant_result(Comparison("id", "not in", ["a"])) is None
