"""Stores of collections and documents. Only `sqlite/` and the distribution `softkv-postgres` run SQL; `sql.py` has the
statements that they share. `conditions`, `errors`, `fields`, `instants` and `records` are imported by themselves.
"""

from __future__ import annotations

from service.storage.checksums import id_hash
from service.storage.copying import (
    CollectionDiff,
    CopySummary,
    compare_collection,
    copy_aliases,
    copy_collection,
    copy_encoder_measurements,
)
from service.storage.directory import BALLAST_BYTES, PRIVATE
from service.storage.idempotency import LIFETIME_SECONDS, IdempotentWrite
from service.storage.interface import Cursor, Reader, Search, Store, Writer
from service.storage.key_rows import KeySums
from service.storage.re_encoding import HIDDEN, LEASE_SECONDS, JobState, ReEncoding, choose_null, was_read
from service.storage.restricted import WHOLE, Restriction
from service.storage.serialisation import find_nul
from service.storage.shared import SharedReader, SharedStore, inspect_shared, open_shared
from service.storage.sqlite.backups import Backup, backup, restore
from service.storage.sqlite.store import SQLiteStore, temporary_search
