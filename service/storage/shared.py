"""The store that several processes share, opened where its library is installed."""

from __future__ import annotations

from service.storage.errors import StorageFailed
from service.storage.interface import SharedStore


def open_shared(address: str) -> SharedStore:
    """The store in the PostgreSQL at an address, postgresql://…; its tables are made where they are not there.

    Raises: StorageFailed where psycopg is not installed, or the address is none or refuses; StoreUnavailable;
        DatabaseTooNew.
    """
    try:
        from service.storage.postgres.store import PostgresStore
    except ImportError as error:
        raise StorageFailed(
            f"a store in PostgreSQL needs psycopg, which cannot be imported ({error}): pip install 'softkv[postgres]'"
        ) from error
    return PostgresStore.open(address)
