"""The database's own ways to answer a question: `=` and full text, with the statements as they run.

Full text is PostgreSQL's: `ts_rank_cd` weighs how often and how near to one another the words stand in one text, and
knows nothing of how rare a word is in all of them, as bm25 does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
from psycopg import Connection

from service.storage.conditions import Condition
from service.storage.errors import DocumentDamaged
from service.storage.postgres.statements import TEXT_COLUMNS, compile_condition
from service.storage.records import Ranks, RowNumbers, SearchResult, SearchRow
from service.storage.serialisation import NUL, refuse_surrogates, texts_of

_EQUAL = """\
SELECT id, key, value
FROM documents
WHERE collection = %(collection)s AND key = %(key)s AND {living}{filter}
ORDER BY id
LIMIT %(limit)s"""

_FULL_TEXT = """\
SELECT id, key, value
FROM documents, to_tsquery('simple', %(words)s) AS question
WHERE collection = %(collection)s AND words @@ question AND {living}{filter}
ORDER BY ts_rank_cd(words, question) DESC, id
LIMIT %(limit)s"""

_RANKS = """\
SELECT documents."row", ts_rank_cd(words, question)::float8
FROM documents, to_tsquery('simple', %(words)s) AS question
WHERE collection = %(collection)s AND words @@ question AND {living}
ORDER BY documents."row"
"""


class Search:
    """Asks one collection; get one from `Reader.search`.

    Args:
        living: which rows are there.
    """

    ranking = "ts_rank_cd"

    def __init__(self, connection: Connection[Any], collection: int, living: str) -> None:
        self._connection = connection
        self._collection = collection
        self._living = living

    def equal(self, key: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """The documents whose key is exactly this text, by id; of those that pass the condition."""
        return self._run(_EQUAL, {"key": key}, limit, condition)

    def full_text(self, question: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """The documents whose key holds any of the question's words, best first by ts_rank_cd, then by id."""
        return self._run(_FULL_TEXT, {"words": words_of(question)}, limit, condition)

    def ranks(self, question: str) -> tuple[RowNumbers, Ranks]:
        """The row numbers int64[n], ascending, of all that `full_text` finds, and their ts_rank_cd float64[n].

        Larger is better, and none is below 0. Raises Unstorable.
        """
        refuse_surrogates([question])
        asked = {"collection": self._collection, "words": words_of(question)}
        with self._connection.cursor(binary=True) as cursor:
            found = cursor.execute(_RANKS.format(living=self._living), asked)
            table = np.fromiter(found, dtype=[("row", np.int64), ("rank", np.float64)])
        return np.ascontiguousarray(table["row"]), np.ascontiguousarray(table["rank"])

    def _run(self, template: str, asked: Mapping[str, str], limit: int, condition: Condition | None) -> SearchResult:
        refuse_surrogates(asked.values())
        also, values = self._filter(condition)
        statement = template.format(living=self._living, filter=also)
        parameters = {"collection": self._collection, **asked, **values, "limit": limit}
        if any(NUL in each for each in asked.values()):  # as no key does
            return SearchResult(statement, _shown(parameters), [])
        found = [row[0] for row in self._connection.execute(statement, parameters)]
        return SearchResult(statement, _shown(parameters), self._sound(found))

    def _filter(self, condition: Condition | None) -> tuple[str, dict[str, Any]]:
        """` AND …` with named parameters, as the statements have them."""
        if condition is None:
            return "", {}
        expression = compile_condition(condition, self._collection)
        first, *rest = expression.sql.split("%s")  # all values are parameters, so each stands for one
        named = "".join(f"%(filter_{i})s{text}" for i, text in enumerate(rest))
        return f"\n  AND {first}{named}", {f"filter_{i}": value for i, value in enumerate(expression.parameters)}

    def _sound(self, ids: list[str]) -> list[SearchRow]:
        """The rows with these ids, in their order, read once more with their checksums; raises DocumentDamaged."""
        statement = f"SELECT {TEXT_COLUMNS} FROM documents WHERE collection = %s AND id = ANY(%s) AND {self._living}"
        found = self._connection.execute(statement, (self._collection, ids))
        sound = {texts.id: texts for texts in map(texts_of, found)}
        for identity in ids:
            if identity not in sound:
                raise DocumentDamaged(None, identity, vectors=False)
        return [SearchRow(each, sound[each].key, json.loads(sound[each].value)) for each in ids]


def _shown(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as JSON has them; a number that JSON's readers would round is a text."""
    return {name: _plain(value) for name, value in parameters.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, Decimal):
        near = int(value) if value == value.to_integral_value() else float(value)
        return near if abs(near) < 2**53 else str(value)
    return value


def words_of(text: str) -> str:
    r"""What PostgreSQL is asked: the text's words, each quoted, joined by OR.

    >>> words_of("what's a cat?")
    "'what''s' | 'a' | 'cat?'"
    """
    words = [word for word in text.replace(NUL, " ").split() if any(map(str.isalnum, word))]
    quoted = (word.replace("\\", "\\\\").replace("'", "''") for word in dict.fromkeys(words))
    return " | ".join(f"'{word}'" for word in quoted)
