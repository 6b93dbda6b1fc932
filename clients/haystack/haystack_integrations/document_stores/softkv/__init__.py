"""A collection as Haystack's document store."""

from __future__ import annotations

from haystack_integrations.document_stores.softkv.store import SoftkvDocumentStore

__all__ = ["SoftkvDocumentStore"]
