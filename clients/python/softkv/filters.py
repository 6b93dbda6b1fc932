"""Filters as Python expressions: `(F.year >= 1930) & F.topics.contains("animals")`."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Literal, NoReturn, TypeAlias

from softkv.problems import invalid_value
from softkv.record import Record
from softkv.wire import to_json_value

METADATA = "metadata."
_TEXT_FIELDS = ("id", "key")
_ORDERING = (">", ">=", "<", "<=")
_MAX_DEPTH, _MAX_VALUES, _VALUES_OF_CONTAINS = 32, 5000, 100
_MAX_SHOWN = 60
_DURATION = re.compile(r"\d{1,12}(\.\d{1,6})?[smhdw]", re.ASCII)
_NO_TRUTH = (
    "a filter is neither true nor false here: the service decides it for each document. Join filters with &, | and ~ "
    "(not with and, or, not), each in parentheses; write 1900 <= F.year < 1950 as (F.year >= 1900) & (F.year < 1950)"
)


_BARE_FIELD = (
    "{field} is a field and no filter yet: write {field} == True if it is true or false, and put each comparison in "
    "parentheses, as (F.year > 1930) & (F.pages < 200)"
)


class Filter:
    """A condition on documents. Join filters with `&` and `|`, and negate one with `~`."""

    def wire(self) -> dict[str, Any]:
        """Return the filter in the service's JSON.

        Returns:
            A dict with `operator` and `conditions`, or with `field`, `operator` and `value`.

        Example:
            >>> (F.year >= 1930).wire()
            {'field': 'metadata.year', 'operator': '>=', 'value': 1930}
        """
        raise NotImplementedError

    def __and__(self, other: Filter) -> Filter:
        return _combine("AND", self, other)

    def __or__(self, other: Filter) -> Filter:
        return _combine("OR", self, other)

    def __invert__(self) -> Filter:
        return Combination("NOT", (self,))

    def __bool__(self) -> NoReturn:
        raise TypeError(_NO_TRUTH)


Operator: TypeAlias = Literal["==", "!=", ">", ">=", "<", "<=", "in", "not in", "contains"]
"""The operators of a comparison."""


class Comparison(Record, Filter):
    """The comparison of one field and a value.

    A date or a datetime as the value, or a dict such as `{"datetime": "now-7d"}`, is an instant: the service compares
    it with the field's ISO 8601 texts, whatever their zone. Without a zone it is in UTC.

    Raises:
        Invalid: the operator does not take this value on this field.
    """

    field: str
    operator: str
    value: Any
    ignore_case: bool = False

    def _post_init(self) -> None:
        dates = self.field not in _TEXT_FIELDS and self.operator != "contains"
        self.__dict__["value"] = _to_operand(self.value, dates=dates)
        operation = f"{self.operator} with ignore_case" if self.ignore_case else self.operator
        expected = "a text" if self.ignore_case else _operand_description(self.operator, self.field)
        if _has_other_object(self.value):
            raise invalid_value("/value", 'an object as a value is {"datetime": …} and has no other field')
        if not _is_expected(self.value, expected):
            raise invalid_value("/value", f"{operation} on {self.field} wants {expected}, not {_shorten(self.value)}")

    def wire(self) -> dict[str, Any]:
        """Return the filter in the service's JSON."""
        case = {"ignore_case": True} if self.ignore_case else {}
        return {"field": self.field, "operator": self.operator, "value": self.value, **case}

    def __repr__(self) -> str:
        case = " (ignore_case)" if self.ignore_case else ""
        return f"{self.field} {self.operator} {_shorten(self.value)}{case}"


class Combination(Record, Filter):
    """A combination of filters by AND, OR or NOT. NOT passes documents that fail at least one of the filters.

    Raises:
        Invalid: the filter is nested deeper, or has more values, than the service allows.
    """

    operator: str
    conditions: tuple[Filter, ...]

    def _post_init(self) -> None:
        if _depth(self) > _MAX_DEPTH:
            raise invalid_value("/conditions", f"conditions nest at most {_MAX_DEPTH} deep: flatten them")
        if (values := _count_values(self)) > _MAX_VALUES:
            raise invalid_value(
                "/conditions",
                f"a filter compares with at most {_MAX_VALUES} values, not {values} (a text of contains counts "
                f"as {_VALUES_OF_CONTAINS}): split it",
            )

    def wire(self) -> dict[str, Any]:
        """Return the filter in the service's JSON."""
        return {"operator": self.operator, "conditions": [condition.wire() for condition in self.conditions]}

    def __repr__(self) -> str:
        if self.operator == "NOT":
            return f"not ({' and '.join(map(repr, self.conditions))})"
        return f" {self.operator.lower()} ".join(f"({condition!r})" for condition in self.conditions)


class Field:
    """A field of the documents; comparing it gives a filter: `F.year >= 1930`."""

    __slots__ = ("name",)
    __hash__ = None  # type: ignore[assignment]  # == returns a filter

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, value: object) -> Comparison:  # type: ignore[override]
        return Comparison(self.name, "==", value)

    def __ne__(self, value: object) -> Comparison:  # type: ignore[override]
        return Comparison(self.name, "!=", value)

    def __lt__(self, value: Any) -> Comparison:
        return Comparison(self.name, "<", value)

    def __le__(self, value: Any) -> Comparison:
        return Comparison(self.name, "<=", value)

    def __gt__(self, value: Any) -> Comparison:
        return Comparison(self.name, ">", value)

    def __ge__(self, value: Any) -> Comparison:
        return Comparison(self.name, ">=", value)

    def is_in(self, values: Iterable[Any]) -> Comparison:
        """Return a filter for documents whose field equals one of the values.

        Example:
            >>> F.year.is_in([1930, 1931])
        """
        return Comparison(self.name, "in", _to_list(values))

    def not_in(self, values: Iterable[Any]) -> Comparison:
        """Return a filter for documents whose field equals none of the values.

        Example:
            >>> F.year.not_in([1930, 1931])
        """
        return Comparison(self.name, "not in", _to_list(values))

    def contains(self, value: Any, *, ignore_case: bool = False) -> Comparison:
        """Return a filter for documents whose list contains the value, or whose text contains it as a substring.

        Args:
            value: the list item or the substring.
            ignore_case: whether to ignore upper and lower case; for texts only.

        Example:
            >>> F.topics.contains("animals")
        """
        return Comparison(self.name, "contains", value, ignore_case)

    def is_missing(self) -> Comparison:
        """Return a filter for documents without the field, or with null there.

        Example:
            >>> F.year.is_missing()
        """
        return Comparison(self.name, "==", None)

    def __and__(self, other: object) -> NoReturn:
        raise TypeError(_BARE_FIELD.format(field=_field_in_python(self.name.removeprefix(METADATA))))

    __rand__ = __or__ = __ror__ = __and__

    def __invert__(self) -> NoReturn:
        raise TypeError(_BARE_FIELD.format(field=_field_in_python(self.name.removeprefix(METADATA))))

    def __reduce__(self) -> tuple[type[Field], tuple[str]]:
        return Field, (self.name,)  # copy and pickle would look for attributes of a field without a name

    def __getitem__(self, name: str) -> Field:
        return Field(f"{self.name}.{name}")

    def __getattr__(self, name: str) -> NoReturn:
        path = f"{self.name}.{name}".removeprefix(METADATA)
        raise AttributeError(f'a field has no {name!r}: a field of an object inside it is written F["{path}"]')

    def __contains__(self, value: object) -> NoReturn:
        raise TypeError(f"write F[…].contains({value!r}) for a field that holds it, F[…].is_in([…]) for one of several")

    def __iter__(self) -> NoReturn:
        raise TypeError(f"{self!r} stands for a field of every document: it has no items here")

    def __bool__(self) -> NoReturn:
        raise TypeError(_NO_TRUTH)

    def __repr__(self) -> str:
        return f"F[{self.name.removeprefix(METADATA)!r}]" if self.name.startswith(METADATA) else f"F.{self.name}"


class Fields:
    """The documents' fields by name.

    `F.id` and `F.key` are the document's own fields; all other attributes are metadata fields. Brackets always mean
    metadata, so `F["id"]` is a metadata field with the name `id`. `F["loc.page"]` is the field `page` in the object
    `loc`. Use brackets for names that are not Python identifiers, too.
    """

    def __getattr__(self, name: str) -> Field:
        if name.startswith("_"):
            raise AttributeError(f'write F["{name}"] for a field whose name begins so')
        return Field(name if name in _TEXT_FIELDS else METADATA + name)

    def __getitem__(self, name: str) -> Field:
        return Field(METADATA + name)

    def __repr__(self) -> str:
        return "F"


F = Fields()
Where: TypeAlias = Filter | Mapping[str, Any]


def encode_filter(where: Where | None, pointer: str = "/filter") -> Any:
    """Return a filter in the service's JSON; return None for None.

    Raises:
        Invalid: the argument is neither a filter nor a mapping from field names to values.
    """
    if where is None or isinstance(where, Mapping):
        if where and where.keys().isdisjoint(("operator", "field", "conditions")):
            detail = f"this condition lacks 'field': it wants field, operator, value; or write {_as_expression(where)}"
            raise invalid_value(f"{pointer}/field", detail)
        return where
    if isinstance(where, Filter):
        return where.wire()
    raise invalid_value(pointer, f"wanted a filter such as F.year >= 1930, or an object, got {type(where).__name__}")


def _as_expression(equals: Mapping[str, Any]) -> str:
    """Return the Python expression that is equivalent to a mapping from field names to values, for error messages."""
    comparisons = [f"{_field_in_python(str(name))} == {_shorten(value)}" for name, value in equals.items()]
    return comparisons[0] if len(comparisons) == 1 else " & ".join(f"({comparison})" for comparison in comparisons)


def _field_in_python(name: str) -> str:
    """Return the Python expression for a metadata field, such as `F.year`."""
    plain_name = name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")
    return f"F.{name}" if plain_name and name not in _TEXT_FIELDS else f"F[{name!r}]"


def metadata_field(field: Any) -> Any:
    """Return the name of a metadata field in the API, `metadata.year`, for `F.year`, its name or "year".

    The fields `id` and `key` stay as they are, and so do values other than fields: the service refuses them.
    """
    name = field.name if isinstance(field, Field) else field
    if not isinstance(name, str) or name in _TEXT_FIELDS or name.startswith(METADATA):
        return name
    return METADATA + name


def encode_field_option(option: Any) -> Any:
    """Return an option of one metadata field as an object: of `F.year` or "year" that of the field alone."""
    if isinstance(option, Field | str):
        return {"field": metadata_field(option)}
    if isinstance(option, Mapping) and "field" in option:
        return {**option, "field": metadata_field(option["field"])}
    return option


def _combine(operator: str, left: Filter, right: Filter) -> Filter:
    """Join two filters; a chain of one operator becomes one list, so that long chains are not nested."""
    if not isinstance(right, Filter):
        if isinstance(right, Field):
            right & left  # raises the TypeError of a field that is not compared
        raise TypeError(f"{operator} joins filters, not {type(right).__name__}: put each comparison in parentheses")
    sides = [
        side.conditions if isinstance(side, Combination) and side.operator == operator else (side,)
        for side in (left, right)
    ]
    return Combination(operator, (*sides[0], *sides[1]))


def _depth(condition: Filter) -> int:
    return 1 + max(map(_depth, condition.conditions), default=0) if isinstance(condition, Combination) else 0


def _count_values(condition: Filter) -> int:
    if isinstance(condition, Combination):
        return sum(map(_count_values, condition.conditions))
    value = condition.value if isinstance(condition, Comparison) else None
    if isinstance(condition, Comparison) and condition.operator == "contains" and isinstance(value, str):
        return _VALUES_OF_CONTAINS
    return len(value) if isinstance(value, list) else 1


def ago(duration: str | timedelta) -> dict[str, str]:
    """Return an instant before the start of the request, for filters: `F.written > ago("7d")`.

    Args:
        duration: a number with its unit, s, m, h, d or w (seconds, minutes, hours, days, weeks); or a timedelta.

    Raises:
        Invalid: the duration is neither.

    Example:
        >>> ago("7d")
        {'datetime': 'now-7d'}
    """
    if isinstance(duration, timedelta):
        seconds = duration / timedelta(seconds=1)
        sign = "-" if seconds >= 0 else "+"
        return {"datetime": f"now{sign}{abs(seconds):.6f}".rstrip("0").rstrip(".") + "s"}
    if not isinstance(duration, str) or not _DURATION.fullmatch(duration):
        raise invalid_value("", f"wanted a duration such as 7d or 12h (units s m h d w), got {_shorten(duration)}")
    return {"datetime": f"now-{duration}"}


def _to_operand(value: Any, *, dates: bool) -> Any:
    """Convert a NumPy number to a JSON value, and a date to an instant; if not `dates`, to a text."""
    if isinstance(value, list | tuple | set | frozenset):
        return [_to_operand(item, dates=dates) for item in value]
    if isinstance(value, str | int | float | Mapping | None):
        return value
    if isinstance(value, date) and value == value:  # to_json_value refuses the NaT of pandas
        return {"datetime": value.isoformat()} if dates else value.isoformat()
    converted = to_json_value(value)
    return _to_operand(converted, dates=dates) if isinstance(converted, date | list) else converted


def _to_list(values: Iterable[Any]) -> Any:
    return values if isinstance(values, str) else list(values)


def _operand_description(operator: str, field: str) -> str:
    """Return a description of the values that an operator takes on a field, in the words of the service's error
    message.
    """
    if operator in ("in", "not in"):
        return f"a list of at most {_MAX_VALUES} " + {"id": "texts", "key": "texts and nulls"}.get(
            field, "scalars and datetimes"
        )
    if field == "key" and operator in ("==", "!="):
        return "a text or null"
    if field in _TEXT_FIELDS:
        return "a text"
    if operator in _ORDERING:
        return "a number, a text or a datetime"
    return "a scalar" if operator == "contains" else "a scalar, a list of scalars or a datetime"


def _is_expected(value: Any, expected: str) -> bool:
    """Return whether a value fits the description of an operand."""
    text, scalar, instant = isinstance(value, str), _is_scalar(value), isinstance(value, Mapping)
    if expected.startswith("a list"):
        is_valid = {"texts": _is_text, "texts and nulls": _is_text_or_null}.get(
            expected.split(" ", 6)[6], lambda item: _is_scalar(item) or isinstance(item, Mapping)
        )
        return isinstance(value, list) and len(value) <= _MAX_VALUES and all(map(is_valid, value))
    return {
        "a text": text,
        "a text or null": text or value is None,
        "a number, a text or a datetime": instant or (scalar and not isinstance(value, bool | None)),
        "a scalar": scalar,
    }.get(expected, scalar or instant or (isinstance(value, Sequence) and all(map(_is_scalar, value))))


def _has_other_object(value: Any) -> bool:
    """Return whether a value is or holds an object that is not an instant."""
    if isinstance(value, list):
        return any(isinstance(item, Mapping) and item.keys() != {"datetime"} for item in value)
    return isinstance(value, Mapping) and value.keys() != {"datetime"}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_null(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    return value is None or isinstance(value, str | int)


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}…"
