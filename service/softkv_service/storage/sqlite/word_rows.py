"""The table `words`: the words of a key are bytes in one row, or in several that fill pages.

SQLite keeps a row that fits into a page in one page. Five rows of the usual size leave a tenth of each page empty. So
bytes that do not fit into what is left of the last page go on in another row, which then begins the next page. The
end of a page is computed from the rows after the last one that began a page. If that is wrong, as after rows were
deleted, pages have gaps and nothing else happens. Within a few pages, a row that should begin one does so again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from sqlite3 import Connection

from softkv_service.storage.sqlite.statements import format_numbers, insert_rows

WordRow = tuple[int, bytes, int]
"""The row number of a key, its words, and their checksum."""

PART_BITS = 8
MOST_PARTS = 2**PART_BITS
PAGE_HEADER = 8
"""Bytes at the start of a leaf page."""
OVERFLOWING = 35
"""A row that is this much smaller than a page, without its varints, still fits into one."""
LEAST_BYTES = 64
"""A row with fewer bytes costs about as much space as it fills."""
LOOKED_AT = 128
"""The last rows, among which one that began a page is looked for."""


def insert(connection: Connection, entries: Sequence[WordRow]) -> None:
    """Store the words of keys that lack them; row numbers ascend."""
    if entries:
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        rows = divide(entries, page - PAGE_HEADER, _read_fill(connection, page - PAGE_HEADER))
        insert_rows(connection, "words", ("id", "words", "checksum"), rows)


def insert_missing(connection: Connection, entries: Sequence[WordRow]) -> None:
    """Store the words of keys that are stored and lack them."""
    lacking = connection.execute(
        'SELECT "row" FROM vectors WHERE "row" IN (SELECT value FROM json_each(?))'
        ' AND NOT EXISTS (SELECT 1 FROM words WHERE id = vectors."row" << 8)',
        (format_numbers([number for number, _, _ in entries]),),
    )
    numbers = {number for (number,) in lacking}
    insert(connection, sorted(entry for entry in entries if entry[0] in numbers))


def divide(entries: Iterable[WordRow], page: int, fill: int) -> Iterator[WordRow]:
    """Yield the id, bytes and checksum of rows that fill pages.

    Args:
        entries: keys with their words.
        page: the bytes of a page without its header.
        fill: the bytes of the last page that are filled.
    """
    for number, words, checksum in entries:
        start = 0
        for part in range(MOST_PARTS):
            identity = number << PART_BITS | part
            left = len(words) - start
            count = _fitting(identity, left, page, fill)
            if count < left and count < LEAST_BYTES:
                fill, count = 0, _fitting(identity, left, page, 0)
            if part == MOST_PARTS - 1:
                count = left
            yield identity, words[start : start + count], checksum
            start += count
            fill += _row_bytes(identity, count)
            if start == len(words):
                break
            fill = 0


def _fitting(identity: int, count: int, page: int, fill: int) -> int:
    """Return how many of the bytes of a row fit into a page with `fill` bytes."""
    largest = page + PAGE_HEADER - OVERFLOWING - _payload_bytes(0) - 2
    return max(0, min(count, largest, page - fill - _row_bytes(identity, count) + count))


def _read_fill(connection: Connection, page: int) -> int:
    """Return how many bytes of the page with the last row are filled, if that can be known."""
    fill = 0
    for identity, count in connection.execute(
        f"SELECT id, length(words) FROM words ORDER BY id DESC LIMIT {LOOKED_AT}"
    ):
        fill += _row_bytes(identity, count)
        if identity % MOST_PARTS:
            break
    return fill % page


def _row_bytes(identity: int, count: int) -> int:
    """Return the bytes of a row in a page, with its pointer; see https://www.sqlite.org/fileformat.html."""
    payload = _payload_bytes(count)
    return 2 + _varint_bytes(payload) + _varint_bytes(identity) + payload


def _payload_bytes(count: int) -> int:
    """Return the bytes of a record: its header with a NULL for the id, `count` bytes, and an integer of 8 bytes."""
    return 3 + _varint_bytes(12 + 2 * count) + count + 8


def _varint_bytes(number: int) -> int:
    return max(1, min(9, -(-number.bit_length() // 7)))
