"""Retrieval: collections, their documents, filters, the null key ("none of these") and queries."""

from __future__ import annotations

from softkv_service.retrieval.errors import (
    AliasConflict,
    AliasNotFound,
    CollectionConflict,
    CollectionLoading,
    CollectionMoved,
    CollectionNotFound,
    CollectionUnsound,
    DocumentChanged,
    DocumentNotFound,
    EncoderMissing,
    EncoderUnavailable,
    Flaw,
    InvalidContent,
    ModelNotFound,
    NothingToRead,
    ReEncodingNotFound,
    ReEncodingOver,
    RetrievalError,
    ShardsMissing,
    SnapshotGone,
    TooLarge,
    ValuesPending,
)
