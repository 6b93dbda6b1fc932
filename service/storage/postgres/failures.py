"""What psycopg raises, in this room's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from service.storage.errors import DiskFull, StorageError, StorageFailed, StoreUnavailable

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
