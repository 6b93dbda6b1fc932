"""bm25 among the documents that a restricted caller sees, as if its collection had no others.

FTS5's own `bm25` counts the documents of the whole index: how many contain a term, and how long all are on average. So
it would tell a caller about documents that are hidden from it. Here, the same formula has the same digits as that of an
index of the visible documents alone. The number of a document's words and the places of a term come from the index.

The work is linear in the visible documents, once per version of the collection, and in the places of each term.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from sqlite3 import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softkv_service.storage.records import Ranks, RowNumbers, TextLengths
from softkv_service.storage.sqlite.full_text import Phrase
from softkv_service.storage.sqlite.statements import Expression, parse_numbers

_K1, _B = 1.2, 0.75  # FTS5's
_SMALLEST_RARITY = 1e-6  # FTS5's, of a term that half of the documents contain
_LAST_CHARACTER = "\U0010ffff"  # no token has it
_PLACES_AT_A_TIME = 65_536

_LENGTHS = """\
SELECT group_concat(id), group_concat(hex(sz), '')
FROM {index}_docsize
WHERE id IN (SELECT documents."row" FROM documents WHERE collection = ? AND {visible})"""


def read_lengths(connection: Connection, index: str, collection: int, visible: Expression) -> TextLengths:
    """Return how many words the index has of each visible document."""
    numbers, sizes = connection.execute(
        _LENGTHS.format(index=index, visible=visible.sql), (collection, *visible.parameters)
    ).fetchone()
    rows, lengths = parse_numbers(numbers), _decode(bytes.fromhex(sizes or ""))
    order = np.argsort(rows)
    return TextLengths(index, rows[order], lengths[order])


def _decode(varints: bytes) -> NDArray[np.int32]:
    """Return the numbers int32[n] that SQLite wrote one after the other, seven bits a byte, high bits first."""
    digits = np.frombuffer(varints, dtype=np.uint8)
    last = digits < 0x80
    ends = np.flatnonzero(last)
    if not len(ends):
        return np.empty(0, dtype=np.int32)
    numbers: NDArray[np.int64] = np.cumsum(last) - last  # of each byte
    shifts = 7 * (ends[numbers] - np.arange(len(digits)))
    starts = np.concatenate([[0], ends[:-1] + 1])
    return np.add.reduceat((digits & 0x7F).astype(np.int64) << shifts, starts).astype(np.int32)


def ranks(connection: Connection, lengths: TextLengths, phrases: Iterable[Phrase]) -> tuple[RowNumbers, Ranks]:
    """Return row numbers int64[n], ascending, of visible documents with one of the phrases, and their bm25 float64[n].

    Args:
        lengths: the visible documents.
        phrases: the terms, whose weights are added in this order.
    """
    n = len(lengths.rows)
    scores, matching = np.zeros(n), np.zeros(n, dtype=np.bool_)
    average = float(lengths.words.sum(dtype=np.int64)) / n if n else 0.0
    with _vocabulary(connection, lengths.index) as vocabulary:
        for phrase in phrases:
            documents, counts = _count(_places(connection, vocabulary, lengths.rows, phrase))
            if not len(documents):
                continue
            rarity = math.log((n - len(documents) + 0.5) / (len(documents) + 0.5))
            rarity = rarity if rarity > 0 else _SMALLEST_RARITY
            relative = 1 - _B + _B * lengths.words[documents] / average
            scores[documents] += rarity * ((counts * (_K1 + 1.0)) / (counts + _K1 * relative))
            matching[documents] = True
    return lengths.rows[matching], scores[matching]


@contextmanager
def _vocabulary(connection: Connection, index: str) -> Iterator[str]:
    """Yield the name of a table of all places of the tokens in an index, for the duration of the block."""
    name = f"temp.places_in_{index}"
    (query_only,) = connection.execute("PRAGMA query_only").fetchone()
    connection.execute("PRAGMA query_only = OFF")
    try:
        connection.execute(f"CREATE VIRTUAL TABLE {name} USING fts5vocab (main, {index}, instance)")
        try:
            yield name
        finally:
            connection.execute(f"DROP TABLE {name}")
    finally:
        connection.execute(f"PRAGMA query_only = {query_only}")


def _places(connection: Connection, vocabulary: str, rows: RowNumbers, phrase: Phrase) -> NDArray[np.int64]:
    """Return where a phrase begins in visible documents, int64[p], ascending: index in `rows` · 2³² + place."""
    *tokens, last = phrase.tokens or ("",)
    if not last:
        return np.empty(0, dtype=np.int64)
    starts = _read(connection, vocabulary, rows, "term BETWEEN ? AND ?", (last, last + _LAST_CHARACTER * phrase.prefix))
    starts -= len(tokens)
    for i, token in enumerate(tokens):
        if len(starts):
            starts = np.intersect1d(starts, _read(connection, vocabulary, rows, "term = ?", (token,)) - i)
    return starts


def _read(
    connection: Connection, vocabulary: str, rows: RowNumbers, condition: str, parameters: Sequence[Any]
) -> NDArray[np.int64]:
    """Return the places of tokens in visible documents, each once, ascending."""
    cursor = connection.execute(f"SELECT doc, offset FROM {vocabulary} WHERE {condition}", parameters)
    positions = [np.empty(0, dtype=np.int64)]
    while len(read := np.fromiter(islice(cursor, _PLACES_AT_A_TIME), dtype=[("row", np.int64), ("at", np.int64)])):
        indices = np.searchsorted(rows, read["row"])
        visible = rows[np.minimum(indices, len(rows) - 1)] == read["row"] if len(rows) else np.zeros(len(read), bool)
        positions.append((indices[visible] << 32) + read["at"][visible])
    return np.unique(np.concatenate(positions))


def _count(positions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of the documents that have these positions, int64[k], ascending, and how many each has."""
    documents, counts = np.unique(positions >> 32, return_counts=True)
    return documents, counts
