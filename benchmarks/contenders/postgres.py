"""PostgreSQL's own protocol, version 3.0, as far as prepared statements with one vector need it; and binary COPY.

https://www.postgresql.org/docs/current/protocol.html; the formats of a vector are those of pgvector's src/vector.c.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import pack, unpack_from

from benchmarks.contenders.documents import Documents, id_of
from benchmarks.keys import Array

VERSION = 3 << 16
READY = b"Z\x00\x00\x00\x05"
SYNC = b"S\x00\x00\x00\x04"
COPIED_AT_ONCE = 1000
ALL_ROWS, TEXT, BINARY = 0, 0, 1


@dataclass(frozen=True)
class Postgres:
    """The wire; every answer ends with ReadyForQuery, and one with an ErrorResponse in it is a refusal."""

    hello: Sequence[bytes]

    def verdict(self, received: bytes) -> str | None:
        """See `benchmarks.contenders.wire.Wire`."""
        if received[-6:-1] != READY:
            return None
        refused, offset, kind = "", 0, 0
        while offset + 5 <= len(received):
            kind, length = unpack_from("!Bi", received, offset)
            if kind == ord("E"):
                refused = received[offset + 5 : offset + 1 + length].replace(b"\x00", b" ").decode(errors="replace")
            offset += 1 + length
        return refused if offset == len(received) and kind == READY[0] else None

    def asked(self, received: bytes) -> bool:
        """See `benchmarks.contenders.wire.Wire`; a first message has no kind, and ends where it says."""
        if received[:1] == b"\x00":
            return len(received) >= 4 and len(received) >= unpack_from("!i", received)[0]
        return received.endswith(SYNC) or (received[:1] == b"Q" and received.endswith(b"\x00"))


def message(kind: bytes, *parts: bytes) -> bytes:
    """One, with its length."""
    content = b"".join(parts)
    return kind + pack("!i", 4 + len(content)) + content


def text(value: str) -> bytes:
    """With the zero that ends it."""
    return value.encode() + b"\x00"


def startup(user: str, database: str) -> bytes:
    """The first message."""
    pairs = b"".join(text(word) for word in ("user", user, "database", database))
    return message(b"", pack("!i", VERSION), pairs, b"\x00")


def simple(statement: str) -> bytes:
    """A statement without parameters."""
    return message(b"Q", text(statement))


def prepare(name: str, statement: str) -> bytes:
    """Parse it under a name."""
    return message(b"P", text(name), text(statement), pack("!h", 0)) + SYNC


def execute(name: str, query: Array) -> bytes:
    """Run what was prepared, with a vector in binary; all columns come back as texts."""
    value = vector(query)
    formats = pack("!hhhi", 1, BINARY, 1, len(value))
    bind = message(b"B", text(""), text(name), formats, value, pack("!hh", 1, TEXT))
    return bind + message(b"E", text(""), pack("!i", ALL_ROWS)) + SYNC


def vector(values: Array) -> bytes:
    """Encode a vector in the format of `vector_recv`."""
    return pack("!hh", len(values), 0) + values.astype(">f4").tobytes()


def first_columns(answer: bytes) -> list[str]:
    """Return the first column of each row of an answer."""
    columns, offset = [], 0
    while offset + 5 <= len(answer):
        if answer[offset] == ord("D"):
            size = unpack_from("!i", answer, offset + 7)[0]
            columns.append(answer[offset + 11 : offset + 11 + size].decode())
        offset += 1 + unpack_from("!i", answer, offset + 1)[0]
    return columns


def copied(documents: Documents) -> Iterator[bytes]:
    """id, body, metadata, percent and embedding of each as binary COPY has them, a thousand rows at a time."""
    yield b"PGCOPY\n\xff\r\n\x00" + pack("!ii", 0, 0)
    for start in range(0, len(documents), COPIED_AT_ONCE):
        rows = []
        for position in range(start, min(start + COPIED_AT_ONCE, len(documents))):
            metadata = b"\x01" + json.dumps(documents.metadata(position)).encode()  # version 1 of jsonb
            percent, body = pack("!i", documents.percent[position]), documents.texts[position].encode()
            fields = (id_of(position).encode(), body, metadata, percent, vector(documents.keys[position]))
            rows.append(pack("!h", len(fields)) + b"".join(pack("!i", len(field)) + field for field in fields))
        yield b"".join(rows)
    yield pack("!h", -1)
