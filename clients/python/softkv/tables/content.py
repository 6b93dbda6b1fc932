"""The content of a table in any format: the names of the columns, and the rows under them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from softkv.answers.rendering import require_module
from softkv.errors import Invalid
from softkv.problems import invalid_value

Cells: TypeAlias = Mapping[str, Any]
"""The filled cells of a row by the names of their columns."""

NumberedRow: TypeAlias = tuple[int, Cells | str]
"""The number of a row in its file, and its cells; a text in their place says why the row cannot be read."""


@dataclass(frozen=True)
class Content:
    """The content of a table, whatever its format.

    Attributes:
        columns: the names of the columns, in their order; None if each row is a document already.
        rows: returns the rows from the first on.
        total: the number of rows, or None if it is unknown.
        unit: what the number of a row counts: lines, or rows. The first is 1.
        texts: whether every cell is a text, whose type is then decided by its column.
        numbered: whether a row without an id gets its number, from 0, as its id.
        settings: the settings of the collection that these rows are for, as `create` takes them; empty if unknown.
        name: the name of the exported collection, or None.
        notices: sentences about the table for its reader.
    """

    columns: Sequence[str] | None
    rows: Callable[[], Iterator[NumberedRow]]
    total: int | None = None
    unit: str = "row"
    texts: bool = False
    numbered: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    notices: Sequence[str] = ()


def unreadable(path: Path | str, reason: str) -> Invalid:
    """Return the error for a file that cannot be read as a table."""
    return invalid_value("", f"{path} {reason}")


def require_reader(module: str, package: str, path: Path | str) -> Any:
    """Return the module that reads a format.

    Raises:
        Invalid: the package is not installed.
    """
    try:
        return require_module(module, package)
    except ImportError:
        raise unreadable(
            path, f"is read with {package}, which is not installed: run `pip install {package}`, or convert the file"
        ) from None
