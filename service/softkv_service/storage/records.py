"""Plain frozen records: the contents of a store, the effects of writes, and the results of searches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple, NewType, TypeAlias

import numpy as np
from numpy.typing import NDArray

from softkv_service.storage.fields import Kind, Scalar

Vector: TypeAlias = NDArray[np.float32]
Matrix: TypeAlias = NDArray[np.float32]
RowNumbers: TypeAlias = NDArray[np.int64]
Ranks: TypeAlias = NDArray[np.float64]
NO_ROWS: RowNumbers = np.empty(0, dtype=np.int64)
JSONText = NewType("JSONText", str)
Null: TypeAlias = float | Literal["auto", "lenient", "strict", "calibrated", False]

# In the order in which FieldFacts lists them.
FieldType: TypeAlias = Literal["integer", "number", "text", "boolean", "null", "list", "object"]

# A write of an existing id replaces the document, refuses the whole write, or skips it.
Mode: TypeAlias = Literal["upsert", "create", "skip"]

DROPPED_CALIBRATION = JSONText('{"dropped":"self"}')
"""The text in place of a calibration that an earlier version made of the collection's own texts."""


@dataclass(frozen=True)
class CollectionSettings:
    """The settings of a collection; `similarity`, widths, encoder and `value_from` are fixed once it has documents.

    `dimension` and `value_dimension` are None until the first committed write sets them.
    `null` is "auto", "lenient", "strict" or "calibrated", a similarity, or False for no null key.
    `calibration` is the calibration from labelled queries, as JSON.
    `encoder_model` is the model that the name `encoder` meant; None if it is not known.
    `expire_after` is the time in microseconds after which new documents expire; None for never.
    `defaults` are options of questions that do not send their own, as JSON.
    `projection` is the map of queries that was trained on labelled pairs, as JSON.
    `late` is whether the words of each key are kept for late interaction.
    """

    similarity: str
    temperature: float
    dimension: int | None = None
    value_dimension: int | None = None
    encoder: str | None = None
    precision: str | None = None
    value_from: Literal["value", "key"] = "value"
    null: Null = False
    calibration: JSONText | None = None
    encoder_model: str | None = None
    expire_after: int | None = None
    defaults: JSONText | None = None
    projection: JSONText | None = None
    late: bool = False

    @property
    def has_lost_calibration(self) -> bool:
        """Whether the collection had a calibration of its own texts, which this version does not read."""
        return self.calibration == DROPPED_CALIBRATION


@dataclass(frozen=True)
class DatabaseInfo:
    """A database server and the schema of softkv in it.

    Attributes:
        name: the address, without a password.
        server: the version of the server.
        schema_version: the version of the tables; 0 if there are none.
    """

    name: str
    server: str
    schema_version: int


@dataclass(frozen=True)
class CollectionRecord:
    """A stored collection; its `id` is never reused, even after it is deleted.

    `documents` is the number of documents, `keyless` how many of these have no key vector and cannot be attended to.
    Expired documents count until they are deleted. Before `first_expiry`, in microseconds of Unix time, no document
    expires; None if none ever does.
    """

    id: int
    name: str
    settings: CollectionSettings
    documents: int = 0
    keyless: int = 0
    first_expiry: int | None = None

    def has_expired(self, now: int) -> bool:
        """Return whether some of its documents may have expired at `now`, in microseconds of Unix time."""
        return self.first_expiry is not None and self.first_expiry <= now

    @cached_property
    def attendable(self) -> int:
        """The number of documents with a key."""
        return self.documents - self.keyless


class EncoderMeasurements(NamedTuple):
    """The measurements of an encoder.

    Attributes:
        model: the model and settings that it was measured of; with others it has to be measured again.
        measurements: the result, in JSON.
    """

    model: str
    measurements: str


class AliasRecord(NamedTuple):
    """An alias, and the name of the collection that it stands for."""

    alias: str
    collection: str


class TextSpan(NamedTuple):
    """A span of a key text, from character `start` up to `end`."""

    start: int
    end: int


class StoredDocument(NamedTuple):
    """A stored document without its vectors, with a verified checksum.

    Attributes:
        row: the row number, see `DocumentRecord`.
        value, metadata: JSON texts, which responses contain unchanged.
        n_keys: the number of keys.
        value_sent: whether a value was sent; if not, the value is the key text and changes with it.
        expires: the instant from which on it is absent, in microseconds of Unix time; None for never.
    """

    row: int
    id: str
    key: str | None
    value: JSONText
    metadata: JSONText
    n_keys: int
    value_sent: bool = True
    expires: int | None = None

    @property
    def rows(self) -> range:
        """The row numbers of the document's keys; one number if it has no key."""
        return range(self.row, self.row + max(self.n_keys, 1))


@dataclass(eq=False)  # not frozen, which takes three times as long to make
class DocumentRecord:
    """A document with its vectors.

    Attributes:
        keys: float32[p, d], its key vectors: usually one, several if a text was split, none if it is keyless.
        value_vector: float32[d_v]; None if each key is its own value.
        value: any JSON.
        metadata: any JSON object.
        value_sent: whether a value was sent; if not, the value is the key text and changes with it.
        row: the row number of its first key; the other keys follow it. A keyless document has one number. It is None
            until the document is stored, and changes with every write.
        parts: the span of the key text that each key encodes; empty if every key encodes all of it.
        expires: the instant from which on it is absent, in microseconds of Unix time; None for never.
        expires_sent: whether `expires` was sent; if not, the write takes what the collection's settings say.
        words: the words of each key, int8[n, w] in bytes; empty if they are unknown.
        value_waits: whether the value is a text that is yet to be encoded; then its vector is zeros.
    """

    id: str
    key: str | None
    value: Any
    keys: Matrix
    value_vector: Vector | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    row: int | None = None
    parts: tuple[TextSpan, ...] = ()
    value_sent: bool = True
    expires: int | None = None
    expires_sent: bool = True
    words: tuple[bytes, ...] = ()
    value_waits: bool = False

    @property
    def n_keys(self) -> int:
        """The number of the document's keys."""
        return len(self.keys)

    @property
    def rows(self) -> int:
        """The number of row numbers that the document takes."""
        return max(len(self.keys), 1)

    def values(self) -> Matrix:
        """Return float32[p, d_v], the value vector of each key."""
        return self.keys if self.value_vector is None else np.tile(self.value_vector, (len(self.keys), 1))


@dataclass(frozen=True, eq=False)
class KeyRows:
    """Stored keys, ordered by row number.

    Attributes:
        numbers: int64[n], row numbers, ascending.
        owners: int64[n], the row number of each key's document.
        keys: float32[n, d].
        values: float32[n, d_v]; None if each key is its own value.
    """

    numbers: RowNumbers
    owners: RowNumbers
    keys: Matrix
    values: Matrix | None


@dataclass(frozen=True, eq=False)
class Change:
    """The result of a write: row numbers int64[n] of new documents, in order, and of removed documents.

    `skipped` are the ids of the documents that were left out because they exist, in order. `expired` are the row
    numbers int64[m] of expired documents that had the ids of new ones, and were deleted. `deleted` is the number of
    further documents that were deleted with the write.
    """

    added: RowNumbers
    removed: RowNumbers
    skipped: tuple[str, ...] = ()
    deleted: int = 0
    expired: RowNumbers = field(default_factory=lambda: NO_ROWS)

    @property
    def lost(self) -> RowNumbers:
        """int64[n], ascending, the row numbers of all documents that are not stored any more."""
        return np.union1d(self.removed, self.expired) if len(self.expired) else self.removed


@dataclass(frozen=True, eq=False)
class ChangeSummary:
    """The sum of all changes of a collection after a version.

    Attributes:
        version: the newest version.
        first: the smallest row number that was assigned since.
        removed: int64[n], row numbers of documents removed since, ascending; some of them were also added since.
        documents, keyless: the counts of the collection at the newest version.
        first_expiry: an instant before which none of its documents expires; None if none ever does.
    """

    version: int
    first: int
    removed: RowNumbers
    documents: int
    keyless: int
    first_expiry: int | None = None


@dataclass(frozen=True, eq=False)
class VersionChange:
    """The changes of one version of a collection.

    Attributes:
        first, count: the row numbers that it assigned: `count` from `first` on.
        removed: int64[n], the row numbers of documents that it removed.
        seconds: the age of the version in seconds.
    """

    version: int
    first: int
    count: int
    removed: RowNumbers
    seconds: float


class Extent(NamedTuple):
    """The extent of a collection at one moment: its version, and the row number that the next document will get."""

    version: int
    next_row: int


class ClusterPlan(NamedTuple):
    """The names of the servers that hold the shards of all collections, and how many of them hold each shard.

    `number` ascends with every change of the plan.
    """

    number: int
    names: tuple[str, ...]
    copies: int


MAX_FEEDBACK = 100_000
MAX_FEEDBACK_BYTES = 2**26
"""The most records of feedback of a collection, and the most bytes of them; the oldest make room."""


@dataclass(frozen=True)
class FeedbackRecord:
    """The judgement of a caller about an answer.

    Attributes:
        query: the question, a text or a vector as JSON.
        document: the id of a document; None for "the collection has no answer".
        correct: whether that is right.
        at: when the service received it, in microseconds of Unix time.
        observed: the first match of the question at that time, as JSON; None if it is unknown.
        number: ascends with every record of the store; None until it is stored.
    """

    query: JSONText
    document: str | None
    correct: bool
    at: int
    observed: JSONText | None = None
    number: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class SearchRow:
    """A row of a search result; `value` is any JSON."""

    id: str
    key: str | None
    value: Any


@dataclass(frozen=True)
class SearchResult:
    """The statement of a search, its parameters, and its rows in order."""

    statement: str
    parameters: Mapping[str, Any]
    rows: list[SearchRow]


@dataclass(frozen=True, eq=False)
class TextLengths:
    """The documents whose words a rank counts, and the number of words of each.

    Attributes:
        index: the full-text index that has them.
        rows: row numbers int64[n], ascending.
        words: int32[n].
    """

    index: str
    rows: RowNumbers
    words: NDArray[np.int32]


@dataclass(frozen=True)
class FieldValue:
    """A value, and how many documents have it as the field's value or as an element of its list."""

    value: Scalar
    count: int


class ExpiryRows(NamedTuple):
    """Documents that expire: their row numbers int64[n], and their instants int64[n] in microseconds of Unix time."""

    rows: RowNumbers
    expires: RowNumbers


class ExpiredCounts(NamedTuple):
    """The number of expired documents that a reader leaves out, and how many of these have no key vector."""

    documents: int = 0
    keyless: int = 0


class CollectionUsage(NamedTuple):
    """The numbers and the size of a collection's documents, or of a part of them.

    Attributes:
        documents: the number of documents.
        keyless: how many of these have no key vector.
        keys: the number of their keys.
        bytes: the bytes of their texts (id, key, value and metadata in UTF-8), 4 for each number of their keys, and
            those of the words that are kept.
    """

    documents: int
    keyless: int
    keys: int
    bytes: int


class KeptWords(NamedTuple):
    """The number of keys whose words are kept, and of those with a text whose words are not."""

    kept: int
    waiting: int


class WaitingValues(NamedTuple):
    """The documents whose value is a text without a vector.

    Attributes:
        waiting: int64[n], ascending, the row numbers of those that are yet to be encoded.
        failed: int64[m], ascending, of those that their encoder refuses.
    """

    waiting: RowNumbers
    failed: RowNumbers


class FieldKinds(NamedTuple):
    """The kinds of values that a field has in any document: its own values, and elements of lists.

    `dates` is whether some of its own values are dates.
    """

    own: frozenset[Kind]
    elements: frozenset[Kind]
    dates: bool = False


@dataclass(frozen=True)
class FieldFacts:
    """Statistics of a metadata field.

    Attributes:
        types: the distinct types of its values, with "list" and "object" if a document has one.
        count: the number of documents in which the field is not null.
        distinct: the number of distinct values; 1, 1.0, "1" and true are four.
        min, max: the smallest and largest number if there are numbers, else text; None if there are neither.
        values: the requested number of values, most frequent first.
    """

    types: tuple[FieldType, ...] = ()
    count: int = 0
    distinct: int = 0
    min: Scalar = None
    max: Scalar = None
    values: tuple[FieldValue, ...] = ()


@dataclass(frozen=True)
class WriteRequest:
    """A write with the idempotency key that its caller gave it.

    Attributes:
        caller: the identity of the caller; equal keys of different callers are different.
        key: the idempotency key.
        digest: a digest of the whole request.
        at: the time of the request, in seconds of Unix time.
    """

    caller: str
    key: str
    digest: bytes
    at: int


@dataclass(frozen=True)
class WriteAnswer:
    """The answer to a write: its HTTP status and its body."""

    status: int
    body: bytes
