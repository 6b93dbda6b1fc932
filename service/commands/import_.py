"""`softkv import --from KIND PLACE COLLECTION`: a collection of another database, vectors and all."""

from __future__ import annotations

from typing import Annotated

import typer

from service.commands.errors import Misused
from service.commands.load import carry, collection_name
from service.commands.options import DEFAULT_URL, ApiKey, AsJSON, Url, key_or_file

KINDS = ("chroma", "qdrant")


def import_(
    place: Annotated[
        str,
        typer.Argument(
            metavar="PLACE",
            help="chroma: its directory. qdrant: its address, a folder of local mode, or points in .jsonl.",
            show_default=False,
        ),
    ],
    collection: Annotated[str, typer.Argument(help="The collection to write into.", show_default=False)],
    kind: Annotated[str, typer.Option("--from", metavar="|".join(KINDS), help="What it is read from.")],
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the collection is called there. Default: as here.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="FIELD", help="The field that is the key text. Default: chroma's document, else none."),
    ] = None,
    value: Annotated[str | None, typer.Option(metavar="FIELD", help="The field that is the value.")] = None,
    vector: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which vector, where points have several by name.")
    ] = None,
    from_key: Annotated[
        str | None,
        typer.Option(parser=key_or_file, metavar="KEY|@FILE", help="The key that the other database wants."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip documents whose ids the collection has, after an interruption.")
    ] = False,
    similarity: Annotated[
        str | None, typer.Option(metavar="NAME", help="Default: what orders documents as the other database does.")
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME|none", help="The model that its vectors are of, so that texts can ask; else none."),
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Read a collection of another database, and write it into one here.

    Ids, vectors, texts and metadata come along as they are; what does not
    is in docs/moving.md. Nothing is written to where it is read from.

    softkv import --from chroma ./chroma notes --encoder all-MiniLM-L6-v2
    softkv import --from qdrant http://127.0.0.1:6333 notes --key document
    """
    from dataclasses import replace
    from pathlib import Path

    from service.commands.stores.chroma import open_chroma
    from service.commands.stores.qdrant import open_qdrant
    from service.commands.stores.record import Wanted

    if kind not in KINDS:
        raise Misused(f"--from {kind} is none of {', '.join(KINDS)}: export from it as NDJSON, and use softkv load")
    name = collection_name(collection)
    wanted = Wanted(source or collection, key, value, vector, similarity)
    read = open_qdrant(place, wanted, from_key) if kind == "qdrant" else open_chroma(Path(place), wanted)
    given = {"similarity": similarity, "encoder": encoder}
    carry(replace(read, name=name), name, given, resume=resume, url=url, api_key=api_key, as_json=as_json)
