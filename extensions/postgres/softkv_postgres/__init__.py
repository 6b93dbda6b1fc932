"""The store in PostgreSQL: nothing outside this package knows its tables, or psycopg.

A service finds this module by the entry point `postgres` of `softkv.modules`, and calls `open_shared` and
`inspect_shared` with the address of a database.
"""

from __future__ import annotations

from collections.abc import Callable

from service.storage import SharedStore
from softkv_postgres.connections import inspect_shared
from softkv_postgres.store import PostgresStore

__all__ = ["inspect_shared", "open_shared"]

open_shared: Callable[[str], SharedStore] = PostgresStore.open
