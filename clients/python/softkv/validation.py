"""Checks of what cannot be sent: ids and names that URLs lack, and other types; with the service's error messages."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from softkv.errors import Flaw
from softkv.problems import invalid_value_at, raise_flaws

_MAX_ID_CHARACTERS = 256
_MAX_SHOWN = 60
_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"


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
