"""The biases of a server's documents: each replica evaluates and sums the terms of a request for its own shard."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
from xxhash import xxh3_128_digest

from softkv_attention.arrays import F64, I64
from softkv_attention.lookup import Bias, Mask, View
from softkv_cluster.server.replica import Replica
from softkv_service.retrieval.terms import (
    Explanation,
    Term,
    TermSum,
    evaluate_terms,
    find_documents,
    find_origins,
    parse_bias,
    sum_terms,
)
from softkv_service.storage import SharedStore
from softkv_service.storage.conditions import Column, Condition, condition_digest

MAX_BIASES = 4
"""Cached biases per collection. Each takes up to 12 bytes a row."""


@dataclass(frozen=True, eq=False)
class ReplicaFields:
    """The metadata of one shard's documents at a version, for the terms of a bias.

    It implements `softkv_service.retrieval.terms.FieldSource`.

    Attributes:
        view: the shard's view of the version.
    """

    replica: Replica
    store: SharedStore
    version: int
    view: View

    def columns(self, field: str, pointer: str) -> list[Column]:
        """Return a metadata field of the shard's documents, in parts by row number. May raise StorageError."""
        return self.replica.columns(self.store, self.version, self.view, field)

    def mask(self, condition: Condition) -> Mask:
        """Return the mask of the documents that pass a condition. May raise StorageError."""
        return self.replica.mask(self.store, self.version, self.view, condition, condition_digest(condition))

    def sum_terms(self, terms: tuple[Term, ...]) -> TermSum:
        """Return the sum of the terms of each document. It is cached while the view is current."""

        def evaluate() -> TermSum:
            documents = find_documents(self.view, None)
            return sum_terms(documents, evaluate_terms(self, self.view, documents, terms))

        return self.replica.masks.once(self.view, terms, evaluate)

    def find_origins(self, terms: Sequence[Term], condition: Condition | None) -> list[float | None]:
        """Return the default origin of each recency term, see `softkv_service.retrieval.terms.find_origins`.

        Args:
            condition: only documents that pass it count; None for all documents.
        """
        mask = None if condition is None else self.mask(condition)
        return find_origins(self, find_documents(self.view, mask), terms)

    def explain(self, terms: Sequence[Term], rows: I64) -> list[list[Explanation]]:
        """Return the explanations of some documents, one for each term."""
        lines = [term.explain(rows) for term in evaluate_terms(self, self.view, find_documents(self.view, None), terms)]
        return [[of_term[i] for of_term in lines] for i in range(len(rows))]


def parse_terms(text: str | None) -> tuple[Term, ...]:
    """Return the terms of a bias from their JSON; without a text, no terms."""
    return () if text is None else parse_bias(json.loads(text))


def build_bias(view: View, sources: Sequence[ReplicaFields], text: str | None, documents: I64, addends: F64) -> Bias:
    """Return the bias of a view over several shards.

    Args:
        sources: the metadata of each shard.
        text: the terms, as JSON; None for no terms.
        documents, addends: int64[r], ascending, and float64[r], one more addend of some documents.
    """
    if text is None:
        return Bias.of(view, documents, addends)
    terms = parse_terms(text)
    sums = [source.sum_terms(terms) for source in sources]
    amounts = [total.amounts_with(documents, addends) if len(documents) else total.amounts for total in sums]
    return Bias.of(view, np.concatenate([total.documents for total in sums]), np.concatenate(amounts))


def find_forbidden(sources: Sequence[ReplicaFields], text: str) -> I64:
    """Return int64[r], the documents that a bias excludes by −∞."""
    terms = parse_terms(text)
    return np.concatenate([source.sum_terms(terms).forbidden for source in sources])


class BiasCache:
    """The recent biases of one collection; used by many threads."""

    def __init__(self) -> None:
        self._biases: OrderedDict[tuple[str | None, bytes, int], Bias] = OrderedDict()
        self._lock = Lock()

    def of(self, view: View, sources: Sequence[ReplicaFields], text: str | None, documents: I64, addends: F64) -> Bias:
        """Return the bias of a view, see `build_bias`. May raise StorageError."""
        name = text, xxh3_128_digest(documents.tobytes() + addends.tobytes()), id(view)
        with self._lock:
            cached = self._biases.get(name)
            if cached is not None and cached.view is view:
                self._biases.move_to_end(name)
                return cached
        bias = build_bias(view, sources, text, documents, addends)
        with self._lock:
            self._biases[name] = bias
            self._biases.move_to_end(name)
            while len(self._biases) > MAX_BIASES:
                self._biases.popitem(last=False)
        return bias
