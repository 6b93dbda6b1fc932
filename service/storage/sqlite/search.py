"""The database's own ways to answer a question: `=` and full text, with the statements as they run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from sqlite3 import Connection
from typing import Any

import numpy as np

from service.storage.conditions import Condition
from service.storage.errors import DocumentDamaged
from service.storage.fields import is_utf8
from service.storage.records import Ranks, RowNumbers, SearchResult, SearchRow
from service.storage.serialisation import refuse_surrogates, texts_of
from service.storage.sqlite import full_text
from service.storage.sqlite.statements import TEXT_COLUMNS, compile_condition

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
    """Asks one collection; get one from `Reader.search` or `searching_rows`."""

    ranking = "bm25"

    def __init__(self, connection: Connection, collection: int) -> None:
        self._connection = connection
        self._collection = collection

    def equal(self, key: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """The documents whose key is exactly this text, by id; of those that pass the condition."""
        also, values = self._filter(condition)
        parameters = {"collection": self._collection, "key": key, **values, "limit": limit}
        return self._run(_EQUAL.format(filter=also), parameters)

    def full_text(self, question: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """The documents whose key holds any of the question's words, best first by bm25, then by id.

        With a condition, of those that pass; bm25 still weighs words by all documents.
        """
        also, values = self._filter(condition)
        statement = _FULL_TEXT.format(words=full_text.table(self._collection), filter=also)
        return self._run(statement, {"words": full_text.question(question), **values, "limit": limit})

    def ranks(self, question: str) -> tuple[RowNumbers, Ranks]:
        """The row numbers int64[n], ascending, of all that `full_text` finds, and their bm25 float64[n].

        Larger is better, and none is below 0. Raises Unstorable.
        """
        refuse_surrogates([question])
        statement = _RANKS.format(words=full_text.table(self._collection))
        found = self._connection.execute(statement, {"words": full_text.question(question)})
        table = np.fromiter(found, dtype=[("row", np.int64), ("rank", np.float64)])
        return np.ascontiguousarray(table["row"]), np.ascontiguousarray(table["rank"])

    def _filter(self, condition: Condition | None) -> tuple[str, dict[str, Any]]:
        """` AND …` with named parameters, as the statements have them."""
        if condition is None:
            return "", {}
        expression = compile_condition(condition, self._collection)
        first, *rest = expression.sql.split("?")  # all values are parameters, so each ? stands for one
        named = "".join(f":filter_{i}{text}" for i, text in enumerate(rest))
        return f"\n  AND {first}{named}", {f"filter_{i}": value for i, value in enumerate(expression.parameters)}

    def _run(self, statement: str, parameters: Mapping[str, Any]) -> SearchResult:
        refuse_surrogates(parameters.values())
        found = [row[0] for row in self._connection.execute(statement, parameters)]
        return SearchResult(statement, parameters, self._sound(found))

    def _sound(self, ids: list[str]) -> list[SearchRow]:
        """The rows with these ids, in their order, read once more with their checksums; raises DocumentDamaged."""
        found = self._connection.execute(
            f"SELECT {TEXT_COLUMNS} FROM documents WHERE collection = ? AND id IN (SELECT value FROM json_each(?))",
            (self._collection, json.dumps([each for each in ids if is_utf8(each)])),
        )
        sound = {texts.id: texts for texts in (texts_of(row) for row in found)}
        for identity in ids:
            if identity not in sound:
                raise DocumentDamaged(None, identity, vectors=False)
        return [SearchRow(each, sound[each].key, json.loads(sound[each].value)) for each in ids]
