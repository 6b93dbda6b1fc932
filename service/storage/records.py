"""Plain frozen records: what a store keeps, what a write did, and what a search returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, NewType, TypeAlias

import numpy as np
from numpy.typing import NDArray

from service.storage.fields import Kind, Scalar

Vector: TypeAlias = NDArray[np.float32]
Matrix: TypeAlias = NDArray[np.float32]
RowNumbers: TypeAlias = NDArray[np.int64]
Ranks: TypeAlias = NDArray[np.float64]
JSONText = NewType("JSONText", str)
Null: TypeAlias = float | Literal["auto", "lenient", "strict", "calibrated", False]

# In the order in which facts name them.
FieldType: TypeAlias = Literal["integer", "number", "text", "boolean", "null", "list", "object"]

# What a write does with a document whose id is taken: replaces it, refuses everything, or leaves it as it is.
Mode: TypeAlias = Literal["upsert", "create", "skip"]


@dataclass(frozen=True)
class CollectionSettings:
    """What a collection is; everything but `temperature`, `null` and `calibration` is fixed once it holds documents.

    `dimension` and `value_dimension` are None until the first write that commits sets them.
    `null` is "auto", "lenient", "strict" or "calibrated", a similarity, or False for no null key.
    `calibration` is what labelled questions said of it, as JSON.
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


@dataclass(frozen=True)
class DatabaseInfo:
    """A database server and what softkv has in it.

    Attributes:
        name: its address, without a password.
        server: its version.
        migrations: the version of the schema that is there; 0 where there is none.
        known: the version that this softkv has.
    """

    name: str
    server: str
    migrations: int
    known: int


@dataclass(frozen=True)
class CollectionRecord:
    """A stored collection; `id` is never given to another one, even after this one is deleted.

    `documents` is how many it holds, `keyless` how many of these have no key vector and cannot be attended to.
    `low_bit` is whether an earlier version kept low-bit codes of its keys, which this one does not.
    """

    id: int
    name: str
    settings: CollectionSettings
    documents: int = 0
    keyless: int = 0
    low_bit: bool = False

    @property
    def attendable(self) -> int:
        """How many documents have a key."""
        return self.documents - self.keyless


class TextSpan(NamedTuple):
    """A part of a key text, from character `start` up to `end`."""

    start: int
    end: int


class StoredDocument(NamedTuple):
    """A document as it is stored, without its vectors, and known to be what was written.

    Attributes:
        row: as of a `DocumentRecord`.
        value, metadata: as JSON, which an answer takes as it is.
        n_keys: how many keys it has.
        value_sent: whether a value was sent; where none was, the value is the key text and follows it.
    """

    row: int
    id: str
    key: str | None
    value: JSONText
    metadata: JSONText
    n_keys: int
    value_sent: bool = True

    @property
    def rows(self) -> range:
        """The numbers of its keys; one number where it has none."""
        return range(self.row, self.row + max(self.n_keys, 1))


@dataclass(frozen=True, eq=False)
class DocumentRecord:
    """A document with its vectors.

    Attributes:
        keys: float32[p, d], its key vectors: one as a rule, several where a text was split, none where it is keyless.
        value_vector: float32[d_v]; None says that each key is the value that goes with it.
        value: any JSON.
        metadata: any JSON object.
        value_sent: whether a value was sent; where none was, the value is the key text and follows it.
        row: the number of its first key, the others follow; one number where it is keyless. None until the document is
            stored, and another one each time it is written.
        parts: of the key text, one for each key; empty where every key is of all of it, or of none.
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

    @property
    def n_keys(self) -> int:
        """How many keys it has."""
        return len(self.keys)

    @property
    def rows(self) -> int:
        """How many row numbers it takes."""
        return max(len(self.keys), 1)

    def values(self) -> Matrix:
        """float32[p, d_v]: what the output blends of each key."""
        return self.keys if self.value_vector is None else np.tile(self.value_vector, (len(self.keys), 1))


@dataclass(frozen=True, eq=False)
class KeyRows:
    """Keys as they lie in the store, by their row numbers.

    Attributes:
        numbers: int64[n], ascending.
        owners: int64[n], the row number of the document that each is a key of.
        keys: float32[n, d].
        values: float32[n, d_v]; None where each key is its value.
    """

    numbers: RowNumbers
    owners: RowNumbers
    keys: Matrix
    values: Matrix | None


@dataclass(frozen=True, eq=False)
class Change:
    """What a write did: the new documents' row numbers int64[n], in their order, and those of documents that are gone.

    `skipped` are the ids, in the documents' order, of those that were left out because they exist.
    """

    added: RowNumbers
    removed: RowNumbers
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ChangeSummary:
    """What was done to a collection since a version that a memory is at.

    Attributes:
        version: the newest one, which it brings the memory to.
        first: the least row number that was given since.
        removed: int64[n], the row numbers of documents that are gone since, ascending; some of them came since, too.
        documents, keyless: of the collection, from then on.
    """

    version: int
    first: int
    removed: RowNumbers
    documents: int
    keyless: int


@dataclass(frozen=True, eq=False)
class VersionChange:
    """What one version of a collection did.

    Attributes:
        first, count: the row numbers that it gave: so many from the first one on.
        removed: int64[n], the row numbers of documents that it took away.
        seconds: how long ago it was written.
    """

    version: int
    first: int
    count: int
    removed: RowNumbers
    seconds: float


class Extent(NamedTuple):
    """How far a collection goes: its version, and the row number that the next document is given."""

    version: int
    next_row: int


class NodeRecord(NamedTuple):
    """A process that has shards in memory: its name, the machine that it runs on, and whether it is about to leave."""

    name: str
    machine: str
    leaving: bool = False


class ShardReplica(NamedTuple):
    """A shard of a collection, identified by its first row number, and a node that has it in memory."""

    collection: int
    first_row: int
    node: NodeRecord


@dataclass(frozen=True)
class SearchRow:
    """A row as the database answers it; `value` is any JSON."""

    id: str
    key: str | None
    value: Any


@dataclass(frozen=True)
class SearchResult:
    """The statement that was run, what stood for its parameters, and its rows in order."""

    statement: str
    parameters: Mapping[str, Any]
    rows: list[SearchRow]


@dataclass(frozen=True)
class FieldValue:
    """A value, and how many documents have it in the field, as the field itself or as an element of its list."""

    value: Scalar
    count: int


class FieldKinds(NamedTuple):
    """Which kinds of values a field has in any document: the field itself, and elements where it is a list."""

    own: frozenset[Kind]
    elements: frozenset[Kind]


@dataclass(frozen=True)
class FieldFacts:
    """What a field holds.

    Attributes:
        types: of its values, each once; and "list" and "object" where a document has one there.
        count: how many documents have the field and in it something but null.
        distinct: how many different values there are; 1, 1.0, "1" and true are four.
        min, max: the least and the greatest number where there are numbers, else text; None where there are neither.
        values: as many as were asked for, those that most documents have first.
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
        caller: the caller; keys of different callers are independent.
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
