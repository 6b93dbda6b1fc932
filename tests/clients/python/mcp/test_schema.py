"""A tool's arguments against its schema: as little work as the refusal needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from softkv.mcp.library import ToolError
from softkv.mcp.schema import MAX_FLAWS, list_of, object_of, text, validate

LONGEST = 20
SCHEMA = object_of({"ids": list_of(text(), maxItems=LONGEST), "tags": list_of(text(), default=[])})


class CountedList(list[Any]):
    """A list that counts how many of its items are read."""

    read = 0

    def __iter__(self) -> Iterator[Any]:
        for number in range(len(self)):
            yield self[number]

    def __getitem__(self, number: Any) -> Any:
        self.read += 1
        return super().__getitem__(number)


def test_the_items_of_a_list_that_is_too_long_are_not_read() -> None:
    ids = CountedList([1] * 10_000)
    with pytest.raises(ToolError, match=r"/ids: expected at most 20 of them, got 10000$"):
        validate(SCHEMA, {"ids": ids})
    assert ids.read == 0


def test_no_more_flaws_are_looked_for_than_are_shown() -> None:
    tags = CountedList([1] * 10_000)
    with pytest.raises(ToolError) as refusal:
        validate(SCHEMA, {"ids": ["a"], "tags": tags})
    lines = str(refusal.value).splitlines()
    assert lines[1:] == [f"/tags/{number}: expected a text, got 1" for number in range(MAX_FLAWS)] + ["and more"]
    assert tags.read == MAX_FLAWS + 1


def test_arguments_that_fit_come_back_with_defaults() -> None:
    assert validate(SCHEMA, {"ids": ["a"] * LONGEST}) == {"ids": ["a"] * LONGEST, "tags": []}
