"""Changing a part of a document: a merge patch that re-encodes only what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from service.retrieval.collections import Collection
from service.retrieval.documents.documents import Written, get
from service.retrieval.documents.prepare import SentDocument, prepare_documents
from service.retrieval.errors import DocumentChanged
from service.storage import CollectionRecord, DocumentRecord

ATTEMPTS = 10


async def patch(collection: Collection, document_id: str, changes: Mapping[str, Any]) -> Written:
    """Merge `changes` (RFC 7396: null removes) into the stored document.

    `key_vector` and `value_vector` in the changes are arrays, or None to have them made anew from the texts. If
    someone else writes the document meanwhile, the patch is made again on what they wrote.

    Raises:
        RetrievalError: no such document, or a change that does not fit.
    """
    for _ in range(ATTEMPTS):
        stored = await asyncio.to_thread(get, collection, document_id)
        patched = _patched(collection.record, stored, changes)
        prepared = await prepare_documents(collection.encoder, collection.record, [patched], [""])
        try:
            await asyncio.to_thread(collection.write, prepared.records, replacing=stored)
        except DocumentChanged:
            continue
        return Written(1, 1, prepared.truncated)
    raise DocumentChanged(document_id)


def _patched(record: CollectionRecord, stored: DocumentRecord, changes: Mapping[str, Any]) -> SentDocument:
    texts = {"key": stored.key, "value": stored.value, "metadata": stored.metadata}
    merged: dict[str, Any] = merge(texts, {name: changes[name] for name in texts if name in changes})
    key, value = merged.get("key"), merged.get("value", merged.get("key"))
    same_key = key == stored.key or record.settings.encoder is None
    same_value = value == stored.value and type(value) is type(stored.value)
    return SentDocument(
        id=stored.id,
        key=key,
        value=value,
        metadata=merged.get("metadata", {}),
        key_vector=changes.get("key_vector", stored.key_vector if same_key else None),
        value_vector=changes.get("value_vector", stored.value_vector if same_value else None),
    )


def merge(target: Any, change: Any) -> Any:
    """RFC 7396: objects merge field by field, null removes a field, anything else replaces.

    >>> merge({"a": {"b": 1, "c": 2}}, {"a": {"b": None}, "d": [3]})
    {'a': {'c': 2}, 'd': [3]}
    """
    if not isinstance(change, dict):
        return change
    merged = dict(target) if isinstance(target, dict) else {}
    for name, new in change.items():
        if new is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), new)
    return merged
