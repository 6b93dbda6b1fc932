"""`softkv export COLLECTION FILE` writes a collection to a file, from which `softkv load` restores the same one.
`softkv backup FILE` writes all that a service stores.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from softkv.commands.command_line import ApiKey, AsJSON, CommandError, Misused, Url
from softkv.settings import DEFAULT_URL

if TYPE_CHECKING:
    from softkv import CollectionInfo, Document

_ENDINGS = (".ndjson", ".jsonl")
# A call encodes the values of 256 documents that still wait, see docs/guide/values.md.
_PAGE = 250


def export(
    collection: Annotated[str, typer.Argument(help="The name of the collection.", show_default=False)],
    file: Annotated[
        Path,
        typer.Argument(help="The .ndjson file to write; - is standard output.", metavar="FILE", show_default=False),
    ],
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Write a collection into a file, with its settings and vectors.

    `softkv load` restores it bit by bit, and encodes nothing again. The file
    gets its name only when it is complete.

    softkv export library library.ndjson
    softkv export library - | softkv load - --url http://elsewhere:8000
    """
    from softkv.commands.console import messages, output, progress, write_json
    from softkv.commands.files import ExportHead, write_document
    from softkv.commands.remote import connect

    if as_json and file.name == "-":
        raise Misused("--json and the documents both go to standard output: name a file")
    if file.name != "-" and file.suffix.lower() not in _ENDINGS:
        raise Misused(
            f"{file} has another extension than {' '.join(_ENDINGS)}: use one of these, or - for standard output"
        )
    written = 0
    with connect(url, api_key) as client:
        source = client.collection(collection)
        info = source.info()
        with progress(messages()) as bar, _open_sink(file) as sink:
            task = bar.add_task(collection, total=info.documents + info.keyless)
            sink.write(ExportHead.of(info).line() + b"\n")
            documents = source.find(include=["key", "sent_value", "metadata", "key_vector", "value_vector"], page=_PAGE)
            for page in documents.pages():
                sink.writelines(write_document(_line(document, info)) + b"\n" for document in page)
                written += len(page)
                bar.update(task, completed=written)
    if as_json:
        write_json({"collection": collection, "file": str(file), "documents": written})
        return
    (messages() if file.name == "-" else output()).print(f"{file}: {written:,} documents of {collection}")


@contextmanager
def _open_sink(target: Path) -> Iterator[BinaryIO]:
    """Open the output for the lines; a file gets its final name only when it is complete."""
    if target.name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = target.with_name(f"{target.name}.part")
    try:
        with partial.open("wb") as file:
            yield file
        os.replace(partial, target)
    except OSError as error:
        raise CommandError(f"{target} cannot be written ({error.strerror}): choose another file") from None
    finally:
        partial.unlink(missing_ok=True)


def _line(document: Document, info: CollectionInfo) -> dict[str, Any]:
    """Return a document as the fields with which it can be written again without encoding any text."""
    from softkv.commands.files import write_vector

    # Without the null, a document that never expires would get the collection's `expire_after`.
    never = {} if info.expire_after is None or document.expires is not None else {"expires": None}
    fields = {"id": document.id, **document.fields, **never}
    vector, several, value = (fields.pop(name, None) for name in ("key_vector", "key_vectors", "value_vector"))
    if vector is not None:
        fields["key_vector"] = write_vector(vector)
    if several is not None:
        fields["key_vectors"] = [write_vector(key) for key in several]
    # Without a value vector the service takes the first key, so an equal vector is left out; but it may encode a text.
    first = vector if vector is not None else several[0] if several else None
    differs = first is None or value is None or value.tobytes() != first.tobytes()
    if value is not None and (differs or _encodes_value(document, info)):
        fields["value_vector"] = write_vector(value)
    return fields


def _encodes_value(document: Document, info: CollectionInfo) -> bool:
    """Return whether the service would encode this document's value, if the document were written without a value
    vector.
    """
    value = document.fields.get("value", document.key)
    if info.encoder is None or info.value_from == "key" or not isinstance(value, str):
        return False
    return len(document.parts or ()) <= 1 or value != document.key


def backup(
    file: Annotated[
        Path,
        typer.Argument(help="The file to write; - is standard output.", metavar="FILE", show_default=False),
    ],
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an older file of this name.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Copy everything that a running service stores into one file.

    The file has the state of one instant; the service keeps answering and
    writing meanwhile. The file gets its name only when it is complete and its
    checksum is right. `softkv restore` reads it. If the service requires an
    API key, this command needs a key that may write.

    softkv backup monday.softkv
    """
    from softkv.commands.console import messages, output, progress, write_json
    from softkv.commands.remote import connect

    if file.is_file() and not force:
        raise CommandError(f"{file} exists already: choose another name, or replace it with --force")
    if as_json and file.name == "-":
        raise Misused("--json and the backup both go to standard output: name a file")
    with connect(url, api_key) as client, progress(messages()) as bar:
        task = bar.add_task("backup", total=None)
        try:
            result = client.backup(
                sys.stdout.buffer if file.name == "-" else file,
                progress=lambda done, of: bar.update(task, completed=done, total=of),
            )
        except OSError as error:
            raise CommandError(f"{file} cannot be written ({error.strerror}): choose another file") from None
    if as_json:
        write_json({"file": str(file), "made": result.made, "bytes": result.length, "sha256": result.sha256})
        return
    (messages() if file.name == "-" else output()).print(f"{file}: {result.length:,} bytes, as of {result.made}")
