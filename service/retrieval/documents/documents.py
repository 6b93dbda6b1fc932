"""Writing, uploading, reading, listing and deleting the documents of a collection."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from service.retrieval.collections import Collection
from service.retrieval.documents.prepare import SentDocument, prepare_documents
from service.retrieval.documents.unmatched import explain_no_match
from service.retrieval.errors import DocumentChanged, DocumentNotFound, Flaw, InvalidContent
from service.scheduling import READS, WRITES
from service.storage import Change, Condition, DocumentRecord, IdempotentWrite, Mode, StoredDocument


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
                once=None if once is None else once.of(written),
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

    require_one(collection.delete(ids=[document_id], once=None if once is None else once.of(require_one)))


def encode_cursor(last: str) -> str:
    """The `next_cursor` of a page that ends with this id, or name."""
    return base64.urlsafe_b64encode(last.encode()).decode("ascii")


def decode_cursor(cursor: str | None, pointer: str = "/cursor") -> str | None:
    """The id, or name, that a `next_cursor` stands for; None for the first page. `pointer`: where it was sent."""
    try:
        return None if cursor is None else base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidContent.at(pointer, "the cursor is not one of ours: send next_cursor as it came") from None
