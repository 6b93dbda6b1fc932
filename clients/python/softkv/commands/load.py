"""`softkv load FILE`: load a file's documents into a collection; an interrupted load can resume."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

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
from softkv.record import fields_of, sentence
from softkv.settings import DEFAULT_URL
from softkv.table_options import LISTS, TableOptions, name_options

if TYPE_CHECKING:
    from softkv.tables import Table

COLUMNS, NEW = "Columns and ids", "For a new collection"
"""Two groups of options in the help."""
VALUES = {
    "join": "TEXT",
    "date": "FORMAT",
    "delimiter": "CHARACTER",
    "charset": "NAME",
    "sheet": "NAME",
    "header_row": "ROW",
    "columns": "id,key,…",
    "member": "NAME",
}
"""Placeholders of values in the help. Other options show a column, or list their values."""

_SHOWN_FLAWS = 10
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def _option(name: str) -> Any:
    """Return the annotation of an option of a table, as typer reads it."""
    [field] = [field for field in fields_of(TableOptions) if field.name == name]
    words = sentence(field.summary)
    is_named = name in LISTS or str in get_args(field.type)
    settings = typer.Option(
        "--" + name.replace("_", "-"),
        help=f"{words}; may be repeated." if name in LISTS else f"{words}.",
        show_default=field.fallback or True,
        metavar=VALUES.get(name, "COLUMN" if is_named else None),
        rich_help_panel=COLUMNS,
        min=field.range.least,
        max=field.range.most,
    )
    return Annotated[list[str] if name in LISTS else field.type, settings]


@name_options(_option)
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
    **options: Any,
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
    from softkv.tables import Reading, open_with, stem_of

    with reading():
        source = open_with(file, Reading(TableOptions(ids=ids, **options), form=OPTION))
    name = collection_name(collection or (stem_of(file) if file.name != "-" else source.name))
    settings = {"similarity": similarity, "encoder": encoder, "value_from": value_from}
    upload_source(source, name, settings, resume=resume, url=url, api_key=api_key, as_json=as_json)


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
            written = "1 document is" if upload.upserts == 1 else f"{upload.upserts:,} documents are"
            raise Interrupted(f"{text}\nat least {written} written: --resume sends the others", reason) from None
    if as_json:
        write_json(upload.summary())
    else:
        output().print(str(upload))
        if upload.values_waiting:
            were = "value is" if upload.values_waiting == 1 else "values are"
            console.print(f"{upload.values_waiting:,} {were} still to be encoded; questions find all documents now")
    for flaw in islice(upload.flaws(), _SHOWN_FLAWS):
        console.print(flaw)
    if (hidden := len(upload.refusals) - _SHOWN_FLAWS) > 0:
        console.print(f"and {hidden:,} others, which --json lists")
    if upload.refusals:
        were = "document was" if len(upload.refusals) == 1 else "documents were"
        raise CommandError(f"{len(upload.refusals):,} {were} refused, the others are written")
