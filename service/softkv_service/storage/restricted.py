"""Restricted callers, who see a part of the documents: its quotas, its fields, searches and writes within it.

Readers and writers of each store call these if their visibility has a condition. Everything else follows from the
condition alone, which they add to each statement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from softkv_service.storage.conditions import Condition, Searched, Visibility
from softkv_service.storage.errors import OutsideFilter, QuotaExceeded
from softkv_service.storage.interface import Reader, Search, Writer
from softkv_service.storage.records import Change, DocumentRecord, Mode, Ranks, RowNumbers, SearchResult, TextLengths

NAMES_AT_A_TIME = 64
OF_THE_KEY = "-- and the filter of the key"


@dataclass(frozen=True)
class Restriction:
    """The part of the collections that one caller reads and changes, and how much it may store.

    Attributes:
        condition: the caller sees only documents that pass it; None for all documents.
        prefixes: the collections whose names begin with one of these count for the quotas; empty for all.
        documents, bytes: the most documents, and the most bytes of them, that the caller's part may have after a write;
            None for no limit. Without a condition, the bytes of feedback count as well.
    """

    condition: Condition | None = None
    prefixes: tuple[str, ...] = ()
    documents: int | None = None
    bytes: int | None = None

    def at(self, now: int) -> Restriction:
        """Return the restriction of a request that started at `now`, in microseconds of Unix time."""
        condition = None if self.condition is None else self.condition.at(now)
        return self if condition is self.condition else replace(self, condition=condition)

    def check_quotas(self, reader: Reader) -> None:
        """Check what the caller's part has in this state of the store.

        Raises:
            QuotaExceeded: it has more documents or bytes than it may. A transaction has to be rolled back.
        """
        if self.documents is None and self.bytes is None:
            return
        records = [record for record in reader.collections() if record.name.startswith(self.prefixes or "")]
        if self.condition is None and self.bytes is None:
            documents, size = sum(record.documents for record in records), 0
        else:
            part = reader.seeing(Visibility(self.condition, reader.visibility.instant))
            usages = [part.usage(record.id) for record in records]
            documents, size = sum(usage.documents for usage in usages), sum(usage.bytes for usage in usages)
            if self.condition is None:  # feedback does not say of whose part it is
                size += sum(reader.feedback_bytes(record.id) for record in records)
        for name, used, limit in (("documents", documents, self.documents), ("bytes", size, self.bytes)):
            if limit is not None and used > limit:
                raise QuotaExceeded(name, limit)


WHOLE = Restriction()
"""All documents, without quotas."""


def visible_names(reader: Reader, collection: int, after: str | None, limit: int) -> list[str]:
    """Return at most `limit` names after `after` of metadata fields that a visible document has."""
    unrestricted, names = reader.seeing(reader.visibility.unrestricted), list[str]()
    while len(names) < limit:
        batch = unrestricted.field_names(collection, after=after, limit=NAMES_AT_A_TIME)
        facts = reader.field_facts(collection, batch)
        names += [name for name, fact in zip(batch, facts, strict=True) if fact.count]
        if len(batch) < NAMES_AT_A_TIME:
            break
        after = batch[-1]
    return names[:limit]


def upsert_visible(writer: Writer, collection: int, documents: Sequence[DocumentRecord], mode: Mode) -> Change:
    """Store documents for a writer that sees only a part; see `Writer.upsert`.

    Raises:
        OutsideFilter: a document does not pass, or its id is that of a hidden document. The transaction has to be
            rolled back.
    """
    unrestricted, ids = writer.seeing(writer.visibility.unrestricted), [document.id for document in documents]

    def refuse_hidden() -> None:
        visible = writer.existing(collection, ids)
        if hidden := [identity for identity in unrestricted.existing(collection, ids) if identity not in visible]:
            raise OutsideFilter(hidden)

    refuse_hidden()
    change = unrestricted.upsert(collection, documents, mode=mode)
    refuse_hidden()
    return change


class RestrictedSearch:
    """A search in SQL that returns only documents that pass a condition.

    The statement that it shows has a comment in place of that condition. It has no instant of expiry and no version
    either, which would tell that hidden documents expired or were written.

    Args:
        search: the search, whose ranks count only documents that pass the condition.
        shown: the same search, of all documents that are stored now.
    """

    def __init__(self, search: Search, shown: Search, condition: Condition) -> None:
        self._whole, self._shown, self._condition = search, shown, condition
        self.ranking = search.ranking

    def equal(self, key: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """Find visible documents whose key equals this text and that match the condition, ordered by id."""
        return self._search(self._whole.equal, self._shown.equal, key, limit, condition)

    def full_text(self, question: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """Find visible documents whose key has any word of the question, ordered by rank, then by id.

        Rank weighs words by visible documents alone.
        """
        return self._search(self._whole.full_text, self._shown.full_text, question, limit, condition)

    def lengths(self) -> TextLengths | None:
        """Return what `ranks` reads of each visible document; None if it reads nothing of them."""
        return self._whole.lengths()

    def ranks(self, searched: Searched, lengths: TextLengths | None = None) -> tuple[RowNumbers, Ranks]:
        """Return row numbers int64[n] and ranks float64[n] of all matches; a mask has to leave hidden ones out.

        The rank of a visible document follows from visible documents alone.
        """
        return self._whole.ranks(searched, lengths)

    def _search(
        self,
        search: Callable[..., SearchResult],
        show: Callable[..., SearchResult],
        text: str,
        limit: int,
        condition: Condition | None,
    ) -> SearchResult:
        shown = show(text, 0, condition)
        result = search(text, limit, Visibility(self._condition).joined(condition))
        return replace(
            result, statement=f"{shown.statement}\n{OF_THE_KEY}", parameters={**shown.parameters, "limit": limit}
        )
