"""What of the page's scenes can be taken along: the small demo collections, and the rows that are written in scenes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

# In js/scenes.js: a set, `colour: { query: "…", t: 0.05, rows: rows({ … }) }`, and a row of the shared ones.
_SET = re.compile(r'^  (\w+): \{ query: "([^"]*)".*?rows\(\{(.*?)\}\) \}', re.MULTILINE | re.DOTALL)
_PAIR = re.compile(r'"([^"]*)": "([^"]*)"')
_ROW = re.compile(r'\{ id: "([^"]*)", key: "([^"]*)", value: "([^"]*)" \}')
_SHARED_QUERY = re.compile(r'query: "([^"]*)", rows: SHARED')
_FILTER = re.compile(r"filter: (\{[^}]*\})")
_NAME = re.compile(r"(\w+):")
COLLECTIONS = ("library", "videos")


@dataclass(frozen=True)
class Memory:
    """Rows that questions are put to.

    Attributes:
        name: of the collection; None where the rows go with each question.
        rows: id, key, value and metadata of each.
        questions: what is asked of it.
        filters: what of it may be asked about, besides all of it.
    """

    name: str | None
    rows: list[dict[str, Any]]
    questions: list[str]
    filters: list[dict[str, Any]] = field(default_factory=list)


def written_in(scenes: str) -> list[Memory]:
    """The rows that scenes bring along, from the text of js/scenes.js, each with the scene's own question."""
    sets = [
        Memory(None, [_row(f"row-{i}", *pair) for i, pair in enumerate(_PAIR.findall(pairs), 1)], [query])
        for _, query, pairs in _SET.findall(scenes)
    ]
    shared = [_row(*each) for each in _ROW.findall(scenes)]
    return [*sets, Memory(None, shared, _SHARED_QUERY.findall(scenes))]


def filters_in(scenes: str) -> list[dict[str, Any]]:
    """The filters of scenes, as the API takes them."""
    return [json.loads(_NAME.sub(r'"\1":', each, count=3)) for each in _FILTER.findall(scenes)]


def _row(identifier: str, key: str, value: str) -> dict[str, Any]:
    return {"id": identifier, "key": key, "value": value}
