"""LangGraph's filters of items: converted to filters of the service, or evaluated in Python."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from langgraph_store_softkv.conversion import VALUE, InvalidInput, escape_name
from softkv.filters import METADATA, Combination, Comparison, Filter

_ORDERINGS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_SYMBOLS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_OPERATORS = ("$eq", "$ne", *_ORDERINGS)
_NEVER = Combination("OR", ())


class ItemFilter(NamedTuple):
    """A filter of items, and what the service can evaluate of it.

    Attributes:
        fields: the conditions by field, as LangGraph has them.
        where: a filter of the service that each of the items passes; None if it can express nothing.
        exact: whether other items fail `where`.
    """

    fields: Mapping[str, Any]
    where: Filter | None
    exact: bool

    @classmethod
    def read(cls, fields: Any) -> ItemFilter:
        """Read a filter; None and the empty object pass all items.

        Raises:
            InvalidInput: not an object, or an operator is unknown.
        """
        if fields is not None and not isinstance(fields, Mapping):
            raise InvalidInput.of(f"filter: expected an object with fields of the value, got {type(fields).__name__}.")
        conditions = [_condition(f"{METADATA}{VALUE}", name, operand) for name, operand in (fields or {}).items()]
        return cls(fields or {}, *_conjunction(conditions))

    def passes(self, value: Mapping[str, Any]) -> bool:
        """Return whether an item with this value passes."""
        return all(_passes(value.get(name), operand) for name, operand in self.fields.items())


class _Condition(NamedTuple):
    """A filter of the service that is true of all items that pass, and whether it is false of the others."""

    where: Filter | None
    exact: bool


_UNKNOWN = _Condition(None, False)


def _conjunction(conditions: Sequence[_Condition]) -> _Condition:
    filters = tuple(condition.where for condition in conditions if condition.where is not None)
    where = None if not filters else filters[0] if len(filters) == 1 else Combination("AND", filters)
    return _Condition(where, all(condition.exact for condition in conditions))


def _condition(parent: str, name: Any, operand: Any, nested: bool = False) -> _Condition:
    """Convert the condition on one field.

    Args:
        nested: whether the field belongs to an object within the value. The filter must then be false of an item that
            has another value in the object's place.
    """
    if not isinstance(name, str):
        raise InvalidInput.of(f"filter: expected names of fields, got {name!r}.")
    path = f"{parent}.{escape_name(name)}"
    if not isinstance(operand, Mapping):
        condition = _equality(path, operand)
        passes_missing = operand is None
    elif _has_operators(operand):
        condition = _conjunction([_comparison(path, symbol, value) for symbol, value in operand.items()])
        passes_missing = all(
            symbol == "$ne" or (symbol == "$eq" and value is None) for symbol, value in operand.items()
        )
    elif operand:
        return _conjunction([_condition(path, inner, value, nested=True) for inner, value in operand.items()])
    else:  # any object passes
        return _UNKNOWN
    return _Condition(condition.where, False) if nested and passes_missing else condition


def _has_operators(operand: Mapping[Any, Any]) -> bool:
    return any(isinstance(name, str) and name.startswith("$") for name in operand)


def _equality(path: str, value: Any) -> _Condition:
    """Convert `==` as Python has it: 1 equals True and 1.0, and 0 equals False."""
    if isinstance(value, bool | int | float):
        if not math.isfinite(value):
            return _Condition(_NEVER, True)
        equal = [value, bool(value)] if value in (0, 1) and not isinstance(value, bool) else [value]
        values = [bool(value), int(value)] if isinstance(value, bool) else equal
        return _Condition(Comparison(path, "in", values) if len(values) > 1 else Comparison(path, "==", value), True)
    if isinstance(value, list | tuple):
        plain = all(isinstance(item, str) or _is_plain_number(item) for item in value)
        return _Condition(Comparison(path, "==", list(value)), True) if plain else _UNKNOWN
    return _UNKNOWN if isinstance(value, Mapping) else _Condition(Comparison(path, "==", value), True)


def _is_plain_number(value: Any) -> bool:
    """Return whether a value equals only numbers in Python: 0 and 1 equal False and True too."""
    return _is_number(value) and math.isfinite(value) and value not in (0, 1)


def _comparison(path: str, symbol: Any, value: Any) -> _Condition:
    if symbol not in _OPERATORS:
        raise InvalidInput.of(f"filter: expected operators of {', '.join(_OPERATORS)}; got {symbol!r}.")
    if symbol in ("$eq", "$ne"):
        equality = _equality(path, value)
        if symbol == "$eq":
            return equality
        return _Condition(~equality.where, True) if equality.exact and equality.where is not None else _UNKNOWN
    bound = _bound(value)
    if bound is None:
        return _Condition(_NEVER, True)
    return (
        _UNKNOWN
        if isinstance(bound, float) and math.isinf(bound)
        else _Condition(Comparison(path, _SYMBOLS[symbol], bound), True)
    )


def _bound(value: Any) -> str | int | float | None:
    """Return what an ordering compares with; None if nothing is greater or less.

    Raises:
        InvalidInput: neither a number nor a text, such as a date, which a value has as a text.
    """
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in ("b", "i", "u", "f") and value.ndim == 0:  # of NumPy
        value = value.item()
    if value is not None and not isinstance(value, str | int | float):
        is_date = (isinstance(value, date) or kind == "M") and value == value  # NaT equals nothing
        text = value.isoformat() if isinstance(value, date) else str(value)
        dated = f" Values have dates as texts: say {text!r}, in the zone of the values." if is_date else ""
        raise InvalidInput.of(f"filter: expected a number or a text, got {value!r}.{dated}")
    if isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, str):
        return value
    return None if math.isnan(value) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _passes(value: Any, operand: Any) -> bool:
    """Return whether a field passes a condition. An ordering compares numbers with numbers, and texts with texts."""
    if isinstance(operand, Mapping):
        if _has_operators(operand):
            return all(_compare(value, symbol, bound) for symbol, bound in operand.items())
        return isinstance(value, dict) and all(_passes(value.get(name), inner) for name, inner in operand.items())
    if isinstance(operand, list | tuple):
        return (
            isinstance(value, list)
            and len(value) == len(operand)
            and all(_passes(item, inner) for item, inner in zip(value, operand, strict=True))
        )
    return bool(value == operand)


def _compare(value: Any, symbol: str, operand: Any) -> bool:
    if symbol in ("$eq", "$ne"):
        expected = list(operand) if isinstance(operand, tuple) else operand
        return bool(value == expected) is (symbol == "$eq")
    bound = _bound(operand)
    of_a_kind = isinstance(value, str) if isinstance(bound, str) else _is_number(value)
    return bound is not None and of_a_kind and _ORDERINGS[symbol](value, bound)
