"""Calls that write many documents: in one transaction, or any number of rows in batches."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from time import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, SupportsIndex, TypeAlias

from softkv import validation
from softkv.answers.documents import Document, Refusal, Report, TableRow, encode_document, encode_fields, seconds_of
from softkv.answers.info import Written
from softkv.calls.call import NDJSON_TYPE, WRITE_TIMEOUT, Call, CollectionRef, Plan
from softkv.calls.collections import info
from softkv.calls.documents import parse_written, to_id_list
from softkv.calls.rows import RowSource, open_rows
from softkv.calls.service import get_limit
from softkv.errors import Error, Flaw, Invalid, Refused, TooLarge
from softkv.problems import Reply, foreign_response_error, invalid_value, problem_error, raise_flaws
from softkv.wire import as_float32, encode_json

if TYPE_CHECKING:
    from softkv.wire import Array, Matrix


def write(
    collection: CollectionRef,
    documents: Iterable[Document | Mapping[str, Any]],
    *,
    on_conflict: OnConflict = "replace",
    delete: str | Iterable[str] = (),
) -> Call[Written]:
    """Write documents in one transaction: all of them, or none.

    Args:
        documents: `Document` objects, or mappings with their fields.
        on_conflict: what to do with a document whose id exists: "replace" it, "skip" it, or "fail" altogether.
        delete: the ids of documents that these ones supersede; the same transaction deletes them, and ignores unknown
            ids.

    Returns:
        A `Written` with the number of written documents, of deleted ones, and the skipped and truncated ids.

    Raises:
        Conflict: an id exists, and `on_conflict` is "fail".
        Invalid: a document is invalid; `errors` points at it.
        TooLarge: the request is too large. `upsert` has no limit.

    Example:
        >>> collection.write([Document("cats", "pets that purr"), {"id": "tax", "key": "tax law"}])
    """
    documents_list = validation.require_list(documents, "/documents")
    invalid = {
        index: validation.describe_value(document)
        for index, document in enumerate(documents_list)
        if not isinstance(document, Document | Mapping)
    }
    raise_flaws(Flaw(f"/documents/{index}", f"wanted an object, got {came}") for index, came in invalid.items())
    encoded = [encode_document(document, f"/documents/{index}") for index, document in enumerate(documents_list)]
    ids = to_id_list(delete)
    content = encode_json({"documents": encoded, "mode": write_mode(on_conflict), **({"delete": ids} if ids else {})})
    return Call("POST", collection.documents, parse_written, content=content, idempotent=True, timeout=WRITE_TIMEOUT)


def upsert(
    collection: CollectionRef,
    rows: RowSource | None = None,
    *,
    ids: Sequence[str] | None = None,
    keys: Sequence[str | None] | None = None,
    key_vectors: Matrix | None = None,
    values: Sequence[Any] | None = None,
    value_vectors: Matrix | None = None,
    metadata: Sequence[Mapping[str, Any] | None] | None = None,
    on_conflict: OnConflict = "replace",
    progress: Progress | None = None,
    resume: Report | None = None,
) -> Upload:
    """Write any number of rows in batches of up to 1,000; an invalid row does not stop the others.

    Rows are read as they are sent, so a generator of any length needs little memory. Rows may be documents, mappings, a
    pandas DataFrame or an Arrow table, whose further columns become metadata. Columns may be passed in their place.

    Args:
        rows: the rows, in place of columns.
        ids: a column with the documents' ids; the other columns have the same order and length.
        keys: a column of key texts, with None for no text.
        key_vectors: a matrix with a row per document.
        values: a column of values.
        value_vectors: a matrix with a row per document.
        metadata: a column of objects, with None for no metadata.
        on_conflict: what to do with a row whose id exists: "replace" it, "skip" it, or "fail". With "fail" its whole
            batch is not written, and no later batch is sent.
        progress: True draws a progress bar; a function is called with the growing report; False shows nothing. By
            default, an upload of more than ten seconds says on a terminal or in a notebook how far it is.
        resume: the report of an interrupted upload, passed with all of its rows: acknowledged rows are not sent again.
            An empty `Report()` is filled as the upload proceeds.

    Returns:
        A `Report`: which rows were refused, by their index, and why.

    Raises:
        Conflict: an id exists, and `on_conflict` is "fail".
        Error: the upload ended early; `report` of the error says how far it got.

    Example:
        >>> collection.upsert(ids=["cats", "tax"], keys=["pets that purr", "tax law"]).upserted
        2
    """
    write_mode(on_conflict)
    if progress is not None and not isinstance(progress, bool) and not callable(progress):
        raise invalid_value("", f"progress: wanted True, False or a function, got {progress!r}")
    if resume is not None and not isinstance(resume, Report):
        raise invalid_value("", f"resume: wanted the report of an upload that broke off, got {resume!r}")
    columns = {"id": ids, "key": keys, "key_vector": key_vectors, "value": values}
    columns |= {"value_vector": value_vectors, "metadata": metadata}
    iterable, total = open_rows(rows, {name: column for name, column in columns.items() if column is not None})
    report, is_followed = Report() if resume is None else resume, resume is not None or callable(progress)
    report.notices = list(getattr(iterable, "notices", ()))
    return Upload(collection, iterable, total, on_conflict, progress, report, is_followed)


OnConflict: TypeAlias = Literal["replace", "skip", "fail"]
Progress: TypeAlias = bool | Callable[[Report], object]
_WRITE_MODES: Mapping[OnConflict, str] = {"replace": "upsert", "skip": "skip", "fail": "create"}
# The service writes a stream in transactions of this many rows; a request has at most this many bytes.
_MAX_BATCH_ROWS, _MAX_BATCH_BYTES = 1000, 8_000_000
# The first rows with texts to encode, of this many bytes, are a batch; each further batch may have twice as many. So a
# slow encoder soon shows its rate.
_FIRST_ENCODED_BYTES = 16_000
_CONCURRENT_BATCHES = 2
_ENVELOPE_BYTES = 100  # bytes of a body besides its rows


class Upload:
    """The state of one upload: the rows that remain, the current batch, and the results so far.

    The sender fills batches with `add`, sends each with `send` and passes the result to `acknowledge`.

    Attributes:
        rows: the rows; the first ones are skipped if the report has acknowledged them.
        total: the number of rows, or None if it is unknown.
        report: the results so far.
        is_followed: whether the caller reads the report meanwhile, so that refused rows need no warning.
        collection: the collection.
        has_value_texts: whether a row had texts to encode for both its key and its value.
    """

    def __init__(
        self,
        collection: CollectionRef,
        rows: Iterable[Any] | AsyncIterable[Any],
        total: int | None,
        on_conflict: OnConflict,
        progress: Progress | None,
        report: Report,
        is_followed: bool,
    ) -> None:
        self.rows = rows
        self.total = total
        self.progress = progress
        self.report = report
        self.is_followed = is_followed
        self.collection = collection
        self.has_value_texts = False
        self._on_conflict = on_conflict
        self._next = 0
        self._known = report.rows = report.acknowledged
        self._most_rows, self._most_bytes = _MAX_BATCH_ROWS, _MAX_BATCH_BYTES
        self._most_encoded_bytes = _FIRST_ENCODED_BYTES
        self._batch = Batch(report.acknowledged)

    def must_wait(self, batch: Batch, active: Sequence[Batch]) -> bool:
        """Return whether a batch that is being sent must be acknowledged before this one is sent.

        The first batch is sent alone because the collection may not exist. With "fail" every batch is sent alone.
        Batches with a common id are written in order.
        """
        limit = 1 if self._on_conflict == "fail" or not self.report.acknowledged else _CONCURRENT_BATCHES
        return len(active) >= limit or not all(batch.ids.isdisjoint(earlier.ids) for earlier in active)

    def is_next(self, batch: Batch) -> bool:
        """Return whether all earlier batches are acknowledged."""
        return batch.first == self.report.acknowledged

    def prepare(self) -> Plan[None]:
        """Fetch the service's limits, if they determine how large a batch may be."""
        if self._on_conflict != "replace":
            cache = self.collection.cache
            self._most_rows = min(_MAX_BATCH_ROWS, (yield from get_limit(cache, "documents")))
            self._most_bytes = min(_MAX_BATCH_BYTES, (yield from get_limit(cache, "body_bytes")) - _ENVELOPE_BYTES)

    def add(self, row: Any) -> Batch | None:
        """Add the next row; return the previous batch if it is full, else None."""
        index, self._next = self._next, self._next + 1
        if index < self._known:
            return None
        line = row.number if isinstance(row, TableRow) else None
        fields = row_fields(row, index)
        self.report.rows += 1
        try:
            if isinstance(row, TableRow) and row.flaw:
                raise invalid_value("", row.flaw)
            row_line = encode_row(fields, index, line)
        except Invalid as error:
            batch = self._close_batch() if self._batch.rows >= self._most_rows else None
            self._batch.refuse(index, row_id(fields), error, line)
            return batch
        is_full = self._batch.lines and self._batch.size + len(row_line.content) >= self._most_bytes
        batch = self._close_batch() if is_full or self._batch.rows >= self._most_rows else None
        if batch is None and self._batch.encoded_bytes >= self._most_encoded_bytes and self._on_conflict == "replace":
            batch, self._most_encoded_bytes = self._close_batch(), 2 * self._most_encoded_bytes
            ids_before = batch.ids_before | batch.ids
            self._batch.ids_before = ids_before if len(ids_before) < self._most_rows else set()
        self._batch.add(row_line)
        self.has_value_texts = self.has_value_texts or encodes_value(fields)
        return batch

    def finish(self) -> Batch | None:
        """Return the last batch after all rows were added; None if it is empty.

        Raises:
            Invalid: there were fewer rows than the report has acknowledged.
        """
        if self._next < self._known:
            raise invalid_value(
                "", f"{self._next:,} rows came and {self._known:,} are acknowledged: give resume= all the rows"
            )
        return self._close_batch() if self._batch.rows else None

    def count_waiting(self) -> Plan[None]:
        """Ask how many values are still to be encoded, if rows had some. An upload that ended does not fail by that."""
        if self.has_value_texts:
            with suppress(Error):
                values = (yield from info(self.collection)).values
                self.report.values_waiting = 0 if values is None else values.waiting

    def _close_batch(self) -> Batch:
        """Start a new batch; return the previous one."""
        batch, self._batch = self._batch, Batch(self._batch.first + self._batch.rows)
        return batch

    def send(self, batch: Batch) -> Plan[BatchResult]:
        """Write a batch; return the result of its rows."""
        result = BatchResult(batch.refused)
        rows = yield from self._drop_wrong_widths(batch.lines, result)
        for attempt in count():
            if not rows:
                return result
            try:
                if self._on_conflict == "replace":
                    rows = yield from self._write_stream(rows, result)
                else:
                    rows = yield from self._write_transaction(rows, result, f"{batch.first}-{batch.rows}-{attempt}")
            except TooLarge as error:
                rows = yield from self._drop_oversized(rows, result, error)
        raise AssertionError("count() ends never")

    def acknowledge(self, batch: Batch, result: BatchResult) -> None:
        """Add the result of a batch to the report. Batches are acknowledged in order."""
        report = self.report
        report.acknowledged += batch.rows
        report.upserted += result.upserted
        report.expired += batch.count_expired(result)
        report.skipped += result.skipped
        report.truncated += result.truncated
        report.refused += sorted(result.refused, key=lambda refusal: refusal.row)

    def _drop_wrong_widths(self, rows: Sequence[RowLine], result: BatchResult) -> Plan[list[RowLine]]:
        """Refuse rows whose key vectors differ in width from the collection's keys; return the other rows."""
        name, widths_by_name = self.collection.name, self.collection.cache.widths
        widths = {row.width for row in rows if row.width is not None}
        if not widths or widths == {widths_by_name.get(name)} or (len(widths) == 1 and name not in widths_by_name):
            return list(rows)
        key_width = (yield from info(self.collection)).dimension
        accepted = []
        for row in rows:
            if key_width is None or row.width in (None, key_width):
                accepted.append(row)
                continue
            mismatch = f"key_vector has width {row.width}, collection {name!r} holds width {key_width}"
            result.refuse(
                row, [Flaw("/key_vector", f"{mismatch}: use the model that its other documents were made with")]
            )
        return accepted

    def _drop_oversized(self, rows: Sequence[RowLine], result: BatchResult, error: TooLarge) -> Plan[list[RowLine]]:
        """Refuse rows that are each larger than the service's limit on a request; return the other rows.

        Raises:
            TooLarge: no single row exceeds the limit.
        """
        max_bytes = (yield from get_limit(self.collection.cache, "body_bytes")) - _ENVELOPE_BYTES
        oversized = [row for row in rows if len(row.content) > max_bytes]
        if not oversized:
            raise error
        for row in oversized:
            result.refuse(
                row, [Flaw("", f"the row has {len(row.content)} bytes, a line may have {max_bytes}: shorten it")]
            )
        return [row for row in rows if len(row.content) <= max_bytes]

    def _write_stream(self, rows: Sequence[RowLine], result: BatchResult) -> Plan[list[RowLine]]:
        """Write rows as NDJSON, of which the valid lines are written; return the rows to send again.

        A repeated request writes the same rows again. If the service ends the stream and names the documents that are
        the reason, these are refused, and the rows after the answered ones are sent again without them.
        """
        parts, error = yield from _ndjson_call(self.collection, b"\n".join(row.content for row in rows))
        answered = 0
        for counts in parts:
            answered += counts["upserted"] + len(counts["refused"])
            result.upserted += counts["upserted"]
            result.truncated += counts["truncated"] or ()
            for refused in counts["refused"]:
                flaws = [Flaw(flaw["pointer"], flaw["detail"]) for flaw in refused["errors"]]
                result.refuse(rows[refused["line"] - 1], flaws)
        if error is None:
            return []
        flaws_by_row = _flaws_by_row(error)
        unanswered = rows[answered:]
        if max(flaws_by_row) >= len(unanswered):
            raise error
        for index, flaws in flaws_by_row.items():
            result.refuse(unanswered[index], flaws)
        return [row for index, row in enumerate(unanswered) if index not in flaws_by_row]

    def _write_transaction(self, rows: Sequence[RowLine], result: BatchResult, name: str) -> Plan[list[RowLine]]:
        """Write rows in one transaction; return the rows to send again without the flawed ones.

        Args:
            name: the batch's name. A resumed upload uses the same name, so that the rows are written once.
        """
        head = f'{{"mode":"{write_mode(self._on_conflict)}","documents":['.encode()
        content = head + b",".join(row.content for row in rows) + b"]}"
        path, request_id = self.collection.documents, f"{self.report.id}-{name}"
        try:
            written = yield from Call(
                "POST", path, parse_written, content=content, idempotent=True, timeout=WRITE_TIMEOUT, id=request_id
            )
        except Invalid as error:
            flaws_by_row = _flaws_by_row(error)
            if not flaws_by_row:
                raise
            for index, flaws in flaws_by_row.items():
                result.refuse(rows[index], flaws)
            return [row for index, row in enumerate(rows) if index not in flaws_by_row]
        result.upserted += written.upserted
        result.truncated += written.truncated or ()
        result.skipped += written.skipped
        return []


def write_mode(on_conflict: OnConflict) -> str:
    """Return the service's name of a conflict mode.

    Raises:
        Invalid: the mode is unknown.
    """
    if not isinstance(on_conflict, str) or on_conflict not in _WRITE_MODES:
        raise invalid_value("", f"on_conflict: wanted 'replace', 'skip' or 'fail', got {on_conflict!r}")
    return _WRITE_MODES[on_conflict]


def _ndjson_call(collection: CollectionRef, content: bytes) -> Call[tuple[list[Any], Refused | None]]:
    """Return the call that writes rows as NDJSON: its result is the answered parts, and an error that names rows."""

    def parse(reply: Reply) -> tuple[list[Any], Refused | None]:
        lines = [line for line in reply.content.split(b"\n") if line]
        *parts, end = [json.loads(line) for line in lines]
        if not end["done"]:
            if "problem" not in end:
                raise foreign_response_error(reply)
            error = problem_error(end["problem"], reply)
            if not _flaws_by_row(error):
                raise error
            return parts, error
        return parts, None

    return Call("POST", collection.documents, parse, content=content, content_type=NDJSON_TYPE, timeout=WRITE_TIMEOUT)


def _flaws_by_row(error: Refused) -> dict[int, list[Flaw]]:
    """Group a request's flaws by document index; return an empty dict if a flaw concerns the request itself."""
    flaws: dict[int, list[Flaw]] = {}
    for flaw in error.errors:
        _, parameter, *rest = (*flaw.pointer.split("/"), "", "")
        if parameter != "documents" or not rest[0].isdecimal():
            return {}
        flaws.setdefault(int(rest[0]), []).append(Flaw(flaw.pointer.removeprefix(f"/documents/{rest[0]}"), flaw.detail))
    return flaws


class Batch:
    """Rows that are sent in one request.

    Attributes:
        first: the index of the first row.
        rows: the number of rows, including the refused ones.
        lines: the rows to send.
        ids: the ids of `lines`.
        ids_before: the ids of earlier batches that refuse a row as the batch's own ids do.
        encoded_bytes: the size of the rows whose texts the service encodes.
        refused: the rows that the client refused.
    """

    def __init__(self, first: int) -> None:
        self.first = first
        self.rows = 0
        self.size = self.encoded_bytes = 0
        self.lines: list[RowLine] = []
        self.ids: set[str] = set()
        self.ids_before: set[str] = set()
        self.refused: list[Refusal] = []

    def add(self, row: RowLine) -> None:
        """Add a row; refuse it if the batch already has a row with the same id."""
        self.rows += 1
        if row.id is not None and (row.id in self.ids or row.id in self.ids_before):
            detail = f"the id {row.id!r} is in this request twice: send each id once"
            self.refused.append(Refusal.of(row.position, row.id, [Flaw("/id", detail)], row.line))
            return
        if row.id is not None:
            self.ids.add(row.id)
        self.lines.append(row)
        self.size += len(row.content) + 1
        self.encoded_bytes += len(row.content) if row.is_encoded else 0

    def count_expired(self, result: BatchResult) -> int:
        """Return the number of rows that were written, although their instant of expiry was over."""
        expired = [line for line in self.lines if line.is_expired]
        if not expired:
            return 0
        refused, skipped = {refusal.row for refusal in result.refused}, set(result.skipped)
        return sum(line.position not in refused and line.id not in skipped for line in expired)

    def refuse(self, index: int, document_id: str | None, error: Invalid, line: int | None) -> None:
        """Record a row that the client itself refuses, so that it is not sent."""
        self.rows += 1
        self.refused.append(Refusal.of(index, document_id, error.errors, line))


class BatchResult:
    """The result of a batch, with the fields of a report."""

    def __init__(self, refused: Iterable[Refusal]) -> None:
        self.upserted = 0
        self.skipped: list[str] = []
        self.truncated: list[str] = []
        self.refused = list(refused)

    def refuse(self, row: RowLine, flaws: Sequence[Flaw]) -> None:
        """Record a row that the service did not write, and why."""
        self.refused.append(Refusal.of(row.position, row.id, flaws, row.line))


_KEY_VECTOR = "key_vector"


class RowLine(NamedTuple):
    """A row encoded as a line of JSON.

    Attributes:
        position: the index of the row, from 0.
        id: the document's id, or None if the row has no text there.
        content: the line without its line break.
        width: the width of the key vector; None for a row without one, and for base64.
        line: the number of the row in its file, if it comes from one.
        is_expired: whether its instant of expiry is over.
        is_encoded: whether the service encodes its key text, if the collection has an encoder.
    """

    position: int
    id: str | None
    content: bytes
    width: int | None
    line: int | None
    is_expired: bool
    is_encoded: bool


def row_fields(row: Any, index: int) -> Mapping[str, Any]:
    """Return the fields of a row as a mapping.

    Raises:
        Invalid: the row is neither a document nor a mapping.
    """
    if isinstance(row, TableRow):
        return row.document or {"id": row.id}
    if isinstance(row, Document):
        return {"id": row.id, **row.fields}
    if isinstance(row, Mapping):
        return with_text_id(row)
    raise invalid_value(f"/{index}", f"wanted a Document or an object with its fields, got {type(row).__name__}")


def with_text_id(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a row with a whole number as id, as tables have it, in decimal."""
    id_ = fields.get("id")
    if isinstance(id_, SupportsIndex) and not isinstance(id_, bool):  # Python's and NumPy's integers
        return {**fields, "id": str(int(id_))}
    return fields


def row_id(fields: Mapping[str, Any]) -> str | None:
    """Return the id of a row, or None if it is not a text."""
    value = fields.get("id")
    return value if isinstance(value, str) else None


def encode_row(fields: Mapping[str, Any], index: int, line: int | None = None) -> RowLine:
    """Encode a row as a line of JSON.

    Raises:
        Invalid: the row cannot be a document; the message is the service's.
    """
    expires = seconds_of(fields.get("expires"))
    is_expired = expires is not None and expires <= time()
    vector = fields.get(_KEY_VECTOR)
    if vector is None or isinstance(vector, Mapping):
        content = encode_json(encode_fields(fields))
        return RowLine(index, row_id(fields), content, None, line, is_expired, encodes_key(fields))
    array = as_float32(vector, f"/{_KEY_VECTOR}")
    content = encode_json(encode_fields({name: field for name, field in fields.items() if name != _KEY_VECTOR}))
    return RowLine(index, row_id(fields), _append_vector(content, array), len(array), line, is_expired, False)


def encodes_key(fields: Mapping[str, Any]) -> bool:
    """Return whether the service encodes the key text of a row, if the collection has an encoder."""
    has_vector = fields.get(_KEY_VECTOR) is not None or fields.get("key_vectors") is not None
    return isinstance(fields.get("key"), str) and not has_vector


def encodes_value(fields: Mapping[str, Any]) -> bool:
    """Return whether the service encodes the value of a row besides its key, unless vectors come from the keys."""
    value = fields.get("value")
    is_text = isinstance(value, str) and value != fields.get("key") and fields.get("value_vector") is None
    return is_text and encodes_key(fields)


def _append_vector(content: bytes, array: Array) -> bytes:
    """Add a vector field to an encoded JSON object."""
    comma = b"," if len(content) > 2 else b""
    return b'%s%s"key_vector":{"base64":"%s"}}' % (content[:-1], comma, b64encode(array.data))
