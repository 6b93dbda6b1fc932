"""What a writer of any store decides: what an upsert changes, what may not change, what was answered before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from service.storage.checksums import CHECKSUM_BYTES, answer_checksum
from service.storage.errors import CollectionFixed, DocumentsExist, KeyReused, StorageFailed, WriteAnswered
from service.storage.once import WriteAnswer, WriteRequest
from service.storage.records import CollectionRecord, CollectionSettings, DocumentRecord, Mode, RowNumbers
from service.storage.storable import DocumentTexts, refuse_repeated, with_widths


@dataclass(frozen=True, eq=False)
class Upsert:
    """What is to be written where documents are stored.

    Attributes:
        settings: of the collection, its widths set where they were not.
        documents, texts: those that get new row numbers.
        removed: int64[n], ascending, the row numbers of documents that they replace.
        skipped: the ids, in the documents' order, of those that are left as they are.
    """

    settings: CollectionSettings
    documents: Sequence[DocumentRecord]
    texts: Sequence[DocumentTexts]
    removed: RowNumbers
    skipped: tuple[str, ...]

    @classmethod
    def of(
        cls,
        record: CollectionRecord,
        documents: Sequence[DocumentRecord],
        existing: Callable[[Sequence[str]], Mapping[str, int]],
        mode: Mode,
    ) -> Upsert:
        """What these documents change.

        Args:
            existing: the row number of each of some ids that is there.

        Raises: DocumentsExist (mode "create"), DocumentsRepeated, WidthMismatch or Unstorable.
        """
        settings = with_widths(record.settings, documents)
        ids = [each.id for each in documents]
        refuse_repeated(ids)
        texts = [
            DocumentTexts.of(each.id, each.key, each.value, each.metadata, value_sent=each.value_sent)
            for each in documents
        ]
        there = existing(ids)
        taken = tuple(each for each in ids if each in there)
        if taken and mode == "create":
            raise DocumentsExist(taken)
        if mode == "skip":
            documents = [each for each in documents if each.id not in there]
            texts = [each for each in texts if each.id not in there]
            return cls(settings, documents, texts, np.empty(0, dtype=np.int64), taken)
        return cls(settings, documents, texts, np.sort(np.fromiter(there.values(), dtype=np.int64)), ())


def refuse_fixed(record: CollectionRecord, settings: CollectionSettings) -> None:
    """Raise CollectionFixed where anything but temperature, null and calibration would be another one."""
    may_change = ("temperature", "null", "calibration")
    changed = replace(record.settings, **{name: getattr(settings, name) for name in may_change})
    if changed != settings:
        before, wanted = asdict(changed), asdict(settings)
        raise CollectionFixed(record.name, [field for field in before if before[field] != wanted[field]])


def encode_answer(request: WriteRequest, answer: WriteAnswer) -> bytes:
    """What is stored of an answer: its checksum, then its body."""
    return answer_checksum(request.digest, answer.status, answer.body) + answer.body


def refuse_answer(request: WriteRequest, found: tuple[bytes, int, bytes] | None) -> None:
    """Raise what a write hears whose answer is there already, if it is.

    Args:
        found: the digest of the write that was answered under this key, its status and what is `kept`; or None.

    Raises: WriteAnswered where it was this write; KeyReused where it was another; StorageFailed where it is damaged.
    """
    if found is None:
        return
    digest, status, stored = found
    answer = WriteAnswer(status, stored[CHECKSUM_BYTES:])
    if stored[:CHECKSUM_BYTES] != answer_checksum(digest, answer.status, answer.body):
        raise StorageFailed(
            f"the answer that is kept under the Idempotency-Key {request.key!r} is not what was written: see whether "
            "the write was done, and send a new key"
        )
    if digest != request.digest:
        raise KeyReused(request.key)
    raise WriteAnswered(answer)


def call_all(callbacks: Sequence[Callable[[], object]]) -> None:
    """Every callback, whatever the ones before it raised."""
    for position, callback in enumerate(callbacks):
        try:
            callback()
        except BaseException:
            call_all(callbacks[position + 1 :])
            raise
