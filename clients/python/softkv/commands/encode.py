"""`softkv encode FILE`: write the embeddings of a file's texts as .npy or NDJSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from softkv.commands.command_line import ApiKey, AsJSON, CommandError, Misused, Url, existing_file
from softkv.settings import DEFAULT_URL

if TYPE_CHECKING:
    from softkv.commands.files import ArrayFile, LineFile

_STDIO = Path("-")


def encode(
    file: Annotated[
        Path,
        typer.Argument(
            help="A .txt file with a text per line, or a table of any format; - is lines of stdin.",
            parser=existing_file,
            metavar="FILE",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="A .npy or .ndjson file, or - for NDJSON on stdout.", show_default="FILE.npy"),
    ] = None,
    key: Annotated[str, typer.Option(metavar="COLUMN", help="The column or field with the texts.")] = "key",
    purpose: Annotated[
        Literal["document", "query"], typer.Option(help="The role of the texts, for models that distinguish them.")
    ] = "document",
    model: Annotated[str | None, typer.Option(metavar="NAME", help="A model other than that of the service.")] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Encode texts with the service's model.

    A .npy file has a float32 row for each text, in order. An .ndjson file has
    each document with its key_vector. `softkv load` reads both:

    softkv encode books.ndjson && softkv load books.npy --ids books.ndjson
    """
    from softkv.commands.console import messages, output, progress, write_json
    from softkv.commands.remote import OPTION, Encoding, connect, reading
    from softkv.table_options import TableOptions
    from softkv.tables import Reading, open_with

    target = out or (_STDIO if file == _STDIO else file.with_suffix(".npy"))
    if as_json and target == _STDIO:
        raise Misused("--json and the embeddings both go to standard output: name a file with --out")
    with reading():
        texts = open_with(file, Reading(TableOptions(key=key), needs="keys", form=OPTION), lines="key")
    for notice in texts.notices:
        messages().print(notice)
    with connect(url, api_key) as client, progress(messages()) as bar, _open_sink(target) as sink:
        task = bar.add_task(file.name, total=texts.total)
        run = Encoding(client, sink, purpose, model)
        run.run(texts, lambda done: bar.update(task, completed=done))
        sink.finish()
    if as_json:
        write_json({"out": str(target)} | run.summary())
        return
    console = messages() if target == _STDIO else output()
    console.print(f"{target}: {run}")
    if run.truncated:
        lines = ", ".join(map(str, run.truncated[:10])) + (", …" if len(run.truncated) > 10 else "")
        messages().print(f"{len(run.truncated):,} texts are longer than the model reads and were cut: lines {lines}")


@contextmanager
def _open_sink(target: Path) -> Iterator[ArrayFile | LineFile]:
    """Open the output for the vectors; a file gets its final name only when it is complete."""
    from softkv.commands.files import ArrayFile, LineFile

    if target == _STDIO:
        yield LineFile(sys.stdout.buffer)
        return
    kinds: dict[str, type[ArrayFile] | type[LineFile]] = {
        ".npy": ArrayFile,
        ".ndjson": LineFile,
        ".jsonl": LineFile,
    }
    if target.suffix.lower() not in kinds:
        raise Misused(f"--out {target} has another extension than .npy .ndjson .jsonl: use one of these")
    partial = target.with_name(f"{target.name}.part")
    try:
        with partial.open("wb") as file:
            yield kinds[target.suffix.lower()](file)
        os.replace(partial, target)
    except OSError as error:
        raise CommandError(f"{target} cannot be written ({error.strerror}): choose another --out") from None
    finally:
        partial.unlink(missing_ok=True)
