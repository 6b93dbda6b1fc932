"""The similarities between keys of a collection, and between a question and them, measured on a sample of the keys."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np

from softkv_attention.arrays import I64
from softkv_attention.lookup import Background
from softkv_service.encoding import is_short
from softkv_service.retrieval.projection import Projection, read_projection
from softkv_service.storage import Reader
from softkv_service.storage.errors import DocumentDamaged
from softkv_service.storage.records import CollectionRecord

Array = np.ndarray[Any, Any]

SAMPLE_DOCUMENTS = 512
"""The number of documents whose keys are compared: one half with the other half, or, of fewer, each with each."""

MIN_KEYS = 3
"""With fewer keys than this, they have no background of their own."""

RELATED_COSINE = 0.8
"""From this cosine on, two keys are related: versions of the same thing, which say nothing about unrelated keys.

From `COPY_COSINE` of `copies.py` on, they are copies.
"""

SAMPLE_CALL = "documents of a sample"
"""The name of a call to shard servers: which documents that pass a condition each would take for a sample."""

SAMPLE_TEXTS = 64
"""The number of documents whose key texts decide whether keys are short."""

NEAREST_TENTH = 10
"""Of the sampled keys, one in ten says nothing about unrelated ones: the nearest to the question."""

MAX_FILTERS = 8
"""The number of filters whose samples are kept, of at most 1.5 MB each at width 384."""

MAX_PARTS = 1024
"""The number of restricted callers whose backgrounds are kept, of a few kilobytes each."""

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # of Fibonacci hashing: spreads numbers that follow each other
UNIT_TOLERANCE = 0.01  # the largest distance of a length from 1; bfloat16 needs 4e-3


@dataclass(frozen=True, eq=False)
class SampledKeys:
    """A sample of a collection's keys, beside which a question has a background of its own.

    Attributes:
        similarity: the similarity by which the collection compares queries and keys.
        keys: float64[n, d], at least one; of length 1 or 0 if that is `cosine`.
    """

    similarity: str
    keys: Array

    @classmethod
    def of(cls, similarity: str, keys: Array) -> SampledKeys:
        """Return the sample of these keys, float32[n, d]."""
        vectors = keys.astype(np.float64)
        return cls(similarity, _unit(vectors) if similarity == "cosine" else vectors)

    def __len__(self) -> int:
        """Return n, the number of keys."""
        return len(self.keys)

    def measure(self, query: Array) -> tuple[float, float]:
        """Return how similar a question is to the keys, without the nearest tenth of them: mean and deviation.

        Args:
            query: the vector [d] of the question; not zero if keys are compared by cosine.
        """
        query = query.astype(np.float64)
        similarities = self.keys @ query
        if self.similarity == "cosine":
            similarities /= np.linalg.norm(query)
        elif self.similarity == "scaled_dot":
            similarities /= math.sqrt(len(query))
        elif self.similarity == "gaussian":
            similarities -= self._half_squares + query @ query / 2
        unrelated = len(similarities) - len(similarities) // NEAREST_TENTH
        lower = np.partition(similarities, unrelated - 1)[:unrelated]
        return float(lower.mean()), float(lower.std())

    @cached_property
    def _half_squares(self) -> Array:
        return np.asarray(np.square(self.keys).sum(axis=1) / 2)


def _unit(vectors: Array) -> Array:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Array = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return unit


_NO_KEYS = SampledKeys("cosine", np.empty((0, 0)))


@dataclass(frozen=True)
class KeyBackground:
    """A collection's own background: how similar the keys of two different documents are to each other.

    Unrelated questions and documents are about as similar, so the null key ("none of these") is computed from it.

    Attributes:
        background: mean and standard deviation of these similarities.
        pairs: the number of pairs of keys that were compared.
        sampled: these keys, or a sample of those that pass a filter.
        unit: whether all keys have length 1, so that their similarities follow from cosines.
        short: whether most keys are texts of one to three words.
        keys: the number of keys that were compared with each other.
        derived: what follows from it and was computed before, by name.
    """

    background: Background
    pairs: int
    sampled: SampledKeys = field(compare=False)
    unit: bool
    short: bool = False
    keys: int = SAMPLE_DOCUMENTS
    derived: dict[Hashable, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    @classmethod
    def measure(
        cls,
        similarity: str,
        keys: Array,
        texts: Sequence[str | None] = (),
        projection: Projection | None = None,
    ) -> KeyBackground | None:
        """Measure how similar keys of different documents are to each other; None if no two keys are left to compare.

        Related keys are left out, because a thousand copies of one text would make all keys look alike.

        Args:
            similarity: the similarity by which the collection compares queries and keys.
            keys: float32[n, d], a sample of the collection's keys.
            texts: the key texts of some of their documents, which show whether keys are short.
            projection: the map of the collection's queries. One key of each pair stands for a question, so it is
                mapped; whether it is related to the other one follows from the key itself.
        """
        if len(keys) < MIN_KEYS:
            return None
        vectors = keys.astype(np.float64)
        norms = np.linalg.norm(vectors, axis=1)
        half = len(keys) // 2
        if len(keys) < SAMPLE_DOCUMENTS:
            left, right, pairs = slice(None), slice(None), np.tri(len(keys), k=-1, dtype=np.bool_)
            if projection is not None:  # which makes a pair and its reverse differ
                pairs |= pairs.T
        else:
            left, right, pairs = slice(half), slice(half, None), np.ones((half, len(keys) - half), dtype=np.bool_)
        products = vectors[left] @ vectors[right].T
        lengths = norms[left, None] * norms[right]
        cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
        questions = norms
        if projection is not None:
            mapped = projection.map_queries(vectors).astype(np.float64)
            questions, products = np.linalg.norm(mapped, axis=1), mapped[left] @ vectors[right].T
        if similarity == "cosine":
            lengths = questions[left, None] * norms[right]
            similarities = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
        elif similarity == "gaussian":
            similarities = products - (questions[left, None] ** 2 + norms[right] ** 2) / 2
        else:
            similarities = products / math.sqrt(keys.shape[1]) if similarity == "scaled_dot" else products
        unrelated = similarities[pairs & (cosines < RELATED_COSINE)]
        if not unrelated.size:
            return None
        background = Background(float(unrelated.mean()), float(unrelated.std()))
        short = 2 * sum(text is not None and is_short(text) for text in texts) > len(texts)
        sampled = SampledKeys.of(similarity, keys)
        unit = bool((np.abs(norms - 1) <= UNIT_TOLERANCE).all())
        return cls(background, unrelated.size, sampled, unit, short, len(keys))


_UNMEASURED = None, (b"", None), None


class KeySample:
    """A sample of a collection's keys, whose similarities to each other are measured: the collection's own background.

    The background is measured again if the sample changes. The samples of a few filters are kept beside it, and the
    backgrounds of parts of the collection. Any thread may call it.
    """

    def __init__(self) -> None:
        self._measured: tuple[Hashable, tuple[bytes, str | None], KeyBackground | None] = _UNMEASURED
        self._lock = Lock()
        self._filtered: OrderedDict[bytes, tuple[Hashable, bytes, SampledKeys]] = OrderedDict()
        self._parts: OrderedDict[bytes, tuple[tuple[bytes, str | None], KeyBackground | None]] = OrderedDict()

    def own(self, record: CollectionRecord, reader: Reader, version: Hashable = None) -> KeyBackground | None:
        """Return the collection's own background (the similarities between keys of different documents).

        Args:
            record: the collection's record.
            reader: the version of the collection to measure, which sees all of its documents.
            version: a name of that version, if known. If the background of this version was measured already,
                nothing is read.
        """
        projection = record.settings.projection
        measured_version, sampled, background = self._measured
        if version is not None and version == measured_version and projection == sampled[1]:
            return background
        rows = reader.sample(record.id, SAMPLE_DOCUMENTS)
        if (rows.tobytes(), projection) != sampled:
            texts, keys = _texts(record, reader, rows[:SAMPLE_TEXTS]), reader.keys(record.id, rows)
            measured_version, background = (
                None,
                KeyBackground.measure(record.settings.similarity, keys, texts, read_projection(record.settings)),
            )
        self._measured = measured_version if version is None else version, (rows.tobytes(), projection), background
        return background

    def part(
        self,
        name: bytes,
        documents: Callable[[], I64],
        record: CollectionRecord,
        reader: Reader,
        version: Hashable = None,
    ) -> KeyBackground | None:
        """Return the background of the documents that a restricted caller sees, as if there were no others.

        Args:
            name: the name of the caller's filter.
            documents, record, reader: as for `passing`.
            version: a name of the version that is read, if known.
        """
        rows, sampled = self._sample(name, documents, record, reader, version)
        state = rows.tobytes(), record.settings.projection
        with self._lock:
            measured_state, background = self._parts.get(name, (None, None))
        if measured_state != state:
            texts, keys = _texts(record, reader, rows[:SAMPLE_TEXTS]), reader.keys(record.id, rows)
            background = KeyBackground.measure(
                record.settings.similarity, keys, texts, read_projection(record.settings)
            )
            if background is not None:
                background = replace(background, sampled=_NO_KEYS)
            with self._lock:
                self._parts[name] = state, background
                self._parts.move_to_end(name)
                if len(self._parts) > MAX_PARTS:
                    self._parts.popitem(last=False)
        return None if background is None else replace(background, sampled=sampled)

    def passing(
        self, name: bytes, documents: Callable[[], I64], record: CollectionRecord, reader: Reader, version: Hashable
    ) -> SampledKeys:
        """Return a sample of the keys of the documents that pass a filter.

        Args:
            name: the name of the filter.
            documents: returns their row numbers int64[n]; of parts of them, at least those that `choose_documents`
                takes of each part.
            record: the collection's record.
            reader: the version of the collection to read.
            version: a name of that version.
        """
        return self._sample(name, documents, record, reader, version)[1]

    def _sample(
        self, name: bytes, documents: Callable[[], I64], record: CollectionRecord, reader: Reader, version: Hashable
    ) -> tuple[I64, SampledKeys]:
        """Return the row numbers of sampled documents that pass a filter, ascending, and the sample of their keys."""
        with self._lock:
            read_version, sampled, keys = self._filtered.get(name, (None, b"", None))
            if keys is not None:
                self._filtered.move_to_end(name)
        if keys is not None and version is not None and read_version == version:
            return np.frombuffer(sampled, dtype=np.int64), keys
        rows = choose_documents(documents())
        if keys is None or rows.tobytes() != sampled:
            keys = SampledKeys.of(record.settings.similarity, reader.keys(record.id, rows))
        with self._lock:
            self._filtered[name] = version, rows.tobytes(), keys
            self._filtered.move_to_end(name)
            if len(self._filtered) > MAX_FILTERS:
                self._filtered.popitem(last=False)
        return rows, keys

    def forget(self) -> None:
        """Release the memory of the samples, which are read again when they are needed."""
        with self._lock:
            self._measured = _UNMEASURED
            self._filtered.clear()
            self._parts.clear()


def choose_documents(rows: I64) -> I64:
    """Return at most SAMPLE_DOCUMENTS of some row numbers, ascending: those with the lowest products modulo 2⁶⁴."""
    if len(rows) > SAMPLE_DOCUMENTS:
        rows = rows[np.argpartition(rows.astype(np.uint64) * _MULTIPLIER, SAMPLE_DOCUMENTS)[:SAMPLE_DOCUMENTS]]
    return np.sort(rows)


def _texts(record: CollectionRecord, reader: Reader, rows: Array) -> list[str | None]:
    """Return the undamaged key texts of documents; empty if the collection has only vectors."""
    texts = list[str | None]()
    if record.settings.encoder is not None:
        for row in rows:
            with suppress(DocumentDamaged):  # reported to callers that read the document
                texts += [document.key for document in reader.texts(record.id, np.array([row]))]
    return texts
