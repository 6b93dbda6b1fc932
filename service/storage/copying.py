"""From one store to another, document by document: what is there already, and the same, is not written again."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from xxhash import xxh3_128, xxh3_128_digest

from service.storage.errors import CollectionMissing
from service.storage.interface import Reader, Store
from service.storage.records import CollectionRecord, CollectionSettings, DocumentRecord
from service.storage.serialisation import DocumentTexts

WIDTHS = ("dimension", "value_dimension")
PAGE = 256
"""Documents in one transaction."""

Report = Callable[[int], object]
"""Is told how many documents of a collection have been gone through."""


@dataclass(frozen=True)
class CopySummary:
    """What became of a collection.

    Attributes:
        name: the collection's.
        documents: how many it holds where it came from.
        written: how many of these were missing from where it went, or were others.
    """

    name: str
    documents: int
    written: int


@dataclass(frozen=True)
class CollectionDiff:
    """How a collection differs between two stores, by ids in their order.

    Attributes:
        name: the collection's.
        digests: of all documents, in hexadecimal, where it came from and where it went.
        missing, other, added: documents that did not arrive, that are not the same, and that only the second store has.
        settings: names of settings that differ.
    """

    name: str
    digests: tuple[str, str]
    missing: tuple[str, ...]
    other: tuple[str, ...]
    added: tuple[str, ...]
    settings: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether they are equal, vectors bit by bit."""
        return self.digests[0] == self.digests[1] and not self.settings


def copy_collection(source: Reader, target: Store, name: str, report: Report = lambda done: None) -> CopySummary:
    """Bring a collection over, a page of documents a transaction; what stopped half way goes on where it was.

    Documents that only the target has stay. Row numbers are new, ids are not.

    Raises:
        CollectionMissing: the source has none of that name.
        CollectionFixed: the target has one of that name that is something else.
        DocumentDamaged: the source has a document that is not what was written.
    """
    record = source.collection(name)
    number = _made(target, record)
    done = written = 0
    for page in _pages(source, record.id):
        with target.reading() as there:
            kept = {each.id: digest(each) for each in there.page(number, ids=[each.id for each in page])}
        wanted = [replace(each, row=None) for each in page if kept.get(each.id) != digest(each)]
        if wanted:
            with target.writing() as writer:
                writer.upsert(number, wanted)
        done, written = done + len(page), written + len(wanted)
        report(done)
    return CopySummary(name, done, written)


def compare_collection(source: Reader, target: Reader, name: str, report: Report = lambda done: None) -> CollectionDiff:
    """Hold every document of a collection in one store against the same in another.

    Raises:
        CollectionMissing: one of them has none of that name.
        DocumentDamaged: either has a document that is not what was written.
    """
    record = source.collection(name)
    there = target.collection(name)
    missing, other, added = list[str](), list[str](), list[str]()
    sums = xxh3_128(), xxh3_128()
    for done, (identity, digests) in enumerate(
        _paired(_digests(source, record.id), _digests(target, there.id)), start=1
    ):
        one, two = digests
        if one != two:
            (added if one is None else missing if two is None else other).append(identity)
        for total, each in zip(sums, digests, strict=True):
            total.update(each or b"")
        report(done)
    settings = _different(record.settings, there.settings)
    both = sums[0].hexdigest(), sums[1].hexdigest()
    return CollectionDiff(name, both, tuple(missing), tuple(other), tuple(added), settings)


def digest(document: DocumentRecord) -> bytes:
    """Of all that a document is but its row number: 16 bytes, the same in every store."""
    sent = document.value_sent
    texts = DocumentTexts.of(document.id, document.key, document.value, document.metadata, value_sent=sent)
    pieces = [texts.id.encode(), (texts.key or "").encode(), texts.value.encode(), texts.metadata.encode()]
    vectors = [document.keys, *([] if document.value_vector is None else [document.value_vector])]
    pieces += [each.astype("<f4").tobytes() for each in vectors]
    pieces.append(struct.pack(f"<{2 * len(document.parts)}q", *(edge for part in document.parts for edge in part)))
    shape = (texts.key is None, document.value_vector is None, len(document.keys), *map(len, pieces))
    return xxh3_128_digest(struct.pack(f"<{len(shape)}q", *shape) + b"".join(pieces))


def _made(target: Store, record: CollectionRecord) -> int:
    """The number of the collection in the target, made where it is not there."""
    with target.writing() as writer:
        try:
            there = writer.collection(record.name)
        except CollectionMissing:
            return writer.create_collection(record.name, record.settings).id
        widths = {name: getattr(there.settings, name) for name in WIDTHS if getattr(record.settings, name) is None}
        return writer.update_collection(record.name, replace(record.settings, **widths)).id


def _pages(reader: Reader, collection: int) -> Iterator[list[DocumentRecord]]:
    after = None
    while page := reader.page(collection, after=after, limit=PAGE):
        yield page
        after = page[-1].id


def _digests(reader: Reader, collection: int) -> Iterator[tuple[str, bytes]]:
    return ((each.id, digest(each)) for page in _pages(reader, collection) for each in page)


def _paired(
    ones: Iterator[tuple[str, bytes]], twos: Iterator[tuple[str, bytes]]
) -> Iterator[tuple[str, tuple[bytes | None, bytes | None]]]:
    """Each id with its digest on either side, None where it is not there; both come in the order of their ids."""
    one, two = next(ones, None), next(twos, None)
    while one is not None or two is not None:
        identity = min(each[0] for each in (one, two) if each is not None)
        here, there = one is not None and one[0] == identity, two is not None and two[0] == identity
        yield identity, (one[1] if one and here else None, two[1] if two and there else None)
        one, two = next(ones, None) if here else one, next(twos, None) if there else two


def _different(one: CollectionSettings, two: CollectionSettings) -> tuple[str, ...]:
    return tuple(name for name in vars(one) if getattr(one, name) != getattr(two, name))
