"""`softkv load FILE`: a file's documents into a collection, with a bar, and again from where it stopped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.errors import CommandError, Interrupted, Misused
from service.commands.options import ApiKey, AsJSON, Url, existing_file
from service.networks import DEFAULT_URL

if TYPE_CHECKING:
    from service.commands.files.source import DocumentSource

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
        which documents it has and sends the others. What `softkv export` wrote
    brings the settings of its collection along.

        softkv load books.csv --collection library --key title
    """
    from service.commands.files.document_files import open_source
    from service.commands.files.source import ColumnNames

    source = open_source(file, ColumnNames(id_column, key_column, value_column, text), ids)
    name = collection_name(collection or (file.stem if file.name != "-" else source.name or "-"))
    given = {"similarity": similarity, "encoder": encoder, "value_from": value_from}
    carry(source, name, given, resume=resume, url=url, api_key=api_key, as_json=as_json)


def collection_name(name: str) -> str:
    """A name that a collection can have.

    Raises:
        Misused: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise Misused(f"{name!r} cannot name a collection: give another with --collection (letters, digits, . _ -)")
    return name


def carry(
    source: DocumentSource,
    name: str,
    given: Mapping[str, str | None],
    *,
    resume: bool,
    url: str,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Write what there is into a collection, with a bar, and say what became of it.

    Args:
        given: settings from the command line, before those that the source brings; "none" is none, None left out.
        resume: leave out documents that are there.
    """
    from service.commands.console import messages, output, progress, write_json
    from service.commands.remote.connection import connected, failure
    from service.commands.remote.upload import Upload
    from softkv import Error

    said = {field: None if setting == "none" else setting for field, setting in given.items() if setting is not None}
    console = messages()
    with connected(url, api_key) as client, progress(console) as bar:
        task = bar.add_task(name, total=source.total)
        upload = Upload(client.collection(name), source, lambda done: bar.update(task, completed=done))
        upload.collection.create(**{**source.settings, **said}, exist_ok=True)
        try:
            upload.run(resume=resume)
        except (KeyboardInterrupt, CommandError, Error) as error:
            reason = failure(error, url) if isinstance(error, Error) else error
            why = "interrupted" if isinstance(error, KeyboardInterrupt) else str(reason)
            raise Interrupted(
                f"{why}\n{upload.upserted:,} documents are written: --resume sends the others", reason
            ) from None
    if as_json:
        write_json(upload.summary())
    else:
        output().print(str(upload))
    for flaw in upload.flaws():
        console.print(flaw)
    if upload.refused:
        raise CommandError(f"{len(upload.refused):,} documents were refused, the others are written")
