"""`softkv load FILE`: a file's documents into a collection, with a bar, and again from where it stopped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from service.commands.errors import CommandError, Interrupted, Misused
from service.commands.options import DEFAULT_URL, ApiKey, AsJSON, Url, existing_file

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
        typer.Option("-c", "--collection", metavar="NAME", help="Default: the file's name without its ending."),
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option(
            help="For .npy: one id a line (.txt), or documents in the same order. Default: FILE.ids.txt",
            parser=existing_file,
            metavar="FILE",
        ),
    ] = None,
    id_column: Annotated[str, typer.Option("--id", metavar="COLUMN", help="The column of the ids.")] = "id",
    key_column: Annotated[str, typer.Option("--key", metavar="COLUMN", help="The column of the keys.")] = "key",
    value_column: Annotated[str, typer.Option("--value", metavar="COLUMN", help="The column of the values.")] = "value",
    text: Annotated[bool, typer.Option("--text", help="Keep numbers in a CSV file's metadata as texts.")] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Skip documents whose ids the collection has, after an interruption."),
    ] = False,
    similarity: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of a new collection: cosine, dot, scaled_dot or gaussian."),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME|none", help="Of a new collection; none where documents bring vectors."),
    ] = None,
    value_from: Annotated[str | None, typer.Option(metavar="value|key", help="Of a new collection.")] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Write the documents of a file into a collection, which is created where it is not there.

    In a table the columns id, key and value are those, and every other one
    is metadata. Documents that are there already are written again: loading
    twice is loading once. After an interruption, --resume asks the service
    which documents it has and sends the others.

    softkv load books.csv --collection library --key title
    """
    from service.commands.console import messages, output, progress, write_json
    from service.commands.files.document_files import open_source
    from service.commands.files.source import ColumnNames
    from service.commands.remote.collection import RemoteCollection
    from service.commands.remote.connection import Connection
    from service.commands.remote.upload import Upload

    name = collection or file.stem
    if not _NAME.fullmatch(name):
        raise Misused(f"{name!r} cannot name a collection: give another with --collection (letters, digits, . _ -)")
    given = {"similarity": similarity, "encoder": encoder, "value_from": value_from}
    settings = {
        field: None if setting == "none" else setting for field, setting in given.items() if setting is not None
    }
    source = open_source(file, ColumnNames(id_column, key_column, value_column, text), ids)
    console = messages()
    with Connection(url, api_key) as connection, progress(console) as bar:
        task = bar.add_task(name, total=source.total)
        upload = Upload(RemoteCollection(connection, name), source, lambda done: bar.update(task, completed=done))
        upload.collection.create(settings)
        try:
            upload.run(resume=resume)
        except (KeyboardInterrupt, CommandError) as error:
            why = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
            raise Interrupted(
                f"{why}\n{upload.upserted:,} documents are written: --resume sends the others", error
            ) from None
    if as_json:
        write_json(upload.summary())
    else:
        output().print(str(upload))
    for number, detail in upload.refused:
        console.print(f"line {number}: {detail}")
    if upload.refused:
        raise CommandError(f"{len(upload.refused):,} documents were refused, the others are written")
