"""`softkv load FILE`: load a file's documents into a collection; an interrupted load can resume."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from softkv.commands.command_line import (
    ApiKey,
    AsJSON,
    CommandError,
    Interrupted,
    Misused,
    Url,
    existing_file,
    existing_source,
)
from softkv.settings import DEFAULT_URL

if TYPE_CHECKING:
    from softkv.tables import Table

COLUMNS, NEW = "Columns and ids", "For a new collection"
"""Two groups of options in the help."""

_SHOWN_FLAWS = 10
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def _option(name: str, words: str, default: str | bool = True, metavar: str | None = "COLUMN", **limits: Any) -> Any:
    """Return an option of a table; `default` says what holds without it."""
    return typer.Option(name, help=words, show_default=default, metavar=metavar, rich_help_panel=COLUMNS, **limits)


def load(
    file: Annotated[
        Path,
        typer.Argument(
            help="A table or vectors in any of the formats, a folder, or a pattern of files; - is NDJSON from stdin.",
            parser=existing_source,
            metavar="FILE",
            show_default=False,
        ),
    ],
    collection: Annotated[
        str | None,
        typer.Option(
            "-c",
            "--collection",
            metavar="NAME",
            help="The name of the collection.",
            show_default="FILE without extension",
        ),
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option(
            help="For vectors: a .txt file with an id per line, or documents in the same order; else numbers.",
            parser=existing_file,
            metavar="FILE",
            show_default="FILE.ids.txt",
            rich_help_panel=COLUMNS,
        ),
    ] = None,
    id_column: Annotated[str | None, _option("--id", "The column with the ids.", "id")] = None,
    key_column: Annotated[str | None, _option("--key", "The column with the texts of the keys.", "key")] = None,
    value_column: Annotated[str | None, _option("--value", "The column with the values.", "value")] = None,
    vector_column: Annotated[
        str | None, _option("--vector", "The column with the vectors of the keys.", "key_vector")
    ] = None,
    expires_column: Annotated[
        str | None,
        _option(
            "--expires", "The column with the instants at which documents expire, or durations such as 30d.", "expires"
        ),
    ] = None,
    skip: Annotated[list[str] | None, _option("--skip", "A column to leave out; may be repeated.")] = None,
    number: Annotated[
        list[str] | None,
        _option("--number", "A column of CSV to read as numbers, such as 1.10 or 1e5; may be repeated."),
    ] = None,
    text_column: Annotated[
        list[str] | None,
        _option("--text-column", "A column to keep as texts, such as prices with zeros at their end; may be repeated."),
    ] = None,
    text: Annotated[bool, _option("--text", "Keep every cell of a CSV file a text.", metavar=None)] = False,
    decimal: Annotated[
        str | None, _option("--decimal", "The decimal point of the numbers in CSV.", "found in the file", ".|,")
    ] = None,
    date: Annotated[
        str | None, _option("--date", "The format of the dates in CSV, such as %d.%m.%Y.", metavar="FORMAT")
    ] = None,
    delimiter: Annotated[
        str | None,
        _option("--delimiter", "The character between the cells of CSV, or tab.", "found in the file", "CHARACTER"),
    ] = None,
    charset: Annotated[
        str | None,
        _option("--charset", "The encoding of CSV, such as windows-1252.", "UTF-8, or by its mark", "NAME"),
    ] = None,
    quoting: Annotated[
        Literal["csv", "none"] | None,
        _option(
            "--quoting",
            "Whether quotation marks enclose cells of CSV, or are part of them.",
            "csv, and found in a file with tabs",
            None,
        ),
    ] = None,
    sheet: Annotated[str | None, _option("--sheet", "The sheet.", "the first visible one", "NAME")] = None,
    header_row: Annotated[
        int | None,
        _option(
            "--header-row",
            "The row of CSV or of a sheet with the names of the columns; rows above are left out.",
            "the first one",
            "ROW",
            min=1,
        ),
    ] = None,
    no_header: Annotated[
        bool,
        _option(
            "--no-header", "No row has the names of the columns; rows of numbers alone are then vectors.", metavar=None
        ),
    ] = False,
    column_names: Annotated[
        list[str] | None,
        _option("--columns", "The names of the columns of a table without a header.", "their numbers", "id,key,…"),
    ] = None,
    member: Annotated[str | None, _option("--member", "The file in a zip.", "the only one", "NAME")] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="After an interruption: skip documents whose ids the collection has."),
    ] = False,
    similarity: Annotated[
        Literal["cosine", "dot", "scaled_dot", "gaussian"] | None,
        typer.Option(help="The similarity of a query and a key.", show_default="cosine", rich_help_panel=NEW),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|none",
            help="The model; none if documents come with vectors.",
            show_default="that of the service",
            rich_help_panel=NEW,
        ),
    ] = None,
    value_from: Annotated[
        Literal["value", "key"] | None,
        typer.Option(
            help="Take the value vector of a document from its value or its key, which encodes half as many texts.",
            show_default="value",
            rich_help_panel=NEW,
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Load the documents of a file into a collection, which is created if it is missing.

    In a table, the columns named like fields of a document are these fields,
    and all other columns its metadata. Existing documents are replaced, so
    loading a file twice changes nothing. After an interruption, --resume asks
    the service which documents it has, and sends only the missing ones. A file
    of `softkv export` contains the settings of its collection.

    softkv load books.csv --collection library --key title
    """
    from softkv.commands.remote import OPTION, reading
    from softkv.tables import Columns, Layout, open_with, stem_of

    columns = Columns(
        id=id_column,
        key=key_column,
        value=value_column,
        vector=vector_column,
        expires=expires_column,
        skip=skip or (),
        number=number or (),
        text_column=text_column or (),
        text=text,
        decimal=decimal,
        date=date,
        option=OPTION,
    )
    layout = Layout(delimiter, charset, quoting, sheet, header_row, no_header, column_names or (), member)
    with reading():
        source = open_with(file, columns, layout, ids=ids)
    name = collection_name(collection or (stem_of(file) if file.name != "-" else source.name))
    options = {"similarity": similarity, "encoder": encoder, "value_from": value_from}
    upload_source(source, name, options, resume=resume, url=url, api_key=api_key, as_json=as_json)


def collection_name(name: str) -> str:
    """Return a collection's name unchanged if it is valid.

    Raises:
        Misused: the name is invalid.
    """
    if not _NAME.fullmatch(name):
        raise Misused(
            f"{name!r} is not a valid name of a collection: choose another with --collection (letters, digits, . _ -)"
        )
    return name


def upload_source(
    source: Table,
    name: str,
    options: Mapping[str, str | None],
    *,
    resume: bool,
    url: str,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Write the documents of a source into a collection, with a progress bar, and print the counts.

    Args:
        source: the documents.
        name: the collection.
        options: settings from the command line, which override those of the source. "none" stands for null; a setting
            that is None is left out.
        resume: skip documents that the collection has.
        url: the URL of the service.
        api_key: the API key for the service, or None.
        as_json: print JSON.
    """
    from softkv import Error
    from softkv.commands.console import messages, output, progress, write_json
    from softkv.commands.remote import Upload, command_error, connect

    settings = {name: None if value == "none" else value for name, value in options.items() if value is not None}
    console = messages()
    for notice in source.notices:
        console.print(notice)
    with connect(url, api_key) as client, progress(console) as bar:
        task = bar.add_task(name, total=source.total)
        upload = Upload(client.collection(name), source, lambda done: bar.update(task, completed=done))
        upload.collection.create(**{**source.settings, **settings}, exist_ok=True)
        try:
            upload.run(resume=resume)
        except (KeyboardInterrupt, CommandError, Error) as error:
            reason = command_error(error, url) if isinstance(error, Error) else error
            text = "interrupted" if isinstance(error, KeyboardInterrupt) else str(reason)
            raise Interrupted(
                f"{text}\nat least {upload.upserts:,} documents are written: --resume sends the others", reason
            ) from None
    if as_json:
        write_json(upload.summary())
    else:
        output().print(str(upload))
    for flaw in islice(upload.flaws(), _SHOWN_FLAWS):
        console.print(flaw)
    if (hidden := len(upload.refusals) - _SHOWN_FLAWS) > 0:
        console.print(f"and {hidden:,} others, which --json lists")
    if upload.refusals:
        raise CommandError(f"{len(upload.refusals):,} documents were refused, the others are written")
