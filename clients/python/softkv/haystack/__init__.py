"""Haystack classes: a document store, and a retriever that reports whether the documents answer the query."""

from __future__ import annotations

try:
    import haystack as _  # noqa: F401
except ModuleNotFoundError as _error:
    raise ImportError('Haystack is not installed here: pip install "softkv-client[haystack]"') from _error

from softkv.haystack.retriever import SoftkvRetriever
from softkv.haystack.store import SoftkvDocumentStore

__all__ = ["SoftkvDocumentStore", "SoftkvRetriever"]
