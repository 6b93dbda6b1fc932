"""The part of a document that each column of a table becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from softkv.problems import invalid_value
from softkv.tables.cells import BadCell, find_repeated

FIELDS = ("id", "key", "value", "key_vector", "key_vectors", "value_vector", "parts", "split", "expires")
"""The columns that are these fields of a document; every other one is metadata under its name."""

METADATA, SKIP = "metadata", "skip"
_KEYS = {"key", "key_vector", "key_vectors"}
OF_OPEN_TABLE = "open_table(…, {}={})"
_LISTS = ("skip", "number", "text_column")
_OPTIONS = {"id": "id", "key": "key", "value": "value", "vector": "key_vector", "expires": "expires"}


@dataclass(frozen=True)
class Columns:
    """The columns that a caller names; None is the column named like the field.

    Attributes:
        id: the column of the ids.
        key: the column of the keys' texts.
        value: the column of the values.
        vector: the column of the keys' vectors.
        expires: the column of the instants at which documents expire.
        skip: columns that are left out.
        number: columns of texts that become numbers, although some cells would not come back the same.
        text_column: columns that become texts.
        text: whether the metadata of a table of texts stays texts.
        decimal: the decimal point of numbers in a table of texts; found in it if None.
        date: the format of dates in a table of texts, such as %d.%m.%Y; None if these stay texts.
        repeats: whether several rows may have one id.
        needs: what a table must have: ids and keys, for documents; the texts of keys; or any columns, for rows.
        option: how a message writes an option and the name of a column.
    """

    id: str | None = None
    key: str | None = None
    value: str | None = None
    vector: str | None = None
    expires: str | None = None
    skip: Sequence[str] = ()
    number: Sequence[str] = ()
    text_column: Sequence[str] = ()
    text: bool = False
    decimal: str | None = None
    date: str | None = None
    repeats: bool = False
    needs: Literal["documents", "keys", "rows"] = "documents"
    option: str = "{}={}"

    @property
    def names(self) -> list[str]:
        """The columns that are named; with one, objects of JSON are rows of a table rather than documents."""
        single = [name for option in _OPTIONS if (name := getattr(self, option)) is not None]
        return [*single, *(name for option in _LISTS for name in getattr(self, option))]

    def fields(
        self, names: Sequence[str], table: str, *, numbered: bool = False, lacks_names: bool = False
    ) -> dict[str, str]:
        """Return the field of a document that each column becomes; of other columns METADATA or SKIP.

        Args:
            names: the names of the columns.
            table: the name of the table, for messages.
            numbered: whether rows may lack an id.
            lacks_names: whether some names are numbers, since the header lacks them.

        Raises:
            Invalid: a column does not exist, two have one name, or the table has no ids or no keys.
        """
        listed = f"its columns are {', '.join(names) or 'none'}"
        if lacks_names:
            advice = f"name the row of the header, {self.say('header_row')}, or all columns, {self.say('columns')}"
            listed += f" ({advice})"
        chosen = {option: name for option in _OPTIONS if (name := getattr(self, option)) is not None}
        named = [*chosen.items(), *((option, name) for option in _LISTS for name in getattr(self, option))]
        for option, column in named:
            if column not in names:
                raise invalid_value("", f"{table} has no column {column!r} for {self.say(option)}, {listed}")
        if twice := find_repeated(list(chosen.values())):
            options = " and ".join(self.say(option) for option, name in chosen.items() if name == twice[0])
            raise invalid_value("", f"{table} has one column {twice[0]!r}, named for {options}: name two columns")
        fields = {name: name if name in FIELDS else METADATA for name in names}
        for option in chosen:
            if fields.get(_OPTIONS[option]) == _OPTIONS[option]:
                fields[_OPTIONS[option]] = METADATA  # another column is named for this field
        fields |= {name: _OPTIONS[option] for option, name in chosen.items()} | dict.fromkeys(self.skip, SKIP)
        self._refuse_repeated([(name, fields[name]) for name in names if fields[name] != SKIP], table)
        if self.needs == "rows":
            return fields
        if self.needs == "documents" and not numbered and "id" not in fields.values():
            raise invalid_value(
                "", f"{table} has no column 'id', {listed}: name the one that holds it with {self.say('id')}"
            )
        if self.needs == "keys" and "key" not in fields.values():
            raise invalid_value(
                "", f"{table} has no column 'key', {listed}: name the one of the texts with {self.say('key')}"
            )
        if _KEYS.isdisjoint(fields.values()):
            raise invalid_value(
                "",
                f"{table} has no column of keys, {listed}: name the one with the texts, {self.say('key')}, or the one "
                f"with vectors, {self.say('vector')}; documents without a key are written as objects",
            )
        return fields

    def say(self, option: str, column: str = "") -> str:
        """Return how a caller writes an option, with the name of a column or another value.

        Callers that need keys offer `key` alone; the other options are those of `open_table`.
        """
        form = OF_OPEN_TABLE if self.needs == "keys" and option != "key" else self.option
        name = option.replace("_", "-") if form.startswith("--") else option
        return form.format(name, repr(column) if column else "…")

    def _refuse_repeated(self, fields: Sequence[tuple[str, str]], table: str) -> None:
        """Raise Invalid if two columns are the same field of a document."""
        if twice := find_repeated([name for name, _ in fields]):
            raise invalid_value("", f"{table} has two columns named {twice[0]!r}: rename one of them")
        names = [name.removeprefix("metadata.") for name, field in fields if field == METADATA]
        if twice := find_repeated(names):
            raise invalid_value(
                "",
                f"{table} has the columns {twice[0]!r} and {'metadata.' + twice[0]!r}, which are one field: "
                f"rename one, or leave it out with {self.say('skip')}",
            )


def gather(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a document from its columns.

    A column `metadata` with an object is all of its fields, and `metadata.year` is the field `year`.

    Raises:
        BadCell: two columns hold one field.
    """
    fields: dict[str, Any] = {}
    for name, cell in metadata.items():
        is_whole = name == METADATA and isinstance(cell, Mapping)
        parts = cell if is_whole else {name.removeprefix("metadata."): cell}
        for field, part in parts.items():
            if field in fields:
                raise BadCell(f"the field {field!r} comes twice, in 'metadata' and in a column of its own")
            if part is not None:
                fields[field] = part
    return fields


def rename(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a row by the names of its columns; one that is named as another field gets a prefix."""
    return {f"{METADATA}.{name}" if name in FIELDS else name: cell for name, cell in metadata.items()}
