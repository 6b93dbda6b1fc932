"""Write, upload, patch, read, list and delete the documents of a collection."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from softkv_attention.arrays import I64
from softkv_service.encoding import TextRefused
from softkv_service.retrieval.collections import (
    MAX_COMPONENTS,
    Collection,
    count_components,
    get_known_facts,
    require_values,
)
from softkv_service.retrieval.documents.fields import explain_filter
from softkv_service.retrieval.documents.prepare import MISSING, SentDocument, encode, prepare_documents
from softkv_service.retrieval.errors import CollectionMoved, DocumentChanged, DocumentNotFound, Flaw, InvalidContent
from softkv_service.retrieval.question import DocumentDetail
from softkv_service.scheduling import READS, WRITES
from softkv_service.storage import IdempotentWrite
from softkv_service.storage.conditions import Condition, Order, Position
from softkv_service.storage.errors import OutsideFilter
from softkv_service.storage.records import (
    Change,
    CollectionRecord,
    DocumentRecord,
    Matrix,
    Mode,
    StoredDocument,
    Vector,
)


@dataclass(frozen=True)
class WriteResult:
    """The effect of a write of documents.

    Attributes:
        upserted: the number of documents written.
        replaced: how many of these replaced a stored document.
        skipped: ids that were left unchanged, in the documents' order.
        deleted: the number of documents that were deleted because others superseded them.
        truncated: ids of documents whose text was cut to the encoder's length; None if the encoder does not tell.
    """

    upserted: int
    replaced: int
    truncated: list[str] | None
    skipped: tuple[str, ...] = ()
    deleted: int = 0

    @classmethod
    def by(
        cls,
        change: Change,
        documents: Sequence[SentDocument],
        truncated: Sequence[str] | None,
        existing: frozenset[str],
    ) -> WriteResult:
        """Return the result of a write.

        Args:
            change: what the store wrote.
            documents: the documents that were sent.
            truncated: the ids of those whose text was cut; None if that is unknown.
            existing: the ids of those that were left out because they are already stored.
        """
        skipped = existing.union(change.skipped)
        return cls(
            upserted=len(change.added),
            replaced=len(change.removed),
            truncated=None if truncated is None else [identity for identity in truncated if identity not in skipped],
            skipped=tuple(document.id for document in documents if document.id in skipped),
            deleted=change.deleted,
        )


@dataclass(frozen=True)
class Page:
    """A page of documents in id order, with the cursor of the next page.

    It also has the number of documents in all (None if not requested), and warnings of its filter.
    """

    documents: Sequence[StoredDocument | DocumentRecord]
    next_cursor: str | None
    count: int | None
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class UploadResult:
    """The result of a batch of lines, each with a document.

    Attributes:
        upserted: the number of documents that were written.
        truncated: the ids of truncated documents; None if the encoder does not tell.
        refused: the flaws of each refused line.
        outside: the ids of documents that were refused because they lie outside the filter of the caller's key.
    """

    upserted: int
    truncated: list[str] | None
    refused: dict[int, list[Flaw]]
    outside: list[str]


async def upsert(
    collection: Collection,
    documents: Sequence[SentDocument],
    pointers: Sequence[str],
    *,
    mode: Mode = "upsert",
    delete: Sequence[str] = (),
    once: IdempotentWrite[WriteResult] | None = None,
) -> WriteResult:
    """Encode and store documents, all or none; on return they are on disk, and every new reader sees them.

    The same transaction deletes the documents with the ids in `delete`; unknown ids are ignored.

    Raises:
        InvalidContent: an id is in `documents` and in `delete`.
    """
    sent = {document.id for document in documents}
    if both := [i for i, identity in enumerate(delete) if identity in sent]:
        raise InvalidContent.at(
            f"/delete/{both[0]}",
            f"document {delete[both[0]]!r} is to be written and deleted: leave its id out of delete, or it out of "
            "documents",
        )
    existing = frozenset[str]()
    if mode == "skip":
        existing = await READS.run(_existing, collection, [document.id for document in documents])
    while True:
        other_precision = _has_other_precision(collection)
        prepared = await prepare_documents(
            collection.encoders,
            collection.record,
            documents,
            pointers,
            existing=existing,
            values_later=collection.leaves_values and not other_precision,
        )
        written = partial(WriteResult.by, documents=documents, truncated=prepared.truncated, existing=existing)
        records = prepared.records
        if other_precision:
            records = await READS.run(
                _keep_vectors, collection, records, {document.id: document for document in documents}
            )
        try:
            change = await WRITES.run(
                collection.write,
                records,
                mode=mode,
                existing=existing,
                delete=delete,
                once=None if once is None else once.adapt(written),
            )
        except DocumentChanged:
            # An existing document was deleted meanwhile, so this write has to create it.
            existing = frozenset()
            continue
        except CollectionMoved:
            collection = await READS.run(collection.current)
            continue
        if any(record.value_waits for record in records):
            collection.encoders.wake_worker()
        return written(change)


PRECISION_DISTANCE = 2e-3
"""The most by which the vectors of one text in float32 and in int16 are apart, as a share of their length."""


def _has_other_precision(collection: Collection) -> bool:
    """Return whether the encoder of a collection now computes in another precision than when its keys were made."""
    settings = collection.record.settings
    facts = None if settings.precision is None else get_known_facts(collection.encoders, settings)
    return facts is not None and facts.precision != settings.precision


def _keep_vectors(
    collection: Collection, documents: Sequence[DocumentRecord], sent: Mapping[str, SentDocument]
) -> list[DocumentRecord]:
    """Return the documents with the stored vectors of unchanged texts, in place of those just encoded.

    Args:
        documents: the documents with their vectors.
        sent: the same by id, as they were sent; vectors that were sent are not replaced.
    """
    with collection.reading() as (record, reader):
        rows = reader.existing(record.id, [document.id for document in documents])
        stored = {one.id: one for one in reader.documents(record.id, np.array(sorted(rows.values()), dtype=np.int64))}
    return [
        _keep(document, sent[document.id], stored[document.id]) if document.id in stored else document
        for document in documents
    ]


def _keep(document: DocumentRecord, sent: SentDocument, stored: DocumentRecord) -> DocumentRecord:
    is_encoded = sent.key_vector is None and sent.key_vectors is None
    is_unchanged = document.key == stored.key and document.parts == stored.parts
    if is_encoded and is_unchanged and _is_close(document.keys, stored.keys):
        document = replace(document, keys=stored.keys)
    ours, theirs = document.value_vector, stored.value_vector
    if sent.value_vector is None and ours is not None and theirs is not None and _is_close(ours, theirs):
        document = replace(document, value_vector=theirs)
    return document


def _is_close(one: Matrix | Vector, other: Matrix | Vector) -> bool:
    """Return whether vectors differ by no more than two precisions make them."""
    if one.shape != other.shape:
        return False
    distances, lengths = np.linalg.norm(one - other, axis=-1), np.linalg.norm(other, axis=-1)
    return bool(np.all(distances <= PRECISION_DISTANCE * lengths))


def _existing(collection: Collection, ids: Sequence[str]) -> frozenset[str]:
    with collection.reading() as (record, reader):
        return frozenset(reader.existing(record.id, ids))


async def upload(collection: Collection, lines: Mapping[int, SentDocument]) -> UploadResult:
    """Write the documents of a batch of lines, in one transaction; lines with a flaw are left out.

    Args:
        collection: the collection.
        lines: the documents, by line number.

    Raises:
        RetrievalError: the collection does not exist, or there is no encoder for a text; nothing is written.
    """
    good, refused, outside = dict(lines), dict[int, list[Flaw]](), list[str]()
    while good:
        try:
            written = await upsert(collection, list(good.values()), [f"/{number}" for number in good])
        except OutsideFilter as error:
            ids = set(error.ids)
            flawed = {
                number: [Flaw("", str(OutsideFilter([document.id])))]
                for number, document in good.items()
                if document.id in ids
            }
            outside += ids
            refused |= flawed
            good = {number: document for number, document in good.items() if number not in flawed}
        except InvalidContent as error:
            flawed = _group_by_line(error)
            if not flawed.keys() & good.keys():
                raise
            refused |= flawed
            good = {number: document for number, document in good.items() if number not in flawed}
        else:
            return UploadResult(len(good), written.truncated, refused, outside)
    return UploadResult(0, [], refused, outside)


def _group_by_line(error: InvalidContent) -> dict[int, list[Flaw]]:
    flaws: dict[int, list[Flaw]] = {}
    for flaw in error.flaws:
        line, _, rest = flaw.pointer.removeprefix("/").partition("/")
        if line.isdecimal():
            flaws.setdefault(int(line), []).append(Flaw(f"/{rest}" if rest else "", flaw.detail))
    return flaws


def get(collection: Collection, document_id: str, *, value_vector: bool = False) -> DocumentRecord:
    """Return the document of that id.

    Args:
        value_vector: whether the vector of its value is needed.

    Raises:
        DocumentNotFound: the collection has no document of that id.
        ValuesPending: its value is yet to be encoded.
    """
    with collection.reading() as (record, reader):
        document = reader.document(record.id, document_id)
    if document is None:
        raise DocumentNotFound(collection.name, document_id)
    if value_vector:
        require_values(collection.name, [document])
    return document


def page(
    collection: Collection,
    *,
    ids: Sequence[str] | None,
    condition: Condition | None,
    cursor: str | None,
    limit: int,
    count: bool,
    detail: DocumentDetail,
    order: Order | None = None,
) -> Page:
    """Return a page of up to `limit` documents in the order of their ids, or of a metadata field.

    With a limit of 0 there is no next page: a client that follows cursors would never reach the end.

    Args:
        collection: the collection.
        ids: return only documents with these ids; None for any.
        condition: return only documents that pass this filter; None for any.
        cursor: the `next_cursor` of the page before; None for the first page.
        limit: the maximum number of documents.
        count: whether to count all documents with these ids that pass.
        detail: whether to read their vectors; then a page ends where they have MAX_COMPONENTS components.
        order: the order of the documents; None for that of their ids.

    Raises:
        InvalidContent: the cursor is not one of this order.
        ValuesPending: vectors of values are needed that are yet to be encoded.
    """
    after = decode_position(cursor, order)
    with collection.reading() as (record, reader):
        texts: Sequence[StoredDocument] = []
        if limit and order is not None and not isinstance(after, str):
            texts = reader.page_in_order(record.id, order, ids=ids, condition=condition, after=after, limit=limit + 1)
        elif limit and not isinstance(after, Position):
            texts = reader.page_of_texts(record.id, ids=ids, condition=condition, after=after, limit=limit + 1)
        documents: Sequence[StoredDocument | DocumentRecord] = texts[:limit]
        if detail in ("vectors", "values"):
            documents = records = reader.documents(record.id, _rows_within(record, texts[:limit]))
            if detail == "values":
                require_values(collection.name, records)
        passing = reader.count(record.id, ids=ids, condition=condition) if count else None
        is_empty = passing == 0 or (limit > 0 and after is None and not texts)
        warnings = [] if after else explain_filter(reader, record.id, condition, passes=not is_empty)
    more = len(documents) < len(texts)
    return Page(documents, encode_position(texts[len(documents) - 1], order) if more else None, passing, warnings)


def _rows_within(record: CollectionRecord, documents: Sequence[StoredDocument]) -> I64:
    """Return the row numbers int64[m] of the first documents whose vectors fit into one answer, at least of one."""
    components = np.cumsum(count_components(record, documents), dtype=np.int64)
    fitting = max(1, int(np.searchsorted(components, MAX_COMPONENTS, side="right")))
    return np.array([document.row for document in documents[:fitting]], dtype=np.int64)


def warn_of_selection(collection: Collection, condition: Condition | None) -> list[str]:
    """Return the warnings of a filter that selects documents to write; None has no warnings."""
    if condition is None:
        return []
    with collection.reading() as (record, reader):
        return explain_filter(reader, record.id, condition, passes=True)


def delete_document(collection: Collection, document_id: str, *, once: IdempotentWrite[None] | None = None) -> None:
    """Delete the document of that id, or raise DocumentNotFound."""

    def require_one(deleted: int) -> None:
        if not deleted:
            raise DocumentNotFound(collection.name, document_id)

    require_one(collection.delete(ids=[document_id], once=None if once is None else once.adapt(require_one)))


def encode_cursor(last: str) -> str:
    """Return the `next_cursor` of a page of documents or collections.

    Args:
        last: the id or name of the last entry of the page.
    """
    return base64.urlsafe_b64encode(last.encode()).decode("ascii")


def decode_cursor(cursor: str | None, pointer: str = "/cursor") -> str | None:
    """Return the id or name after which a page begins, from the cursor that a client sent; None for the first page.

    Args:
        cursor: the `next_cursor` of the page before.
        pointer: the position of the cursor in the request, for errors.
    """
    try:
        return None if cursor is None else base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidContent.at(pointer, "the cursor is not one of ours: send next_cursor as it came") from None


IN_ORDER = "\x01"
"""The first character of the cursors of pages in the order of a field. No id has it."""


def encode_position(last: StoredDocument, order: Order | None) -> str:
    """Return the `next_cursor` of a page that ends with this document."""
    if order is None:
        return encode_cursor(last.id)
    return encode_cursor(IN_ORDER + Position.of(order, last.id, json.loads(last.metadata)).write(order))


def decode_position(cursor: str | None, order: Order | None) -> Position | str | None:
    """Return the position after which a page begins, or the id without an order; None for the first page.

    Raises:
        InvalidContent: the cursor is not one that this API returned, or is one of another order.
    """
    text = decode_cursor(cursor)
    if text is None or (order is None and not text.startswith(IN_ORDER)):
        return text
    position = None if order is None or not text.startswith(IN_ORDER) else Position.read(order, text[1:])
    if position is None:
        problem = "the cursor is one of another order: send next_cursor with the order_by of its page"
        raise InvalidContent.at("/cursor", problem)
    return position


ATTEMPTS = 100
KEY_FIELDS = ("key_vector", "key_vectors", "split")  # fields that set the keys


async def patch_document(
    collection: Collection,
    document_id: str,
    changes: Mapping[str, Any],
    *,
    once: IdempotentWrite[WriteResult] | None = None,
) -> WriteResult:
    """Merge `changes` (RFC 7396: null removes) into the stored document.

    `key_vector`, `key_vectors`, `split` and `value_vector` in the changes set the vectors; null has them encoded from
    the texts again. `parts` without these fields are the parts of the stored keys. If another caller writes the
    document meanwhile, the patch is applied again to the new version.

    Raises:
        RetrievalError: the document does not exist, or a change does not fit.
    """
    for _ in range(ATTEMPTS):
        stored = await READS.run(get, collection, document_id)
        patched = _patch(collection.record, stored, changes)
        prepared = await prepare_documents(
            collection.encoders, collection.record, [patched], [""], values_later=collection.leaves_values
        )
        written = partial(WriteResult.by, documents=[patched], truncated=prepared.truncated, existing=frozenset[str]())
        try:
            change = await WRITES.run(
                collection.write, prepared.records, replacing=stored, once=None if once is None else once.adapt(written)
            )
        except DocumentChanged:
            continue
        except CollectionMoved:
            collection = await READS.run(collection.current)
            continue
        if prepared.records[0].value_waits:
            collection.encoders.wake_worker()
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
    """Merge `changes` of value, metadata and expiry into many documents; return how many were changed.

    It is one transaction.

    Keys are unchanged. Value vectors change only if they are encoded from the value.

    Args:
        collection: the collection.
        changes: a merge patch (RFC 7396).
        ids: change the documents with these ids; None to use `condition`.
        condition: change all documents that pass this filter.
        once: makes a repeated request get its first answer; None without an Idempotency-Key.

    Raises:
        InvalidContent: null for a value that the collection encodes, because each document would have another text;
            or the encoder's provider refuses the value.
    """
    while True:
        try:
            return await _update_documents(collection, changes, ids, condition, once)
        except CollectionMoved:
            collection = await READS.run(collection.current)


async def _update_documents(
    collection: Collection,
    changes: Mapping[str, Any],
    ids: Sequence[str] | None,
    condition: Condition | None,
    once: IdempotentWrite[int] | None,
) -> int:
    record = collection.record
    derived = _derives_values(record)
    value, vector = changes.get("value"), None
    if derived and "value" in changes and value is None:
        raise InvalidContent.at(
            "/patch/value",
            f"null makes the value of each document its own key text, and collection {record.name!r} encodes values: "
            "send a value, or PATCH the documents one by one",
        )
    if derived and isinstance(value, str):
        try:
            vectors, _ = await encode(collection.encoders, record, [value])
        except TextRefused as error:
            raise InvalidContent.of_texts(error, ["/patch/value"]) from None
        vector = vectors[value]

    def apply(stored: DocumentRecord) -> DocumentRecord:
        merged = _merge_fields(stored, changes)
        value_sent, new = merged["value"] is not MISSING, _value(merged)
        expires = changes.get("expires", stored.expires)
        document = replace(stored, **merged | {"value": new}, value_sent=value_sent, expires=expires)
        if not derived or _same(new, stored.value):
            return document
        is_whole_text = not stored.parts or new != stored.key
        return replace(document, value_vector=vector if is_whole_text else None, value_waits=False)

    return await WRITES.run(collection.update, apply, ids=ids, condition=condition, once=once)


def _derives_values(record: CollectionRecord) -> bool:
    """Return whether the collection encodes value vectors from the values."""
    return record.settings.encoder is not None and record.settings.value_from == "value"


def _patch(record: CollectionRecord, stored: DocumentRecord, changes: Mapping[str, Any]) -> SentDocument:
    merged = _merge_fields(stored, changes)
    value_stays = not _derives_values(record) or _same(_value(merged), stored.value)
    keys = {name: changes[name] for name in KEY_FIELDS if name in changes}
    parts = () if changes.get("parts") is None else changes["parts"]
    if not keys:
        text_stays, encoded = merged["key"] == stored.key, record.settings.encoder is not None
        if stored.parts and not text_stays and (encoded or "parts" not in changes):
            raise InvalidContent.at(*_other_parts(stored, encoded=encoded))
        if len(stored.keys) and (text_stays or not encoded):
            keys = {"key_vectors": list(stored.keys)}
            parts = parts if "parts" in changes else stored.parts
    stored_value = stored.value_vector if value_stays and not stored.value_waits else None
    value_vector = changes.get("value_vector", stored_value)
    expires = changes.get("expires", stored.expires)
    return SentDocument(id=stored.id, **merged, **keys, parts=parts, value_vector=value_vector, expires=expires)


def _other_parts(stored: DocumentRecord, *, encoded: bool) -> tuple[str, str]:
    """Return pointer and message of the error for a patch that has a new key text, but no new split into parts.

    The stored keys encode parts of the old text.
    """
    are = f"the keys of {stored.id!r} are of {len(stored.parts)} parts of its key text"
    if encoded:
        return "/split", f"{are}: say how the new one is to be split, or null for one key"
    return "/parts", f"{are}: send the parts of the new one, with new key_vectors or for those there are, or null"


def _merge_fields(stored: DocumentRecord, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return key, value and metadata of a document after a patch.

    The value is MISSING if none was sent, now or before.
    """
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
    """Return the value of a document, or its key text if no value was sent."""
    return merged["key"] if merged["value"] is MISSING else merged["value"]


def _same(value: Any, other: Any) -> bool:
    return value == other and type(value) is type(other)


def merge(target: Any, change: Any) -> Any:
    """Merge by RFC 7396: objects merge field by field, null removes a field, anything else replaces.

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
