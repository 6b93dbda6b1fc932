"""A Haystack retriever that reports whether the documents answer the query."""

from __future__ import annotations

from haystack_integrations.components.retrievers.softkv.retriever import SoftkvRetriever

__all__ = ["SoftkvRetriever"]
