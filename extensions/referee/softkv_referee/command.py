"""`softkv check-index`: compare the search of a vector store with the exact answers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit, urlunsplit

import typer

from softkv.commands.command_line import (
    OPERATE,
    SERVICE,
    ApiKey,
    AsJSON,
    Command,
    CommandError,
    Misused,
    Unreachable,
    existing_file,
    read_key,
)

if TYPE_CHECKING:
    from softkv.tables import Asked
    from softkv_referee.stores import Location

STORE, REPORT = "The store", "The report"
"""Two groups of options in the help."""

app = typer.Typer()
"""The command of this distribution, which `softkv` finds by the entry point `referee`."""


@app.command(cls=Command, rich_help_panel=OPERATE)
def check_index(
    address: Annotated[
        str,
        typer.Argument(
            help="A folder, a file, or the URL of a server or a database.", metavar="ADDRESS", show_default=False
        ),
    ],
    name: Annotated[
        str | None,
        typer.Argument(help="The collection or the table.", metavar="NAME", show_default="the only one"),
    ] = None,
    *,
    kind: Annotated[
        Literal["chroma", "qdrant", "pgvector", "faiss"],
        typer.Option("--from", help="The kind of the store.", show_default=False),
    ],
    questions: Annotated[
        Path,
        typer.Option(
            help="A table of vectors, ids of documents or texts, or lines of texts; - is NDJSON from stdin.",
            parser=existing_file,
            metavar="FILE",
            show_default=False,
        ),
    ],
    top_k: Annotated[int, typer.Option("-k", "--top-k", min=1, max=1000, help="The number of results.")] = 10,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="FILTER",
            help="Ask each question with this filter too: JSON as the store takes it, or a condition of SQL; "
            "may be repeated.",
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="The temperature of the weights.", show_default="0.05 for cosine, otherwise 1"),
    ] = None,
    probes: Annotated[
        int, typer.Option(min=0, metavar="N", help="The number of random rows to search by their own vectors.")
    ] = 1000,
    id_column: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="COLUMN", help="pgvector: the column of ids.", show_default="id", rich_help_panel=STORE
        ),
    ] = None,
    vector: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="pgvector: the column of vectors; qdrant: the name of the vector.",
            show_default="the only one",
            rich_help_panel=STORE,
        ),
    ] = None,
    originals: Annotated[
        Path | None,
        typer.Option(
            help="FAISS: a .npy file of the vectors, in the order of their numbers.",
            parser=existing_file,
            metavar="FILE",
            show_default="those in the index",
            rich_help_panel=STORE,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting of the search, such as hnsw.ef_search=100; may be repeated.",
            rich_help_panel=STORE,
        ),
    ] = None,
    store_key: Annotated[
        str | None,
        typer.Option(
            envvar="SOFTKV_STORE_KEY",
            parser=read_key,
            metavar="KEY|@FILE",
            help="The store's API key; @FILE reads it from a file.",
            rich_help_panel=STORE,
        ),
    ] = None,
    report_file: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE", help="Write the report as JSON into this file too.", rich_help_panel=REPORT
        ),
    ] = None,
    before: Annotated[
        Path | None,
        typer.Option(
            help="The report of an earlier run, to compare with.",
            parser=existing_file,
            metavar="FILE",
            rich_help_panel=REPORT,
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="The address of a service that encodes questions that are texts.",
            show_default=False,
            rich_help_panel=SERVICE,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The encoder of texts, which must be that of the store.",
            show_default="that of the service",
            rich_help_panel=SERVICE,
        ),
    ] = None,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Compare the search of a vector store with the exact answers.

    Reads all vectors through the store's own client, asks the store each
    question, and computes the exact answer. The report has the recall, the
    weight that was missed, filters that lose rows, rows that no search finds,
    and the worst questions. Nothing is changed in the store. The exit code
    is 1 if a fault is found.

    softkv check-index ./chroma notes --from chroma --questions asked.jsonl
    softkv check-index postgresql://app@db/app documents --from pgvector
    --questions asked.npy --filter "year < 1960" --report monday.json
    """
    from softkv.commands.console import messages, progress, write_json
    from softkv.commands.remote import connect, reading
    from softkv.tables import read_asked
    from softkv_referee.index_check import check_index as check
    from softkv_referee.index_check import compare, summarise, to_markdown
    from softkv_referee.stores import Location

    if temperature is not None and not temperature > 0:
        raise Misused(f"--temperature {temperature:g}: expected a number above 0")
    location = Location(address, name, store_key, id_column, vector, originals, _parse_settings(settings or []))
    conditions = [_parse_filter(kind, text) for text in filters or ()]
    earlier = None if before is None else _read_report(before)
    with reading():
        question_list = read_asked(questions)
    with ExitStack() as stack:
        encode = None
        if _has_texts(question_list) and url is not None:
            client = stack.enter_context(connect(url, api_key))
            encode = lambda texts: client.encode(texts, purpose="query", model=model)  # noqa: E731
        store = stack.enter_context(_open_store(kind, location))
        bar = stack.enter_context(progress(messages()))
        tasks: dict[str, Any] = {}

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=total)
            bar.update(tasks[step], completed=done, total=total)

        with reading(), _store_errors():
            result: dict[str, Any] = check(
                store,
                question_list,
                k=top_k,
                temperature=temperature,
                conditions=conditions,
                probes=probes,
                encode=encode,
                progress=show,
            )
    result["store"] = {"kind": kind, "address": _without_password(address), "name": name}
    with reading():
        result["compared"] = None if earlier is None else compare(earlier, result)
    result["summary"] = summarise(result)
    if report_file is not None:
        _write(report_file, result)
    if as_json:
        write_json(result)
    else:
        typer.echo(to_markdown(result), nl=False)
    if faults := result["summary"]["faults"]:
        codes = ", ".join(dict.fromkeys(fault["code"] for fault in faults))
        raise CommandError(f"{len(faults)} fault{'s' * (len(faults) > 1)} found: {codes}")


def _has_texts(question_list: Sequence[Asked]) -> bool:
    return any(question.text is not None for question in question_list)


@contextmanager
def _open_store(kind: str, location: Location) -> Iterator[Any]:
    """Yield an open store."""
    from softkv_referee.stores import open_store

    with _store_errors():
        store = open_store(kind, location)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _store_errors() -> Iterator[None]:
    """Within the block, an error of a store becomes a CommandError."""
    from softkv_referee.stores import StoreError, StoreUnreachable

    try:
        yield
    except StoreUnreachable as error:
        raise Unreachable(str(error)) from None
    except StoreError as error:
        raise CommandError(str(error)) from None


def _parse_settings(texts: Sequence[str]) -> dict[str, str]:
    settings = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise Misused(f"--set {text}: expected NAME=VALUE, such as hnsw.ef_search=100")
        settings[name.strip()] = value.strip()
    return settings


def _parse_filter(kind: str, text: str) -> Any:
    if kind == "pgvector":
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise Misused(f"--filter {text}: expected JSON ({error})") from None


def _read_report(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (ValueError, OSError) as error:
        raise CommandError(f"{file} is not a report of softkv check-index: {error}") from None


def _write(file: Path, report: dict[str, Any]) -> None:
    """Write a report, which gets its name only when it is complete."""
    partial = file.with_name(f"{file.name}.part")
    try:
        partial.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, file)
    except OSError as error:
        raise CommandError(f"{file} cannot be written ({error.strerror}): choose another file") from None
    finally:
        partial.unlink(missing_ok=True)


def _without_password(address: str) -> str:
    """Return an address without a password in it."""
    parts = urlsplit(address)
    if parts.password is None:
        return address
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:…@{host}"))
