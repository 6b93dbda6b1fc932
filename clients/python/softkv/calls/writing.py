"""Many documents into a collection: all or none in one request, or any number in parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeAlias

from softkv.answers.document import Document, wire_document
from softkv.answers.info import Written
from softkv.calls.call import NDJSON_TYPE, WRITE_SECONDS, Call, Plan
from softkv.calls.documents import written
from softkv.calls.place import Place
from softkv.errors import Flaw, Invalid
from softkv.problems import flawed, foreign, of_problem, refuse
from softkv.reply import Reply
from softkv.wire import checks
from softkv.wire.body import body

OnConflict: TypeAlias = Literal["replace", "skip", "fail"]
_MODES: Mapping[OnConflict, str] = {"replace": "upsert", "skip": "skip", "fail": "create"}
# What the service writes at once of a stream, and what it takes as one JSON body whatever its texts are.
_AT_ONCE, _MOST_BYTES = 1000, 8_000_000


class Refusal(NamedTuple):
    """A row that was not written.

    Attributes:
        row: its place among the rows that were given, from 0.
        id: its document's, None where it has none.
    """

    row: int
    id: str | None
    detail: str
    errors: tuple[Flaw, ...]


class Report:
    """What became of the rows.

    Attributes:
        rows: how many were read.
        upserted: how many were written.
        skipped: ids that were taken, with `on_conflict="skip"`.
        refused: the rows that were not written, each with the reason.
        truncated: ids of documents with a text that is longer than the encoder reads, and was cut.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.upserted = 0
        self.skipped: list[str] = []
        self.refused: list[Refusal] = []
        self.truncated: list[str] = []

    def raise_for_refused(self) -> Report:
        """Raise Invalid where a row was refused; else the report itself."""
        if self.refused:
            refuse(Flaw(f"/{each.row}", each.detail) for each in self.refused)
        return self

    def __repr__(self) -> str:
        others = [(len(each), name) for name in ("skipped", "refused", "truncated") if (each := getattr(self, name))]
        told = [f"{self.upserted:,} of {self.rows:,} rows written", *(f"{many:,} {name}" for many, name in others)]
        return f"<Report {', '.join(told)}>"


class _Row(NamedTuple):
    place: int
    id: str | None
    line: bytes


def write(
    place: Place, documents: Iterable[Document | Mapping[str, Any]], *, on_conflict: OnConflict = "replace"
) -> Call[Written]:
    """Write documents in one transaction, all of them or none.

    Args:
        on_conflict: what becomes of a document whose id is taken: it is replaced, skipped, or everything fails.

    Raises:
        Conflict: an id is taken, with `on_conflict="fail"`.
        Invalid: one of them is wrong; `errors` points at it.
        TooLarge: they are more than one request may bring; `upsert` takes any number.
    """
    sent = [wire_document(each, f"/documents/{at}") for at, each in enumerate(documents)]
    flaws = (checks.document_id(each.get("id"), f"/documents/{at}/id") for at, each in enumerate(sent))
    refuse(flaw for each in flaws for flaw in each)
    content = body({"documents": sent, "mode": _MODES[on_conflict]})
    return Call("POST", place.documents, written, content=content, once=True, timeout=WRITE_SECONDS)


def upsert(
    place: Place, rows: Iterable[Document | Mapping[str, Any]], *, on_conflict: OnConflict = "replace"
) -> Plan[Report]:
    """Write rows of any number, a thousand at a time, each thousand at once; a row that is wrong keeps none back.

    Args:
        rows: documents, or objects with their fields; read one after another.
        on_conflict: what becomes of a row whose id is taken: it replaces what is there, is skipped, or the thousand
            that it is in fails.

    Returns:
        What became of them: which were refused, by their place among the rows, and why.

    Raises:
        Conflict: an id is taken, with `on_conflict="fail"`.
    """
    report = Report()
    lines = _lines(rows, report)
    while batch := _batch(lines):
        while batch:
            batch = yield from _sent(place, batch, on_conflict, report)
    report.refused.sort(key=lambda refused: refused.row)
    return report


def _sent(place: Place, batch: Sequence[_Row], on_conflict: OnConflict, report: Report) -> Plan[list[_Row]]:
    """Send some rows, and note what became of them → those to be sent again."""
    if on_conflict == "replace":
        for upserted, truncated, refused in (yield from _stream(place, batch)):
            report.upserted += upserted
            report.truncated += truncated
            report.refused += [
                Refusal(batch[line].place, batch[line].id, detail, errors) for line, detail, errors in refused
            ]
        return []
    try:
        done = yield from _transaction(place, batch, on_conflict)
    except Invalid as error:
        wrong = _by_row(error)
        if not wrong:
            raise
        for at, flaws in sorted(wrong.items()):
            report.refused.append(Refusal(batch[at].place, batch[at].id, flaws[0].detail, tuple(flaws)))
        return [row for at, row in enumerate(batch) if at not in wrong]
    report.upserted += done.upserted
    report.truncated += done.truncated
    report.skipped += done.skipped
    return []


def _stream(place: Place, batch: Sequence[_Row]) -> Call[list[tuple[int, list[str], list[Any]]]]:
    """Rows as NDJSON, whose good lines are written; a repeated one writes the same again."""

    def parse(reply: Reply) -> list[tuple[int, list[str], list[Any]]]:
        *batches, end = [Reply(reply.status, reply.headers, line, reply.url).json() for line in _split(reply.content)]
        if not end["done"]:
            raise of_problem(end["problem"], reply) if "problem" in end else foreign(reply)
        return [
            (each["upserted"], each["truncated"], [_refused_line(line) for line in each["refused"]]) for each in batches
        ]

    content = b"\n".join(row.line for row in batch)
    return Call("POST", place.documents, parse, content=content, content_type=NDJSON_TYPE, timeout=WRITE_SECONDS)


def _transaction(place: Place, batch: Sequence[_Row], on_conflict: OnConflict) -> Call[Written]:
    documents = b",".join(row.line for row in batch)
    content = b'{"mode":"%s","documents":[%s]}' % (_MODES[on_conflict].encode(), documents)
    return Call("POST", place.documents, written, content=content, once=True, timeout=WRITE_SECONDS)


def _lines(rows: Iterable[Document | Mapping[str, Any]], report: Report) -> Iterator[_Row]:
    """Each row as JSON; one that cannot be is refused here."""
    for at, row in enumerate(rows):
        report.rows += 1
        if not isinstance(row, Document | Mapping):
            raise flawed(f"/{at}", f"wanted a Document or an object with its fields, got {type(row).__name__}")
        given = row.id if isinstance(row, Document) else row.get("id")
        name = given if isinstance(given, str) else None
        try:
            yield _Row(at, name, body(wire_document(row)))
        except Invalid as error:
            report.refused.append(Refusal(at, name, error.errors[0].detail, error.errors))


def _batch(lines: Iterator[_Row]) -> list[_Row]:
    """The next rows to send."""
    batch: list[_Row] = []
    size = 0
    for row in islice(lines, _AT_ONCE):
        batch.append(row)
        size += len(row.line)
        if size > _MOST_BYTES:
            break
    return batch


def _by_row(error: Invalid) -> dict[int, list[Flaw]]:
    """The flaws of a request by the document that they are of; none where one is of the request itself."""
    found: dict[int, list[Flaw]] = {}
    for flaw in error.errors:
        _, room, *rest = (*flaw.pointer.split("/"), "", "")
        if room != "documents" or not rest[0].isdecimal():
            return {}
        found.setdefault(int(rest[0]), []).append(Flaw(flaw.pointer.removeprefix(f"/documents/{rest[0]}"), flaw.detail))
    return found


def _refused_line(said_of: Mapping[str, Any]) -> tuple[int, str, tuple[Flaw, ...]]:
    flaws = tuple(Flaw(each["pointer"], each["detail"]) for each in said_of["errors"])
    return said_of["line"] - 1, said_of["detail"], flaws


def _split(content: bytes) -> list[bytes]:
    return [line for line in content.split(b"\n") if line]
