"""Stores of collections and documents. Only `sqlite/` and the distribution `softkv-postgres` run SQL; `sql.py` has the
statements that they share.
"""

from __future__ import annotations

from service.storage.checksums import id_hash
from service.storage.column import Column, DistinctValues, Entries
from service.storage.conditions import (
    MAX_COMPARED_FIELDS,
    MAX_DEPTH,
    MAX_OPERANDS,
    METADATA,
    ORDERING,
    Combination,
    Comparison,
    Condition,
    condition_digest,
    parse_condition,
)
from service.storage.copying import (
    CollectionDiff,
    CopySummary,
    compare_collection,
    copy_aliases,
    copy_collection,
    copy_encoder_measurements,
)
from service.storage.directory import BALLAST_BYTES, PRIVATE
from service.storage.errors import (
    AliasDamaged,
    AliasExists,
    AliasMissing,
    BackupDamaged,
    BackupUnsupported,
    CollectionDamaged,
    CollectionExists,
    CollectionFixed,
    CollectionMissing,
    DatabaseAltered,
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseForeign,
    DatabaseTooNew,
    DatabaseTooOld,
    DirectoryLocked,
    DirectoryTaken,
    DirectoryUnusable,
    DiskFull,
    DocumentDamaged,
    DocumentsExist,
    DocumentsRepeated,
    InvalidCondition,
    InvalidSearch,
    KeyReused,
    LogMissing,
    OutsideFilter,
    QuotaExceeded,
    ReEncodingActive,
    StorageError,
    StorageFailed,
    StoreClosed,
    StoreRefused,
    StoreUnavailable,
    Unstorable,
    WidthMismatch,
    WriteAnswered,
    read_again,
)
from service.storage.fields import EncodedValue, Kind, Scalar, decode_scalar, encode_value, nesting_problem
from service.storage.idempotency import LIFETIME_SECONDS, IdempotentWrite
from service.storage.instants import (
    INSTANTS,
    MAX_DURATION,
    SECOND,
    Instant,
    format_instant,
    parse_duration,
    parse_instant,
)
from service.storage.interface import Cursor, Reader, Search, Store, Writer
from service.storage.key_rows import KeySums
from service.storage.ordering import Order, Position
from service.storage.re_encoding import HIDDEN, LEASE_SECONDS, JobState, ReEncoding, choose_null, was_read
from service.storage.records import (
    MAX_FEEDBACK,
    MAX_FEEDBACK_BYTES,
    AliasRecord,
    Change,
    ChangeSummary,
    ClusterPlan,
    CollectionRecord,
    CollectionSettings,
    DocumentRecord,
    EncoderMeasurements,
    ExpiryRows,
    Extent,
    FeedbackRecord,
    FieldFacts,
    FieldKinds,
    FieldValue,
    JSONText,
    KeyRows,
    Mode,
    Null,
    RowNumbers,
    SearchResult,
    SearchRow,
    StoredDocument,
    TextSpan,
    Vector,
    VersionChange,
    WriteAnswer,
    WriteRequest,
)
from service.storage.restricted import WHOLE, Restriction
from service.storage.search_terms import Searched, SearchTerm, parse_search
from service.storage.serialisation import find_nul
from service.storage.shared import SharedReader, SharedStore, inspect_shared, open_shared
from service.storage.sqlite.backups import Backup, backup, restore
from service.storage.sqlite.store import SQLiteStore, temporary_search
from service.storage.visibility import ALL, Visibility
