"""A caller's options of a table, and the part of a document that each column becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from softkv.problems import invalid_value
from softkv.table_options import Layout, TableOptions
from softkv.tables.cells import BadCell, find_repeated
from softkv.tables.content import unreadable

FIELDS = ("id", "key", "value", "key_vector", "key_vectors", "value_vector", "parts", "split", "expires")
"""The columns that are these fields of a document; every other one is metadata under its name."""

METADATA, SKIP = "metadata", "skip"
_KEYS = {"key", "key_vector", "key_vectors"}
_FIELD_OF = {"id": "id", "key": "key", "value": "value", "vector": "key_vector", "expires": "expires"}
"""The field of a document that an option names a column for."""
OF_OPEN_TABLE = "open_table(…, {}={})"


@dataclass(frozen=True)
class Reading:
    """The way in which a table is read.

    Attributes:
        options: all options of the table.
        needs: what a table must have: ids and keys, for documents; the texts of keys; or any columns, for rows.
        repeats: whether several rows may have one id.
        form: how a message writes an option and its value.
        joined: the columns whose texts are joined to that of the key; they are other fields besides.
    """

    options: TableOptions = field(default_factory=TableOptions)
    needs: Literal["documents", "keys", "rows"] = "documents"
    repeats: bool = False
    form: str = "{}={}"
    joined: tuple[str, ...] = ()

    def joining(self, names: Sequence[str] | None) -> Reading:
        """Return a copy that joins columns, if `key` names several and is not itself one of these names."""
        key = self.options.key
        if key is None or "," not in key or key in (names or ()):
            return self
        return replace(self, joined=tuple(column.strip() for column in key.split(",")))

    @property
    def fields_named(self) -> dict[str, str]:
        """The columns that are named for fields of a document, by the options that name them."""
        options = self.options
        named = {
            "id": options.id,
            "key": options.key,
            "value": options.value,
            "vector": options.vector,
            "expires": options.expires,
        }
        return {
            option: column
            for option, column in named.items()
            if column is not None and not (option == "key" and self.joined)
        }

    @property
    def columns_named(self) -> list[tuple[str, str]]:
        """The options that name columns, each with one; with any, objects of JSON are rows rather than documents."""
        options = self.options
        return [
            *self.fields_named.items(),
            *(("key", column) for column in self.joined),
            *(("skip", column) for column in options.skip),
            *(("number", column) for column in options.number),
            *(("text_column", column) for column in options.text_column),
        ]

    @property
    def names(self) -> list[str]:
        """The columns that are named."""
        return [column for _, column in self.columns_named]

    @property
    def has_header(self) -> bool:
        """Whether a row has the names of the columns."""
        return not (self.options.no_header or self.options.columns)

    def of_ids(self) -> Reading:
        """Return how a file of ids beside the table is read, whose layout is its own."""
        return replace(self, options=self.options.copy_with(**Layout()._fields()))

    def header(self, width: int, path: Path) -> list[str]:
        """Return the names of the columns that no row has; empty ones if the caller names none.

        Raises:
            Invalid: the caller names another number of columns.
        """
        names = [name.strip() for text in self.options.columns for name in text.split(",")]
        if names and len(names) != width:
            raise unreadable(path, f"has {width:,} cells in its first row, and {len(names):,} columns are named")
        return names or [""] * width

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
        chosen = self.fields_named
        for option, column in self.columns_named:
            if column not in names:
                raise invalid_value("", f"{table} has no column {column!r} for {self.say(option)}, {listed}")
        if twice := find_repeated(list(chosen.values())):
            options = " and ".join(self.say(option) for option, name in chosen.items() if name == twice[0])
            raise invalid_value("", f"{table} has one column {twice[0]!r}, named for {options}: name two columns")
        fields = {name: name if name in FIELDS else METADATA for name in names}
        for option in chosen:
            if fields.get(_FIELD_OF[option]) == _FIELD_OF[option]:
                fields[_FIELD_OF[option]] = METADATA  # another column is named for this field
        fields |= {name: _FIELD_OF[option] for option, name in chosen.items()} | dict.fromkeys(self.options.skip, SKIP)
        if self.joined:
            fields |= {name: METADATA for name, field in fields.items() if field == "key"}
            if "value" not in fields.values() and fields[self.joined[-1]] == METADATA:
                fields[self.joined[-1]] = "value"
        self._refuse_repeated([(name, fields[name]) for name in names if fields[name] != SKIP], table)
        if self.needs == "rows":
            return fields
        lacks_id = self.needs == "documents" and not numbered and "id" not in fields.values()
        lacks_key = not self.joined and _KEYS.isdisjoint(fields.values())
        values = "" if "value" in fields.values() else f"; {self.say('value')} names the one that answers show"
        if lacks_id and lacks_key:
            advice = f"name the one of the ids, {self.say('id')}, and the one of the texts, {self.say('key')}"
            raise invalid_value("", f"{table} has no columns 'id' and 'key', {listed}: {advice}{values}")
        if lacks_id:
            raise invalid_value(
                "", f"{table} has no column 'id', {listed}: name the one that holds it with {self.say('id')}"
            )
        if self.needs == "keys" and not self.joined and "key" not in fields.values():
            raise invalid_value(
                "", f"{table} has no column 'key', {listed}: name the one of the texts with {self.say('key')}"
            )
        if lacks_key:
            raise invalid_value(
                "",
                f"{table} has no column of keys, {listed}: name the one with the texts, {self.say('key')}, or the one "
                f"with vectors, {self.say('vector')}; documents without a key are written as objects{values}",
            )
        return fields

    def say(self, option: str, column: str = "") -> str:
        """Return how a caller writes an option, with the name of a column or another value.

        Callers that need keys offer `key` alone; the other options are those of `open_table`.
        """
        form = OF_OPEN_TABLE if self.needs == "keys" and option != "key" else self.form
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
        for name_of_field, part in parts.items():
            if name_of_field in fields:
                raise BadCell(f"the field {name_of_field!r} comes twice, in 'metadata' and in a column of its own")
            if part is not None:
                fields[name_of_field] = part
    return fields


def rename(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a row by the names of its columns; one that is named as another field gets a prefix."""
    return {f"{METADATA}.{name}" if name in FIELDS else name: cell for name, cell in metadata.items()}
