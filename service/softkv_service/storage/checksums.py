"""Checksums of stored rows, and the hash of ids by which samples are ordered. Both are 64 bits of xxh3, as signed
integers.

SQLite checks the structure of its pages, not that they contain what was written. So each row has a checksum over its
content and its own number. It detects content that the disk changed or moved to another row.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from operator import methodcaller

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_digest, xxh3_64_intdigest

AS_BYTES = "surrogateescape"
"""The codec error handler that turns damaged UTF-8 into text, and back."""

CHECKSUM_BYTES = 8
_bytes: Callable[[str], bytes] = methodcaller("encode", errors=AS_BYTES)
_NONE = b"\xfe"  # neither byte occurs in UTF-8
_SEPARATOR = b"\xff"


def id_hash(identity: str) -> int:
    """Return the sort key of a document for samples: pseudorandom, and the same in every store."""
    return _checksum(_bytes(identity))


DocumentRow = tuple[int, int, str, str | None, str, str, int, int | None]
"""A row of the table `documents`: row, collection, id, key, value, metadata, the number of keys, and the expiry."""


def document_checksums(rows: Sequence[DocumentRow]) -> list[int]:
    """Return the checksum of each row of the table `documents`."""
    checksums = []
    for row, collection, identity, key, value, metadata, keys, expires in rows:
        numbers = b"%d %d %d" % (row, collection, keys)
        if expires is not None:
            numbers += b" %d" % expires
        text = _NONE if key is None else _bytes(key)
        content = _SEPARATOR.join((numbers, _bytes(identity), text, _bytes(value), _bytes(metadata)))
        checksums.append(_checksum(content))
    return checksums


WAITING, FAILED = 0, 1
"""The states of a row of `vectors` whose value is yet to be encoded, or was refused by the encoder; NULL for others."""
_STATE_MARK = 0x2545F4914F6CDD1D


def vectors_checksum(
    row: int,
    document: int,
    first: int | None,
    last: int | None,
    key_vector: bytes | None,
    value_vector: bytes | None,
    waiting: int | None = None,
) -> int:
    """Return the checksum of a row of the table `vectors`."""
    numbers = struct.pack(
        "<6q",
        row,
        document,
        -1 if first is None else first,
        -1 if last is None else last,
        -1 if key_vector is None else len(key_vector),
        -1 if value_vector is None else len(value_vector),
    )
    checksum = _checksum(b"".join((numbers, key_vector or b"", value_vector or b"")))
    return checksum if waiting is None else checksum ^ (_STATE_MARK >> waiting)


def vectors_checksums(
    rows: NDArray[np.int64],
    documents: NDArray[np.int64],
    firsts: NDArray[np.int64],
    lasts: NDArray[np.int64],
    keys: NDArray[np.float32],
    values: NDArray[np.float32] | None,
    waiting: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the checksums int64[n] of rows of the table `vectors` that all have a key.

    Args:
        rows, documents, firsts, lasts, waiting: int64[n]; -1 for a number that is NULL.
        keys: little-endian float32[n, d].
        values: little-endian float32[n, d_v], or None if no row has a value.
    """
    numbers = np.full((len(rows), 6), -1, dtype="<i8")
    numbers[:, :4] = np.stack([rows, documents, firsts, lasts], axis=1)
    pieces = [numbers]
    for column, vectors in ((4, keys), (5, values)):
        if vectors is not None:
            numbers[:, column] = vectors.itemsize * vectors.shape[1]
            pieces.append(vectors)
    contents = np.concatenate([piece.view(np.uint8) for piece in pieces], axis=1)
    digests = np.fromiter(map(xxh3_64_intdigest, contents), dtype=np.uint64, count=len(rows))
    checksums = (digests ^ np.uint64(2**63)).view(np.int64)
    return np.where(waiting < 0, checksums, checksums ^ (_STATE_MARK >> np.maximum(waiting, 0)))


def settings_checksum(name: str, settings: tuple[str | float | bytes | None, ...]) -> int:
    """Return the checksum of a row of the table `collections`, over all columns but the counts.

    The last column, `late`, counts only if it is set: older versions wrote checksums without it.
    """
    settings = settings if settings[-1] is not None else settings[:-1]
    texts = (value.hex() if isinstance(value, bytes) else value for value in settings)
    encoded = (_NONE if text is None else _bytes(str(text)) for text in texts)
    return _checksum(_SEPARATOR.join((_bytes(name), *encoded)))


def words_checksum(row: int, words: bytes) -> int:
    """Return the checksum of a row of the table `words`."""
    return _checksum(b"%d " % row + words)


def measurements_checksum(encoder: str, model: str, measurements: str) -> int:
    """Return the checksum of a row of the table `encoder_measurements`."""
    return _checksum(_SEPARATOR.join(map(_bytes, (encoder, model, measurements))))


def alias_checksum(alias: str, collection: int) -> int:
    """Return the checksum of a row of the table `aliases`."""
    return _checksum(_SEPARATOR.join((_bytes(alias), b"%d" % collection)))


def feedback_checksum(query: str, document: str | None, correct: bool, instant: int, observed: str | None) -> int:
    """Return the checksum of a row of the table `feedback`, without its collection, which re-encoding replaces."""
    texts = (_NONE if text is None else _bytes(text) for text in (query, document, observed))
    return _checksum(_SEPARATOR.join((b"%d %d" % (correct, instant), *texts)))


def job_checksum(collection: int, shadow: int | None, job: str) -> int:
    """Return the checksum of a row of the table `re_encodings`; `job` is its JSON without the checksum."""
    return _checksum(_SEPARATOR.join((b"%d" % collection, _bytes(str(shadow)), _bytes(job))))


def answer_checksum(digest: bytes, status: int, body: bytes) -> bytes:
    """Return the checksum of a stored answer to a write; it is stored in front of the answer's body."""
    return xxh3_64_digest(b"%d " % status + digest + body)


def _checksum(content: bytes) -> int:
    return int(xxh3_64_intdigest(content)) - 2**63
