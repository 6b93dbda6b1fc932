"""Writing documents into a collection: batches of them, and the count of what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import softkv
from service.commands.errors import Refused
from service.commands.files.source import DocumentSource, Entry, batches

# About a second of encoding short texts.
BATCH = 256
_LONGEST_ID = 256


class Upload:
    """One upload: `run` it, then read the counts.

    `read` entries became `upserted` documents, `skipped` ones that were there already, and `refused` ones,
    each with its number in the source and the reason; `truncated` are the ids of documents whose text was
    longer than the encoder reads.
    """

    def __init__(self, collection: softkv.Collection, source: DocumentSource, report: Callable[[int], None]) -> None:
        self.collection = collection
        self.read = 0
        self.upserted = 0
        self.skipped = 0
        self.refused: list[tuple[int, str]] = []
        self.truncated: list[str] = []
        self._source = source
        self._report = report

    def run(self, *, resume: bool) -> None:
        """Send every document, or with `resume` those whose ids the collection does not have."""
        for batch in batches(self._source.entries(), BATCH):
            wanted = self._missing(batch) if resume else batch
            self._send(wanted)
            self.skipped += len(batch) - len(wanted)
            self.read += len(batch)
            self._report(self.read)

    def _missing(self, batch: list[Entry]) -> list[Entry]:
        there = present(self.collection, (entry.id for entry in batch if entry.id is not None))
        return [entry for entry in batch if entry.id not in there]

    def _send(self, batch: list[Entry]) -> None:
        documents = [(entry.number, entry.document) for entry in batch]
        refused = [(entry.number, entry.flaw) for entry in batch if entry.document is None]
        numbers = [number for number, document in documents if document is not None]
        try:
            report = self.collection.upsert(document for _, document in documents if document is not None)
        except softkv.Refused as error:
            where = f"{self._source.unit}s {batch[0].number} to {batch[-1].number}"
            raise Refused(f"{where}: {error}") from None
        self.upserted += report.upserted
        self.truncated += report.truncated
        refused += [(numbers[each.row], each.detail) for each in report.refused]
        self.refused += sorted(refused)

    def summary(self) -> dict[str, Any]:
        """The counts, for programs."""
        return {
            "collection": self.collection.name,
            "documents": self.read,
            "upserted": self.upserted,
            "skipped": self.skipped,
            "refused": [{self._source.unit: number, "detail": detail} for number, detail in self.refused],
            "truncated": self.truncated,
        }

    def flaws(self) -> list[str]:
        """What was refused, and why, in a line each."""
        return [f"{self._source.unit} {number}: {detail}" for number, detail in self.refused]

    def __str__(self) -> str:
        counts = [f"{self.upserted:,} documents written"]
        if self.skipped:
            counts.append(f"{self.skipped:,} were there already")
        if self.refused:
            counts.append(f"{len(self.refused):,} refused")
        if self.truncated:
            counts.append(f"{len(self.truncated):,} longer than the encoder reads")
        return f"{self.collection.name}: {', '.join(counts)}"


def present(collection: softkv.Collection, ids: Iterable[str]) -> set[str]:
    """Which of these ids the collection holds; one that cannot be an id is none of them."""
    # What is not asked for is sent, so that the service says what is wrong with it.
    asked = {id_ for id_ in ids if id_.isprintable() and 0 < len(id_) <= _LONGEST_ID and id_ not in (".", "..")}
    return {document.id for document in collection.find(ids=sorted(asked), include=[])} if asked else set()
