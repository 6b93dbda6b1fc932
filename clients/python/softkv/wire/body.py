"""Values on their way into a request's body."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any, Final, Literal, TypeAlias

from softkv.problems import flawed


class Omitted(Enum):
    """Says that a field is left out, where None says something itself."""

    OMITTED = "omitted"

    def __repr__(self) -> str:
        return "OMITTED"


_ENDLESS = "wanted JSON, got what holds itself, or lists and objects within others without end: send it flatter"
OMITTED: Final = Omitted.OMITTED
LeftOut: TypeAlias = Literal[Omitted.OMITTED]


def said(**fields: Any) -> dict[str, Any]:
    """The fields that were given: neither None nor OMITTED."""
    return {name: given for name, given in fields.items() if given is not None and given is not OMITTED}


def body(content: Any) -> bytes:
    """JSON in UTF-8; numbers, arrays and dates of other libraries as JSON has them.

    Raises:
        Invalid: what is in it is no JSON.
    """
    try:
        return _JSON.encode(content).encode()
    except UnicodeEncodeError:
        raise flawed("", "wanted Unicode text, got a lone surrogate: send well-formed UTF-8") from None
    except RecursionError:
        raise flawed("", _ENDLESS) from None
    except ValueError as error:
        if "Circular" in str(error):
            raise flawed("", _ENDLESS) from None
        raise flawed("", f"wanted JSON, which has no NaN and no Infinity: send null or a text ({error})") from None


def plain(given: Any) -> Any:
    """What JSON has in place of a number or an array of NumPy's, or of a date.

    Raises:
        Invalid: there is nothing in its place.
    """
    for method in ("tolist", "isoformat"):  # of arrays and their scalars; of dates and times
        convert = getattr(given, method, None)
        if convert is not None:
            return convert()
    if isinstance(given, set | frozenset | tuple):
        return list(given)
    raise flawed("", f"wanted JSON: texts, numbers, true, false, null, lists, objects; got {type(given).__name__}")


_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain)
