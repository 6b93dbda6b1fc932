"""The calls that both clients make one after another, and the parts of the answers to compare.

A file of `tests/clients/fixtures` is a list of cases: the call, the collection it is of, and its arguments in the words
of the wire. Each file begins where none of these is there.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypedDict

FIXTURES = Path(__file__).parent / "fixtures"
FILES = sorted(path.stem for path in FIXTURES.glob("*.json"))
UNLIKE = frozenset({"took_ms", "requestId", "request_id"})
"""Fields that differ from run to run."""


class _Told(TypedDict, total=False):
    collection: str
    error: dict[str, str]


class Case(_Told):
    """A call.

    Attributes:
        collection: the client's own if left out.
        error: the `code` of the refusal, and the `pointer` of its first flaw, if any.
    """

    name: str
    call: str
    arguments: dict[str, Any]


def cases(file: str) -> list[Case]:
    """The cases of a file, their long lists written out."""
    fixture: list[Case] = json.loads((FIXTURES / f"{file}.json").read_text(encoding="utf-8"), object_hook=_written_out)
    return fixture


def bare(answer: Any) -> Any:
    """Return an answer without the parts that vary, and without nulls, which Python adds for missing fields."""
    if isinstance(answer, dict):
        fields = {name: bare(match) for name, match in answer.items() if match is not None and name not in UNLIKE}
        if "statement" in fields:  # of SQL, which names a collection by its number
            statement = re.sub(r"folds_\d+", "folds", fields["statement"])
            fields |= {"statement": statement, "parameters": [*fields["parameters"]]}
        return fields
    return [bare(match) for match in answer] if isinstance(answer, list) else answer


def jsonable(value: Any) -> Any:
    """Convert a number, or lists of them, to JSON: infinite ones, such as a masked key's logit, are null."""
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def unlike(story: Sequence[Case], came: Iterable[Any], expected_answers: Iterable[Any]) -> list[tuple[str, Any, Any]]:
    """Return the cases with an unexpected answer: name, answer, expected answer."""
    triple = zip(story, came, expected_answers, strict=True)
    return [(case["name"], got, expected) for case, got, expected in triple if got != expected]


def _written_out(value: dict[str, Any]) -> Any:
    """Expand `{"times": 3, "of": 0}` to a list of three zeros, and other values likewise."""
    return [value["of"]] * value["times"] if value.keys() == {"times", "of"} else value
