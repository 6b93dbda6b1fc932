"""The database's own searches: `=` and full text, with the statements that are run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from sqlite3 import Connection
from typing import Any

import numpy as np

from softkv_service.storage.conditions import Condition, Searched, terms_of
from softkv_service.storage.errors import DocumentDamaged
from softkv_service.storage.fields import is_utf8
from softkv_service.storage.records import Ranks, RowNumbers, SearchResult, SearchRow, TextLengths
from softkv_service.storage.serialisation import TEXT_COLUMNS, refuse_surrogates, texts_of
from softkv_service.storage.sqlite import full_text
from softkv_service.storage.sqlite.restricted_ranks import ranks as count_ranks
from softkv_service.storage.sqlite.restricted_ranks import read_lengths
from softkv_service.storage.sqlite.statements import Expression, compile_condition, format_unexpired

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

_MATCHING = """\
SELECT "row", id
FROM documents
WHERE "row" IN (SELECT value FROM json_each(:rows)){filter}"""

_RANKS = """\
SELECT rowid, -bm25({words})
FROM {words}
WHERE {words} MATCH :words
ORDER BY rowid"""


_FEW_RANKED = 256


class Search:
    """A search of one collection; get one from `Reader.search` or `temporary_search`.

    Args:
        now: leave out documents that have expired at this instant; None for all documents.
        counted: bm25 counts only the documents that pass this and have not expired, and ranks no others; None for all
            that are stored. The other results heed it only as a condition of theirs.
    """

    ranking = "bm25"

    def __init__(
        self, connection: Connection, collection: int, now: int | None = None, counted: Condition | None = None
    ) -> None:
        self._connection = connection
        self._collection = collection
        self._now = now
        self._visible: Expression | None = None
        if counted is not None:
            passing = compile_condition(counted, collection)
            unexpired = [] if now is None else [format_unexpired(now)]
            self._visible = replace(passing, sql=" AND ".join([*unexpired, passing.sql]))

    def equal(self, key: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """Find documents whose key equals this text and that match the condition, ordered by id."""
        clause, values = self._filter(condition)
        parameters = {"collection": self._collection, "key": key, **values, "limit": limit}
        return self._run(_EQUAL.format(filter=clause), parameters)

    def full_text(self, question: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """Find documents whose key has any word of the question, ordered by bm25, then by id.

        A condition restricts the result; bm25 still weighs words by all documents, or by those of `counted`.
        """
        clause, values = self._filter(condition)
        with full_text.searchable(self._connection, self._collection, self._visible) as index:
            statement = _FULL_TEXT.format(words=index, filter=clause)
            parameters = {"words": full_text.question(index, terms_of(question)), **values, "limit": limit}
            if not self._counts(index):
                return self._run(statement, parameters)
            refuse_surrogates(parameters.values())
            ids = self._best(*self.ranks(question), limit, clause, values)
            return SearchResult(statement, parameters, self._verify(ids))

    def _best(self, rows: RowNumbers, ranks: Ranks, limit: int, clause: str, values: Mapping[str, Any]) -> list[str]:
        """Return the ids of at most `limit` of these documents that match, ordered by rank, then by id."""
        order = np.argsort(-ranks, kind="stable")
        rows, ranks = rows[order], ranks[order]
        ids, start, size = list[str](), 0, max(limit, _FEW_RANKED)
        while len(ids) < limit and start < len(rows):
            # Equal ranks are ordered by their ids, so they are read together.
            end = int(np.searchsorted(-ranks, -ranks[min(start + size, len(rows)) - 1], side="right"))
            rank_by_row = dict(zip(rows[start:end].tolist(), ranks[start:end].tolist(), strict=True))
            matching = self._connection.execute(
                _MATCHING.format(filter=clause), {"rows": json.dumps(list(rank_by_row)), **values}
            )
            ids += [identity for _, identity in sorted((-rank_by_row[row], identity) for row, identity in matching)]
            start, size = end, 4 * size
        return ids[:limit]

    def lengths(self) -> TextLengths | None:
        """Return what `ranks` reads of each document of `counted`; None if it reads nothing of them."""
        if self._visible is None or not (indexes := full_text.existing(self._connection, self._collection)):
            return None
        return read_lengths(self._connection, indexes[0], self._collection, self._visible)

    def ranks(self, searched: Searched, lengths: TextLengths | None = None) -> tuple[RowNumbers, Ranks]:
        """Return row numbers int64[n], ascending, of all documents with a term of a search, and their bm25 float64[n].

        A phrase, or a beginning of words, has a bm25 as a word has: by the documents that contain it. A larger rank is
        better, and no rank is negative. Raises Unstorable.

        Args:
            searched: the terms, or a text.
            lengths: what `lengths` returned for the same state of the store, which is read again otherwise.
        """
        refuse_surrogates([searched] if isinstance(searched, str) else (term.text for term in searched))
        terms = terms_of(searched)
        with full_text.searchable(self._connection, self._collection, self._visible) as index:
            if self._counts(index):
                assert self._visible is not None
                if lengths is None or lengths.index != index:
                    lengths = read_lengths(self._connection, index, self._collection, self._visible)
                return count_ranks(self._connection, lengths, full_text.phrases(index, terms))
            parameters = {"words": full_text.question(index, terms)}
            cursor = self._connection.execute(_RANKS.format(words=index), parameters)
            table = np.fromiter(cursor, dtype=[("row", np.int64), ("rank", np.float64)])
        return np.ascontiguousarray(table["row"]), np.ascontiguousarray(table["rank"])

    def _counts(self, index: str) -> bool:
        """Return whether FTS5's bm25 would count hidden documents; an index in memory has none."""
        return self._visible is not None and index in full_text.existing(self._connection, self._collection)

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
