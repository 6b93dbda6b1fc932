"""Retrieval: collections, documents, filters, the null key and queries."""

from __future__ import annotations

from service.retrieval.errors import (
    CollectionConflict,
    CollectionLoading,
    CollectionNotFound,
    CollectionUnsound,
    DocumentChanged,
    DocumentNotFound,
    EncoderUnavailable,
    Flaw,
    InvalidContent,
    ModelNotFound,
    NothingToRead,
    RetrievalError,
    ShardsMissing,
    SnapshotGone,
    TooLarge,
)
