"""Filters as LangChain's users write them, to those of the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from softkv.filters import METADATA, Combination, Comparison, Filter, Where
from softkv.problems import flawed

_COMPARED = {
    "$eq": "==",
    "$ne": "!=",
    "$gt": ">",
    "$gte": ">=",
    "$lt": "<",
    "$lte": "<=",
    "$in": "in",
    "$nin": "not in",
    "$contains": "contains",
}
_JOINED = {"$and": "AND", "$or": "OR"}
_NOT, _EXISTS = "$not", "$exists"


def where(given: Any) -> Where | None:
    """A filter in whichever form → one that `attend` takes.

    Args:
        given: an expression of `softkv.F`; the service's own JSON, with an `operator`; or fields of the metadata with
            what they equal, as `{"year": 1970}`, or are compared with, as `{"year": {"$gte": 1970}}`, joined by `$and`,
            `$or` and `$not`.

    Raises:
        Invalid: it is none of these.
    """
    if given is None or isinstance(given, Filter):
        return given
    if not isinstance(given, Mapping):
        raise flawed("/filter", f"wanted an object, or a filter such as F.year >= 1930, got {type(given).__name__}")
    if "operator" in given and given.keys() & {"field", "conditions"}:
        return given
    return _all_of([_condition(name, each) for name, each in given.items()]) if given else None


def _condition(name: Any, wanted: Any) -> Filter:
    """One entry of an object: a field, or an operator that joins others."""
    if not isinstance(name, str):
        raise flawed("/filter", f"wanted the name of a field, got {name!r}")
    if name in _JOINED:
        if not isinstance(wanted, Sequence) or isinstance(wanted, str):
            raise flawed(f"/filter/{name}", f"{name} wants a list of filters, not {type(wanted).__name__}")
        return Combination(_JOINED[name], tuple(map(_nested, wanted)))
    if name == _NOT:
        return ~_nested(wanted)
    if name.startswith("$"):
        raise _unknown(name)
    if isinstance(wanted, Mapping) and any(str(each).startswith("$") for each in wanted):
        return _all_of([_compared(name, operator, value) for operator, value in wanted.items()])
    return Comparison(METADATA + name, "==", wanted)


def _compared(name: str, operator: str, value: Any) -> Filter:
    if operator == _NOT:
        return ~_condition(name, value)
    if operator == _EXISTS:
        if not isinstance(value, bool):
            raise flawed(f"/filter/{name}", f"$exists on {name} wants true or false, not {value!r}")
        return Comparison(METADATA + name, "!=" if value else "==", None)
    if operator not in _COMPARED:
        raise _unknown(operator)
    return Comparison(METADATA + name, _COMPARED[operator], value)


def _nested(given: Any) -> Filter:
    """A filter within another."""
    if isinstance(given, Filter):
        return given
    if isinstance(given, Mapping) and "operator" not in given:
        return _all_of([_condition(name, each) for name, each in given.items()])
    raise flawed("/filter", f"within $and, $or and $not wanted fields with what they equal, got {given!r}")


def _all_of(filters: Sequence[Filter]) -> Filter:
    return filters[0] if len(filters) == 1 else Combination("AND", tuple(filters))


def _unknown(operator: str) -> Exception:
    known = ", ".join([*_COMPARED, _EXISTS, *_JOINED, _NOT])
    return flawed("/filter", f"there is no operator {operator!r}: there are {known}, and filters of softkv.F")
