"""Checks of the values of a request before it is sent, with the same error messages as the service."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from softkv.errors import Flaw
from softkv.problems import invalid_value_at, raise_flaws

MAX_MATCHES = MAX_PAGE_SIZE = 10_000
_MAX_ID_CHARACTERS = 256
_MAX_SHOWN = 60
_MIN_TEMPERATURE = 1e-30
_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"


def check_number(
    argument: Any,
    pointer: str,
    *,
    above: float | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
) -> Iterator[Flaw]:
    """Yield a flaw if a number is outside its range; accept None."""
    value = _as_python_number(argument)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        yield Flaw(
            pointer, "wanted a number" if not isinstance(value, float) else "wanted a finite number within float64"
        )
    elif above is not None and value <= above:
        yield Flaw(pointer, f"wanted a number above {above}, got {value}")
    elif minimum is not None and value < minimum:
        yield Flaw(pointer, f"wanted a number from {minimum} on, got {value}")
    elif maximum is not None and value > maximum:
        yield Flaw(pointer, f"wanted a number up to {maximum}, got {value}")


def check_temperature(
    argument: Any, pointer: str = "/temperature", *, auto: bool = False, needed: bool = False
) -> Iterator[Flaw]:
    """Yield a flaw unless the temperature is 0 or at least 1e-30; accept "auto" if `auto`, and None unless `needed`."""
    value = _as_python_number(argument)
    if (value is None and not needed) or (auto and isinstance(value, str) and value == "auto"):
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and (value == 0 or _MIN_TEMPERATURE <= value < math.inf)):
        yield Flaw(pointer, f"wanted 0, or a number from {_MIN_TEMPERATURE} on")


def check_text_weight(argument: Any, pointer: str = "/full_text") -> Iterator[Flaw]:
    """Yield a flaw unless the full-text factor is "auto" or at least 0; accept None, and `{"weight", "query"}`."""
    if isinstance(argument, Mapping):
        argument, pointer = argument.get("weight"), f"{pointer}/weight"
    value = _as_python_number(argument)
    if value is None or (isinstance(value, str) and value == "auto"):
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        yield Flaw(pointer, 'wanted a number from 0 on, or "auto"')
    else:
        yield from check_number(value, pointer)


def check_top_k(top_k: int | None) -> Iterator[Flaw]:
    """Yield a flaw if the number of matches is out of range."""
    return check_number(top_k, "/top_k", minimum=0, maximum=MAX_MATCHES)


def check_document_id(document_id: Any, pointer: str) -> Iterator[Flaw]:
    """Yield a flaw unless the id has 1 to 256 characters without control characters."""
    if hasattr(document_id, "__index__") and not isinstance(document_id, bool):
        number = int(document_id)
        yield Flaw(pointer, f'wanted a text, got {number}: send it as the text "{number}"')
    elif not isinstance(document_id, str):
        yield Flaw(pointer, f"wanted a text, got {json.dumps(document_id, default=repr)}")
    elif not 1 <= len(document_id) <= _MAX_ID_CHARACTERS:
        yield Flaw(pointer, f"wanted an id of 1 to {_MAX_ID_CHARACTERS} characters, got {len(document_id)}")
    elif document_id in (".", ".."):
        yield Flaw(pointer, "an id may not be . or .., which a URL would swallow: add a character")
    elif not document_id.isprintable() and any(
        unicodedata.category(character) in ("Cc", "Cs") for character in document_id
    ):
        yield Flaw(pointer, "an id may hold no control character and no lone surrogate")


def check_document_ids(ids: Iterable[Any]) -> Iterator[Flaw]:
    """Yield a flaw for each invalid id of a list, with its position."""
    for index, document_id in enumerate(ids):
        yield from check_document_id(document_id, f"/ids/{index}")


def is_list_like(value: Any) -> bool:
    """Return whether a value is iterable and neither a text nor a mapping."""
    if isinstance(value, str | bytes | Mapping):
        return False
    try:
        iter(value)
    except TypeError:
        return False
    return True


def require_list(value: Any, pointer: str) -> list[Any]:
    """Return an argument as a list, after checking that it is a list.

    Raises:
        Invalid: the value is not a list.
    """
    if not is_list_like(value):
        raise invalid_value_at(pointer, f"wanted a list, got {describe_value(value)}")
    return list(value)


def describe_value(value: Any) -> str:
    """Describe an invalid value in at most 60 characters."""
    if isinstance(value, Mapping | list):
        return "an object" if isinstance(value, Mapping) else "a list"
    is_json = isinstance(value, str | int | float | None)
    text = json.dumps(value, ensure_ascii=False) if is_json else repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def require_document_id(document_id: str) -> None:
    """Raise Invalid if a document id in a path is invalid."""
    raise_flaws(Flaw("", f"path.id: {flaw.detail}") for flaw in check_document_id(document_id, ""))


def require_collection_name(name: str, parameter: str = "name") -> None:
    """Raise Invalid if the name of a collection or of an alias is invalid.

    Args:
        name: the name.
        parameter: what the path calls it.
    """
    if not isinstance(name, str) or not re.fullmatch(_NAME_PATTERN, name):
        got = json.dumps(name, default=repr)
        raise_flaws([Flaw("", f"path.{parameter}: wanted a text of the form {_NAME_PATTERN}, got {got}")])


def _as_python_number(value: Any) -> Any:
    """Convert a NumPy scalar to a Python number; return other values unchanged."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
