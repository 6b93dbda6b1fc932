"""The options of a table as records: for `open_table`, for `softkv load` and for `POST /v1/tables`."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from softkv.record import NOT_SENT, Length, Range, Record, fields_of


class Columns(Record, kw_only=True):
    """The columns of a table, and how their cells are read.

    Attributes:
        id: the column of the ids. Left out: id.
        key: the column of the keys' texts, or several with commas between, whose texts are joined: what people ask
            about, together with what answers it. Left out: key.
        join: what stands between the texts of a joined key. Left out: a line break.
        value: the column of the values. Left out: value.
        vector: the column of the keys' vectors. Left out: key_vector.
        expires: the column of the instants at which documents expire, or of durations such as 30d. Left out: expires.
        skip: columns to leave out.
        number: columns of CSV to read as numbers, such as 1.10 or 1e5.
        odd: what becomes of a cell that is no number in a column of `number`: its row is refused, or it is left empty.
            Left out: refuse.
        text_column: columns to keep as texts, such as prices with zeros at their end.
        text: keep every cell of CSV a text.
        decimal: the decimal point of the numbers in CSV. Left out: found in the file.
        date: the format of the dates in CSV, such as %d.%m.%Y, which become ISO 8601.
    """

    id: str | None = None
    key: str | None = None
    join: Annotated[str | None, Length(0, 20)] = None
    value: str | None = None
    vector: str | None = None
    expires: str | None = None
    skip: Sequence[str] = ()
    number: Sequence[str] = ()
    odd: Literal["refuse", "empty"] | None = None
    text_column: Sequence[str] = ()
    text: bool = False
    decimal: Literal[".", ","] | None = None
    date: Annotated[str | None, Length(0, 40)] = None


class Layout(Record, kw_only=True):
    """The layout of a table in its file.

    Attributes:
        delimiter: the character between the cells of CSV, or tab. Left out: found in the file.
        charset: the encoding of CSV, such as windows-1252. Left out: UTF-8, or by its mark.
        quoting: whether quotation marks enclose cells of CSV, or are part of them. Left out: csv, and found in a file
            with tabs.
        sheet: the sheet of a spreadsheet. Left out: the first visible one.
        header_row: the row of CSV or of a sheet with the names of the columns, below any rows that are skipped. Left
            out: the first one.
        no_header: take the first row as a document: no row has the names of the columns, and rows of numbers are
            vectors.
        columns: the names of the columns of a table without a header. Left out: their numbers.
        member: the file in a zip. Left out: the only one.
        ids: for vectors, a file beside them with an id per line, or a table of documents in the same order.
    """

    delimiter: str | None = None
    charset: str | None = None
    quoting: Literal["csv", "none"] | None = None
    sheet: str | None = None
    header_row: Annotated[int | None, Range(1, 1_000_000)] = None
    no_header: bool = False
    columns: Sequence[str] = ()
    member: str | None = None
    ids: Annotated[str | Path | None, NOT_SENT] = None


class TableOptions(Columns, Layout, kw_only=True):
    """The options of a table: its columns, and its layout. A text for a list is its only item."""

    def _post_init(self) -> None:
        lists = {name: (value,) for name, value in self._fields().items() if name in LISTS and isinstance(value, str)}
        self.__dict__.update(lists, ids=None if self.ids is None else str(self.ids))


LISTS = frozenset(field.name for field in fields_of(TableOptions) if field.type == Sequence[str])
"""The options that name several columns."""
F = TypeVar("F", bound=Callable[..., Any])


def name_options(annotate: Callable[[str], Any] | None = None) -> Callable[[F], F]:
    """Return a decorator of functions with arguments `**options`: signature and docstring name each option of a table.

    Args:
        annotate: returns the annotation of an option by its name; None for that of the record.
    """
    fields = fields_of(TableOptions)
    options = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=field.type if annotate is None else annotate(field.name),
        )
        for field in fields
    ]
    lines = [
        line
        for field in fields
        for line in textwrap.wrap(f"{field.name}: {field.words}{field.limits}", 112, subsequent_indent="    ")
    ]

    def decorate(function: F) -> F:
        signature = inspect.signature(function, eval_str=True)
        *parameters, _ = signature.parameters.values()
        function.__signature__ = signature.replace(parameters=[*parameters, *options])  # type: ignore[attr-defined]
        if function.__doc__:  # python -OO removes docstrings
            function.__doc__ = function.__doc__.replace("options: `TableOptions`.", "\n        ".join(lines))
        return function

    return decorate
