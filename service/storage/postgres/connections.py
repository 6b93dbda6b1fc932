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
from service.storage.postgres.schema.migrations import count_migrations, files, migrate, refuse_unfit
from service.storage.records import DatabaseInfo

_FULL = (errors.DiskFull, errors.OutOfMemory)
# The server shuts down, starts, or is overloaded: a retry may succeed.
_TRANSIENT = (
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
    """Raise a StorageError for every error of psycopg about the database at `address`."""
    try:
        yield
    except psycopg.Error as error:
        raise _translate(error, address) from error


def _translate(error: psycopg.Error, address: str) -> StorageError:
    message = " ".join(str(error).split())
    if isinstance(error, _FULL):
        return DiskFull(f"PostgreSQL at {address} has no room: {message}. Nothing was written and nothing was lost")
    if isinstance(error, _REFUSED):
        return StorageFailed(f"{address} refuses softkv: {message}")
    # An OperationalError without a code is a connection that broke or could not be opened.
    if isinstance(error, _TRANSIENT) or (isinstance(error, psycopg.OperationalError) and error.sqlstate is None):
        return StoreUnavailable(f"PostgreSQL at {address} cannot be reached now ({message}): try again in a moment")
    if isinstance(error, psycopg.OperationalError) and (error.sqlstate or "")[:2] in ("08", "57"):
        return StoreUnavailable(f"PostgreSQL at {address} cannot be reached now ({message}): try again in a moment")
    return StorageFailed(f"{address} could not be read or written: {message}")


MAX_CONNECTIONS = 40
"""One for each thread that reads or writes, and a few for threads that poll versions."""
CONNECT_SECONDS = 10
WAIT_SECONDS = 5.0
"""Time limit of a thread that waits for a connection."""
# The result of a filter is hashed in work_mem. If it did not fit, every document would be compared with every other.
_OPTIONS = "-c search_path=softkv -c client_min_messages=warning -c application_name=softkv -c work_mem=64MB"


def redact_address(address: str) -> str:
    """Return the address without its password, for logs."""
    parts = conninfo.conninfo_to_dict(address)
    host, port = parts.get("host", "localhost"), parts.get("port")
    return f"postgresql://{host}{f':{port}' if port else ''}/{parts.get('dbname', '')}"


def parse_address(address: str) -> str:
    """Parse an address; return a connection string with the options of every connection.

    Raises StorageFailed if the address is invalid.
    """
    try:
        parts = conninfo.conninfo_to_dict(address)
    except psycopg.ProgrammingError as error:
        raise StorageFailed(
            f"expected the address of a PostgreSQL database, got an invalid one ({str(error).strip()}): write postgresql://user@host:5432/database"
        ) from None
    options = f"{parts.pop('options', '')} {_OPTIONS}".strip()
    return conninfo.make_conninfo("", **{"connect_timeout": CONNECT_SECONDS, **parts, "options": options})


def prepare(address: str, name: str) -> None:
    """Bring the database to the latest schema."""
    with psycopg.connect(address, autocommit=True) as connection:
        migrate(connection, name)


def inspect_database(address: str) -> DatabaseInfo:
    """Describe the database at an address, without changing it.

    Raises:
        StorageFailed: the address is invalid, refuses the connection, or is not a suitable PostgreSQL.
        StoreUnavailable: the server is unreachable now.
        DatabaseTooNew: a later softkv wrote the tables.
    """
    address, name = parse_address(address), redact_address(address)
    with translate_errors(name), psycopg.connect(address, autocommit=True) as connection:
        refuse_unfit(connection, name)
        server = str(connection.info.parameter_status("server_version"))
        return DatabaseInfo(name, server, count_migrations(connection, name), max(files()))


class Connections:
    """A pool of connections with explicit transactions; idle ones are reused.

    If none is idle, the calling thread opens a new one, so it learns at once whether the server is reachable.

    psycopg_pool (3.3) connects in threads of its own, for which callers wait. During an outage each call blocks its
    thread until its timeout, without the reason. The pool retries after 1, 2, 4, 8 … s regardless of calls, so a long
    outage is followed by an equally long wait. `reconnect_timeout` solves only the second problem, `check_connection`
    neither.
    """

    def __init__(self, address: str, name: str) -> None:
        self._address = address
        self._name = name
        self._idle: list[Connection[Any]] = []
        self._lock = Lock()
        self._permits = BoundedSemaphore(MAX_CONNECTIONS)
        self._closed = False

    @contextmanager
    def acquire(self) -> Iterator[Connection[Any]]:
        """Take a connection from the pool for the duration of the block.

        Raise StoreClosed, StoreUnavailable or psycopg's errors.
        """
        if self._closed:
            raise StoreClosed(f"the store {self._name} was closed: open it again")
        if not self._permits.acquire(timeout=WAIT_SECONDS):
            raise StoreUnavailable(
                f"all {MAX_CONNECTIONS} connections to {self._name} are in use: try again in a moment"
            )
        try:
            connection = self._pop_idle() or psycopg.connect(self._address, autocommit=True)
            try:
                yield connection
            finally:
                self._return(connection)
        finally:
            self._permits.release()

    def close(self) -> None:
        """Close idle connections; one in use is closed when it is returned."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _pop_idle(self) -> Connection[Any] | None:
        """Return an idle connection that the server has not closed, checked without a message to it.

        Return None if all are in use.
        """
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            poller = poll()
            poller.register(connection.fileno(), POLLIN)
            if not poller.poll(0):
                return connection
            connection.close()  # a server that shuts down sends a message or hangs up

    def _return(self, connection: Connection[Any]) -> None:
        clean = not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE
        with self._lock:
            reusable = clean and not self._closed
            if reusable:
                self._idle.append(connection)
        if not reusable:
            connection.close()
