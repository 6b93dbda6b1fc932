"""A table as documents: each row becomes a document, or the reason for its refusal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from softkv.answers.documents import TableRow, seconds_of
from softkv.problems import invalid_value
from softkv.tables.cells import (
    BadCell,
    is_duration,
    is_empty,
    parse_json,
    shorten,
    to_finite,
    to_id,
    to_instant,
    to_json,
    to_text,
    to_vector,
)
from softkv.tables.columns import METADATA, SKIP, Reading, gather, rename
from softkv.tables.content import Cells, Content, MixedColumn
from softkv.tables.kinds import ColumnOfTexts, ColumnType, check_date, to_date
from softkv.tables.stores import names_of, open_objects

_READERS: dict[str, Callable[[Any], Any]] = {
    "id": to_id,
    "key": to_text,
    "key_vector": to_vector,
    "value_vector": to_vector,
}
_VECTORS = {"key_vector", "value_vector"}
_VECTOR = re.compile(r"\s*(?:array\()?[\[(]+\s*[-+.\d]")
"""The beginning of a vector in a text, as NumPy prints it."""
_NAMES_OF_VECTORS = {"embedding", "embeddings", "vector", "vectors", "emb"}
_AS_METADATA = (METADATA, to_json)
SAMPLE_ROWS, LONGER, LONG = 100, 2, 8
"""The rows whose words are counted. A column that could be joined to keys is so many times as long, and of so many
words a row.
"""
_UNTYPED = {"id", "key", "key_vector", "value_vector", "expires", SKIP}


class Table:
    """The documents of a table, in their order. It can be gone through again, unless it is a stream.

    Attributes:
        name: the name of the file, or of the exported collection in it.
        total: the number of rows, or None if it is unknown.
        unit: what the number of a row counts: "line" or "row".
        settings: the settings of the collection that the rows are for, as `create` takes them; empty if unknown.
        notices: sentences about the table for its reader.
        matrix: the column and the array [n, d] of a table that is vectors alone; None for others.
        columns: the names that the cells of rows have, if these are what is needed; None if they are in the rows.
        keyless: the number of documents without a key, once all were read.
        expired: the number of documents that have expired, once all were read.
    """

    def __init__(self, name: str, content: Content, reading: Reading) -> None:
        """Raise Invalid if the columns do not fit the table."""
        self.name = content.name or name
        self.total = content.total
        self.unit = content.unit
        self.settings = dict(content.settings)
        self.notices = [f"{name}: {notice}" for notice in content.notices]
        self.matrix = content.matrix
        self.columns: list[str] | None = None
        self.keyless = 0
        self.expired = 0
        self._content = content
        self._reading = reading
        self._now = datetime.now(UTC)
        self._types: dict[str, ColumnType] = {}
        self._fields: dict[str, str] | None = None
        options = reading.options
        reading = self._reading = reading.joining(content.columns)
        if content.columns is None and not reading.names:
            return
        content = self._content = open_objects(content, reading.names)
        names = names_of(content.rows()) if content.columns is None else content.columns
        self._fields = reading.fields(names, name, numbered=content.numbered, lacks_names=content.lacks_names)
        self._id_column = next((column for column, field in self._fields.items() if field == "id"), "")
        for column, field in self._fields.items():
            if field == METADATA and column.lower() in _NAMES_OF_VECTORS:
                self.notices.append(
                    f"{name}: column {column!r} becomes metadata; {reading.say('vector', column)} makes it the vectors "
                    f"of the keys, and {reading.say('skip', column)} leaves it out"
                )
        self.notices += [
            f"{name}: column {column!r} {self._say_mixed(column, mixed)}"
            for column, mixed in content.mixed.items()
            if self._fields[column] in (METADATA, "value") and not self._is_chosen(column, mixed)
        ]
        if options.decimal not in (None, ".", ","):
            raise invalid_value("", f"wanted a decimal point, . or a comma, got {options.decimal!r}")
        if options.date is not None:
            check_date(options.date)
        if content.texts:
            self._decide_types(name)
        else:
            self._force_types()
        if options.odd == "empty":
            self._count_odd(name)
        if content.texts and reading.needs == "documents" and not reading.joined:
            self._propose_join(name)
        if content.numbered and "id" not in self._fields.values() and reading.needs != "keys":
            self.notices.append(f"{name} has no ids: the numbers of its rows, from 0, are the ids")
        self._readers = {column: (field, self._reader(column, field)) for column, field in self._fields.items()}
        metadata = {column: column for column, field in self._fields.items() if field == METADATA}
        fields = [field for field in self._fields.values() if field not in (METADATA, SKIP)]
        numbers = ["id"] if content.numbered and "id" not in fields else []
        keys = ["key"] if reading.joined else []
        self.columns = [*numbers, *keys, *fields, *rename(metadata)]
        if reading.joined and reading.needs != "keys":
            # The texts stand in other fields, so an answer has the key only if it is asked for.
            self.settings["defaults"] = {"include": ["value", "metadata"]}

    def _decide_types(self, name: str) -> None:
        """Read the table once, and decide the type of each column of texts."""
        fields = self._fields or {}
        options = self._reading.options
        columns = {
            column: ColumnOfTexts(
                column,
                decimals=options.decimal or self._content.decimals,
                date=options.date,
                is_forced=column in options.number,
            )
            for column, field in fields.items()
            if field not in _UNTYPED and column not in options.text_column and not options.text
        }
        self.total = 0
        for line, cells in self._content.rows():
            self.total += 1
            if isinstance(cells, str):
                continue
            for column, texts in columns.items():
                if cell := cells.get(column):
                    texts.note(cell, line)
        self._types = {column: texts.decide() for column, texts in columns.items()}
        for column, type_ in self._types.items():
            self.notices += [
                f"{name}: column {column!r} {notice}" for notice in type_.notices(column, self._reading.say)
            ]

    def _force_types(self) -> None:
        """Decide how the texts are read in columns of other cells that are named as numbers, or have dates besides."""
        date, mixed = self._reading.options.date, self._content.mixed
        columns = {
            column: ColumnOfTexts(column, decimals=self._reading.options.decimal or ".", is_forced=True)
            for column in self._reading.options.number
        }
        is_stream = self._content.total is None  # which can be read once
        for line, cells in () if is_stream or not columns else self._content.rows():
            for column, texts in columns.items():
                if not isinstance(cells, str) and isinstance(cell := cells.get(column), str) and cell:
                    texts.note(cell, line)
        self._types = {column: texts.decide() for column, texts in columns.items()}
        if date is not None:
            dated = [column for column, facts in mixed.items() if facts.others == "dates" and column not in columns]
            self._types |= dict.fromkeys(dated, ColumnType("date", formats=[date], is_forced=True))

    def _is_chosen(self, column: str, mixed: MixedColumn) -> bool:
        """Return whether an option says what becomes of a column with texts among others."""
        options = self._reading.options
        is_date = mixed.others == "dates" and options.date is not None
        return column in options.text_column or column in options.number or is_date

    def _say_mixed(self, column: str, mixed: MixedColumn) -> str:
        """Return the notice about a column with texts among others."""
        say = self._reading.say
        reason = f"has texts among others, such as {shorten(mixed.example)!r} in row {mixed.row:,}"
        if mixed.others == "numbers":
            ways = f"{say('number', column)} refuses such rows, and with {say('odd', 'empty')} leaves such cells empty"
            return f"{reason}, so all its cells become texts; mend it, or {ways}"
        ways = f"; mend it, or {say('date')} reads texts in a format" if mixed.others == "dates" else ""
        return f"{reason}, so all its cells become texts{ways}"

    def _count_odd(self, name: str) -> None:
        """Note how many cells are left empty, since they lack the number or date that a caller named."""
        forced = {column: type_ for column, type_ in self._types.items() if type_.is_forced}
        odd = dict[str, tuple[int, str, int]]()
        is_stream = self._content.total is None and not self._content.texts
        for line, cells in () if is_stream or not forced else self._content.rows():
            for column, type_ in forced.items():
                cell = "" if isinstance(cells, str) else cells.get(column)
                if isinstance(cell, str) and cell and _is_odd(type_, cell):
                    count, example, first = odd.get(column, (0, cell, line))
                    odd[column] = count + 1, example, first
        for column, (count, example, line) in odd.items():
            cells_left = "1 odd cell is" if count == 1 else f"{count:,} odd cells are"
            example = f"{shorten(example)!r} in {self.unit} {line:,}"
            self.notices.append(f"{name}: column {column!r}: {cells_left} left empty, such as {example}")

    def _propose_join(self, name: str) -> None:
        """Note that the keys have short texts and another column long ones, which could be joined to them."""
        fields = self._fields or {}
        rows = 0
        types = {column: type_.kind for column, type_ in self._types.items()}
        texts_of = [column for column in fields if types.get(column, "text") == "text"]
        words = {column: 0 for column in texts_of if fields[column] in ("key", "value", METADATA)}
        for _, cells in islice(self._content.rows(), SAMPLE_ROWS):
            rows += 1
            texts = {} if isinstance(cells, str) else {name: cell for name, cell in cells.items() if name in words}
            for column, cell in texts.items():
                words[column] += len(cell.split()) if isinstance(cell, str) and not _VECTOR.match(cell) else 0
        key = next((column for column, field in fields.items() if field == "key"), None)
        longest = max(words, key=lambda column: words[column], default=None)
        if key is None or longest is None or words[longest] < max(LONGER * words[key], LONG * rows) or not words[key]:
            return
        self.notices.append(
            f"{name}: column {longest!r} has longer texts, which are no part of the keys; "
            f"{self._reading.say('key', f'{key},{longest}')} joins both, so that other words find them, too"
        )

    def __iter__(self) -> Iterator[TableRow]:
        """Yield each row. Of the rows with one id, all but the first are refused."""
        self.keyless = self.expired = 0
        self._now = datetime.now(UTC)
        first_rows: dict[str, int] = {}
        may_repeat = self._content.numbered or self._reading.repeats
        for number, cells in self._content.rows():
            row = self._row(number, cells)
            if row.document is not None and row.id is not None and not may_repeat:
                first = first_rows.setdefault(row.id, number)
                if first != number:
                    flaw = f"the id {row.id!r} is in {self.unit} {first} already: give each document an id of its own"
                    row = TableRow(number, None, flaw, row.id)
            self._count(row.document)
            yield row

    def _count(self, document: Mapping[str, Any] | None) -> None:
        if document is None:
            return
        if document.get("key") is None and document.get("key_vector") is None and document.get("key_vectors") is None:
            self.keyless += 1
        if "expires" in document and (instant := seconds_of(document["expires"])) is not None:
            self.expired += instant <= self._now.timestamp()

    def _row(self, number: int, cells: Cells | str) -> TableRow:
        if isinstance(cells, str):
            return TableRow(number, None, cells, None)
        document: dict[str, Any] = {}
        try:
            if self._fields is None:
                self._take_document(cells, document)
            else:
                self._fill(document, number, cells)
        except BadCell as error:
            return TableRow(number, None, str(error), id_of(document))
        return TableRow(number, document, "", id_of(document))

    def _take_document(self, cells: Cells, document: dict[str, Any]) -> None:
        """Take the fields of a document in JSON. A whole number as id, and a duration as expiry, are converted."""
        document.update(cells)
        id_ = document.get("id")
        if isinstance(id_, int) and not isinstance(id_, bool):
            document["id"] = str(id_)
        if is_duration(document.get("expires")):
            document["expires"] = to_instant(document["expires"], self._now)

    def _fill(self, document: dict[str, Any], number: int, cells: Cells) -> None:
        """Put the cells of a row into a document, the id first, so that a refusal can name it.

        Raises:
            BadCell: the row cannot be a document.
        """
        metadata: dict[str, Any] = {}
        if self._id_column in cells:
            cells = {self._id_column: cells[self._id_column], **cells}
        for name, cell in cells.items():
            field, read = self._readers.get(name, _AS_METADATA)
            if read is None or is_empty(cell) or (field == "key" and isinstance(cell, str) and not cell.strip()):
                continue
            try:
                value = read(cell)
            except BadCell as error:
                raise BadCell(f"column {name!r}: {error}") from None
            if value is None:
                continue
            (metadata if field == METADATA else document)[name if field == METADATA else field] = value
        if key := self._join(cells):
            document["key"] = key
        needs = self._reading.needs
        if "id" not in document and needs != "keys" and self._content.numbered:
            document["id"] = str(number - 1)
        if "id" not in document and needs == "documents":
            raise BadCell("it has no id: fill the cell")
        if "key" not in document and needs == "keys":
            raise BadCell("it has no text: fill the cell of its key")
        if needs == "rows":
            document.update(rename(metadata))
        elif metadata and (fields_of_metadata := gather(metadata)):
            document["metadata"] = fields_of_metadata

    def _join(self, cells: Cells) -> str:
        """Return the texts of the joined columns as one, without empty cells; empty if none is joined."""
        columns = [column for column in self._reading.joined if not is_empty(cells.get(column))]
        try:
            texts = [to_text(cells[column]).strip() for column in columns]
        except BadCell as error:
            raise BadCell(f"a column of the key: {error}") from None
        separator = self._reading.options.join
        # So a short first column is the title of a text that is split.
        return ("\n" if separator is None else separator).join(text for text in texts if text)

    def _read_date(self, cell: Any) -> Any:
        """Return a cell of an instant; a text in the format of the table's dates in ISO 8601."""
        date = self._reading.options.date
        return (to_date(cell, date) if date and isinstance(cell, str) else None) or cell

    def _reader(self, name: str, field: str) -> Callable[[Any], Any] | None:
        """Return the function that makes the value of a filled cell in a column; None if the column is left out."""
        if field == SKIP:
            return None
        if field == "expires":
            return lambda cell: to_instant(self._read_date(cell), self._now)
        if field in _VECTORS and self._reading.needs == "rows":
            return lambda cell: to_finite(to_vector(cell))
        if field in _READERS:
            return _READERS[field]
        if name in self._types:
            return self._reader_of_type(self._types[name])
        if name == METADATA:
            return _to_fields
        return to_text if name in self._reading.options.text_column or name in self._content.mixed else to_json

    def _reader_of_type(self, type_: ColumnType) -> Callable[[Any], Any]:
        """Return the function that reads the texts of a column by its type, and other cells as they are."""
        if self._content.texts and self._reading.options.odd != "empty":
            return type_.read

        def read(cell: Any) -> Any:
            if not isinstance(cell, str):
                return to_json(cell)
            is_left = self._reading.options.odd == "empty" and type_.is_forced and _is_odd(type_, cell)
            return None if is_left else type_.read(cell)

        return read


def _is_odd(type_: ColumnType, cell: str) -> bool:
    """Return whether a cell cannot be read by the type of its column."""
    try:
        type_.read(cell)
    except BadCell:
        return True
    return False


def _to_fields(cell: Any) -> Any:
    """Return a cell of the column `metadata`; a text with an object of JSON as this object."""
    if isinstance(cell, str) and cell.startswith("{"):
        with suppress(ValueError):
            return parse_json(cell.encode())
    return to_json(cell)


def id_of(document: Mapping[str, Any]) -> str | None:
    """Return the id of a document; None if it is missing, or not a text."""
    id_ = document.get("id")
    return id_ if isinstance(id_, str) else None
