"""Filters that mean the same have one name, and no others."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from service.storage.conditions import Combination, Comparison, condition_digest
from tests.service.storage.meaning import conditions
from tests.thorough import examples


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
    different = [
        *(
            Comparison(x, "==", value)
            for value in (True, False, None, 0, 1, "1", "", "a", "null", [], [1], ["1"], [None])
        ),
        *(Comparison(x, "==", value) for value in (0.5, 2**53, 2**53 + 1, 2**70, 2**70 + 1, [1, 2], [2, 1])),
        *(Comparison(x, how, 1) for how in ("!=", "<", "<=", ">", ">=", "contains")),
        *(Comparison(x, "in", value) for value in ([], [None], [1], [1, 2], ["1"], ["1', '2"], ["1", "2"])),
        Comparison(x, "not in", [1]),
        Comparison(x, "contains", "a"),
        Comparison(x, "contains", "A"),
        Comparison(x, "contains", "a", ignore_case=True),
        Comparison(x, "contains", "b", ignore_case=True),
        Comparison("metadata.y", "==", 1),
        Comparison("metadata.id", "==", "a"),
        Comparison("id", "==", "a"),
        Comparison("key", "==", "a"),
        Comparison("key", "==", None),
        Comparison("metadata.key", "==", "a"),
        Combination("AND", ()),
        Combination("OR", ()),
        Combination("NOT", ()),
    ]
    assert len({condition_digest(value) for value in different}) == len(different)
