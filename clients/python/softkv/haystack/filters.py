"""Haystack's filters, which are softkv's but for the names of fields, and what may be put into an order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from haystack.errors import FilterError

from softkv.filters import METADATA, Combination, Comparison, Filter
from softkv.haystack.refusing import as_filter_error

_JOINING = ("AND", "OR", "NOT")
_ORDERING = (">", ">=", "<", "<=")
_COMPARING = ("==", "!=", *_ORDERING, "in", "not in", "contains")
_META = "meta."
_OWN = {"id": "id", "content": "key"}
_NOT_COMPARED = ("blob", "embedding", "meta", "score", "sparse_embedding")


def translated(filters: Mapping[str, Any] | None) -> Filter | None:
    """A filter of Haystack's; None where all documents pass.

    Raises:
        FilterError: it is none.
    """
    if not filters:
        return None
    with as_filter_error():
        return _filter(filters)


def required(filters: Mapping[str, Any] | None, instead: str) -> Filter:
    """The same where documents are changed, and so an empty one is taken for a mistake.

    Args:
        instead: what to call for all documents.

    Raises:
        FilterError: it is none, or empty.
    """
    if (found := translated(filters)) is None:
        raise FilterError(f"wanted a filter, got {filters!r}: {instead}")
    return found


def metadata_name(name: str) -> str:
    """A field of the metadata, written with "meta." or without, as the service knows it."""
    return METADATA + name.removeprefix(_META)


def _filter(given: Any) -> Filter:
    if not isinstance(given, Mapping):
        raise FilterError(f"wanted a filter as an object with field, operator and value, got {given!r}")
    if "field" in given:
        return _comparison(given)
    operator, conditions = _of(given, "operator"), _of(given, "conditions")
    if operator not in _JOINING:
        raise FilterError(f"wanted {', '.join(_JOINING)} to join conditions, got {operator!r}")
    if not isinstance(conditions, list):
        raise FilterError(f"conditions: wanted a list of filters, got {conditions!r}")
    return Combination(operator, tuple(map(_filter, conditions)))


def _comparison(given: Mapping[str, Any]) -> Filter:
    field, operator, value = _field(given["field"]), _of(given, "operator"), _of(given, "value")
    if operator not in _COMPARING:
        raise FilterError(f"wanted an operator of {', '.join(_COMPARING)}; got {operator!r}")
    if operator in ("in", "not in") and not isinstance(value, list):
        raise FilterError(f"{operator} on {given['field']} wants a list, not {value!r}")
    if operator in _ORDERING:
        if value is None:
            return Combination("OR", ())  # nothing comes before or after None
        if isinstance(value, str) and not _is_date(value):
            raise FilterError(
                f"{operator} on {given['field']} wants a number or a date as ISO 8601 has it, not {value!r}"
            )
    return Comparison(field, operator, value.isoformat() if isinstance(value, date) else value)


def _field(name: Any) -> str:
    """A field of a document; what Document has no attribute for is of the metadata, as everywhere in Haystack."""
    if not isinstance(name, str):
        raise FilterError(f"field: wanted a text, got {name!r}")
    if name in _NOT_COMPARED:
        raise FilterError(f"there is no comparing by {name!r}: filter by id, content or meta.…")
    return _OWN.get(name) or metadata_name(name)


def _of(given: Mapping[str, Any], name: str) -> Any:
    if name not in given:
        raise FilterError(f"{name!r} is missing in {dict(given)!r}")
    return given[name]


def _is_date(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
