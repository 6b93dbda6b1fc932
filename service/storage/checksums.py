"""Checksums of stored rows, and the hash by which documents are drawn: 64 bits of xxh3, as SQLite holds integers.

SQLite knows whether its pages hang together, not whether they hold what was written. So each row says what it should
be, its own number included: content that a disk has changed, or put in another row's place, is known from it.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_digest, xxh3_64_intdigest

AS_BYTES = "surrogateescape"
"""How bytes that are no UTF-8 any more are read as text, and back."""

CHECKSUM_BYTES = 8
SETTINGS = 11
"""Columns of a collection's settings, the calibration among them."""
_NONE = b"\xfe"  # neither byte occurs in UTF-8
_BETWEEN = b"\xff"


def id_hash(identity: str) -> int:
    """Where a document stands in the order that samples are drawn in: as good as random, and the same everywhere."""
    return _signed(_bytes(identity))


def document_checksum(
    row: int, collection: int, identity: str, key: str | None, value: str, metadata: str, keys: int
) -> int:
    """Of a row of the table `documents`."""
    numbers = b"%d %d %d" % (row, collection, keys)
    text = _NONE if key is None else _bytes(key)
    return _signed(_BETWEEN.join((numbers, _bytes(identity), text, _bytes(value), _bytes(metadata))))


def vectors_checksum(
    row: int, document: int, first: int | None, last: int | None, key_vector: bytes | None, value_vector: bytes | None
) -> int:
    """Of a row of the table `vectors`."""
    lengths = (-1 if blob is None else len(blob) for blob in (key_vector, value_vector))
    part = (-1 if edge is None else edge for edge in (first, last))
    numbers = struct.pack("<6q", row, document, *part, *lengths)
    return _signed(b"".join((numbers, key_vector or b"", value_vector or b"")))


def vectors_checksums(
    rows: NDArray[np.int64],
    documents: NDArray[np.int64],
    firsts: NDArray[np.int64],
    lasts: NDArray[np.int64],
    keys: NDArray[np.float32],
    values: NDArray[np.float32] | None,
) -> NDArray[np.int64]:
    """int64[n], those of many rows of the table `vectors`, which all have a key.

    Args:
        rows, documents, firsts, lasts: int64[n]; -1 for a first and a last that are not there.
        keys: little-endian float32[n, d].
        values: little-endian float32[n, d_v], or None where no row has one.
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
    return (digests ^ np.uint64(2**63)).view(np.int64)


def settings_checksum(name: str, settings: tuple[str | float | bytes | None, ...]) -> int:
    """Of a row of the table `collections`, its counts left out.

    The last of the settings, the calibration, counts where there is one: rows from before there were any keep theirs.
    """
    if len(settings) == SETTINGS and settings[-1] is None:
        settings = settings[:-1]
    texts = (each.hex() if isinstance(each, bytes) else each for each in settings)
    stored = (_NONE if each is None else _bytes(str(each)) for each in texts)
    return _signed(_BETWEEN.join((_bytes(name), *stored)))


def answer_checksum(digest: bytes, status: int, body: bytes) -> bytes:
    """Of what a write was answered with; it stands before the body."""
    return xxh3_64_digest(b"%d " % status + digest + body)


def _bytes(text: str) -> bytes:
    return text.encode(errors=AS_BYTES)


def _signed(content: bytes) -> int:
    return int(xxh3_64_intdigest(content)) - 2**63
