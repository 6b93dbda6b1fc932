"""A filter as it is sent → the condition that storage evaluates."""

from __future__ import annotations

from typing import Any

from service.retrieval.errors import InvalidContent
from service.storage import Condition, InvalidCondition, parse_condition


def parse(sent: Any, pointer: str = "/filter") -> Condition:
    """The condition tree of a filter; InvalidContent points at what is wrong in the request."""
    try:
        return parse_condition(sent)
    except InvalidCondition as error:
        where = f"{pointer}/{error.pointer}" if error.pointer else pointer
        raise InvalidContent.at(where, error.message) from None
