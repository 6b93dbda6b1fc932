"""Rows of any number on their way: batches, filled one after another, the calls of each, and what became of them."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, Literal, TypeAlias

from softkv.answers.report import Report
from softkv.calls.batch import Batch, Outcome
from softkv.calls.call import NDJSON_TYPE, WRITE_SECONDS, Call, Plan
from softkv.calls.collections import info
from softkv.calls.documents import written
from softkv.calls.lines import Line, fields_of, line, name_of
from softkv.calls.place import Place
from softkv.calls.service import limit
from softkv.errors import Flaw, Invalid, TooLarge
from softkv.problems import flawed, foreign, of_problem
from softkv.reply import Reply

OnConflict: TypeAlias = Literal["replace", "skip", "fail"]
Progress: TypeAlias = bool | Callable[[Report], object]
_MODES: Mapping[OnConflict, str] = {"replace": "upsert", "skip": "skip", "fail": "create"}
# What the service writes at once of a stream, and what is sent at once at most.
_AT_ONCE, _MOST_BYTES = 1000, 8_000_000
_SIDE_BY_SIDE = 2
_AROUND = 100  # bytes of a body besides its rows


class Upload:
    """Rows to be written: whoever sends it fills batches with `add`, sends each and says what came of it.

    Attributes:
        rows: to go through; of these the first ones that the report knows of are left out.
        total: how many there are, None where that is not known.
        report: what became of those that the service has answered.
    """

    def __init__(
        self,
        place: Place,
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
        self._most_rows, self._most_bytes = _AT_ONCE, _MOST_BYTES
        self._batch = Batch(report.acknowledged)

    def has_to_wait(self, batch: Batch, under_way: Sequence[Batch]) -> bool:
        """Whether others have to be acknowledged before this batch is sent.

        The first one goes alone, as the collection may not be there; where an id that is taken ends all, so does each.
        Two that have an id in common are written in their order.
        """
        most = 1 if self._on_conflict == "fail" or not self.report.acknowledged else _SIDE_BY_SIDE
        return len(under_way) >= most or not all(batch.ids.isdisjoint(other.ids) for other in under_way)

    def is_next(self, batch: Batch) -> bool:
        """Whether all before it is acknowledged."""
        return batch.first == self.report.acknowledged

    def begin(self) -> Plan[None]:
        """Hear how much the service takes at once, where a batch is one body."""
        if self._on_conflict != "replace":
            known = self._place.known
            self._most_rows = min(_AT_ONCE, (yield from limit(known, "documents")))
            self._most_bytes = min(_MOST_BYTES, (yield from limit(known, "body_bytes")) - _AROUND)

    def add(self, row: Any) -> Batch | None:
        """The next row → a batch that is full with those before it."""
        place, self._next = self._next, self._next + 1
        if place < self._known:
            return None
        fields = fields_of(row, place)
        self.report.rows += 1
        try:
            made = line(fields, place)
        except Invalid as error:
            full = self._cut() if self._batch.rows >= self._most_rows else None
            self._batch.refuse(place, name_of(fields), error)
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
            raise flawed(
                "", f"{self._next:,} rows came and {self._known:,} are acknowledged: give resume= all the rows"
            )
        return self._cut() if self._batch.rows else None

    def _cut(self) -> Batch:
        full, self._batch = self._batch, Batch(self._batch.first + self._batch.rows)
        return full

    def send(self, batch: Batch) -> Plan[Outcome]:
        """The calls that write a batch."""
        done = Outcome(batch.refused)
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

    def acknowledge(self, batch: Batch, done: Outcome) -> None:
        """Put what became of a batch into the report; batches come in their order."""
        report = self.report
        report.acknowledged += batch.rows
        report.upserted += done.upserted
        report.skipped += done.skipped
        report.truncated += done.truncated
        report.refused += sorted(done.refused, key=lambda refused: refused.row)

    def _of_right_width(self, rows: Sequence[Line], done: Outcome) -> Plan[list[Line]]:
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

    def _short_enough(self, rows: Sequence[Line], done: Outcome, error: TooLarge) -> Plan[list[Line]]:
        """Leave out what the service does not even take alone; raise the error where that is not it."""
        most = (yield from limit(self._place.known, "body_bytes")) - _AROUND
        long = [row for row in rows if len(row.content) > most]
        if not long:
            raise error
        for row in long:
            done.refuse(row, [Flaw("", f"the row has {len(row.content)} bytes, a line may have {most}: shorten it")])
        return [row for row in rows if len(row.content) <= most]

    def _stream(self, rows: Sequence[Line], done: Outcome) -> Plan[None]:
        """Rows as NDJSON, whose good lines are written; a repeated one writes the same again."""
        for part in (yield from _ndjson(self._place, b"\n".join(row.content for row in rows))):
            done.upserted += part["upserted"]
            done.truncated += part["truncated"]
            for refused in part["refused"]:
                flaws = [Flaw(each["pointer"], each["detail"]) for each in refused["errors"]]
                done.refuse(rows[refused["line"] - 1], flaws)

    def _transaction(self, rows: Sequence[Line], done: Outcome, name: str) -> Plan[list[Line]]:
        """Rows as one body, which is written all or none → those to be sent again, without the flawed ones.

        Args:
            name: of these rows, which an upload that goes on gives them again, so that they are written once.
        """
        head = f'{{"mode":"{mode(self._on_conflict)}","documents":['.encode()
        content = head + b",".join(row.content for row in rows) + b"]}"
        path, named = self._place.documents, f"{self.report.id}-{name}"
        try:
            did = yield from Call("POST", path, written, content=content, once=True, timeout=WRITE_SECONDS, id=named)
        except Invalid as error:
            wrong = _by_row(error)
            if not wrong:
                raise
            for at, flaws in wrong.items():
                done.refuse(rows[at], flaws)
            return [row for at, row in enumerate(rows) if at not in wrong]
        done.upserted += did.upserted
        done.truncated += did.truncated
        done.skipped += did.skipped
        return []


def mode(on_conflict: OnConflict) -> str:
    """What the wire calls it.

    Raises:
        Invalid: it is none of these.
    """
    if not isinstance(on_conflict, str) or on_conflict not in _MODES:
        raise flawed("", f"on_conflict: wanted 'replace', 'skip' or 'fail', got {on_conflict!r}")
    return _MODES[on_conflict]


def _ndjson(place: Place, content: bytes) -> Call[list[Any]]:
    def parse(reply: Reply) -> list[Any]:
        lines = [line for line in reply.content.split(b"\n") if line]
        *parts, end = [Reply(reply.status, reply.headers, line, reply.url).json() for line in lines]
        if not end["done"]:
            raise of_problem(end["problem"], reply) if "problem" in end else foreign(reply)
        return parts

    return Call("POST", place.documents, parse, content=content, content_type=NDJSON_TYPE, timeout=WRITE_SECONDS)


def _by_row(error: Invalid) -> dict[int, list[Flaw]]:
    """The flaws of a request by the document that they are of; none where one is of the request itself."""
    found: dict[int, list[Flaw]] = {}
    for flaw in error.errors:
        _, room, *rest = (*flaw.pointer.split("/"), "", "")
        if room != "documents" or not rest[0].isdecimal():
            return {}
        found.setdefault(int(rest[0]), []).append(Flaw(flaw.pointer.removeprefix(f"/documents/{rest[0]}"), flaw.detail))
    return found
