"""Conversion of LangChain's inputs: filters, and errors for invalid input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from langchain_core.exceptions import LangChainException

from softkv.errors import Invalid
from softkv.filters import METADATA, Combination, Comparison, Filter, Where
from softkv.integrations import copy_error
from softkv.problems import invalid_value


class InvalidInput(Invalid, LangChainException, ValueError):
    """The input is invalid; `detail` and `errors` name the fields.

    Code that catches LangChain's error or softkv's `Invalid` catches it.
    """


@contextmanager
def convert_errors() -> Iterator[None]:
    """Convert Invalid to InvalidInput within the block; other errors pass unchanged."""
    try:
        yield
    except InvalidInput:
        raise
    except Invalid as error:
        raise copy_error(error, InvalidInput) from error


_COMPARISONS = {
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
_CONNECTIVES = {"$and": "AND", "$or": "OR"}
_NOT, _EXISTS = "$not", "$exists"


def convert_filter(condition: Any) -> Where | None:
    """Convert a filter of any form to one that `attend` accepts.

    Args:
        condition: an expression of `softkv.F`; the service's JSON with an `operator`; or metadata fields with the
            values that they equal, as `{"year": 1970}`, or comparisons, as `{"year": {"$gte": 1970}}`. `$and`, `$or`
            and `$not` join them.

    Raises:
        Invalid: not a filter.
    """
    if condition is None or isinstance(condition, Filter):
        return condition
    if not isinstance(condition, Mapping):
        raise invalid_value(
            "/filter", f"wanted an object, or a filter such as F.year >= 1930, got {type(condition).__name__}"
        )
    if "operator" in condition and condition.keys() & {"field", "conditions"}:
        return condition
    return _conjunction([_condition(name, value) for name, value in condition.items()]) if condition else None


def _condition(name: Any, operand: Any) -> Filter:
    """Convert one entry of a filter that is a mapping: a field with its operand, or an operator that joins filters."""
    if not isinstance(name, str):
        raise invalid_value("/filter", f"wanted the name of a field, got {name!r}")
    if name in _CONNECTIVES:
        if not isinstance(operand, Sequence) or isinstance(operand, str):
            raise invalid_value(f"/filter/{name}", f"{name} wants a list of filters, not {type(operand).__name__}")
        return Combination(_CONNECTIVES[name], tuple(map(_convert_nested, operand)))
    if name == _NOT:
        return ~_convert_nested(operand)
    if name.startswith("$"):
        raise _unknown_operator(name)
    if isinstance(operand, Mapping) and any(str(key).startswith("$") for key in operand):
        return _conjunction([_comparison(name, operator, value) for operator, value in operand.items()])
    return Comparison(METADATA + name, "==", operand)


def _comparison(name: str, operator: str, value: Any) -> Filter:
    if operator == _NOT:
        return ~_condition(name, value)
    if operator == _EXISTS:
        if not isinstance(value, bool):
            raise invalid_value(f"/filter/{name}", f"$exists on {name} wants true or false, not {value!r}")
        return Comparison(METADATA + name, "!=" if value else "==", None)
    if operator not in _COMPARISONS:
        raise _unknown_operator(operator)
    return Comparison(METADATA + name, _COMPARISONS[operator], value)


def _convert_nested(condition: Any) -> Filter:
    """Convert a filter that is nested in another."""
    if isinstance(condition, Filter):
        return condition
    if isinstance(condition, Mapping) and "operator" not in condition:
        return _conjunction([_condition(name, value) for name, value in condition.items()])
    raise invalid_value("/filter", f"within $and, $or and $not wanted fields with what they equal, got {condition!r}")


def _conjunction(filters: Sequence[Filter]) -> Filter:
    return filters[0] if len(filters) == 1 else Combination("AND", tuple(filters))


def _unknown_operator(operator: str) -> Exception:
    """Return the error for an unknown operator."""
    operators = ", ".join([*_COMPARISONS, _EXISTS, *_CONNECTIVES, _NOT])
    return invalid_value(
        "/filter", f"there is no operator {operator!r}: there are {operators}, and filters of softkv.F"
    )
