"""What is wrong with a request's content, in the service's words: what was wanted, and what came."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from service.retrieval import Flaw

# the kinds of error that pydantic finds → what to say; the service's own validators say it themselves
WORDS = {
    "missing": "this field is needed",
    "extra_forbidden": "there is no such field here: leave it out",
    "model_type": "wanted an object, got {came}",
    "model_attributes_type": "wanted an object, got {came}",
    "dict_type": "wanted an object, got {came}",
    "list_type": "wanted a list, got {came}",
    "string_type": "wanted a text, got {came}",
    "bool_type": "wanted true or false, got {came}",
    "int_type": "wanted a whole number, got {came}",
    "int_from_float": "wanted a whole number, got {came}",
    "literal_error": "wanted {expected}, got {came}",
    "greater_than": "wanted a number above {gt}, got {came}",
    "greater_than_equal": "wanted a number from {ge} on, got {came}",
    "less_than": "wanted a number below {lt}, got {came}",
    "less_than_equal": "wanted a number up to {le}, got {came}",
    "too_short": "wanted at least {min_length}, got {actual_length}",
    "too_long": "wanted at most {max_length}, got more",
    "string_too_long": "wanted a text of at most {max_length} characters, got {came}",
    "string_pattern_mismatch": "wanted a text of the form {pattern}, got {came}",
}
NO_FIELD_OF_A_DOCUMENT = (
    "a document has no field {name}: a field of your own goes into `metadata`, and the text that is searched is `key`"
)
SHOWN = 60
RENAMED = {
    "answer_if": "answer_if is called min_confidence now: send that",
    "answered": "answered gave way to verdict, which the evidence of every answer has: leave it out",
}
REMOVED = {"basis": "low-bit codes were removed, and basis with them: leave it out"}
"""Fields that a collection had as well as a question."""
QUESTION = {"query", "queries", "questions"}
"""Fields that mark a body as a question; only there are old names of fields explained."""


def flaws_of(errors: Iterable[Mapping[str, Any]], body: Any, *, of_document: bool = False) -> list[Flaw]:
    """What pydantic found in a body, with JSON pointers into it.

    Args:
        of_document: whether the body is a document, or a patch of one; in a body of several they are its `documents`.
    """
    is_question = isinstance(body, dict) and not QUESTION.isdisjoint(body)

    def words(error: Mapping[str, Any]) -> str:
        path = error["loc"]
        owner = path[:-1]
        in_document = not owner if of_document else len(owner) == 2 and owner[0] == "documents"
        if error["type"] == "extra_forbidden" and in_document:
            return NO_FIELD_OF_A_DOCUMENT.format(name=_shown(path[-1]))
        if error["type"] == "extra_forbidden" and path[-1] in REMOVED:
            return REMOVED[path[-1]]
        return (is_question and _renamed(error)) or words_of(error)

    return [Flaw(_pointer(error["loc"], body), words(error)) for error in errors]


def words_of(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors in words."""
    if error["type"] not in WORDS:
        return str(error["msg"])
    return WORDS[error["type"]].format_map({**error.get("ctx", {}), "came": _shown(error.get("input"))})


def _renamed(error: Mapping[str, Any]) -> str | None:
    """Return the hint for a field, or an entry of `include`, that was renamed; None if it was not."""
    if error["type"] == "extra_forbidden":
        return RENAMED.get(str(error["loc"][-1]))
    named = error["type"] == "literal_error" and "include" in error["loc"] and error.get("input")
    return RENAMED.get(named) if isinstance(named, str) else None


def _shown(came: Any) -> str:
    if isinstance(came, dict | list):
        return "an object" if isinstance(came, dict) else "a list"
    text = json.dumps(came, ensure_ascii=False).encode(errors="replace").decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _pointer(path: Sequence[Any], body: Any) -> str:
    """A validation location → JSON pointer; steps that name a type of a union are no place in the body."""
    steps = []
    for last, step in ((i == len(path) - 1, step) for i, step in enumerate(path)):
        if isinstance(body, dict) and (step in body or last):
            body = body.get(step)
        elif isinstance(body, list) and isinstance(step, int) and step < len(body):
            body = body[step]
        else:
            continue
        steps.append(str(step).replace("~", "~0").replace("/", "~1"))
    return "".join(f"/{step}" for step in steps)
