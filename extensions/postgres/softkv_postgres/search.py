"""The database's own searches: `=` and full text, with the statements that are run.

Full text is PostgreSQL's: `ts_rank_cd` weighs how often words occur in a text and how near to each other. Unlike bm25,
it does not weigh how rare a word is in all texts.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from psycopg import Connection

from softkv_postgres.bigrams import MATCH
from softkv_postgres.connections import work_memory
from softkv_postgres.statements import compile_condition
from softkv_service.storage.conditions import Condition, Searched, SearchTerm, bigram_terms, fold_terms, terms_of
from softkv_service.storage.errors import DocumentDamaged
from softkv_service.storage.records import Ranks, RowNumbers, SearchResult, SearchRow, TextLengths
from softkv_service.storage.serialisation import NUL, TEXT_COLUMNS, refuse_surrogates, texts_of

_EQUAL = """\
SELECT id, key, value
FROM softkv.documents
WHERE collection = %(collection)s AND key = %(key)s AND {living}{filter}
ORDER BY id
LIMIT %(limit)s"""

_FULL_TEXT = f"""\
SELECT id, key, value
FROM softkv.documents, to_tsquery('simple', %(words)s) AS question
WHERE collection = %(collection)s AND {MATCH} AND {{living}}{{filter}}
ORDER BY ts_rank_cd(coalesce(bigrams, words), question) DESC, id
LIMIT %(limit)s"""

_RANKS = f"""\
SELECT documents."row", ts_rank_cd(coalesce(bigrams, words), question)::float8
FROM softkv.documents,
    (SELECT to_tsquery('simple', %(words)s) || lower(%(beginnings)s)::tsquery AS question) AS searched
WHERE collection = %(collection)s AND {MATCH} AND {{living}}
ORDER BY documents."row"
"""

_MAX_WORD_BYTES = 1000
"""A word of a tsquery may have 2,046 bytes, also after its letters were made lower case."""


class Search:
    """A search of one collection; get one from `Reader.search`.

    Args:
        living: SQL that is true for existing rows.
    """

    ranking = "ts_rank_cd"

    def __init__(self, connection: Connection[Any], collection: int, living: str) -> None:
        self._connection = connection
        self._collection = collection
        self._living = living

    def equal(self, key: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """Find documents whose key equals this text and that match the condition, ordered by id."""
        return self._run(_EQUAL, {"key": key}, limit, condition)

    def full_text(self, question: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """Find documents whose key has any word of the question, ordered by ts_rank_cd, then by id."""
        return self._run(_FULL_TEXT, {"words": words_of(_all_terms(question))}, limit, condition)

    def lengths(self) -> None:
        """Return None: the rank of a document follows from its own words alone."""

    def ranks(self, searched: Searched, lengths: TextLengths | None = None) -> tuple[RowNumbers, Ranks]:
        """Return row numbers int64[n], ascending, of all documents with a term of a search, and their ts_rank_cd
        float64[n].

        A larger rank is better, and no rank is negative. Raises Unstorable.
        """
        refuse_surrogates([searched] if isinstance(searched, str) else (term.text for term in searched))
        terms = _all_terms(searched)
        parameters = {"collection": self._collection, "words": words_of(terms), "beginnings": beginnings_of(terms)}
        with work_memory(self._connection), self._connection.cursor() as cursor:
            cursor.execute(_RANKS.format(living=self._living), parameters)
            table = np.fromiter(cursor, dtype=[("row", np.int64), ("rank", np.float64)])
        return np.ascontiguousarray(table["row"]), np.ascontiguousarray(table["rank"])

    def _run(self, template: str, texts: Mapping[str, str], limit: int, condition: Condition | None) -> SearchResult:
        refuse_surrogates(texts.values())
        clause, values = self._filter(condition)
        statement = template.format(living=self._living, filter=clause)
        parameters = {"collection": self._collection, **texts, **values, "limit": limit}
        if any(NUL in text for text in texts.values()):  # no key has a NUL
            return SearchResult(statement, _as_json(parameters), [])
        with work_memory(self._connection):
            ids = [row[0] for row in self._connection.execute(statement, parameters)]
        return SearchResult(statement, _as_json(parameters), self._verify(ids))

    def _filter(self, condition: Condition | None) -> tuple[str, dict[str, Any]]:
        """Return ` AND …` with named parameters, as the statements use them, and their values."""
        if condition is None:
            return "", {}
        expression = compile_condition(condition, self._collection)
        first, *rest = expression.sql.split("%s")  # every value is a parameter, so each %s is one
        named = "".join(f"%(filter_{i})s{text}" for i, text in enumerate(rest))
        return f"\n  AND {first}{named}", {f"filter_{i}": value for i, value in enumerate(expression.parameters)}

    def _verify(self, ids: list[str]) -> list[SearchRow]:
        """Read the rows with these ids again, in order, and verify their checksums; raises DocumentDamaged."""
        statement = (
            f"SELECT {TEXT_COLUMNS} FROM softkv.documents WHERE collection = %s AND id = ANY(%s) AND {self._living}"
        )
        cursor = self._connection.execute(statement, (self._collection, ids))
        texts_by_id = {texts.id: texts for texts in texts_of(cursor)}
        for identity in ids:
            if identity not in texts_by_id:
                raise DocumentDamaged(None, identity, vectors=False)
        return [
            SearchRow(identity, texts_by_id[identity].key, json.loads(texts_by_id[identity].value)) for identity in ids
        ]


def _as_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Convert parameters to JSON values; a number that JSON readers would round becomes a text."""
    return {name: _value_as_json(value) for name, value in parameters.items()}


def _value_as_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_value_as_json(item) for item in value]
    if isinstance(value, Decimal):
        near = int(value) if value == value.to_integral_value() else float(value)
        return near if abs(near) < 2**53 else str(value)
    return value


def _all_terms(searched: Searched) -> list[SearchTerm]:
    """Return the terms of a search as keys are indexed, and as they were sent, for keys that are not yet written so."""
    terms = terms_of(searched)
    written = bigram_terms(fold_terms(terms))
    beginnings = {term.text for term in written if term.prefix}
    return [*dict.fromkeys([*written, *(term for term in terms if term.text not in beginnings or term.prefix)])]


def words_of(terms: Sequence[SearchTerm]) -> str:
    r"""Convert the terms of a search to the text of a tsquery: each quoted, joined by OR.

    PostgreSQL parses quoted words as it parses keys, and those of one term have to follow each other.

    >>> words_of([SearchTerm("what's"), SearchTerm("a cat?"), SearchTerm("x-ra", prefix=True)])
    "'what''s' | 'a cat?' | ('x' <-> 'ra':*)"
    """
    return " | ".join(
        "(" + " <-> ".join(map(_quote, _words_in(term.text))) + ":*)" if term.prefix else _quote(term.text)
        for term in dict.fromkeys(terms)
    )


def beginnings_of(terms: Sequence[SearchTerm]) -> str:
    """Return a tsquery for prefixes with signs in them, since PostgreSQL keeps such a word whole, as in 3.14 or x-ray.

    >>> beginnings_of([SearchTerm("3.1", prefix=True), SearchTerm("cat", prefix=True)])
    "'3.1':*"
    """
    return " | ".join(
        f"{_quote(term.text)}:*"
        for term in dict.fromkeys(terms)
        if term.prefix and _words_in(term.text) != [term.text] and len(term.text.encode()) <= _MAX_WORD_BYTES
    )


def _words_in(text: str) -> list[str]:
    """Return the runs of letters, digits and their marks in a text."""
    return "".join(sign if unicodedata.category(sign)[0] in "LMN" else " " for sign in text).split()


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
