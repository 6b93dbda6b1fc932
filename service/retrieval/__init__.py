"""What the product does: collections, documents, filters, the null background, attending."""

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
