"""Queries that are a weighted sum: of texts, of documents by their ids, and of vectors.

With cosine, each part is a unit vector, so that its weight alone decides how much it counts. Other similarities depend
on lengths, so the parts are summed as they are. Texts are encoded before a version of the collection is read; the keys
of documents are those of this version, as the caller sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np

from softkv_service.encoding import Encoders
from softkv_service.retrieval.collections import Snapshot
from softkv_service.retrieval.errors import Flaw, InvalidContent
from softkv_service.retrieval.projection import read_projection
from softkv_service.retrieval.queries.encoded import Array, EncodedQuery, check_queries, encode_queries
from softkv_service.storage.records import CollectionRecord, DocumentRecord

CANCELLED = 1e-5
"""A sum of less than this share of its parts is taken for zero: texts are encoded to about six digits."""

MAX_REQUEST_PARTS = 1000
"""The most parts of all queries of a request together."""


@dataclass(frozen=True, eq=False)
class QueryPart:
    """A part of a weighted sum: a text, the id of a document, or a vector [d]; the other two are None."""

    weight: float
    text: str | None = None
    id: str | None = None
    vector: Array | None = None

    @property
    def field(self) -> str:
        """The name of the one that is not None."""
        return "text" if self.text is not None else "id" if self.id is not None else "vector"


@dataclass(frozen=True)
class WeightedSum:
    """A query that is the weighted sum of its parts."""

    parts: Sequence[QueryPart]


Query: TypeAlias = str | Array | WeightedSum


def find_words(query: Query) -> str | None:
    """Return the text of a query: of a sum, the texts of its parts with a positive weight; None if it has none."""
    if not isinstance(query, WeightedSum):
        return query if isinstance(query, str) else None
    texts = [part.text for part in query.parts if part.text is not None and part.weight > 0]
    return " ".join(texts) if texts else None


@dataclass(frozen=True, eq=False)
class EncodedSum:
    """A weighted sum whose texts are encoded.

    Attributes:
        sent: the sum as the caller sent it.
        encoded: each text and vector of it with its vector; None for a document.
        pointer: the position of the query in the request.
    """

    sent: WeightedSum
    encoded: Sequence[EncodedQuery | None]
    pointer: str

    @property
    def ids(self) -> list[str]:
        """The ids of the documents among its parts."""
        return [part.id for part in self.sent.parts if part.id is not None]

    def add_up(self, record: CollectionRecord, keys: Mapping[str, Array]) -> EncodedQuery:
        """Return the sum as a query.

        Args:
            record: the collection's record.
            keys: float32[k, d], the k keys of each document that the caller sees, by its id.

        Raises:
            InvalidContent: a document is unknown or has no key, the parts differ in width, or they cancel.
        """
        is_cosine = record.settings.similarity == "cosine"
        vectors = [
            self._mean_key(i, keys, is_cosine=is_cosine) if one is None else map_query(record, one).vector
            for i, one in enumerate(self.encoded)
        ]
        pointers = [f"{self.pointer}/{i}/{part.field}" for i, part in enumerate(self.sent.parts)]
        check_queries(record, vectors, pointers)
        for vector, pointer in zip(vectors, pointers, strict=True):
            if len(vector) != len(vectors[0]):
                raise InvalidContent.at(
                    pointer,
                    f"the part has width {len(vector)}, the first part has width {len(vectors[0])}: encode both with "
                    "the same model",
                )
        total = self._add(np.stack(vectors).astype(np.float64), is_cosine=is_cosine)
        texts = [one for one in self.encoded if one is not None and one.unknown_tokens is not None]
        liked = [one for one, part in zip(self.encoded, self.sent.parts, strict=True) if part.weight > 0]
        return EncodedQuery(
            total,
            total,
            sum(one.unknown_tokens or 0 for one in texts) if texts else None,
            words_unknown=all(one is not None and one.words_unknown for one in liked or self.encoded),
            is_sum=True,
        )

    def _mean_key(self, index: int, keys: Mapping[str, Array], *, is_cosine: bool) -> Array:
        """Return float64[d], the key of the document that a part names; of several keys, their mean."""
        identity, pointer = self.sent.parts[index].id, f"{self.pointer}/{index}/id"
        assert identity is not None
        if identity not in keys:
            raise InvalidContent.at(pointer, f"there is no document {identity!r}: send the id of another one")
        if not len(keys[identity]):
            raise InvalidContent.at(pointer, f"document {identity!r} has no key: send the id of one that has")
        document_keys = keys[identity].astype(np.float64)
        if is_cosine:
            document_keys /= np.linalg.norm(document_keys, axis=1, keepdims=True)
        mean: Array = document_keys.mean(axis=0)
        if np.linalg.norm(mean) <= CANCELLED * np.linalg.norm(document_keys, axis=1).mean():
            raise InvalidContent.at(
                pointer, f"the keys of document {identity!r} cancel, so their mean is zero: send another document"
            )
        return mean

    def _add(self, vectors: Array, *, is_cosine: bool) -> Array:
        """Return float64[d], the weighted sum of vectors float64[p, d]."""
        weights = np.array([part.weight for part in self.sent.parts], dtype=np.float64)
        if is_cosine:  # where only the direction counts
            weights /= np.abs(weights).max() or 1.0
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        with np.errstate(over="ignore", invalid="ignore"):
            total: Array = weights @ vectors
            size = np.abs(weights) @ np.linalg.norm(vectors, axis=1)
        if not np.abs(total).max() <= np.finfo(np.float32).max:
            raise InvalidContent.at(
                self.pointer, "the weighted sum of the parts is not finite as float32: send smaller weights"
            )
        if np.linalg.norm(total) <= CANCELLED * size:
            raise InvalidContent.at(
                self.pointer,
                "the weights cancel, so the weighted sum of the parts is zero and asks for nothing: send other weights "
                "or parts",
            )
        return total


async def encode_sums(
    encoders: Encoders, record: CollectionRecord, queries: Sequence[Query], pointers: Sequence[str]
) -> list[EncodedQuery | EncodedSum]:
    """Encode the texts of queries, and those of the parts of sums; see `encode_queries`.

    Raises:
        InvalidContent: the sums have more than MAX_REQUEST_PARTS parts together, and as `encode_queries` does.
    """
    sums = [query for query in queries if isinstance(query, WeightedSum)]
    if (parts := sum(len(query.parts) for query in sums)) > MAX_REQUEST_PARTS:
        raise InvalidContent.at(
            "/queries",
            f"{parts} parts of queries came, and a request has {MAX_REQUEST_PARTS} in all: send the queries in parts",
        )
    contents, positions = list[str | Array](), list[str]()
    for query, pointer in zip(queries, pointers, strict=True):
        if not isinstance(query, WeightedSum):
            contents.append(query)
            positions.append(pointer)
            continue
        for i, part in enumerate(query.parts):
            content = part.vector if part.text is None else part.text
            if content is not None:
                contents.append(content)
                positions.append(f"{pointer}/{i}/{part.field}")
    encoded = iter(await encode_queries(encoders, record, contents, positions))
    return [
        EncodedSum(query, [next(encoded) if part.id is None else None for part in query.parts], pointer)
        if isinstance(query, WeightedSum)
        else next(encoded)
        for query, pointer in zip(queries, pointers, strict=True)
    ]


def map_query(record: CollectionRecord, query: EncodedQuery) -> EncodedQuery:
    """Return a query mapped by the collection's projection; the query itself without one.

    Texts and vectors are mapped alike, because a vector that a caller has encoded means what its text means. The key of
    a document is not: a projection leads from questions to keys. A query of another width is left to `check_queries`.
    """
    if record.settings.projection is None:
        return query
    projection = read_projection(record.settings)
    if projection is None or len(query.vector) != projection.dimension:
        return query
    return replace(query, vector=projection.map_queries(query.vector))


def add_up(
    record: CollectionRecord,
    queries: Sequence[EncodedQuery | EncodedSum],
    read_keys: Callable[[Sequence[str]], Mapping[str, Array]],
) -> list[EncodedQuery]:
    """Return queries as the lookup compares them: mapped by the collection's projection, sums in the form of vectors.

    Args:
        record: the collection's record.
        queries: the queries, whose texts are encoded.
        read_keys: returns the keys float32[k, d] of the documents with these ids that exist, by id.

    Raises:
        InvalidContent: a sum cannot be computed; the error has the flaws of all sums.
    """
    ids = sorted({identity for query in queries if isinstance(query, EncodedSum) for identity in query.ids})
    keys, flaws, vectors = read_keys(ids) if ids else {}, list[Flaw](), list[EncodedQuery]()
    for query in queries:
        try:
            vectors.append(query.add_up(record, keys) if isinstance(query, EncodedSum) else map_query(record, query))
        except InvalidContent as error:
            flaws += error.flaws
    if flaws:
        raise InvalidContent(flaws)
    return vectors


def keys_in(snapshot: Snapshot) -> Callable[[Sequence[str]], Mapping[str, Array]]:
    """Return a function that reads the keys of documents by their ids, as far as the caller of a snapshot sees them."""
    return partial(_read_keys, snapshot)


def _read_keys(snapshot: Snapshot, ids: Sequence[str]) -> Mapping[str, Array]:
    collection = snapshot.record.id
    rows = np.fromiter(snapshot.reader.existing(collection, ids).values(), dtype=np.int64)
    return keys_by_id(snapshot.reader.documents(collection, rows))


def keys_by_id(documents: Sequence[DocumentRecord]) -> Mapping[str, Array]:
    """Return the keys float32[k, d] of documents by their ids."""
    return {document.id: document.keys for document in documents}
