"""A condition compiled to one parametrised SQL expression over the table `documents`.

Each comparison of metadata is a range of one index: `row IN (SELECT row FROM fields …)`. Every
expression is true or false, never NULL, so a negation can be pushed down to the comparisons.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any

from service.storage.conditions import MEMBERSHIP, ORDERING, Combination, Comparison, Condition
from service.storage.fields import EncodedValue, Kind, encode_value, ordered_kinds
from service.storage.sqlite.forms import marks

# SQLite unites at most 500 SELECTs in one.
_UNITED = 400


@dataclass(frozen=True)
class Expression:
    """SQL and the values of its question marks; `stack` is what SQLite's parser needs to read it."""

    sql: str
    parameters: tuple[Any, ...] = ()
    stack: int = 1


@dataclass(frozen=True)
class _Test:
    """What is asked of a row of the table `fields`."""

    name: str
    sql: str
    parameters: tuple[Any, ...] = ()


@dataclass(frozen=True)
class _Among:
    """Whether a document is (not) among those with a row in `fields` that passes any of the tests."""

    tests: tuple[_Test, ...]
    negated: bool

    def expression(self, collection: int) -> Expression:
        if not self.tests:
            return Expression("1" if self.negated else "0")
        select = 'SELECT "row" FROM fields WHERE collection = ? AND field = ? AND '
        united = " UNION ALL ".join(select + test.sql for test in self.tests)
        parameters = (each for test in self.tests for each in (collection, test.name, *test.parameters))
        return Expression(f'documents."row" {"NOT " if self.negated else ""}IN ({united})', tuple(parameters))


_Part = Expression | _Among


def compile_condition(condition: Condition, collection: int) -> Expression:
    """The expression that is true of the documents of a collection that pass."""
    part = _compile(condition, collection, negated=False)
    return part.expression(collection) if isinstance(part, _Among) else part


def _compile(condition: Condition, collection: int, *, negated: bool) -> _Part:
    if isinstance(condition, Combination):
        return _combine(condition, collection, negated)
    if condition.in_metadata:
        return _compare(condition, collection, negated)
    return _compare_text(condition, negated)


def _combine(combination: Combination, collection: int, negated: bool) -> _Part:
    if not combination.conditions:
        return Expression("1" if (combination.operator == "AND") != negated else "0")
    inverted = negated != (combination.operator == "NOT")
    parts = [_compile(each, collection, negated=inverted) for each in combination.conditions]
    return _join("OR" if (combination.operator == "OR") != inverted else "AND", parts, collection)


def _join(operator: str, parts: Sequence[_Part], collection: int) -> _Part:
    """A tree, as a chain of a thousand would exceed SQLite's expression depth; what is deep is joined last."""
    united = _unite(operator, parts)
    if len(united) == 1:
        return united[0]
    joined = [each.expression(collection) if isinstance(each, _Among) else each for each in united]
    waiting = [(each.stack, place, each) for place, each in enumerate(joined)]
    heapify(waiting)
    while len(waiting) > 1:
        (_, place, left), (_, _, right) = heappop(waiting), heappop(waiting)
        pair = _pair(operator, left, right)
        heappush(waiting, (pair.stack, place, pair))
    return waiting[0][2]


def _unite(operator: str, parts: Sequence[_Part]) -> list[_Part]:
    """In one of two sets is in their union, in neither is not in it: one look instead of many."""
    rest: list[_Part] = []
    tests: list[_Test] = []
    for part in parts:
        if isinstance(part, _Among) and part.negated == (operator == "AND"):
            tests += part.tests
        else:
            rest.append(part)
    negated = operator == "AND"
    chunks = (tuple(tests[start : start + _UNITED]) for start in range(0, len(tests), _UNITED))
    rest.extend(_Among(chunk, negated) for chunk in chunks)
    return rest or [_Among((), negated)]


def _pair(operator: str, left: Expression, right: Expression) -> Expression:
    if left.stack < right.stack:
        # What is read while something stands to its left costs more of the parser's stack.
        left, right = right, left
    return Expression(
        f"({left.sql} {operator} {right.sql})",
        left.parameters + right.parameters,
        max(left.stack + 1, right.stack + 3),
    )


def _compare_text(comparison: Comparison, negated: bool) -> Expression:
    column, operator, value = f"documents.{comparison.field}", comparison.operator, comparison.value
    wanted = value if operator in MEMBERSHIP else [value]
    texts = tuple(each for each in wanted if each is not None)
    if operator in (*MEMBERSHIP, "==", "!="):
        sql = f"{column} IN ({marks(texts)})"
        negated = negated != (operator in ("!=", "not in"))
    elif operator == "contains":
        sql = _part_of(column, comparison.ignore_case)
    else:
        sql = f"{column} {operator} ?"
    if comparison.field == "key":  # which may be null, as an id is not
        sql = f"{column} IS NULL OR {sql}" if None in wanted else f"{column} IS NOT NULL AND {sql}"
    return Expression(f"NOT ({sql})" if negated else f"({sql})", texts)


def _compare(comparison: Comparison, collection: int, negated: bool) -> _Part:
    name, operator, value = comparison.name, comparison.operator, comparison.value
    if operator == "contains":
        return _Among(_holds(name, value, comparison.ignore_case), negated)
    if operator in ORDERING:
        return _Among((_ordered(name, operator, encode_value(value)),), negated)
    negated = negated != (operator in ("!=", "not in"))
    wanted = list(value) if operator in MEMBERSHIP else [value]
    equal = _Among(_equal(name, [each for each in wanted if each is not None]), negated)
    if None not in wanted:
        return equal
    # A null is what has no row.
    null = _Among((_Test(name, "element = 0"),), not negated)
    return _join("AND" if negated else "OR", [null, equal], collection) if len(wanted) > 1 else null


def _equal(name: str, wanted: Sequence[Any]) -> tuple[_Test, ...]:
    by_kind: dict[Kind, list[Any]] = defaultdict(list)
    for kind, value in dict.fromkeys(encode_value(each) for each in wanted):
        by_kind[kind].append(value)
    return tuple(
        _Test(name, f"element = 0 AND kind = {int(kind)} AND value IN ({marks(values)})", tuple(values))
        for kind, values in by_kind.items()
    )


def _ordered(name: str, operator: str, operand: EncodedValue) -> _Test:
    first, last = ordered_kinds(operand.kind)
    end = f"kind >= {int(first)}" if operator in ("<", "<=") else f"kind <= {int(last)}"
    return _Test(
        name,
        f"element = 0 AND {end} AND (kind, value) {operator} (?, ?)",
        (int(operand.kind), operand.value),
    )


def _holds(name: str, value: Any, ignore_case: bool) -> tuple[_Test, ...]:
    kind, form = encode_value(value)
    equal = f"{_folded('value')} = {_folded('?')}" if ignore_case else "value = ?"
    element = _Test(name, f"element = 1 AND kind = {int(kind)} AND {equal}", (form,))
    if kind is not Kind.TEXT:
        return (element,)
    return element, _Test(name, f"element = 0 AND kind = {int(kind)} AND {_part_of('value', ignore_case)}", (form,))


def _part_of(text: str, ignore_case: bool) -> str:
    """Whether a text holds the parameter as a part."""
    return f"instr({_folded(text)}, {_folded('?')}) > 0" if ignore_case else f"instr({text}, ?) > 0"


def _folded(text: str) -> str:
    return f"casefold(CAST({text} AS BLOB))"
