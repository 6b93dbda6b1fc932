"""`softkv load FILE`: load a file's documents into a collection; an interrupted load can resume."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from softkv.commands.command_line import ApiKey, AsJSON, CommandError, Interrupted, Misused, Url, existing_file
from softkv.settings import DEFAULT_URL

if TYPE_CHECKING:
    from softkv.commands.files import DocumentSource

COLUMNS, NEW = "Columns and ids", "For a new collection"
"""Two groups of options in the help."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def load(
    file: Annotated[
        Path,
        typer.Argument(
            help="Documents: .ndjson, .jsonl, .csv, .parquet, or .npy vectors; - is NDJSON from stdin.",
            parser=existing_file,
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
            help="For a .npy file: a .txt file with an id per line, or documents in the same order.",
            parser=existing_file,
            metavar="FILE",
            show_default="FILE.ids.txt",
            rich_help_panel=COLUMNS,
        ),
    ] = None,
    id_column: Annotated[
        str, typer.Option("--id", metavar="COLUMN", help="The column with the ids.", rich_help_panel=COLUMNS)
    ] = "id",
    key_column: Annotated[
        str, typer.Option("--key", metavar="COLUMN", help="The column with the keys.", rich_help_panel=COLUMNS)
    ] = "key",
    value_column: Annotated[
        str, typer.Option("--value", metavar="COLUMN", help="The column with the values.", rich_help_panel=COLUMNS)
    ] = "value",
    expires_column: Annotated[
        str | None,
        typer.Option(
            "--expires",
            metavar="COLUMN",
            help="The column with the instants at which documents expire.",
            rich_help_panel=COLUMNS,
        ),
    ] = None,
    text: Annotated[
        bool,
        typer.Option("--text", help="Keep numbers in the metadata of a CSV file as texts.", rich_help_panel=COLUMNS),
    ] = False,
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
            help="Take the value vector of a document from its value or its key.",
            show_default="value",
            rich_help_panel=NEW,
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Load the documents of a file into a collection, which is created if it is missing.

    In a table, the columns id, key and value become these parts of a document,
    and all other columns its metadata. Existing documents are replaced, so
    loading a file twice changes nothing. After an interruption, --resume asks
    the service which documents it has, and sends only the missing ones. A file
    of `softkv export` contains the settings of its collection.

    softkv load books.csv --collection library --key title
    """
    from softkv.commands.files import ColumnNames, open_source

    source = open_source(file, ColumnNames(id_column, key_column, value_column, text, expires=expires_column), ids)
    name = collection_name(collection or (file.stem if file.name != "-" else source.name or "-"))
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
    source: DocumentSource,
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
                f"{text}\n{upload.upserts:,} documents are written: --resume sends the others", reason
            ) from None
    if as_json:
        write_json(upload.summary())
    else:
        output().print(str(upload))
    for flaw in upload.flaws():
        console.print(flaw)
    if upload.refusals:
        raise CommandError(f"{len(upload.refusals):,} documents were refused, the others are written")
