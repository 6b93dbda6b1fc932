"""Many documents into a collection: all or none in one request, or any number in parts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from softkv import validation
from softkv.answers.documents import Document, encode_document, encode_fields
from softkv.answers.info import Written
from softkv.answers.writes import Refusal, Report
from softkv.calls.call import NDJSON_TYPE, WRITE_TIMEOUT, Call, CollectionRef, Plan
from softkv.calls.collections import info
from softkv.calls.documents import parse_written
from softkv.calls.rows import Rows, open_rows
from softkv.calls.service import get_limit
from softkv.errors import Flaw, Invalid, TooLarge
from softkv.problems import Reply, foreign_response_error, invalid_value, problem_error, raise_flaws
from softkv.wire import as_float32, encode_json

if TYPE_CHECKING:
    from softkv.wire import Array, Matrix


def write(
    place: CollectionRef, documents: Iterable[Document | Mapping[str, Any]], *, on_conflict: OnConflict = "replace"
) -> Call[Written]:
    """Write documents in one transaction, all of them or none.

    Args:
        on_conflict: what becomes of a document whose id is taken: it is replaced, skipped, or everything fails.

    Raises:
        Conflict: an id is taken, with `on_conflict="fail"`.
        Invalid: one of them is wrong; `errors` points at it.
        TooLarge: they are more than one request may bring; `upsert` takes any number.
    """
    given = validation.require_list(documents, "/documents")
    odd = {
        at: validation.describe_value(each) for at, each in enumerate(given) if not isinstance(each, Document | Mapping)
    }
    raise_flaws(Flaw(f"/documents/{at}", f"wanted an object, got {came}") for at, came in odd.items())
    sent = [encode_document(each, f"/documents/{at}") for at, each in enumerate(given)]
    flaws = (validation.check_document_id(each.get("id"), f"/documents/{at}/id") for at, each in enumerate(sent))
    raise_flaws(flaw for each in flaws for flaw in each)
    content = encode_json({"documents": sent, "mode": write_mode(on_conflict)})
    return Call("POST", place.documents, parse_written, content=content, once=True, timeout=WRITE_TIMEOUT)


def upsert(
    place: CollectionRef,
    rows: Rows | None = None,
    *,
    ids: Sequence[str] | None = None,
    keys: Sequence[str | None] | None = None,
    key_vectors: Matrix | None = None,
    values: Sequence[Any] | None = None,
    value_vectors: Matrix | None = None,
    metadata: Sequence[Mapping[str, Any] | None] | None = None,
    on_conflict: OnConflict = "replace",
    progress: Progress = False,
    resume: Report | None = None,
) -> Upload:
    """Write rows of any number, a thousand at a time, each thousand at once; a row that is wrong keeps none back.

    Rows are read as they are sent, so that a generator of any length takes little memory. What they are: documents, or
    objects with their fields; a DataFrame or a table of Arrow's, whose further columns are metadata; or columns.

    Args:
        rows: in place of columns.
        ids: of columns, the document's, and in its order what else is given of each.
        keys: the key texts, None for none.
        key_vectors: a matrix with a row a document.
        values: what is found there.
        value_vectors: a matrix with a row a document.
        metadata: an object for each, None for none.
        on_conflict: what becomes of a row whose id is taken: it replaces what is there, is skipped, or the thousand
            that it is in fails and nothing after it is sent.
        progress: True draws how far it is; a function is called with the report as it grows.
        resume: the report of an upload that broke off, with all of its rows: it goes on behind those that are
            acknowledged. A `Report()` of your own is filled as it goes.

    Returns:
        What became of them: which were refused, by their place among the rows, and why.

    Raises:
        Conflict: an id is taken, with `on_conflict="fail"`.
        Error: whatever ends it early; its `report` says how far it was.
    """
    write_mode(on_conflict)
    if not isinstance(progress, bool) and not callable(progress):
        raise invalid_value("", f"progress: wanted True, False or a function, got {progress!r}")
    if resume is not None and not isinstance(resume, Report):
        raise invalid_value("", f"resume: wanted the report of an upload that broke off, got {resume!r}")
    columns = {"id": ids, "key": keys, "key_vector": key_vectors, "value": values}
    columns |= {"value_vector": value_vectors, "metadata": metadata}
    given, total = open_rows(rows, {name: column for name, column in columns.items() if column is not None})
    return Upload(place, given, total, on_conflict, progress, Report() if resume is None else resume)


OnConflict: TypeAlias = Literal["replace", "skip", "fail"]
Progress: TypeAlias = bool | Callable[[Report], object]
_WRITE_MODES: Mapping[OnConflict, str] = {"replace": "upsert", "skip": "skip", "fail": "create"}
# What the service writes at once of a stream, and what is sent at once at most.
_MAX_BATCH_ROWS, _MAX_BATCH_BYTES = 1000, 8_000_000
_CONCURRENT_BATCHES = 2
_ENVELOPE_BYTES = 100  # bytes of a body besides its rows


class Upload:
    """Rows to be written: whoever sends it fills batches with `add`, sends each and says what came of it.

    Attributes:
        rows: to go through; of these the first ones that the report knows of are left out.
        total: how many there are, None where that is not known.
        report: what became of those that the service has answered.
    """

    def __init__(
        self,
        place: CollectionRef,
        rows: Iterable[Any] | AsyncIterable[Any],
        total: int | None,
        on_conflict: OnConflict,
        progress: Progress,
        report: Report,
    ) -> None:
        self.rows = rows
        self.total = total
        self.progress = progress
        self.report = report
        self._place = place
        self._on_conflict = on_conflict
        self._next = 0
        self._known = report.rows = report.acknowledged
        self._most_rows, self._most_bytes = _MAX_BATCH_ROWS, _MAX_BATCH_BYTES
        self._batch = Batch(report.acknowledged)

    def has_to_wait(self, batch: Batch, under_way: Sequence[Batch]) -> bool:
        """Whether others have to be acknowledged before this batch is sent.

        The first one goes alone, as the collection may not be there; where an id that is taken ends all, so does each.
        Two that have an id in common are written in their order.
        """
        most = 1 if self._on_conflict == "fail" or not self.report.acknowledged else _CONCURRENT_BATCHES
        return len(under_way) >= most or not all(batch.ids.isdisjoint(other.ids) for other in under_way)

    def is_next(self, batch: Batch) -> bool:
        """Whether all before it is acknowledged."""
        return batch.first == self.report.acknowledged

    def begin(self) -> Plan[None]:
        """Hear how much the service takes at once, where a batch is one body."""
        if self._on_conflict != "replace":
            known = self._place.known
            self._most_rows = min(_MAX_BATCH_ROWS, (yield from get_limit(known, "documents")))
            self._most_bytes = min(_MAX_BATCH_BYTES, (yield from get_limit(known, "body_bytes")) - _ENVELOPE_BYTES)

    def add(self, row: Any) -> Batch | None:
        """The next row → a batch that is full with those before it."""
        place, self._next = self._next, self._next + 1
        if place < self._known:
            return None
        fields = row_fields(row, place)
        self.report.rows += 1
        try:
            made = encode_row(fields, place)
        except Invalid as error:
            full = self._cut() if self._batch.rows >= self._most_rows else None
            self._batch.refuse(place, row_id(fields), error)
            return full
        crowded = self._batch.lines and self._batch.size + len(made.content) >= self._most_bytes
        full = self._cut() if crowded or self._batch.rows >= self._most_rows else None
        self._batch.add(made)
        return full

    def rest(self) -> Batch | None:
        """The last batch, when there are no more rows.

        Raises:
            Invalid: there were fewer than the report knows of.
        """
        if self._next < self._known:
            raise invalid_value(
                "", f"{self._next:,} rows came and {self._known:,} are acknowledged: give resume= all the rows"
            )
        return self._cut() if self._batch.rows else None

    def _cut(self) -> Batch:
        full, self._batch = self._batch, Batch(self._batch.first + self._batch.rows)
        return full

    def send(self, batch: Batch) -> Plan[BatchResult]:
        """The calls that write a batch."""
        done = BatchResult(batch.refused)
        rows = yield from self._of_right_width(batch.lines, done)
        for tried in count():
            if not rows:
                return done
            try:
                if self._on_conflict == "replace":
                    yield from self._stream(rows, done)
                    rows = []
                else:
                    rows = yield from self._transaction(rows, done, f"{batch.first}-{batch.rows}-{tried}")
            except TooLarge as error:
                rows = yield from self._short_enough(rows, done, error)
        raise AssertionError("count() ends never")

    def acknowledge(self, batch: Batch, done: BatchResult) -> None:
        """Put what became of a batch into the report; batches come in their order."""
        report = self.report
        report.acknowledged += batch.rows
        report.upserted += done.upserted
        report.skipped += done.skipped
        report.truncated += done.truncated
        report.refused += sorted(done.refused, key=lambda refused: refused.row)

    def _of_right_width(self, rows: Sequence[RowLine], done: BatchResult) -> Plan[list[RowLine]]:
        """Leave out what is not as wide as the keys, where they have a width already."""
        name, known = self._place.name, self._place.known.widths
        widths = {row.width for row in rows if row.width is not None}
        if not widths or widths == {known.get(name)} or (len(widths) == 1 and name not in known):
            return list(rows)
        held = (yield from info(self._place)).dimension
        kept = []
        for row in rows:
            if held is None or row.width in (None, held):
                kept.append(row)
                continue
            wide = f"key_vector has width {row.width}, collection {name!r} holds width {held}"
            done.refuse(row, [Flaw("/key_vector", f"{wide}: use the model that its other documents were made with")])
        return kept

    def _short_enough(self, rows: Sequence[RowLine], done: BatchResult, error: TooLarge) -> Plan[list[RowLine]]:
        """Leave out what the service does not even take alone; raise the error where that is not it."""
        most = (yield from get_limit(self._place.known, "body_bytes")) - _ENVELOPE_BYTES
        long = [row for row in rows if len(row.content) > most]
        if not long:
            raise error
        for row in long:
            done.refuse(row, [Flaw("", f"the row has {len(row.content)} bytes, a line may have {most}: shorten it")])
        return [row for row in rows if len(row.content) <= most]

    def _stream(self, rows: Sequence[RowLine], done: BatchResult) -> Plan[None]:
        """Rows as NDJSON, whose good lines are written; a repeated one writes the same again."""
        for part in (yield from _ndjson_call(self._place, b"\n".join(row.content for row in rows))):
            done.upserted += part["upserted"]
            done.truncated += part["truncated"]
            for refused in part["refused"]:
                flaws = [Flaw(each["pointer"], each["detail"]) for each in refused["errors"]]
                done.refuse(rows[refused["line"] - 1], flaws)

    def _transaction(self, rows: Sequence[RowLine], done: BatchResult, name: str) -> Plan[list[RowLine]]:
        """Rows as one body, which is written all or none → those to be sent again, without the flawed ones.

        Args:
            name: of these rows, which an upload that goes on gives them again, so that they are written once.
        """
        head = f'{{"mode":"{write_mode(self._on_conflict)}","documents":['.encode()
        content = head + b",".join(row.content for row in rows) + b"]}"
        path, named = self._place.documents, f"{self.report.id}-{name}"
        try:
            did = yield from Call(
                "POST", path, parse_written, content=content, once=True, timeout=WRITE_TIMEOUT, id=named
            )
        except Invalid as error:
            wrong = _flaws_by_row(error)
            if not wrong:
                raise
            for at, flaws in wrong.items():
                done.refuse(rows[at], flaws)
            return [row for at, row in enumerate(rows) if at not in wrong]
        done.upserted += did.upserted
        done.truncated += did.truncated
        done.skipped += did.skipped
        return []


def write_mode(on_conflict: OnConflict) -> str:
    """What the wire calls it.

    Raises:
        Invalid: it is none of these.
    """
    if not isinstance(on_conflict, str) or on_conflict not in _WRITE_MODES:
        raise invalid_value("", f"on_conflict: wanted 'replace', 'skip' or 'fail', got {on_conflict!r}")
    return _WRITE_MODES[on_conflict]


def _ndjson_call(place: CollectionRef, content: bytes) -> Call[list[Any]]:
    def parse(reply: Reply) -> list[Any]:
        lines = [line for line in reply.content.split(b"\n") if line]
        *parts, end = [Reply(reply.status, reply.headers, line, reply.url).json() for line in lines]
        if not end["done"]:
            raise problem_error(end["problem"], reply) if "problem" in end else foreign_response_error(reply)
        return parts

    return Call("POST", place.documents, parse, content=content, content_type=NDJSON_TYPE, timeout=WRITE_TIMEOUT)


def _flaws_by_row(error: Invalid) -> dict[int, list[Flaw]]:
    """The flaws of a request by the document that they are of; none where one is of the request itself."""
    found: dict[int, list[Flaw]] = {}
    for flaw in error.errors:
        _, room, *rest = (*flaw.pointer.split("/"), "", "")
        if room != "documents" or not rest[0].isdecimal():
            return {}
        found.setdefault(int(rest[0]), []).append(Flaw(flaw.pointer.removeprefix(f"/documents/{rest[0]}"), flaw.detail))
    return found


class Batch:
    """Rows that are sent together.

    Attributes:
        first: the place of the first of them.
        rows: how many they are, those that were refused here included.
        lines: those that are to be sent.
        ids: of these.
        refused: the others.
    """

    def __init__(self, first: int) -> None:
        self.first = first
        self.rows = 0
        self.size = 0
        self.lines: list[RowLine] = []
        self.ids: set[str] = set()
        self.refused: list[Refusal] = []

    def add(self, row: RowLine) -> None:
        """One more row; of two with one id the service takes the first."""
        self.rows += 1
        if row.id is not None and row.id in self.ids:
            detail = f"the id {row.id!r} is in this request twice: send each id once"
            self.refused.append(Refusal.of(row.place, row.id, [Flaw("/id", detail)]))
            return
        if row.id is not None:
            self.ids.add(row.id)
        self.lines.append(row)
        self.size += len(row.content) + 1

    def refuse(self, place: int, name: str | None, error: Invalid) -> None:
        """One more row, which is not sent."""
        self.rows += 1
        self.refused.append(Refusal.of(place, name, error.errors))


class BatchResult:
    """What became of a batch; fields as in a report."""

    def __init__(self, refused: Iterable[Refusal]) -> None:
        self.upserted = 0
        self.skipped: list[str] = []
        self.truncated: list[str] = []
        self.refused = list(refused)

    def refuse(self, row: RowLine, flaws: Sequence[Flaw]) -> None:
        """One more row that was not written."""
        self.refused.append(Refusal.of(row.place, row.id, flaws))


_KEY_VECTOR = "key_vector"


class RowLine(NamedTuple):
    """A row on its way.

    Attributes:
        place: among the rows that were given, from 0.
        id: its document's, None where that is no text.
        content: the line, without its end.
        width: of its key vector, None where it came without one, or as base64.
    """

    place: int
    id: str | None
    content: bytes
    width: int | None


def row_fields(row: Any, place: int) -> Mapping[str, Any]:
    """The fields of a row.

    Raises:
        Invalid: it is none, so neither are the rows.
    """
    if isinstance(row, Document):
        return {"id": row.id, **row.fields}
    if isinstance(row, Mapping):
        return row
    raise invalid_value(f"/{place}", f"wanted a Document or an object with its fields, got {type(row).__name__}")


def row_id(fields: Mapping[str, Any]) -> str | None:
    """The id that a row has."""
    given = fields.get("id")
    return given if isinstance(given, str) else None


def encode_row(fields: Mapping[str, Any], place: int) -> RowLine:
    """A row as a line.

    Raises:
        Invalid: no document can be so; the error says why, in the service's words.
    """
    if "id" in fields:
        raise_flaws(validation.check_document_id(fields["id"], "/id"))
    vector = fields.get(_KEY_VECTOR)
    if vector is None or isinstance(vector, Mapping):
        return RowLine(place, row_id(fields), encode_json(encode_fields(fields)), None)
    array = as_float32(vector, f"/{_KEY_VECTOR}")
    content = encode_json(encode_fields({name: each for name, each in fields.items() if name != _KEY_VECTOR}))
    return RowLine(place, row_id(fields), _append_vector(content, array), len(array))


def _append_vector(content: bytes, array: Array) -> bytes:
    """An object with the vector as one more field, written beside what is JSON already."""
    comma = b"," if len(content) > 2 else b""
    return b'%s%s"key_vector":{"base64":"%s"}}' % (content[:-1], comma, b64encode(array.data))
