"""Parts for packages that build on the client: connections of stores, questions of retrievers, and errors.

`sync_store_method` and `async_store_method` make both forms of a store's method from one plan, and `Retrieval` makes
documents of an answer. No framework is imported here.
"""

from __future__ import annotations

from softkv.answers.rendering import require_module
from softkv.integrations.connection import (
    CollectionSource,
    Connection,
    async_store_method,
    collect_pages,
    copy_error,
    sync_store_method,
)
from softkv.integrations.retrieval import (
    ACCEPTED_VERDICTS,
    EVIDENCE_FIELD,
    RETRIEVER_OPTIONS,
    Accept,
    Content,
    Retrieval,
    RetrieverOptions,
    Score,
    advice,
    confidence_fields,
    document_text,
    evidence_fields,
    key_vector_list,
    output_list,
    select_by_mmr,
    select_key,
    show_warnings,
)
from softkv.problems import invalid_value

__all__ = [
    "ACCEPTED_VERDICTS",
    "EVIDENCE_FIELD",
    "RETRIEVER_OPTIONS",
    "Accept",
    "CollectionSource",
    "Connection",
    "Content",
    "Retrieval",
    "RetrieverOptions",
    "Score",
    "advice",
    "async_store_method",
    "collect_pages",
    "confidence_fields",
    "copy_error",
    "document_text",
    "evidence_fields",
    "invalid_value",
    "key_vector_list",
    "output_list",
    "require_module",
    "select_by_mmr",
    "select_key",
    "show_warnings",
    "sync_store_method",
]
