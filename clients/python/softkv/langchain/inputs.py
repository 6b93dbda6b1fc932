"""What is wrong with an input, as an error of LangChain's and of softkv's at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from langchain_core.exceptions import LangChainException

from softkv.errors import Invalid
from softkv.filters import METADATA, Combination, Comparison, Filter, Where
from softkv.problems import invalid_value


class InvalidInput(Invalid, LangChainException, ValueError):
    """The content of a call is wrong; `detail` and `errors` say where, in the service's words."""


@contextmanager
def convert_errors() -> Iterator[None]:
    """Make an InvalidInput of what the client or the service finds wrong; other errors stay what they are."""
    try:
        yield
    except InvalidInput:
        raise
    except Invalid as error:
        raise to_input_error(error) from error


def to_input_error(error: Invalid) -> InvalidInput:
    """The same error as one of LangChain's."""
    made = InvalidInput(
        error.detail,
        code=error.code,
        errors=error.errors,
        status=error.status,
        request_id=error.request_id,
        retry_after=error.retry_after,
    )
    made.report = error.report
    return made


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


def convert_filter(given: Any) -> Where | None:
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
        raise invalid_value(
            "/filter", f"wanted an object, or a filter such as F.year >= 1930, got {type(given).__name__}"
        )
    if "operator" in given and given.keys() & {"field", "conditions"}:
        return given
    return _conjunction([_condition(name, each) for name, each in given.items()]) if given else None


def _condition(name: Any, wanted: Any) -> Filter:
    """One entry of an object: a field, or an operator that joins others."""
    if not isinstance(name, str):
        raise invalid_value("/filter", f"wanted the name of a field, got {name!r}")
    if name in _CONNECTIVES:
        if not isinstance(wanted, Sequence) or isinstance(wanted, str):
            raise invalid_value(f"/filter/{name}", f"{name} wants a list of filters, not {type(wanted).__name__}")
        return Combination(_CONNECTIVES[name], tuple(map(_nested_condition, wanted)))
    if name == _NOT:
        return ~_nested_condition(wanted)
    if name.startswith("$"):
        raise _unknown_operator(name)
    if isinstance(wanted, Mapping) and any(str(each).startswith("$") for each in wanted):
        return _conjunction([_comparison(name, operator, value) for operator, value in wanted.items()])
    return Comparison(METADATA + name, "==", wanted)


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


def _nested_condition(given: Any) -> Filter:
    """A filter within another."""
    if isinstance(given, Filter):
        return given
    if isinstance(given, Mapping) and "operator" not in given:
        return _conjunction([_condition(name, each) for name, each in given.items()])
    raise invalid_value("/filter", f"within $and, $or and $not wanted fields with what they equal, got {given!r}")


def _conjunction(filters: Sequence[Filter]) -> Filter:
    return filters[0] if len(filters) == 1 else Combination("AND", tuple(filters))


def _unknown_operator(operator: str) -> Exception:
    known = ", ".join([*_COMPARISONS, _EXISTS, *_CONNECTIVES, _NOT])
    return invalid_value("/filter", f"there is no operator {operator!r}: there are {known}, and filters of softkv.F")
