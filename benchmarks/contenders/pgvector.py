"""PostgreSQL with pgvector, by HNSW and by a scan of the table, asked with prepared statements."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.callers import ask
from benchmarks.contenders.documents import TOP, Documents
from benchmarks.contenders.postgres import Postgres, copied, execute, first_columns, prepare, simple, startup
from benchmarks.contenders.server import HOST, NOT_ROOT, Server, as_user, free_port
from benchmarks.contenders.store import Store, Way, until_answered
from benchmarks.keys import WIDTH, Array

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
