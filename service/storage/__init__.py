"""The record of truth: collections and documents, in SQLite (`sqlite/`). Nothing above this room writes SQL."""

from __future__ import annotations

from service.storage.ballast import BALLAST_BYTES
from service.storage.checksums import id_hash
from service.storage.column import Column, Distinct, Entries
from service.storage.conditions import (
    MAX_DEPTH,
    MAX_OPERANDS,
    METADATA,
    Combination,
    Comparison,
    Condition,
    parse_condition,
)
from service.storage.copying import Compared, Copied, compared, copied
from service.storage.equivalence import canonical
from service.storage.errors import (
    BackupDamaged,
    BackupElsewhere,
    CollectionDamaged,
    CollectionExists,
    CollectionFixed,
    CollectionMissing,
    DatabaseAltered,
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseForeign,
    DatabaseTooNew,
    DirectoryLocked,
    DirectoryTaken,
    DirectoryUnusable,
    DiskFull,
    DocumentDamaged,
    DocumentsExist,
    DocumentsRepeated,
    InvalidCondition,
    KeyReused,
    LogMissing,
    StorageError,
    StorageFailed,
    StoreClosed,
    StoreUnavailable,
    Unstorable,
    WidthMismatch,
    WriteAnswered,
)
from service.storage.fields import Kind, Scalar, Stored, nested_too_much, scalar_of, stored
from service.storage.interface import Disk, Place, Reader, Search, Store, UncleanStop, Writer
from service.storage.key_rows import KeySums
from service.storage.once import LIFETIME_SECONDS, Once, WriteAnswer, WriteRequest
from service.storage.records import (
    Change,
    CollectionRecord,
    CollectionSettings,
    DocumentRecord,
    Extent,
    FieldFacts,
    FieldValue,
    Followed,
    Holder,
    KeyRows,
    Logged,
    Mode,
    Part,
    RowNumbers,
    SearchResult,
    SearchRow,
    Slot,
    Standing,
    StoredDocument,
    Vector,
)
from service.storage.shared import SharedReader, SharedStore, SlotRegister, open_shared, shared_standing
from service.storage.sqlite.backups import Backup, backup, restore
from service.storage.sqlite.store import SQLiteStore
from service.storage.sqlite.temporary import searching_rows
from service.storage.storable import nul_in
