"""Decisions that writers of every store share: what an upsert changes, and which settings may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from softkv_service.storage.errors import CollectionFixed, DocumentsExist
from softkv_service.storage.records import CollectionRecord, CollectionSettings, DocumentRecord, Mode, RowNumbers
from softkv_service.storage.serialisation import DocumentTexts, refuse_repeated, with_widths


@dataclass(frozen=True, eq=False)
class Upsert:
    """The plan of a write of documents: which are stored, which they replace, and which are skipped.

    Attributes:
        settings: the collection's settings, with its widths set.
        documents, texts: the documents that get new row numbers.
        removed: int64[n], ascending, the row numbers of the documents that they replace.
        skipped: the ids of the documents that are left out because they exist, in the order of the documents.
    """

    settings: CollectionSettings
    documents: Sequence[DocumentRecord]
    texts: Sequence[DocumentTexts]
    removed: RowNumbers
    skipped: tuple[str, ...]

    @property
    def first_expiry(self) -> int | None:
        """The instant at which the first of the new documents expires; None if none does."""
        return min((document.expires for document in self.documents if document.expires is not None), default=None)

    @classmethod
    def of(
        cls,
        record: CollectionRecord,
        documents: Sequence[DocumentRecord],
        existing: Callable[[Sequence[str]], Mapping[str, int]],
        mode: Mode,
    ) -> Upsert:
        """Plan the write of these documents.

        Args:
            existing: the row numbers of the ids that exist already.

        Raises: DocumentsExist (mode "create"), DocumentsRepeated, WidthMismatch or Unstorable.
        """
        settings = with_widths(record.settings, documents)
        ids = [document.id for document in documents]
        refuse_repeated(ids)
        texts = [
            DocumentTexts.of(
                document.id,
                document.key,
                document.value,
                document.metadata,
                value_sent=document.value_sent,
                expires=document.expires,
            )
            for document in documents
        ]
        row_by_id = existing(ids)
        taken = tuple(identity for identity in ids if identity in row_by_id)
        if taken and mode == "create":
            raise DocumentsExist(taken)
        if mode == "skip":
            documents = [document for document in documents if document.id not in row_by_id]
            texts = [text for text in texts if text.id not in row_by_id]
            return cls(settings, documents, texts, np.empty(0, dtype=np.int64), taken)
        return cls(settings, documents, texts, np.sort(np.fromiter(row_by_id.values(), dtype=np.int64)), ())


def refuse_fixed(record: CollectionRecord, settings: CollectionSettings) -> None:
    """Raise CollectionFixed if a setting would change that is fixed once the collection exists."""
    changeable = ("temperature", "null", "calibration", "expire_after", "defaults", "projection", "late")
    allowed = replace(record.settings, **{name: getattr(settings, name) for name in changeable})
    if allowed != settings:
        before, after = asdict(allowed), asdict(settings)
        raise CollectionFixed(record.name, [field for field in before if before[field] != after[field]])


def call_all(callbacks: Sequence[Callable[[], object]]) -> None:
    """Call every callback, even if an earlier one raises."""
    for position, callback in enumerate(callbacks):
        try:
            callback()
        except BaseException:
            call_all(callbacks[position + 1 :])
            raise
