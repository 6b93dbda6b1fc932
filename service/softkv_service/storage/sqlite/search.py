"""The database's own searches: `=` and full text, with the statements that are run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from sqlite3 import Connection
from typing import Any

import numpy as np

from softkv_service.storage.conditions import Condition, Searched, terms_of
from softkv_service.storage.errors import DocumentDamaged
from softkv_service.storage.fields import is_utf8
from softkv_service.storage.records import Ranks, RowNumbers, SearchResult, SearchRow
from softkv_service.storage.serialisation import TEXT_COLUMNS, refuse_surrogates, texts_of
from softkv_service.storage.sqlite import full_text
from softkv_service.storage.sqlite.statements import compile_condition, format_unexpired

_EQUAL = """\
SELECT id, key, value
FROM documents
WHERE collection = :collection AND key = :key{filter}
ORDER BY id
LIMIT :limit"""

_FULL_TEXT = """\
SELECT documents.id, documents.key, documents.value
FROM {words} JOIN documents ON documents."row" = {words}.rowid
WHERE {words} MATCH :words{filter}
ORDER BY bm25({words}), documents.id
LIMIT :limit"""

_RANKS = """\
SELECT rowid, -bm25({words})
FROM {words}
WHERE {words} MATCH :words
ORDER BY rowid"""


class Search:
    """A search of one collection; get one from `Reader.search` or `temporary_search`.

    Args:
        now: leave out documents that have expired at this instant; None for all documents.
    """

    ranking = "bm25"

    def __init__(self, connection: Connection, collection: int, now: int | None = None) -> None:
        self._connection = connection
        self._collection = collection
        self._now = now

    def equal(self, key: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """Find documents whose key equals this text and that match the condition, ordered by id."""
        clause, values = self._filter(condition)
        parameters = {"collection": self._collection, "key": key, **values, "limit": limit}
        return self._run(_EQUAL.format(filter=clause), parameters)

    def full_text(self, question: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """Find documents whose key has any word of the question, ordered by bm25, then by id.

        A condition restricts the result; bm25 still weighs words by all documents.
        """
        clause, values = self._filter(condition)
        with full_text.searchable(self._connection, self._collection) as index:
            words = full_text.question(index, terms_of(question))
            return self._run(_FULL_TEXT.format(words=index, filter=clause), {"words": words, **values, "limit": limit})

    def ranks(self, searched: Searched) -> tuple[RowNumbers, Ranks]:
        """Return row numbers int64[n], ascending, of all documents with a term of a search, and their bm25 float64[n].

        A phrase, or a beginning of words, has a bm25 as a word has: by the documents that contain it. A larger rank is
        better, and no rank is negative. Raises Unstorable.
        """
        refuse_surrogates([searched] if isinstance(searched, str) else (term.text for term in searched))
        terms = terms_of(searched)
        with full_text.searchable(self._connection, self._collection) as index:
            parameters = {"words": full_text.question(index, terms)}
            cursor = self._connection.execute(_RANKS.format(words=index), parameters)
            table = np.fromiter(cursor, dtype=[("row", np.int64), ("rank", np.float64)])
        return np.ascontiguousarray(table["row"]), np.ascontiguousarray(table["rank"])

    def _filter(self, condition: Condition | None) -> tuple[str, dict[str, Any]]:
        """Return ` AND …` with named parameters, as the statements use them, and their values."""
        unexpired_only = "" if self._now is None else f"\n  AND {format_unexpired(self._now)}"
        if condition is None:
            return unexpired_only, {}
        expression = compile_condition(condition, self._collection)
        first, *rest = expression.sql.split("?")  # every value is a parameter, so each ? is one
        named = "".join(f":filter_{i}{text}" for i, text in enumerate(rest))
        return f"{unexpired_only}\n  AND {first}{named}", {
            f"filter_{i}": value for i, value in enumerate(expression.parameters)
        }

    def _run(self, statement: str, parameters: Mapping[str, Any]) -> SearchResult:
        refuse_surrogates(parameters.values())
        ids = [row[0] for row in self._connection.execute(statement, parameters)]
        return SearchResult(statement, parameters, self._verify(ids))

    def _verify(self, ids: list[str]) -> list[SearchRow]:
        """Read the rows with these ids again, in order, and verify their checksums; raises DocumentDamaged."""
        cursor = self._connection.execute(
            f"SELECT {TEXT_COLUMNS} FROM documents WHERE collection = ? AND id IN (SELECT value FROM json_each(?))",
            (self._collection, json.dumps([identity for identity in ids if is_utf8(identity)])),
        )
        texts_by_id = {texts.id: texts for texts in texts_of(cursor)}
        for identity in ids:
            if identity not in texts_by_id:
                raise DocumentDamaged(None, identity, vectors=False)
        return [
            SearchRow(identity, texts_by_id[identity].key, json.loads(texts_by_id[identity].value)) for identity in ids
        ]
