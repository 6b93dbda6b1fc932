"""Writing, reading, listing and deleting the documents of a collection."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from service.retrieval import filter as filters
from service.retrieval.collections.catalogue import Catalogue
from service.retrieval.documents.prepare import SentDocument, prepare
from service.retrieval.errors import DocumentNotFound, InvalidContent
from service.storage import DocumentRecord


@dataclass(frozen=True)
class Written:
    """What a write did: how many documents replaced another, and which were cut to the encoder's length."""

    replaced: int
    truncated: list[str]


@dataclass(frozen=True)
class Page:
    """Documents in id order, where to go on, and how many pass in all (None if not asked)."""

    documents: list[DocumentRecord]
    next_cursor: str | None
    count: int | None


async def upsert(
    catalogue: Catalogue,
    name: str,
    documents: Sequence[SentDocument],
    pointers: Sequence[str],
    *,
    mode: Literal["upsert", "create"] = "upsert",
) -> Written:
    """Encode and store documents, all or none; on return they are on disk and every new reader sees them."""
    collection = catalogue.collection(name)
    prepared = await prepare(catalogue, collection.record, documents, pointers)
    change = await asyncio.to_thread(collection.write, prepared.records, mode=mode)
    return Written(replaced=len(change.removed), truncated=prepared.truncated)


def get(catalogue: Catalogue, name: str, document_id: str) -> DocumentRecord:
    """The document of that id."""
    with catalogue.collection(name).reading() as (record, reader):
        document = reader.document(record.id, document_id)
    if document is None:
        raise DocumentNotFound(name, document_id)
    return document


def page(
    catalogue: Catalogue,
    name: str,
    *,
    ids: Sequence[str] | None,
    sent_filter: Any,
    limit: int,
    cursor: str | None,
    count: bool,
) -> Page:
    """Up to `limit` documents after the cursor, in id order."""
    condition = None if sent_filter is None else filters.parse(sent_filter)
    after = None if cursor is None else _read_cursor(cursor)
    with catalogue.collection(name).reading() as (record, reader):
        found = reader.page(record.id, ids=ids, condition=condition, after=after, limit=limit + 1)
        passing = reader.count(record.id, ids=ids, condition=condition) if count else None
    more = len(found) > limit
    found = found[:limit]
    return Page(found, _write_cursor(found[-1].id) if more else None, passing)


def delete(catalogue: Catalogue, name: str, *, ids: Sequence[str] | None, sent_filter: Any) -> int:
    """Delete by ids or by filter; how many there were."""
    if (ids is None) == (sent_filter is None):
        raise InvalidContent.at("", "send exactly one of ids and filter")
    condition = None if sent_filter is None else filters.parse(sent_filter)
    return catalogue.collection(name).delete(ids=ids, condition=condition)


def delete_one(catalogue: Catalogue, name: str, document_id: str) -> None:
    """Delete the document of that id."""
    if not catalogue.collection(name).delete(ids=[document_id]):
        raise DocumentNotFound(name, document_id)


def _write_cursor(document_id: str) -> str:
    return base64.urlsafe_b64encode(document_id.encode()).decode("ascii")


def _read_cursor(cursor: str) -> str:
    try:
        return base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidContent.at("/cursor", "the cursor is not one of ours: send next_cursor as it came") from None
