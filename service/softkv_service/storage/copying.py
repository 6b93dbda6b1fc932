"""Functions that copy collections between stores and compare them. Documents that are equal in both are not written
again.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from xxhash import xxh3_128, xxh3_128_digest

from softkv_service.storage.errors import CollectionMissing
from softkv_service.storage.interface import Reader, Store
from softkv_service.storage.records import (
    MAX_FEEDBACK,
    MAX_FEEDBACK_BYTES,
    AliasRecord,
    CollectionRecord,
    CollectionSettings,
    DocumentRecord,
    FeedbackRecord,
)
from softkv_service.storage.serialisation import DocumentTexts

WIDTHS = ("dimension", "value_dimension")
PAGE = 256
"""The number of documents in one transaction."""

FEEDBACK_PAGE = 1000
"""The number of records of feedback in one transaction."""

Report = Callable[[int], object]
"""Receives how many documents of a collection are done."""


@dataclass(frozen=True)
class CopySummary:
    """The result of copying a collection.

    Attributes:
        name: the name of the collection.
        documents: the number of documents in the source.
        written: how many of these were missing from the target, or different.
    """

    name: str
    documents: int
    written: int


@dataclass(frozen=True)
class CollectionDiff:
    """The differences of a collection between two stores, as ids in order.

    Attributes:
        name: the name of the collection.
        digests: the digests of all documents in source and target, in hexadecimal.
        missing, other, added: documents that the target lacks, that differ, and that only the target has.
        settings: the names of settings that differ; "feedback" is among them if that does.
    """

    name: str
    digests: tuple[str, str]
    missing: tuple[str, ...]
    other: tuple[str, ...]
    added: tuple[str, ...]
    settings: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether the collections are equal, vectors bit by bit."""
        return self.digests[0] == self.digests[1] and not self.settings


def copy_collection(source: Reader, target: Store, name: str, report: Report = lambda count: None) -> CopySummary:
    """Copy a collection, one page of documents per transaction; an interrupted copy continues where it stopped.

    Its feedback is copied as well.

    Documents that only the target has stay. Ids are kept, row numbers are new.

    Raises:
        CollectionMissing: the source has no collection of that name.
        CollectionFixed: the target has a collection of that name with other settings.
        DocumentDamaged: a document of the source is damaged.
    """
    record = source.collection(name)
    number = _create_or_update(target, record)
    done = written = 0
    for page in _pages(source, record.id):
        with target.reading() as reader:
            ids = [document.id for document in page]
            digests = {document.id: digest(document) for document in reader.page(number, ids=ids)}
        changed = [replace(document, row=None) for document in page if digests.get(document.id) != digest(document)]
        if changed:
            with target.writing() as writer:
                writer.upsert(number, changed)
        done, written = done + len(page), written + len(changed)
        report(done)
    _copy_feedback(source, record.id, target, number)
    return CopySummary(name, done, written)


def copy_encoder_measurements(source: Store, target: Store) -> None:
    """Copy what was measured of encoders; measurements of the same names in the target are replaced."""
    for encoder in source.measured_encoders():
        measured = source.encoder_measurements(encoder)
        if measured is not None:
            target.keep_encoder_measurements(encoder, *measured)


def copy_aliases(source: Reader, target: Store, collections: Collection[str]) -> list[AliasRecord]:
    """Copy the aliases of these collections in one transaction, and return them.

    Aliases that the target has are moved. Aliases that only the target has stay.

    Raises:
        CollectionMissing: the target lacks one of the collections.
        CollectionExists: the target has a collection with the name of an alias.
    """
    aliases = [record for record in source.aliases() if record.collection in collections]
    with target.writing() as writer:
        current = writer.aliases()
        for record in aliases:
            if record not in current:
                writer.put_alias(*record)
    return aliases


def compare_collection(
    source: Reader, target: Reader, name: str, report: Report = lambda count: None
) -> CollectionDiff:
    """Compare every document of a collection in two stores.

    Raises:
        CollectionMissing: one of the stores has no collection of that name.
        DocumentDamaged: a document in either store is damaged.
    """
    record = source.collection(name)
    target_record = target.collection(name)
    missing, other, added = list[str](), list[str](), list[str]()
    sums = xxh3_128(), xxh3_128()
    for done, (identity, digests) in enumerate(
        _pair(_digests(source, record.id), _digests(target, target_record.id)), start=1
    ):
        source_digest, target_digest = digests
        if source_digest != target_digest:
            (added if source_digest is None else missing if target_digest is None else other).append(identity)
        for total, value in zip(sums, digests, strict=True):
            total.update(value or b"")
        report(done)
    settings = _different(record.settings, target_record.settings)
    if _read_feedback(source, record.id) != _read_feedback(target, target_record.id):
        settings = *settings, "feedback"
    both = sums[0].hexdigest(), sums[1].hexdigest()
    return CollectionDiff(name, both, tuple(missing), tuple(other), tuple(added), settings)


def digest(document: DocumentRecord) -> bytes:
    """Return a digest of 16 bytes of a document without its row number; it is the same in every store."""
    sent = document.value_sent
    texts = DocumentTexts.of(document.id, document.key, document.value, document.metadata, value_sent=sent)
    pieces = [texts.id.encode(), (texts.key or "").encode(), texts.value.encode(), texts.metadata.encode()]
    vectors = [document.keys, *([] if document.value_vector is None else [document.value_vector])]
    pieces += [vector.astype("<f4").tobytes() for vector in vectors]
    pieces.append(struct.pack(f"<{2 * len(document.parts)}q", *(edge for part in document.parts for edge in part)))
    if document.expires is not None:
        pieces.append(struct.pack("<q", document.expires))
    shape = (texts.key is None, document.value_vector is None, len(document.keys), *map(len, pieces))
    return xxh3_128_digest(struct.pack(f"<{len(shape)}q", *shape) + b"".join(pieces))


def _create_or_update(target: Store, record: CollectionRecord) -> int:
    """Create the collection in the target, or update its settings; return its number."""
    with target.writing() as writer:
        try:
            current = writer.collection(record.name)
        except CollectionMissing:
            return writer.create_collection(record.name, record.settings).id
        widths = {name: getattr(current.settings, name) for name in WIDTHS if getattr(record.settings, name) is None}
        return writer.update_collection(record.name, replace(record.settings, **widths)).id


def _copy_feedback(source: Reader, collection: int, target: Store, number: int) -> None:
    """Copy the feedback that the target lacks, one page per transaction."""
    with target.reading() as reader:
        missing = _read_feedback(source, collection)
        missing.subtract(_read_feedback(reader, number))
    records = sorted(missing.elements(), key=lambda record: record.at)
    for start in range(0, len(records), FEEDBACK_PAGE):
        with target.writing() as writer:
            writer.write_feedback(
                number, records[start : start + FEEDBACK_PAGE], max_records=MAX_FEEDBACK, max_bytes=MAX_FEEDBACK_BYTES
            )


def _read_feedback(reader: Reader, collection: int) -> Counter[FeedbackRecord]:
    """Return all records of feedback of a collection, and how often each occurs."""
    records, after = Counter[FeedbackRecord](), 0
    while page := reader.feedback(collection, after=after, limit=FEEDBACK_PAGE):
        records.update(page)
        after = page[-1].number or 0
    return records


def _pages(reader: Reader, collection: int) -> Iterator[list[DocumentRecord]]:
    after = None
    while page := reader.page(collection, after=after, limit=PAGE):
        yield page
        after = page[-1].id


def _digests(reader: Reader, collection: int) -> Iterator[tuple[str, bytes]]:
    return ((document.id, digest(document)) for page in _pages(reader, collection) for document in page)


def _pair(
    ones: Iterator[tuple[str, bytes]], twos: Iterator[tuple[str, bytes]]
) -> Iterator[tuple[str, tuple[bytes | None, bytes | None]]]:
    """Yield each id with its digests in both stores; None if the store lacks the id.

    Both iterators are ordered by id.
    """
    one, two = next(ones, None), next(twos, None)
    while one is not None or two is not None:
        identity = min(head[0] for head in (one, two) if head is not None)
        in_one, in_two = one is not None and one[0] == identity, two is not None and two[0] == identity
        yield identity, (one[1] if one and in_one else None, two[1] if two and in_two else None)
        one, two = next(ones, None) if in_one else one, next(twos, None) if in_two else two


def _different(one: CollectionSettings, two: CollectionSettings) -> tuple[str, ...]:
    return tuple(name for name in vars(one) if getattr(one, name) != getattr(two, name))
