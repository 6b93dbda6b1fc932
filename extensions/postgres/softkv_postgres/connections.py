"""Connections to one PostgreSQL database: addresses, a pool, and translated errors."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from selectors import EVENT_READ, DefaultSelector
from threading import BoundedSemaphore, Lock
from typing import Any

import psycopg
from psycopg import Connection, Cursor, IsolationLevel, conninfo, errors
from psycopg.pq import Format, TransactionStatus

from softkv_postgres.schema.version import prepare_schema
from softkv_service.storage.errors import (
    DiskFull,
    StorageError,
    StorageFailed,
    StoreClosed,
    StoreRefused,
    StoreUnavailable,
)

_FULL = (errors.DiskFull, errors.OutOfMemory)
# The server answers, and a retry may succeed: the outcome of the statement, and further advice.
_ENDED = "ended a statement"
_TRANSIENT: dict[type[psycopg.Error], tuple[str, str]] = {
    errors.QueryCanceled: (_ENDED, ", or raise statement_timeout of softkv's user"),
    errors.LockNotAvailable: (_ENDED, " when no other session locks softkv's tables"),
    errors.DeadlockDetected: (_ENDED, ""),
    errors.SerializationFailure: (_ENDED, ""),
    errors.ReadOnlySqlTransaction: ("takes no writes now", ", or turn default_transaction_read_only off"),
}
# libpq reports why a connection failed as text alone, without a SQLSTATE.
_STARTING = re.compile(
    r"the database system is |too many (clients|connections)|connection slots|terminating connection|"
    # PgBouncer's
    r"no more connections allowed|server_login_retry|server down|query_wait_timeout|pgbouncer cannot connect"
)
_REFUSED = re.compile(
    r"authentication failed|no password supplied|does not exist|not permitted to log in|pg_hba\.conf|"
    r"permission denied|is not currently accepting connections|unrecognized configuration parameter|"
    r"SSL was required|certificate verify failed|connection is bad: invalid|"
    r"no such (database|user)|unsupported startup parameter|bouncer config error"  # PgBouncer's
)
_FROM_SERVER = re.compile(r"failed: [^\s:]+:  ")  # the severity of a server's message, in the server's language


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
    if _is_refusal(error):
        return StoreRefused(
            f"PostgreSQL at {address} refuses softkv ({message})",
            "correct the user, password or database in the address of the store, or what the server allows",
        )
    for kind, (outcome, advice) in _TRANSIENT.items():
        if isinstance(error, kind):
            return StoreUnavailable(f"PostgreSQL at {address} {outcome} ({message})", f"try again{advice}")
    # An OperationalError without a code is a connection that broke or could not be opened.
    away = error.sqlstate is None or error.sqlstate[:2] in ("08", "57") or isinstance(error, errors.TooManyConnections)
    if isinstance(error, psycopg.OperationalError) and away:
        return StoreUnavailable(f"PostgreSQL at {address} cannot be reached now ({message})")
    return StorageFailed(f"{address} could not be read or written: {message}")


def _is_refusal(error: psycopg.Error) -> bool:
    """Return whether a connection failed because the server refuses it, and not because the server is away or starts.

    If the server's messages are not English, only an error after the server has asked for a password is a refusal.
    """
    text = str(error)
    if not isinstance(error, psycopg.OperationalError) or error.sqlstate is not None or _STARTING.search(text):
        return False
    password_used = error.pgconn is not None and error.pgconn.used_password
    return bool(_REFUSED.search(text) or (password_used and _FROM_SERVER.search(text)))


MAX_CONNECTIONS = 40
"""One for each thread that reads or writes, and a few for threads that poll versions."""
CONNECT_SECONDS = 10
WAIT_SECONDS = 5.0
"""Time limit of a thread that waits for a connection."""
IDLE_SECONDS = 60.0
"""Time after which an unused connection is closed."""
_SET_LOCAL = "SELECT set_config('work_mem', '64MB', true), set_config('gin_fuzzy_search_limit', '0', true)"
_ENDING_SECONDS = 0.05
"""Time after a lost connection in which other sessions end that were ended with it, also those of a pooler."""
LOCK_SECONDS = 30
"""Time limit of a statement that waits for a lock of another session, unless the user of the database has one."""
# Behind a pooler the backend is another one: what is set there would remain for others.
_LIMIT_LOCKS = (
    f"SELECT set_config('lock_timeout', '{LOCK_SECONDS}s', false)"
    " WHERE pg_backend_pid() = %s AND current_setting('lock_timeout') = '0'"
)


def redact_address(address: str) -> str:
    """Return the address without its password, for logs."""
    parts = conninfo.conninfo_to_dict(address)
    host, port = parts.get("host", "localhost"), parts.get("port")
    return f"postgresql://{host}{f':{port}' if port else ''}/{parts.get('dbname', '')}"


def parse_address(address: str) -> str:
    """Parse an address; return a connection string with the defaults of every connection.

    Raises StorageFailed if the address is invalid. Its text quotes no part of the address: it could be of a password.
    """
    try:
        parts = conninfo.conninfo_to_dict(address)
    except psycopg.ProgrammingError as error:
        raise _invalid_address(re.sub(r'".*"', "…", str(error).strip(), flags=re.DOTALL)) from None
    # libpq ends a password at the first @ or /, and reads the rest of it as the host, the port or the database.
    authority = address.partition("://")[2].partition("?")[0]
    if re.search("[@/].*@", authority):
        raise _invalid_address("it has an @ or a / in its password")
    if not re.fullmatch(r"[0-9, ]*", str(parts.get("port", ""))):
        raise _invalid_address("its port is not a number")
    defaults: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "fallback_application_name": "softkv"}
    return conninfo.make_conninfo("", **{**defaults, **parts, "client_encoding": "utf8"})


def _invalid_address(reason: str) -> StorageFailed:
    return StorageFailed(
        f"expected the address of a PostgreSQL database, got an invalid one ({reason}): write "
        "postgresql://user@host:5432/database, and in a password %40 for @, %2F for / and %25 for %"
    )


class _BinaryCursor(Cursor[Any]):
    """A cursor with results in binary: as text, their digits and escapes would depend on settings of the session."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.format = Format.BINARY


def connect(address: str) -> Connection[Any]:
    """Open a connection without prepared statements: a pooler may run the next statement in another session.

    For the same reason, answers depend on no setting of the session, whatever its user or the environment sets: texts
    are UTF-8, results and lists of bytes come in binary, and each transaction names its isolation.
    """
    connection = psycopg.connect(address, autocommit=True, prepare_threshold=None, cursor_factory=_BinaryCursor)
    connection.isolation_level = IsolationLevel.READ_COMMITTED
    return connection


def _is_lost(connection: Connection[Any], error: Exception) -> bool:
    """Return whether the error is that the server or a pooler has ended the connection.

    psycopg raises errors of Python, too, if the connection ends in the middle of a COPY.
    """
    if isinstance(error, psycopg.Error) and error.diag.severity_nonlocalized in ("FATAL", "PANIC"):
        return True
    return connection.closed and not isinstance(error, StorageError)


@contextmanager
def work_memory(connection: Connection[Any]) -> Iterator[None]:
    """Let statements of the block sort and hash in memory, in the connection's transaction or in a new one.

    A filter whose result is too large to hash would compare every document with every other. No index leaves rows out,
    either. The settings end with the transaction, because a pooler may give the session to another process then.
    """
    idle = connection.info.transaction_status == TransactionStatus.IDLE
    with connection.transaction() if idle else nullcontext():
        connection.execute(_SET_LOCAL)
        yield


def prepare(address: str, name: str) -> bool:
    """Create or update the tables of a database; returns and raises as `prepare_schema` does."""
    with connect(address) as connection:
        return prepare_schema(connection, name)


class Connections:
    """A pool of connections with explicit transactions; idle ones are reused, and closed after a while.

    If none is idle, the calling thread opens a new one, so it learns at once whether the server is reachable. The one
    that was used last is reused first, so that the others become old; each return closes those that are too old.

    psycopg_pool (3.3) connects in threads of its own, for which callers wait. During an outage each call blocks its
    thread until its timeout, without the reason. The pool retries after 1, 2, 4, 8 … s regardless of calls, so a long
    outage is followed by an equally long wait. `reconnect_timeout` solves only the second problem, `check_connection`
    neither.
    """

    def __init__(self, address: str, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._name = name
        self._clock = clock
        self._idle: deque[tuple[float, Connection[Any]]] = deque()  # when each was returned; the oldest first
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
            raise StoreUnavailable(f"all {MAX_CONNECTIONS} connections to {self._name} are in use")
        try:
            idle = self._pop_idle()
            connection = idle or connect(self._address)
            try:
                if idle is None:
                    connection.execute(_LIMIT_LOCKS, (connection.info.backend_pid,))
                yield connection
            except Exception as error:
                if not _is_lost(connection, error):
                    raise
                connection.close()
                self._close_idle()
                time.sleep(_ENDING_SECONDS)
                reason = " ".join(str(error).split()) if isinstance(error, psycopg.Error) else "in the middle of data"
                problem = f"the connection to PostgreSQL at {self._name} was lost ({reason})"
                raise StoreUnavailable(problem, connection_lost=True) from error
            finally:
                self._return(connection)
        finally:
            self._permits.release()

    def close(self) -> None:
        """Close idle connections; one in use is closed when it is returned."""
        self._closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, deque()
        for _, connection in idle:
            connection.close()

    def _pop_idle(self) -> Connection[Any] | None:
        """Return an idle connection that the server has not closed, checked without a message to it.

        Return None if all are in use.
        """
        while True:
            with self._lock:
                if not self._idle:
                    return None
                _, connection = self._idle.pop()
            with DefaultSelector() as selector:
                selector.register(connection.fileno(), EVENT_READ)
                if not selector.select(0):
                    return connection
            connection.close()  # a server that shuts down sends a message or hangs up

    def _return(self, connection: Connection[Any]) -> None:
        clean = not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE
        now, unused = self._clock(), list[Connection[Any]]()
        with self._lock:
            if clean and not self._closed:
                self._idle.append((now, connection))
            else:
                unused.append(connection)
            while self._idle and now - self._idle[0][0] > IDLE_SECONDS:
                unused.append(self._idle.popleft()[1])
        for connection in unused:
            connection.close()
