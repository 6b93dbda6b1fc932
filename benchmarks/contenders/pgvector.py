"""PostgreSQL with pgvector, by HNSW and by a scan of the table, asked with prepared statements.

It speaks PostgreSQL's own protocol, version 3.0, as far as binary COPY and prepared statements with one vector need it.
https://www.postgresql.org/docs/current/protocol.html; the formats of a vector are those of pgvector's src/vector.c.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import pack, unpack_from

from benchmarks.callers import ask
from benchmarks.contenders.documents import TOP, Documents, id_of
from benchmarks.contenders.server import NOT_ROOT, Server, as_user
from benchmarks.contenders.store import Store, Way, until_answered
from benchmarks.keys import WIDTH, Array
from benchmarks.running import HOST, free_port

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
        """See `benchmarks.callers.Wire`."""
        if received[-6:-1] != READY:
            return None
        refused, offset, kind = "", 0, 0
        while offset + 5 <= len(received):
            kind, length = unpack_from("!Bi", received, offset)
            if kind == ord("E"):
                refused = received[offset + 5 : offset + 1 + length].replace(b"\x00", b" ").decode(errors="replace")
            offset += 1 + length
        return refused if offset == len(received) and kind == READY[0] else None


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


USER = "postgres"
MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20  # MiB
BUILDING = min(4096, MEMORY // 4)
# A quarter of the memory for buffers, as PostgreSQL's documentation has it; pgvector's wants room to build the index.
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": f"{MEMORY // 4}MB",
    "maintenance_work_mem": f"{BUILDING}MB",
    "max_wal_size": "8GB",
    "autovacuum": "off",  # what it would do is done once, after loading
}
TABLE = f"""
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vector;
DROP TABLE IF EXISTS documents;
CREATE TABLE documents
  (id text PRIMARY KEY, body text, metadata jsonb, percent integer, embedding vector({WIDTH}));
"""
INDICES = """
CREATE INDEX ON documents USING hnsw (embedding vector_cosine_ops);
CREATE INDEX ON documents (percent);
VACUUM ANALYZE documents;
CHECKPOINT;
"""
# Filtered, the index is read on until there are ten, which pgvector recommends; without this it finds too few.
HNSW, EXACT = "SET hnsw.iterative_scan = strict_order", "SET enable_indexscan = off"


class Pgvector(Store):
    """One server with one table, asked in two ways.

    Args:
        directory: where its data are.
        programs: the folder that has `postgres`, `initdb` and `psql`.
    """

    name = "pgvector"

    def __init__(self, directory: Path, programs: Path) -> None:
        self._address, self._programs = (HOST, free_port()), programs
        cluster, user = directory / "cluster", NOT_ROOT if os.geteuid() == 0 else None
        if not (cluster / "PG_VERSION").exists():
            self._create(cluster, user)
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        if shutil.disk_usage("/dev/shm").free < BUILDING * 2**20:
            settings += ["-c", "dynamic_shared_memory_type=mmap"]
        command = [programs / "postgres", "-D", cluster, "-p", str(self._address[1]), *settings]
        self.server = Server(command, directory / "postgres.log", user)

    def _create(self, cluster: Path, user: str | None) -> None:
        cluster.mkdir(parents=True, exist_ok=True)
        if user is not None:
            shutil.chown(cluster, user)
        command = [self._programs / "initdb", "-D", cluster, "-U", USER, "--auth=trust", "-E", "UTF8", "--locale=C"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cluster, **as_user(user))
        if done.returncode:
            raise RuntimeError(f"initdb did not make {cluster}: {done.stderr.strip()}")

    def wait_until_started(self) -> None:
        """See `Store`."""

        def started() -> None:
            if self.server.process.poll() is not None:
                raise RuntimeError(f"postgres ended: {self.server.said}")
            ask(self._address, Postgres([startup(USER, USER)]), simple("SELECT 1"))

        until_answered(started)

    def fill(self, documents: Documents) -> None:
        """See `Store`."""
        self._psql(TABLE)
        columns = "COPY documents (id, body, metadata, percent, embedding) FROM STDIN (FORMAT binary)"
        with subprocess.Popen(self._client("-c", columns), stdin=subprocess.PIPE) as copy:
            assert copy.stdin is not None
            for part in copied(documents):
                copy.stdin.write(part)
        if copy.returncode:
            raise RuntimeError("COPY failed; psql says above why")
        self._psql(INDICES)

    def ways(self, queries: Array, filters: Sequence[int | None]) -> list[Way]:
        """See `Store`."""
        prepared = [prepare(name_of(below), statement(below)) for below in filters]
        requests = {below: [execute(name_of(below), query) for query in queries] for below in filters}
        return [
            Way(
                name,
                self._address,
                Postgres([startup(USER, USER), simple(setting), *prepared]),
                requests,
                first_columns,
                self.pid,
            )
            for name, setting in ((f"{self.name} HNSW", HNSW), (f"{self.name} exact", EXACT))
        ]

    def _client(self, *arguments: str) -> list[str | Path]:
        where = ("-h", HOST, "-p", str(self._address[1]), "-U", USER)
        return [self._programs / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *where, *arguments]

    def _psql(self, script: str) -> None:
        subprocess.run(self._client("-f", "-"), input=script, text=True, check=True)


def name_of(below: int | None) -> str:
    """Return the name of the prepared statement."""
    return "all" if below is None else f"below{below}"


def statement(below: int | None) -> str:
    """The ten nearest by cosine, with what belongs to them."""
    where = "" if below is None else f"WHERE percent < {below} "
    distance = "embedding <=> $1::vector"
    return f"SELECT id, body, metadata, {distance} AS distance FROM documents {where}ORDER BY {distance} LIMIT {TOP}"
