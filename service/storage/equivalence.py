"""Filters that say the same in other words have one name."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from service.storage.conditions import MEMBERSHIP, Combination, Comparison, Condition
from service.storage.fields import EncodedValue, Kind, encode_value


def condition_digest(condition: Condition) -> bytes:
    """A name of 32 bytes, the same for conditions that differ in order, in repetition, in writing 1 as 1.0, or in
    a case that they ignore.

    >>> canonical(Comparison("metadata.x", "==", 1)) == canonical(Comparison("metadata.x", "==", 1.0))
    True
    >>> canonical(Comparison("metadata.x", "==", 1)) == canonical(Comparison("metadata.x", "==", True))
    False
    """
    if isinstance(condition, Comparison):
        many = condition.operator in MEMBERSHIP
        if condition.ignore_case:
            return _name("comparison", condition.field, "contains, case ignored", condition.value.casefold())
        operands = {_said(encode_value(each)) for each in (condition.value if many else [condition.value])}
        return _name("comparison", condition.field, condition.operator, *sorted(operands))
    return _combined(condition)


def _combined(combination: Combination) -> bytes:
    names = sorted({condition_digest(each) for each in combination.conditions})
    if len(names) == 1 and combination.operator != "NOT":
        return names[0]
    return _name("combination", combination.operator, *names)


def _said(operand: EncodedValue) -> str:
    kind, value = operand
    if kind is Kind.NUMBER and isinstance(value, float) and value.is_integer():
        value = int(value)
    return repr((int(kind), value))


def _name(*parts: Any) -> bytes:
    return blake2b(repr(parts).encode(), digest_size=32).digest()
