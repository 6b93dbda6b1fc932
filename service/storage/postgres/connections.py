"""Connections to one PostgreSQL database: addresses, a pool, and translated errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from select import POLLIN, poll
from threading import BoundedSemaphore, Lock
from typing import Any

import psycopg
from psycopg import Connection, conninfo, errors
from psycopg.pq import TransactionStatus

from service.storage.errors import DiskFull, StorageError, StorageFailed, StoreClosed, StoreUnavailable
from service.storage.postgres.schema.migrations import files, migrate, refuse_unfit, run
from service.storage.records import DatabaseInfo

_FULL = (errors.DiskFull, errors.OutOfMemory)
# The server goes, comes, or has no place: the same may succeed a moment later.
_FOR_NOW = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.TooManyConnections,
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.LockNotAvailable,
    errors.QueryCanceled,
    errors.ReadOnlySqlTransaction,
)
_REFUSED = (errors.InvalidPassword, errors.InvalidAuthorizationSpecification, errors.InvalidCatalogName)


@contextmanager
def translate_errors(address: str) -> Iterator[None]:
    """Raise a StorageError for whatever psycopg says about the database at `address`."""
    try:
        yield
    except psycopg.Error as error:
        raise _translated(error, address) from error


def _translated(error: psycopg.Error, address: str) -> StorageError:
    said = " ".join(str(error).split())
    if isinstance(error, _FULL):
        return DiskFull(f"PostgreSQL at {address} has no room: {said}. Nothing was written and nothing was lost")
    if isinstance(error, _REFUSED):
        return StorageFailed(f"{address} refuses softkv: {said}")
    # An OperationalError without a code is a connection that broke, or could not be made.
    if isinstance(error, _FOR_NOW) or (isinstance(error, psycopg.OperationalError) and error.sqlstate is None):
        return StoreUnavailable(f"PostgreSQL at {address} cannot be reached now ({said}): try again in a moment")
    if isinstance(error, psycopg.OperationalError) and (error.sqlstate or "")[:2] in ("08", "57"):
        return StoreUnavailable(f"PostgreSQL at {address} cannot be reached now ({said}): try again in a moment")
    return StorageFailed(f"{address} could not be read or written: {said}")


MOST = 40
"""Connections at once: as many as threads that read or write, and some that count versions."""
CONNECT_SECONDS = 10
WAIT_SECONDS = 5.0
"""How long who needs a connection waits for one."""
# What a filter finds is hashed in work_mem; where it did not fit, each document would be compared with each.
_OPTIONS = "-c search_path=softkv -c client_min_messages=warning -c application_name=softkv -c work_mem=64MB"


def redact_address(address: str) -> str:
    """The address as it may be logged: without its password."""
    parts = conninfo.conninfo_to_dict(address)
    host, port = parts.get("host", "localhost"), parts.get("port")
    return f"postgresql://{host}{f':{port}' if port else ''}/{parts.get('dbname', '')}"


def parse_address(address: str) -> str:
    """An address that psycopg understands, with what every connection is to have.

    Raises StorageFailed for another.
    """
    try:
        parts = conninfo.conninfo_to_dict(address)
    except psycopg.ProgrammingError as error:
        raise StorageFailed(
            f"that is no address of a PostgreSQL ({str(error).strip()}): write postgresql://user@host:5432/database"
        ) from None
    options = f"{parts.pop('options', '')} {_OPTIONS}".strip()
    return conninfo.make_conninfo("", **{"connect_timeout": CONNECT_SECONDS, **parts, "options": options})


def prepare(address: str, name: str) -> None:
    """Bring the database to the last schema."""
    with psycopg.connect(address, autocommit=True) as connection:
        migrate(connection, name)


def inspect_database(address: str) -> DatabaseInfo:
    """What is at an address, which is only looked at.

    Raises: StorageFailed for an address that is none or refuses, or is of no PostgreSQL that will do; StoreUnavailable;
        DatabaseTooNew.
    """
    address, name = parse_address(address), redact_address(address)
    with translate_errors(name), psycopg.connect(address, autocommit=True) as connection:
        refuse_unfit(connection, name)
        server = str(connection.info.parameter_status("server_version"))
        return DatabaseInfo(name, server, run(connection, name), max(files()))


class Connections:
    """Connections in which every transaction is begun and ended in so many words; an idle one is taken again.

    Where none is idle who needs it makes a new one, so it is known at once that there is no server, or one again.

    That is why it is not psycopg_pool's (3.3): that one connects in threads of its own, and who asks waits for these.
    While there is no server each call holds its thread until its timeout and never hears why; and the pool tries again
    after 1, 2, 4, 8 … s whoever asks, so that after a long outage nobody is answered for as long again. Its
    `reconnect_timeout` ends the second, `check_connection` neither, and nothing the first.
    """

    def __init__(self, address: str, name: str) -> None:
        self._address = address
        self._name = name
        self._idle: list[Connection[Any]] = []
        self._lock = Lock()
        self._places = BoundedSemaphore(MOST)
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[Connection[Any]]:
        """A connection for as long as the block runs; raises StoreClosed, StoreUnavailable or what psycopg does."""
        if self._closed:
            raise StoreClosed(f"the store {self._name} was closed: open it again")
        if not self._places.acquire(timeout=WAIT_SECONDS):
            raise StoreUnavailable(f"all {MOST} connections to {self._name} are in use: try again in a moment")
        try:
            connection = self._taken() or psycopg.connect(self._address, autocommit=True)
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            self._places.release()

    def close(self) -> None:
        """Close the idle ones; one in use is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _taken(self) -> Connection[Any] | None:
        """One that is idle and has a server, as far as that is known without asking it."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            waiting = poll()
            waiting.register(connection.fileno(), POLLIN)
            if not waiting.poll(0):
                return connection
            connection.close()  # a server that goes says so, or hangs up

    def _give_back(self, connection: Connection[Any]) -> None:
        clean = not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE
        with self._lock:
            keep = clean and not self._closed
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()
