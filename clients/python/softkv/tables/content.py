"""The content of a table in any format: the names of its columns, and its rows; and the errors of files."""

from __future__ import annotations

import codecs
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias
from zipfile import BadZipFile

from softkv.answers.rendering import require_module
from softkv.errors import Invalid
from softkv.problems import INVALID_CONTENT, invalid_value

try:
    from lzma import LZMAError
except ImportError:  # a Python that was built without it
    LZMAError = OSError  # type: ignore[misc,assignment]

Cells: TypeAlias = Mapping[str, Any]
"""The filled cells of a row by the names of their columns."""

NumberedRow: TypeAlias = tuple[int, Cells | str]
"""The number of a row in its file, and its cells; a text in their place says why the row cannot be read."""


class MixedColumn(NamedTuple):
    """A column with texts and others among its cells.

    Attributes:
        row: the row of the first text.
        example: this text.
        others: what all others are.
    """

    row: int
    example: str
    others: Literal["numbers", "dates", "several"]


@dataclass(frozen=True)
class Content:
    """The content of a table, whatever its format.

    Attributes:
        columns: the names of the columns, in their order; None if each row is a document already.
        rows: returns the rows from the first on.
        total: the number of rows, or None if it is unknown.
        unit: what the number of a row counts: lines, or rows. The first is 1.
        texts: whether every cell is a text, whose type is then decided by its column.
        decimals: of texts, the characters that may be the decimal point.
        mixed: columns with texts and others among their cells, which all become texts, by their names.
        lacks_names: whether columns are called by their number, since the header lacks their names.
        numbered: whether a row without an id gets its number, from 0, as its id.
        settings: the settings of the collection that these rows are for, as `create` takes them; empty if unknown.
        name: the name of the exported collection, or None.
        notices: what its reader should hear, of which the name of the table is the beginning.
        kinds: what the cells of columns are, for formats that say so; of files of one table, they have to be the same.
        matrix: the only column and its vectors, an array [n, d], if there is nothing else; otherwise None.
    """

    columns: Sequence[str] | None
    rows: Callable[[], Iterator[NumberedRow]]
    total: int | None = None
    unit: str = "row"
    texts: bool = False
    decimals: str = "."
    mixed: Mapping[str, MixedColumn] = field(default_factory=dict)
    lacks_names: bool = False
    numbered: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    notices: Sequence[str] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    matrix: tuple[str, Any] | None = None


def count_cells(columns: Mapping[str, int]) -> str:
    """Return columns in words with the number of cells that a notice counts in each; empty without any."""
    return ", ".join(f"{count:,} of column {column!r}" for column, count in columns.items() if count)


class ReaderMissing(Invalid):
    """The package that reads a format is not installed."""


def unreadable(path: Path | str, reason: str) -> Invalid:
    """Return the error for a file that cannot be read as a table."""
    return invalid_value("", f"{path} {reason}")


_DAMAGE = (OSError, EOFError, zlib.error, LZMAError, BadZipFile, ValueError, IndexError, RuntimeError, SystemError)
"""The errors of what unpacks, pyarrow and h5py for a damaged file; some come only at the damaged place."""


@contextmanager
def naming_damage(path: Path | str) -> Iterator[None]:
    """Raise Invalid, which names the file, if the block fails because it cannot be read or is damaged."""
    try:
        yield
    except _DAMAGE as error:
        raise unreadable(path, f"cannot be read, and may be damaged: {error}") from error


def require_reader(module: str, package: str, path: Path | str) -> Any:
    """Return the module that reads a format.

    Raises:
        ReaderMissing: the package is not installed.
    """
    try:
        return require_module(module, package)
    except ImportError:
        reason = f"is read with {package}, which is not installed: run `pip install {package}`, or convert the file"
        raise ReaderMissing(f"{path} {reason}", code=INVALID_CONTENT, status=422) from None


def own_file(folder: Path, name: str) -> Path | None:
    """Return the path of a file that its folder's owner may have put there; None if it is not there.

    Raises:
        Invalid: it is a link out of the folder, or no regular file.
    """
    path = folder / name
    if not os.path.lexists(path):
        return None
    if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
        return path
    raise unreadable(path, f"is a link out of {folder}, or no regular file, and is not read: copy the file there")


def encoding_of(beginning: bytes) -> str:
    """Return the encoding that the mark at the beginning of a text names; UTF-8 without one."""
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"


def parse_texts(lines: Iterable[bytes], path: Path, column: str) -> Iterator[NumberedRow]:
    """Yield the number and the text of each line that is not blank.

    Raises:
        Invalid: a line is not UTF-8.
    """
    for number, line in enumerate(lines, start=1):
        try:
            text = line.removeprefix(codecs.BOM_UTF8).decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise unreadable(path, f"line {number} is not UTF-8 ({error}): convert the file") from None
        if text.strip():
            yield number, {column: text if column == "id" else text.strip()}
