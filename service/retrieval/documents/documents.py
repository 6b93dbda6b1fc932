"""Write, upload, patch, read, list and delete the documents of a collection."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from service.retrieval.collections import Collection
from service.retrieval.documents.fields import explain_no_match
from service.retrieval.documents.prepare import MISSING, SentDocument, encode, prepare_documents
from service.retrieval.errors import DocumentChanged, DocumentNotFound, Flaw, InvalidContent
from service.scheduling import READS, WRITES
from service.storage import Change, CollectionRecord, Condition, DocumentRecord, IdempotentWrite, Mode, StoredDocument


@dataclass(frozen=True)
class WriteResult:
    """What a write did.

    Attributes:
        upserted: how many documents it wrote.
        replaced: how many of these replaced another.
        skipped: ids that were left as they are, in the documents' order.
        truncated: ids of documents whose text was cut to the encoder's length.
    """

    upserted: int
    replaced: int
    truncated: list[str]
    skipped: tuple[str, ...] = ()

    @classmethod
    def by(
        cls, change: Change, documents: Sequence[SentDocument], truncated: Sequence[str], existing: frozenset[str]
    ) -> WriteResult:
        """What a change did that was to write these documents but for those that exist."""
        skipped = existing.union(change.skipped)
        return cls(
            upserted=len(change.added),
            replaced=len(change.removed),
            truncated=[each for each in truncated if each not in skipped],
            skipped=tuple(document.id for document in documents if document.id in skipped),
        )


@dataclass(frozen=True)
class Page:
    """Documents in id order, where to go on, how many pass in all (None if not asked), and why none passes."""

    documents: Sequence[StoredDocument | DocumentRecord]
    next_cursor: str | None
    count: int | None
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class UploadResult:
    """What became of a batch: how many were written, which were cut, and the flaws of each refused line."""

    upserted: int
    truncated: list[str]
    refused: dict[int, list[Flaw]]


async def upsert(
    collection: Collection,
    documents: Sequence[SentDocument],
    pointers: Sequence[str],
    *,
    mode: Mode = "upsert",
    once: IdempotentWrite[WriteResult] | None = None,
) -> WriteResult:
    """Encode and store documents, all or none; on return they are on disk and every new reader sees them."""
    existing = frozenset[str]()
    if mode == "skip":
        existing = await READS.run(_existing, collection, [document.id for document in documents])
    while True:
        prepared = await prepare_documents(
            collection.encoder, collection.record, documents, pointers, existing=existing
        )
        written = partial(WriteResult.by, documents=documents, truncated=prepared.truncated, existing=existing)
        try:
            change = await WRITES.run(
                collection.write,
                prepared.records,
                mode=mode,
                existing=existing,
                once=None if once is None else once.adapt(written),
            )
        except DocumentChanged:
            # One that was there has been deleted meanwhile, so that this write has to make it.
            existing = frozenset()
            continue
        return written(change)


def _existing(collection: Collection, ids: Sequence[str]) -> frozenset[str]:
    with collection.reading() as (record, reader):
        return frozenset(reader.existing(record.id, ids))


async def upload(collection: Collection, lines: Mapping[int, SentDocument]) -> UploadResult:
    """Write the documents of these lines, all or none of those that have no flaw.

    Raises:
        RetrievalError: no such collection, or no encoder for a text; nothing of the batch is written.
    """
    good, refused = dict(lines), dict[int, list[Flaw]]()
    while good:
        try:
            written = await upsert(collection, list(good.values()), [f"/{number}" for number in good])
        except InvalidContent as error:
            flawed = _group_by_line(error)
            if not flawed.keys() & good.keys():
                raise
            refused |= flawed
            good = {number: document for number, document in good.items() if number not in flawed}
        else:
            return UploadResult(len(good), written.truncated, refused)
    return UploadResult(0, [], refused)


def _group_by_line(error: InvalidContent) -> dict[int, list[Flaw]]:
    flaws: dict[int, list[Flaw]] = {}
    for flaw in error.flaws:
        line, _, rest = flaw.pointer.removeprefix("/").partition("/")
        if line.isdecimal():
            flaws.setdefault(int(line), []).append(Flaw(f"/{rest}" if rest else "", flaw.detail))
    return flaws


def get(collection: Collection, document_id: str) -> DocumentRecord:
    """The document of that id."""
    with collection.reading() as (record, reader):
        document = reader.document(record.id, document_id)
    if document is None:
        raise DocumentNotFound(collection.name, document_id)
    return document


def page(
    collection: Collection,
    *,
    ids: Sequence[str] | None,
    condition: Condition | None,
    after: str | None,
    limit: int,
    count: bool,
    vectors: bool,
) -> Page:
    """Up to `limit` documents in id order, of those ids and that pass the condition, the first one behind `after`.

    Args:
        vectors: whether they are wanted with their vectors.

    With a limit of 0 there is no next page: whoever follows cursors to the end would never come there.
    """
    with collection.reading() as (record, reader):
        read = reader.page if vectors else reader.page_of_texts
        found = read(record.id, ids=ids, condition=condition, after=after, limit=limit + 1) if limit else []
        passing = reader.count(record.id, ids=ids, condition=condition) if count else None
        none = passing == 0 or (limit > 0 and after is None and not found)
        warnings = explain_no_match(reader, record.id, condition) if none else []
    more = len(found) > limit
    found = found[:limit]
    return Page(found, encode_cursor(found[-1].id) if more else None, passing, warnings)


def delete_document(collection: Collection, document_id: str, *, once: IdempotentWrite[None] | None = None) -> None:
    """Delete the document of that id."""

    def require_one(deleted: int) -> None:
        if not deleted:
            raise DocumentNotFound(collection.name, document_id)

    require_one(collection.delete(ids=[document_id], once=None if once is None else once.adapt(require_one)))


def encode_cursor(last: str) -> str:
    """The `next_cursor` of a page that ends with this id, or name."""
    return base64.urlsafe_b64encode(last.encode()).decode("ascii")


def decode_cursor(cursor: str | None, pointer: str = "/cursor") -> str | None:
    """The id, or name, that a `next_cursor` stands for; None for the first page. `pointer`: where it was sent."""
    try:
        return None if cursor is None else base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidContent.at(pointer, "the cursor is not one of ours: send next_cursor as it came") from None


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
                collection.write, prepared.records, replacing=stored, once=None if once is None else once.adapt(written)
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
