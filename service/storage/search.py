"""The database's own ways to answer a question: `=` and full text, with the statements as they run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from service.storage import full_text
from service.storage.errors import Unstorable
from service.storage.forms import is_utf8

_EQUAL = """\
SELECT id, key, value
FROM documents
WHERE collection = :collection AND key = :key
ORDER BY id
LIMIT :limit"""

_FULL_TEXT = """\
SELECT documents.id, documents.key, documents.value
FROM {words} JOIN documents ON documents."row" = {words}.rowid
WHERE {words} MATCH :words
ORDER BY bm25({words}), documents.id
LIMIT :limit"""


@dataclass(frozen=True)
class SearchRow:
    """A row as the database answers it; `value` is any JSON."""

    id: str
    key: str | None
    value: Any


@dataclass(frozen=True)
class SearchResult:
    """The statement that was run, what stood for its parameters, and its rows in order."""

    statement: str
    parameters: Mapping[str, str | int]
    rows: list[SearchRow]


class Search:
    """Asks one collection; get one from `Reader.search` or `searching_rows`."""

    def __init__(self, connection: Connection, collection: int) -> None:
        self._connection = connection
        self._collection = collection

    def equal(self, key: str, limit: int) -> SearchResult:
        """The documents whose key is exactly this text, by id."""
        return self._run(_EQUAL, {"collection": self._collection, "key": key, "limit": limit})

    def full_text(self, question: str, limit: int) -> SearchResult:
        """The documents whose key holds any of the question's words, best first by bm25, then by id."""
        statement = _FULL_TEXT.format(words=full_text.table(self._collection))
        return self._run(statement, {"words": full_text.question(question), "limit": limit})

    def _run(self, statement: str, parameters: Mapping[str, str | int]) -> SearchResult:
        if not all(is_utf8(each) for each in parameters.values() if isinstance(each, str)):
            raise Unstorable(
                "the question holds half of a surrogate pair, which UTF-8 cannot say: send whole characters"
            )
        found = self._connection.execute(statement, parameters)
        return SearchResult(statement, parameters, [SearchRow(i, key, json.loads(value)) for i, key, value in found])
