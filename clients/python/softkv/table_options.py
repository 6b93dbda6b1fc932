"""The options of a table, each declared once: for `open_table`, for `softkv load` and for `POST /v1/tables`."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypedDict, TypeVar, Unpack, cast, get_type_hints

from softkv.problems import unexpected_argument


@dataclass(frozen=True)
class TableOption:
    """The words and the range of an option.

    Attributes:
        meaning: its description, as a part of a sentence.
        absent: what holds if it is left out.
        shown: what stands for its value in the help of a command; None for a flag, and where the help lists the values.
        range: the least and the largest number; None without bounds.
        length: the most characters that a request may have in it; None without a bound of its own.
        is_layout: whether it says how the table lies in its file, and not what its columns are.
    """

    meaning: str
    absent: str = ""
    _: KW_ONLY
    shown: str | None = "COLUMN"
    range: tuple[int, int] | None = None
    length: int | None = None
    is_layout: bool = False

    @property
    def description(self) -> str:
        """The meaning, and what holds without the option."""
        return f"{self.meaning} (if left out: {self.absent})" if self.absent else self.meaning


class TableOptions(TypedDict, total=False):
    """Keyword arguments of `open_table` besides its source and ids.

    Its signature and docstring, the options of `softkv load`, and the parameters of `POST /v1/tables` are made from
    these lines.
    """

    id: Annotated[str | None, TableOption("the column of the ids", "id")]
    key: Annotated[
        str | None,
        TableOption(
            "the column of the keys' texts, or several with commas between, whose texts are joined: what people ask "
            "about, together with what answers it",
            "key",
        ),
    ]
    join: Annotated[
        str | None,
        TableOption("what stands between the texts of a joined key", "a space", shown="TEXT", length=20),
    ]
    value: Annotated[str | None, TableOption("the column of the values", "value")]
    vector: Annotated[str | None, TableOption("the column of the keys' vectors", "key_vector")]
    expires: Annotated[
        str | None,
        TableOption("the column of the instants at which documents expire, or of durations such as 30d", "expires"),
    ]
    skip: Annotated[Sequence[str], TableOption("columns to leave out")]
    number: Annotated[Sequence[str], TableOption("columns of CSV to read as numbers, such as 1.10 or 1e5")]
    odd: Annotated[
        Literal["refuse", "empty"] | None,
        TableOption(
            "what becomes of a cell that is no number in a column of `number`: its row is refused, or it is left empty",
            "refuse",
            shown=None,
        ),
    ]
    text_column: Annotated[
        Sequence[str], TableOption("columns to keep as texts, such as prices with zeros at their end")
    ]
    text: Annotated[bool, TableOption("keep every cell of CSV a text", shown=None)]
    decimal: Annotated[
        Literal[".", ","] | None,
        TableOption("the decimal point of the numbers in CSV", "found in the file", shown=None),
    ]
    date: Annotated[
        str | None,
        TableOption(
            "the format of the dates in CSV, such as %d.%m.%Y, which become ISO 8601", shown="FORMAT", length=40
        ),
    ]
    delimiter: Annotated[
        str | None,
        TableOption(
            "the character between the cells of CSV, or tab", "found in the file", shown="CHARACTER", is_layout=True
        ),
    ]
    charset: Annotated[
        str | None,
        TableOption("the encoding of CSV, such as windows-1252", "UTF-8, or by its mark", shown="NAME", is_layout=True),
    ]
    quoting: Annotated[
        Literal["csv", "none"] | None,
        TableOption(
            "whether quotation marks enclose cells of CSV, or are part of them",
            "csv, and found in a file with tabs",
            shown=None,
            is_layout=True,
        ),
    ]
    sheet: Annotated[
        str | None, TableOption("the sheet of a spreadsheet", "the first visible one", shown="NAME", is_layout=True)
    ]
    header_row: Annotated[
        int | None,
        TableOption(
            "the row of CSV or of a sheet with the names of the columns, below any rows that are skipped",
            "the first one",
            shown="ROW",
            is_layout=True,
            range=(1, 1_000_000),
        ),
    ]
    no_header: Annotated[
        bool,
        TableOption(
            "take the first row as a document: no row has the names of the columns, and rows of numbers are vectors",
            shown=None,
            is_layout=True,
        ),
    ]
    columns: Annotated[
        Sequence[str],
        TableOption(
            "the names of the columns of a table without a header", "their numbers", shown="id,key,…", is_layout=True
        ),
    ]
    member: Annotated[str | None, TableOption("the file in a zip", "the only one", shown="NAME", is_layout=True)]


OPTION_TYPES: Mapping[str, Any] = MappingProxyType(get_type_hints(TableOptions))
"""The type of each option by its name."""
TABLE_OPTIONS: Mapping[str, TableOption] = MappingProxyType(
    {name: hint.__metadata__[0] for name, hint in get_type_hints(TableOptions, include_extras=True).items()}
)
"""The options of a table by name."""
LISTS = frozenset(name for name, kind in OPTION_TYPES.items() if kind == Sequence[str])
"""The options that name several columns."""


def default_of(name: str) -> Any:
    """Return the value of an option that is left out."""
    return () if name in LISTS else False if OPTION_TYPES[name] is bool else None


def fill_options(**options: Unpack[TableOptions]) -> TableOptions:
    """Return all options of a table, those that are left out with their defaults; a text for a list is its only item.

    Raises:
        TypeError: there is no such option.
    """
    filled: dict[str, Any] = {name: default_of(name) for name in TABLE_OPTIONS}
    for name, value in options.items():
        if name not in filled:
            raise unexpected_argument("open_table", name)
        filled[name] = (value,) if name in LISTS and isinstance(value, str) else value
    return cast(TableOptions, filled)


F = TypeVar("F", bound=Callable[..., Any])


def name_options(annotate: Callable[[str], Any] = OPTION_TYPES.__getitem__) -> Callable[[F], F]:
    """Return a decorator of functions with arguments `**options`: signature and docstring name each option of a table.

    Args:
        annotate: returns the annotation of an option by its name.
    """
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default_of(name), annotation=annotate(name))
        for name in TABLE_OPTIONS
    ]
    lines = [
        line
        for name, option in TABLE_OPTIONS.items()
        for line in textwrap.wrap(f"{name}: {option.description}.", 112, subsequent_indent="    ")
    ]

    def decorate(function: F) -> F:
        signature = inspect.signature(function, eval_str=True)
        *parameters, _ = signature.parameters.values()
        function.__signature__ = signature.replace(parameters=[*parameters, *options])  # type: ignore[attr-defined]
        if function.__doc__:  # python -OO removes docstrings
            function.__doc__ = function.__doc__.replace("options: `TableOptions`.", "\n        ".join(lines))
        return function

    return decorate
