"""Stores of collections and documents. Only `sqlite/` and the distribution `softkv-postgres` run SQL; `sql.py` has the
statements that they share. `conditions`, `errors`, `fields`, `instants` and `records` are imported by themselves.
"""

from __future__ import annotations

from softkv_service.storage.checksums import id_hash
from softkv_service.storage.copying import (
    CollectionDiff,
    CopySummary,
    compare_collection,
    copy_aliases,
    copy_collection,
    copy_encoder_measurements,
)
from softkv_service.storage.directory import BALLAST_BYTES, PRIVATE
from softkv_service.storage.idempotency import LIFETIME_SECONDS, IdempotentWrite
from softkv_service.storage.interface import LEASE_SECONDS, Cursor, Reader, Search, Store, Writer
from softkv_service.storage.key_rows import KeySums
from softkv_service.storage.re_encoding import HIDDEN, JobState, ReEncoding, choose_null, was_read
from softkv_service.storage.restricted import WHOLE, Restriction
from softkv_service.storage.serialisation import find_nul
from softkv_service.storage.shared import SharedReader, SharedStore, inspect_shared, open_shared
from softkv_service.storage.sqlite.backups import Backup, backup, restore
from softkv_service.storage.sqlite.store import SQLiteStore, temporary_search
