"""Writing documents into a collection: the client's upload of a source's rows, each with its number there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import softkv
from service.commands.errors import Refused
from service.commands.files.source import DocumentSource, Entry, batches

_ASKED_AT_ONCE = 1000
_LONGEST_ID = 256


class Upload:
    """One upload: `run` it, then read the counts.

    `read` entries became `upserted` documents, `skipped` ones that were there already, and `refused` ones,
    each with its number in the source and the reason; `truncated` are the ids of documents whose text was
    longer than the encoder reads.
    """

    def __init__(self, collection: softkv.Collection, source: DocumentSource, report: Callable[[int], None]) -> None:
        self.collection = collection
        self.skipped = 0
        self._source = source
        self._tell = report
        self._unreadable: list[tuple[int, str]] = []
        self._refused: list[tuple[int, str]] = []
        self._sent = softkv.Report()
        # The numbers of rows that are on their way, from the first that is not acknowledged on.
        self._numbers: deque[int] = deque()
        self._first = 0

    @property
    def read(self) -> int:
        """Entries of which it is known what became of them."""
        return self._sent.acknowledged + self.skipped + len(self._unreadable)

    @property
    def upserted(self) -> int:
        """Documents that the service has acknowledged."""
        return self._sent.upserted

    @property
    def refused(self) -> list[tuple[int, str]]:
        """(number, reason) of what is no document, or was not taken as one."""
        return sorted(self._unreadable + self._refused)

    @property
    def truncated(self) -> list[str]:
        """Ids of documents whose text was cut."""
        return self._sent.truncated

    def run(self, *, resume: bool) -> None:
        """Send every document, or with `resume` those whose ids the collection does not have."""
        entries = self._source.entries()
        rows = self._documents(self._missing(entries) if resume else entries)
        try:
            self.collection.upsert(rows, progress=self._grown, resume=self._sent)
        except softkv.Refused as error:
            self._settle()
            if not self._numbers:
                raise
            raise Refused(f"from {self._source.unit} {self._numbers[0]} on: {error}") from None
        self._tell(self.read)

    def _missing(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        for batch in batches(entries, _ASKED_AT_ONCE):
            there = present(self.collection, (entry.id for entry in batch if entry.id is not None))
            missing = [entry for entry in batch if entry.id not in there]
            self.skipped += len(batch) - len(missing)
            self._tell(self.read)
            yield from missing

    def _documents(self, entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
        """The entries that can be sent; the others are noted."""
        for entry in entries:
            if (document := entry.document) is None:
                self._unreadable.append((entry.number, entry.flaw))
                continue
            self._numbers.append(entry.number)
            yield document

    def _grown(self, _: softkv.Report) -> None:
        self._settle()
        self._tell(self.read)

    def _settle(self) -> None:
        """Give refused rows their numbers, and forget those of rows that are done."""
        report = self._sent
        for refused in report.refused[len(self._refused) :]:
            self._refused.append((self._numbers[refused.row - self._first], refused.detail))
        for _ in range(report.acknowledged - self._first):
            self._numbers.popleft()
        self._first = report.acknowledged

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
