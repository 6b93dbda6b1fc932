"""The meaning of filters in Python's own comparisons, and random filters and metadata."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from softkv_service.storage.conditions import Combination, Comparison, Condition
from softkv_service.storage.instants import Instant
from softkv_service.storage.records import DocumentRecord

ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def passes(document: DocumentRecord, condition: Condition) -> bool:
    """Return whether a document passes a filter, by Python's own comparisons."""
    if isinstance(condition, Combination):
        results = [passes(document, inner) for inner in condition.conditions]
        return {"AND": all(results), "OR": any(results), "NOT": not all(results)}[condition.operator]
    if condition.field in ("id", "key"):
        value = getattr(document, condition.field)
    else:
        value = at(document.metadata, condition.field.removeprefix("metadata."))
    if condition.ignore_case:
        return compare(folded(value), condition.operator, folded(condition.value))
    return compare(value, condition.operator, condition.value)


def at(value: Any, path: str) -> Any:
    """Return the value at a path of an object; of two readings, that with the longer first name. None if missing."""
    return next(readings(value, path), None)


def readings(value: Any, path: str) -> Iterator[Any]:
    if isinstance(value, dict):
        if path in value:
            yield value[path]
        for i in sorted((i for i, character in enumerate(path) if character == "."), reverse=True):
            yield from readings(value.get(path[:i]), path[i + 1 :])


def compare(stored: Any, how: str, value: Any) -> bool:
    if how in ("==", "!="):
        return equal(stored, value) == (how == "==")
    if how in ("in", "not in"):
        return any(equal(stored, one) for one in value) == (how == "in")
    if how == "contains":
        if isinstance(stored, list):
            return any(equal(one, value) for one in stored)
        return isinstance(stored, str) and isinstance(value, str) and value in stored
    if isinstance(value, Instant):
        return (date := date_of(stored)) is not None and ORDERS[how](date, value.microseconds)
    return sort(stored) == sort(value) in ("number", "text") and ORDERS[how](stored, value)


def date_of(value: Any) -> int | None:
    """Return the instant of a text that is a date, from the table `DATES`; None of any other value."""
    return DATES.get(value) if isinstance(value, str) else None


def folded(value: Any) -> Any:
    if isinstance(value, list):
        return [folded(element) for element in value]
    return value.casefold() if isinstance(value, str) else value


def sort(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}
    return names.get(type(value), "null")


def equal(left: Any, right: Any) -> bool:
    if isinstance(right, Instant):
        return date_of(left) == right.microseconds
    if sort(left) == sort(right) == "list":
        return len(left) == len(right) and all(map(equal, left, right))
    return sort(left) == sort(right) and left == right


NUMBERS: list[int | float] = [0, -0.0, 1, 1.0, 1.5, -1, 2**53, 2**53 + 1, float(2**53), 2**63 - 1, 2**63, 2**63 + 1]
NUMBERS += [float(2**63), -(2**63), -(2**63) - 1, 2**64, 10**30, 1e30, 1e308, -1e308, 10**309, -(10**309), 5e-324]
TEXTS = ["", "a", "ab", "b", "A", "1", "true", "null", "é", "猫", "😺", "2024-05-01", "2024-10-01", "%", '"']
# Of each text that is a date: its instant. 2024-05-01 is day 19,844 of Unix time.
MAY = 19_844 * 86_400_000_000
DATES = {
    "2024-05-01": MAY,
    "20240501": MAY,
    "2024-05-01 00:00": MAY,
    "2024-05-01T02:00:00+02:00": MAY,
    "2024-04-30T23:59:59.999999Z": MAY - 1,
    "2024-05-01T00:00:00,0000019z": MAY + 1,
    "2024-10-01": MAY + 153 * 86_400_000_000,
    "1969-12-31t23:59:59Z": -1_000_000,
    "0001-01-01": -719_162 * 86_400_000_000,
}
TEXTS += [*DATES, "2024-13-01", "2024-05-01T24:00", "now"]
TEXTS += ["AB", "É", "E\u0301", "ß", "SS", "Straße", "STRASSE", "İ", "i", "ſ", "Σς"]
SCALARS: list[Any] = [None, True, False, *NUMBERS, *TEXTS]
NAMES = ["x", "y", "a", "b", 'quo"te', "it's", "a.b", "$", "", "é[0]", "back\\slash", "%s"]
WITH_NUL = ["a\0b", "\0", "ab\0"]  # which may be asked for, and is never stored

scalars = st.sampled_from(SCALARS)
lists = st.lists(scalars, max_size=4)
texts = st.sampled_from(TEXTS)
asked_texts = st.sampled_from([*TEXTS, *WITH_NUL])
keys = st.none() | texts
names = st.sampled_from(NAMES)
metadata = st.dictionaries(
    names,
    scalars
    | lists
    | st.recursive(
        scalars | lists,
        lambda inner: st.dictionaries(names, inner, max_size=3) | st.lists(inner, max_size=2),
        max_leaves=6,
    ),
    max_size=5,
)
fields = st.lists(names, min_size=1, max_size=3).map(".".join).map("metadata.".__add__) | names.map("metadata.".__add__)
asked = scalars | st.sampled_from(WITH_NUL)
instants = st.sampled_from([Instant(date + shift) for date in DATES.values() for shift in (0, 1)])
ordered = st.sampled_from([*(each for each in SCALARS if sort(each) in ("number", "text")), *WITH_NUL])
comparisons = (
    st.builds(Comparison, fields, st.sampled_from(["==", "!="]), asked | lists | instants)
    | st.builds(Comparison, fields, st.sampled_from(sorted(ORDERS)), ordered | instants)
    | st.builds(Comparison, fields, st.sampled_from(["in", "not in"]), st.lists(asked | instants, max_size=4))
    | st.builds(Comparison, fields, st.just("contains"), asked)
    | st.builds(Comparison, fields | st.sampled_from(["id", "key"]), st.just("contains"), asked_texts, st.just(True))
    | st.builds(
        Comparison, st.just("id"), st.sampled_from(["==", "!=", *ORDERS, "contains"]), st.text("012", max_size=2)
    )
    | st.builds(Comparison, st.just("id"), st.sampled_from(["in", "not in"]), st.lists(st.text("012", max_size=2)))
)
comparisons |= (
    st.builds(Comparison, st.just("key"), st.sampled_from(["==", "!="]), keys)
    | st.builds(Comparison, st.just("key"), st.sampled_from([*ORDERS, "contains"]), asked_texts)
    | st.builds(Comparison, st.just("key"), st.sampled_from(["in", "not in"]), st.lists(keys, max_size=4))
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.builds(Combination, st.sampled_from(["AND", "OR", "NOT"]), st.lists(inner, max_size=4).map(tuple)),
    max_leaves=12,
)
