"""Options of questions in their JSON form: the terms of a bias, and the defaults of a collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from softkv import filters, validation
from softkv.problems import invalid_value, invalid_value_at
from softkv.questions import Bias, DefaultName, Defaults, Question
from softkv.record import Record
from softkv.validation import is_list_like

IgnoredDefaults: TypeAlias = bool | Sequence[DefaultName]


def encode_bias(bias: Bias | None, pointer: str = "/bias") -> Any:
    """Return the terms of a bias in their JSON form.

    Args:
        bias: a term, or a list of terms.
        pointer: the position of the bias in the request, for errors.

    Raises:
        Invalid: a term is not an object, or its filter is invalid.
    """
    if bias is None:
        return None
    if is_list_like(bias):
        return [_encode_term(term, f"{pointer}/{index}") for index, term in enumerate(bias)]
    return _encode_term(bias, pointer)


def _encode_term(term: Any, pointer: str) -> dict[str, Any]:
    """Return one term of a bias in its JSON form."""
    if isinstance(term, filters.Filter | filters.Field):
        a_term = '{"filter": F.year > 1990, "addend": 1}, or {"field": "metadata.year", "half_life": 10}'
        raise invalid_value_at(pointer, f"wanted a term such as {a_term}, got a {type(term).__name__.lower()} alone")
    if not isinstance(term, Mapping):
        raise invalid_value(pointer, "a term of a bias is an object: send one, or a list of them")
    return {
        name: filters.encode_filter(field, f"{pointer}/filter") if name == "filter" else field
        for name, field in term.items()
    }


def encode_defaults(defaults: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the defaults of a collection in their JSON form.

    Raises:
        Invalid: they are not an object, or a filter or a bias is invalid.
    """
    if defaults is None:
        return None
    if not isinstance(defaults, Mapping):
        raise invalid_value_at(
            "/defaults", f'wanted an object as {{"top_k": 5}}, got {validation.describe_value(defaults)}'
        )
    encoded = dict(defaults)
    if "filter" in encoded:
        encoded["filter"] = filters.encode_filter(encoded["filter"], "/defaults/filter")
    if "bias" in encoded:
        encoded["bias"] = encode_bias(encoded["bias"], "/defaults/bias")
    return encoded


def null_fields(
    ignored: IgnoredDefaults | None, options: Mapping[str, Any], question: type[Record] = Question
) -> dict[str, None]:
    """Return the fields that are null, so that the collection's defaults do not apply.

    Args:
        ignored: True for all defaults, or their names.
        options: the fields of the request, which win over defaults.
        question: the record of questions of this kind, whose fields may have defaults.

    Raises:
        Invalid: there is no such default, or the default filter is to be ignored and the request has a filter.
    """
    if not ignored:
        return {}
    names = [name for name in Defaults._names if name in question._names]
    chosen = names if ignored is True else validation.require_list(ignored, "/ignore_defaults")
    for name in chosen:
        if name not in names:
            raise invalid_value_at("/ignore_defaults", f"wanted True, or names of {', '.join(names)}, got {name!r}")
    if "filter" in chosen and "filter" in options:
        raise invalid_value_at(
            "/ignore_defaults",
            "a filter holds together with the default filter: leave where out, or name the other defaults alone",
        )
    return {name: None for name in chosen if name not in options}
