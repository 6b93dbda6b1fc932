"""What a request must not say, seen before it is sent and told in the service's words."""

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
    given: Any, pointer: str, *, above: float | None = None, least: float | None = None, most: float | None = None
) -> Iterator[Flaw]:
    """Whether a number lies where it must; None is left out."""
    value = _as_python_number(given)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        yield Flaw(
            pointer, "wanted a number" if not isinstance(value, float) else "wanted a finite number within float64"
        )
    elif above is not None and value <= above:
        yield Flaw(pointer, f"wanted a number above {above}, got {value}")
    elif least is not None and value < least:
        yield Flaw(pointer, f"wanted a number from {least} on, got {value}")
    elif most is not None and value > most:
        yield Flaw(pointer, f"wanted a number up to {most}, got {value}")


def check_temperature(
    given: Any, pointer: str = "/temperature", *, auto: bool = False, needed: bool = False
) -> Iterator[Flaw]:
    """0, or from the smallest on; `"auto"` where that is one; None is left out, unless it is needed."""
    value = _as_python_number(given)
    if (value is None and not needed) or (auto and isinstance(value, str) and value == "auto"):
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and (value == 0 or _MIN_TEMPERATURE <= value < math.inf)):
        yield Flaw(pointer, f"wanted 0, or a number from {_MIN_TEMPERATURE} on")


def check_text_weight(given: Any, pointer: str = "/full_text") -> Iterator[Flaw]:
    """What words weigh: from 0 on, or `"auto"`."""
    value = _as_python_number(given)
    if value is None or (isinstance(value, str) and value == "auto"):
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        yield Flaw(pointer, 'wanted a number from 0 on, or "auto"')
    else:
        yield from check_number(value, pointer)


def check_top_k(top_k: int | None) -> Iterator[Flaw]:
    """How many documents to name."""
    return check_number(top_k, "/top_k", least=0, most=MAX_MATCHES)


def check_document_id(given: Any, pointer: str) -> Iterator[Flaw]:
    """1 to 256 characters, none of which controls anything."""
    if not isinstance(given, str):
        yield Flaw(pointer, f"wanted a text, got {json.dumps(given, default=repr)}")
    elif not 1 <= len(given) <= _MAX_ID_CHARACTERS:
        yield Flaw(pointer, f"wanted an id of 1 to {_MAX_ID_CHARACTERS} characters, got {len(given)}")
    elif given in (".", ".."):
        yield Flaw(pointer, "an id may not be . or .., which a URL would swallow: add a character")
    elif not given.isprintable() and any(unicodedata.category(character) in ("Cc", "Cs") for character in given):
        yield Flaw(pointer, "an id may hold no control character and no lone surrogate")


def check_document_ids(given: Iterable[Any]) -> Iterator[Flaw]:
    """Each of some ids."""
    for place, each in enumerate(given):
        yield from check_document_id(each, f"/ids/{place}")


def is_list_like(given: Any) -> bool:
    """Whether it can be gone through as a list; a text and an object are one thing."""
    if isinstance(given, str | bytes | Mapping):
        return False
    try:
        iter(given)
    except TypeError:
        return False
    return True


def require_list(given: Any, pointer: str) -> list[Any]:
    """What there is of something, as a list.

    Raises:
        Invalid: it is one thing.
    """
    if not is_list_like(given):
        raise invalid_value_at(pointer, f"wanted a list, got {describe_value(given)}")
    return list(given)


def describe_value(given: Any) -> str:
    """A value that was not wanted, in a word or two."""
    if isinstance(given, Mapping | list):
        return "an object" if isinstance(given, Mapping) else "a list"
    is_json = isinstance(given, str | int | float | None)
    text = json.dumps(given, ensure_ascii=False) if is_json else repr(given)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def require_document_id(given: str) -> None:
    """Raise Invalid where an id is none."""
    raise_flaws(Flaw("", f"path.id: {flaw.detail}") for flaw in check_document_id(given, ""))


def require_collection_name(given: str) -> None:
    """Raise Invalid where a name can be no collection's."""
    if not isinstance(given, str) or not re.fullmatch(_NAME_PATTERN, given):
        raise_flaws(
            [Flaw("", f"path.name: wanted a text of the form {_NAME_PATTERN}, got {json.dumps(given, default=repr)}")]
        )


def _as_python_number(given: Any) -> Any:
    """A number of NumPy's as Python has it."""
    return given.item() if hasattr(given, "item") and getattr(given, "ndim", 1) == 0 else given
