"""The errors of storage. Each message says what was expected, what happened and what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from softkv_service.storage.records import WriteAnswer

T = TypeVar("T")


class StorageError(Exception):
    """The base class of all errors of storage."""


class StoreClosed(StorageError):
    """The store was closed."""


class StorageFailed(StorageError):
    """The file could not be read or written, for a reason for which no other error exists."""


class DatabaseMoved(StorageFailed):
    """The file that is open was deleted, moved or replaced: what is written to it would be lost."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is not the file that is open: another program deleted, moved or replaced it, so nothing more is "
            "written. Stop softkv, put the data directory or a backup back in its place, and start again"
        )


class DiskFull(StorageError):
    """The disk is full; nothing was written, and reads go on."""


class DatabaseBusy(StorageError):
    """Another program holds the file."""


class DirectoryUnusable(StorageError):
    """The data directory cannot be made or written to."""


class DirectoryLocked(StorageError):
    """The data directory is locked.

    Attributes:
        directory: the directory.
        pid: the id of the process that has locked it, or None if it is unknown.
    """

    def __init__(self, directory: Path, pid: int | None, *, by_this_process: bool = False) -> None:
        self.directory = directory
        self.pid = pid
        if by_this_process:
            super().__init__(
                f"the data directory {directory} is in use, and this program has it open: use that client, or "
                "`close()` it"
            )
            return
        owner = f"process {pid}" if pid is not None else "another process"
        super().__init__(
            f"the data directory {directory} is in use by {owner}: stop it, or choose another directory: "
            "--data-dir DIRECTORY, or SOFTKV_DATA_DIR=DIRECTORY"
        )


class DatabaseDamaged(StorageError):
    """The file is not a sound SQLite database; it was left as it is."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is damaged ({reason}). It was left as it is: put a backup in its place, "
            f"or move it away to begin with an empty store"
        )
        self.path = path


class BackupDamaged(StorageError):
    """The file to restore is not a backup, or truncated, or damaged."""


class BackupUnsupported(StorageError):
    """The store is a database server, which has its own backups."""

    def __init__(self) -> None:
        super().__init__(
            "what is stored lies in PostgreSQL: make a backup of that database with pg_dump, or with its base backups"
        )


class NotInMemory(StorageError):
    """A reader of what is in memory was asked for more. The caller has to open a reader of the store."""


class StoreUnavailable(StorageError):
    """The database server is unreachable or refuses temporarily; acknowledged writes are safe.

    Attributes:
        problem: the text of the error without its advice.
        connection_lost: whether a connection that had worked was lost. A read may be repeated on another one at once.
    """

    def __init__(self, problem: str, advice: str = "try again in a moment", *, connection_lost: bool = False) -> None:
        super().__init__(problem, advice)
        self.problem = problem
        self.connection_lost = connection_lost
        self._advice = advice

    def __str__(self) -> str:
        return f"{self.problem}: {self._advice}"


def read_again(read: Callable[[], T]) -> T:
    """Read, and once more if the connection was lost meanwhile; return the result."""
    try:
        return read()
    except StoreUnavailable as error:
        if not error.connection_lost:
            raise
    return read()


class StoreRefused(StoreUnavailable):
    """The database server answers, and refuses softkv until an operator changes the address or the database."""


class DirectoryTaken(StorageError):
    """The data directory has a store already."""

    def __init__(self, directory: Path) -> None:
        super().__init__(
            f"the data directory {directory} has a store, which stays as it is: restore into another directory, "
            f"or move that store away"
        )
        self.directory = directory


class DocumentDamaged(StorageError):
    """A stored document does not match its checksum, so it is not returned.

    Attributes:
        row, id: its row number and id, or None if they cannot be read.
        vectors: whether its vectors are damaged; else its texts are.
    """

    def __init__(self, row: int | None, identity: str | None, *, vectors: bool) -> None:
        names = ([] if identity is None else [f"document {identity!r}"]) + ([] if row is None else [f"row {row}"])
        super().__init__(
            f"{', '.join(names)} is damaged on disk: its {'vectors' if vectors else 'texts'} are not what was written. "
            f"Write it anew or delete it, or put a backup in place; softkv doctor names every damaged row"
        )
        self.row = row
        self.id = identity
        self.vectors = vectors


class CollectionDamaged(StorageError):
    """The stored data of a collection is inconsistent."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"collection {name!r} is damaged on disk ({reason}): put a backup in place; softkv doctor says more"
        )


class DatabaseForeign(StorageError):
    """The file is an intact SQLite database, but another program created it."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is a SQLite database, but not softkv's. It was left as it is: choose another directory"
        )
        self.path = path


class DatabaseAltered(StorageError):
    """The file's schema is not one of softkv; the file was left as it is."""

    def __init__(self, path: Path, differences: Sequence[str]) -> None:
        named = "; ".join(difference[:100] for difference in differences[:5])
        more = f"; and {len(differences) - 5} more" if len(differences) > 5 else ""
        super().__init__(
            f"{path} has another schema than softkv gives a file: {named}{more}. Something else wrote it, and could "
            f"change what is stored. It was left as it is: put a backup in its place that you trust"
        )
        self.path = path
        self.differences = tuple(differences)


class LogMissing(StorageError):
    """The process that last used the file did not close it, and the file's write-ahead log is missing.

    The file was left as it is.
    """

    def __init__(self, path: Path, log: Path, process: int) -> None:
        super().__init__(
            f"process {process} had {path} open and did not close it, and its log {log.name} is not there: what that "
            f"process acknowledged last may be missing. Put the log back: whoever copies a store in use needs both "
            f"files. To go on without it, with what the file has, make an empty {log}"
        )
        self.path = path
        self.log = log


class DatabaseTooNew(StorageError):
    """The file was written by a later version of softkv."""

    def __init__(self, path: Path | str, version: int, latest: int) -> None:
        super().__init__(
            f"{path} has schema version {version}, this softkv knows versions up to {latest}. "
            f"It was left as it is: run the newer softkv, or choose another place"
        )
        self.path = path
        self.version = version
        self.latest = latest


class DatabaseTooOld(StorageError):
    """A build before the first release of softkv wrote the file or the tables."""

    def __init__(self, path: Path | str, version: int, oldest: int) -> None:
        super().__init__(
            f"{path} has schema version {version}, of a build before the first release; this softkv reads versions "
            f"from {oldest} on. It was left as it is: `softkv export` each collection with that build and "
            "`softkv load` it here, or choose another place"
        )
        self.path = path
        self.version = version
        self.oldest = oldest


class CollectionExists(StorageError):
    """A collection of that name exists."""

    def __init__(self, name: str) -> None:
        super().__init__(f"a collection named {name!r} exists: choose another name, or delete it first")
        self.name = name


class ReEncodingActive(StorageError):
    """A job moves the collection to another encoder already."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"collection {name!r} is being re-encoded already: wait for the end, or DELETE "
            f"/v1/collections/{name}/re-encode first"
        )


class AliasExists(StorageError):
    """An alias has the name that a collection was to get."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} is an alias: choose another name, or delete the alias first")
        self.name = name


class AliasMissing(StorageError):
    """The alias does not exist, or was deleted."""

    def __init__(self, alias: str) -> None:
        super().__init__(f"there is no alias {alias!r}: create it with PUT /v1/aliases/{alias}")
        self.alias = alias


class AliasDamaged(StorageError):
    """A stored alias does not match its checksum."""

    def __init__(self, alias: str) -> None:
        super().__init__(
            f"alias {alias!r} is damaged on disk (its collection is not what was written): put a backup in place; "
            "softkv doctor says more"
        )
        self.alias = alias


class CollectionMissing(StorageError):
    """The collection does not exist, or was deleted."""

    def __init__(self, collection: str | int) -> None:
        super().__init__(f"there is no collection {collection!r}: create it first")
        self.collection = collection


class CollectionFixed(StorageError):
    """A write would change a setting that cannot change after the collection was created."""

    def __init__(self, name: str, fields: Sequence[str]) -> None:
        super().__init__(
            f"{', '.join(fields)} of collection {name!r} cannot be changed, only temperature and null can: "
            f"make a new collection"
        )
        self.fields = tuple(fields)


class DocumentsExist(StorageError):
    """Documents that were to be created exist; nothing was written."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(f"documents exist already: {_list_ids(ids)}; send other ids, or upsert to replace them")
        self.ids = tuple(ids)


class OutsideFilter(StorageError):
    """Documents lie outside the filter of the caller's key; nothing was written.

    Attributes:
        ids: their ids, in no particular order. They are those of new documents that do not pass, or of stored documents
            that the caller does not see.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(
            f"this key may not write these ids with such metadata, as they lie outside its filter: {_list_ids(ids)}; "
            "send other ids, or documents that pass the filter"
        )
        self.ids = tuple(ids)


class QuotaExceeded(StorageError):
    """The caller would have more documents or bytes than its key may; nothing was written."""

    def __init__(self, quota: str, limit: int) -> None:
        super().__init__(
            f"this key may have {limit:,} {quota}, and after this write it would have more: it can write again when "
            "documents are deleted"
        )


class DocumentsRepeated(StorageError):
    """One call names the same id more than once; nothing was written."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(f"ids came more than once in one write: {_list_ids(ids)}; send each document once")
        self.ids = tuple(ids)


class WidthMismatch(StorageError):
    """A vector has another width than the collection; nothing was written."""

    def __init__(self, document: str, vector: str, expected: int, width: int) -> None:
        super().__init__(
            f"{vector} of document {document!r} has width {width}, the collection holds width {expected}: "
            f"use the model its other documents were made with, or another collection"
        )
        self.document = document
        self.vector = vector
        self.expected = expected
        self.width = width


class Unstorable(StorageError):
    """A document contains a value that is not JSON or UTF-8; nothing was written."""


class KeyReused(StorageError):
    """The idempotency key of a write belongs to another write; nothing was written."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the Idempotency-Key {key!r} came before, with another request: send a new key with each new write, "
            f"and the same one only with the same method, path and body"
        )
        self.key = key


class WriteAnswered(StorageError):
    """The write was done before, so it gets the stored answer again. This exception is a signal, not a failure."""

    def __init__(self, answer: WriteAnswer) -> None:
        super().__init__("this write was done and answered before")
        self.answer = answer


class InvalidCondition(StorageError):
    """An invalid filter; `pointer` locates the error, as in `conditions/0/value`."""

    def __init__(self, message: str, pointer: str) -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer


class InvalidSearch(StorageError):
    """An invalid text of a full-text search."""


def _list_ids(ids: Sequence[str], limit: int = 10) -> str:
    listed = ", ".join(repr(identity) for identity in ids[:limit])
    return listed if len(ids) <= limit else f"{listed} and {len(ids) - limit} more"
