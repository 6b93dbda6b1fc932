"""Writing a file's documents into a collection: batches of lines, and the count of what became of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.commands.errors import Refused
from service.commands.files.source import DocumentSource, Entry, batches
from service.commands.remote.collection import RemoteCollection

# About a second of encoding short texts.
BATCH = 256
_LONGEST_ID = 256


class Upload:
    """One upload: `run` it, then read the counts.

    `read` lines became `upserted` documents, `skipped` ones that were there already, and `refused` ones,
    each with its number in the file and the reason; `truncated` are the ids of documents whose text was
    longer than the encoder reads.
    """

    def __init__(self, collection: RemoteCollection, source: DocumentSource, report: Callable[[int], None]) -> None:
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
            if wanted:
                self._send(wanted)
            self.skipped += len(batch) - len(wanted)
            self.read += len(batch)
            self._report(self.read)

    def _missing(self, batch: list[Entry]) -> list[Entry]:
        # An id that may not be one is sent, so that the service says what is wrong with it.
        ids = {entry.id for entry in batch}
        present = self.collection.present([id_ for id_ in ids if id_ and id_.isprintable() and len(id_) <= _LONGEST_ID])
        return [entry for entry in batch if entry.id not in present]

    def _send(self, batch: list[Entry]) -> None:
        try:
            *answers, _ = self.collection.upload([entry.content for entry in batch])
        except Refused as error:
            where = f"lines {batch[0].number} to {batch[-1].number}"
            raise Refused(f"{where}: {error}", error.status, error.problem) from None
        for answer in answers:
            self.upserted += answer["upserted"]
            self.truncated += answer["truncated"]
            for refused in answer["refused"]:
                self.refused.append((batch[refused["line"] - 1].number, refused["detail"]))

    def summary(self) -> dict[str, Any]:
        """The counts, for programs."""
        return {
            "collection": self.collection.name,
            "documents": self.read,
            "upserted": self.upserted,
            "skipped": self.skipped,
            "refused": [{"line": line, "detail": detail} for line, detail in self.refused],
            "truncated": self.truncated,
        }

    def __str__(self) -> str:
        counts = [f"{self.upserted:,} documents written"]
        if self.skipped:
            counts.append(f"{self.skipped:,} were there already")
        if self.refused:
            counts.append(f"{len(self.refused):,} refused")
        if self.truncated:
            counts.append(f"{len(self.truncated):,} longer than the encoder reads")
        return f"{self.collection.name}: {', '.join(counts)}"
