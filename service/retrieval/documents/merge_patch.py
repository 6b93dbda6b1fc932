"""Changing a part of a document, or of many: a merge patch that re-encodes only what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from service.retrieval.collections import Collection
from service.retrieval.documents.documents import WriteResult, get
from service.retrieval.documents.prepare import MISSING, SentDocument, encode, prepare_documents
from service.retrieval.errors import DocumentChanged, InvalidContent
from service.scheduling import READS, WRITES
from service.storage import CollectionRecord, Condition, DocumentRecord, IdempotentWrite

ATTEMPTS = 100
KEY_FIELDS = ("key_vector", "key_vectors", "split")  # which say what the keys are to be


async def patch_document(
    collection: Collection,
    document_id: str,
    changes: Mapping[str, Any],
    *,
    once: IdempotentWrite[WriteResult] | None = None,
) -> WriteResult:
    """Merge `changes` (RFC 7396: null removes) into the stored document.

    `key_vector`, `key_vectors`, `split` and `value_vector` in the changes say what the vectors are to be; None has them
    made anew from the texts. `parts` without them are those of the keys that are stored. If someone else writes the
    document meanwhile, the patch is made again on what they wrote.

    Raises:
        RetrievalError: no such document, or a change that does not fit.
    """
    for _ in range(ATTEMPTS):
        stored = await READS.run(get, collection, document_id)
        patched = _patched(collection.record, stored, changes)
        prepared = await prepare_documents(collection.encoder, collection.record, [patched], [""])
        written = partial(WriteResult.by, documents=[patched], truncated=prepared.truncated, existing=frozenset[str]())
        try:
            change = await WRITES.run(
                collection.write, prepared.records, replacing=stored, once=None if once is None else once.of(written)
            )
        except DocumentChanged:
            continue
        return written(change)
    raise DocumentChanged(document_id)


async def update_documents(
    collection: Collection,
    changes: Mapping[str, Any],
    *,
    ids: Sequence[str] | None = None,
    condition: Condition | None = None,
    once: IdempotentWrite[int] | None = None,
) -> int:
    """Merge `changes` of value and metadata into the documents of these ids, or into all that pass; how many they are.

    It is one transaction. Keys stay, and so do value vectors, but for those that the collection makes of the value.

    Raises:
        InvalidContent: null for a value of which the collection makes vectors: each would be of another text.
    """
    record = collection.record
    derived = _derived(record)
    value, vector = changes.get("value"), None
    if derived and "value" in changes and value is None:
        raise InvalidContent.at(
            "/patch/value",
            f"null makes the value of each document its own key text, and collection {record.name!r} encodes values: "
            "send a value, or PATCH the documents one by one",
        )
    if derived and isinstance(value, str):
        vectors, _ = await encode(collection.encoder, record, [value])
        vector = vectors[value]

    def changed(stored: DocumentRecord) -> DocumentRecord:
        merged = _merged(stored, changes)
        value_sent, new = merged["value"] is not MISSING, _value(merged)
        document = replace(stored, **merged | {"value": new}, value_sent=value_sent)
        if not derived or _same(new, stored.value):
            return document
        whole = not stored.parts or new != stored.key
        return replace(document, value_vector=vector if whole else None)

    return await WRITES.run(collection.update, changed, ids=ids, condition=condition, once=once)


def _derived(record: CollectionRecord) -> bool:
    """Whether the collection makes value vectors of the values."""
    return record.settings.encoder is not None and record.settings.value_from == "value"


def _patched(record: CollectionRecord, stored: DocumentRecord, changes: Mapping[str, Any]) -> SentDocument:
    merged = _merged(stored, changes)
    value_stays = not _derived(record) or _same(_value(merged), stored.value)
    keys = {name: changes[name] for name in KEY_FIELDS if name in changes}
    parts = () if changes.get("parts") is None else changes["parts"]
    if not keys:
        text_stays, encoded = merged["key"] == stored.key, record.settings.encoder is not None
        if stored.parts and not text_stays and (encoded or "parts" not in changes):
            raise InvalidContent.at(*_other_parts(stored, encoded=encoded))
        if len(stored.keys) and (text_stays or not encoded):
            keys = {"key_vectors": list(stored.keys)}
            parts = parts if "parts" in changes else stored.parts
    value_vector = changes.get("value_vector", stored.value_vector if value_stays else None)
    return SentDocument(id=stored.id, **merged, **keys, parts=parts, value_vector=value_vector)


def _other_parts(stored: DocumentRecord, *, encoded: bool) -> tuple[str, str]:
    """Where and why a new key text alone is refused: the keys are of parts of the old one."""
    are = f"the keys of {stored.id!r} are of {len(stored.parts)} parts of its key text"
    if encoded:
        return "/split", f"{are}: say how the new one is to be split, or null for one key"
    return "/parts", f"{are}: send the parts of the new one, with new key_vectors or for those there are, or null"


def _merged(stored: DocumentRecord, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Key, value and metadata of a document with the changes; the value is MISSING where none is sent or was."""
    content = {"key": stored.key, "value": stored.value, "metadata": stored.metadata}
    sent = {name: changes[name] for name in content if name in changes}
    if not stored.value_sent:
        del content["value"]
    merged: dict[str, Any] = merge(content, sent)
    return {
        "key": merged.get("key"),
        "value": merged.get("value", MISSING),
        "metadata": merged.get("metadata", {}),
    }


def _value(merged: Mapping[str, Any]) -> Any:
    """The value of a document: its key text where none was sent."""
    return merged["key"] if merged["value"] is MISSING else merged["value"]


def _same(value: Any, other: Any) -> bool:
    return value == other and type(value) is type(other)


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
