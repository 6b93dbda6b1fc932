"""`softkv copy FROM TO`: collections from one store into another."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.errors import CommandError, Misused
from service.commands.options import AsJSON

if TYPE_CHECKING:
    from rich.progress import Progress

    from service.storage import CollectionDiff, Store

SHOWN = 5


def copy(
    source: Annotated[
        str, typer.Argument(help="A data directory, or postgresql://….", metavar="FROM", show_default=False)
    ],
    target: Annotated[str, typer.Argument(help="Another one, made if need be.", metavar="TO", show_default=False)],
    collections: Annotated[
        list[str] | None,
        typer.Option("--collection", "-c", help="Only this one; may be given several times.", show_default="all"),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Then hold every document against what it was.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Copy collections from one store into another, vectors bit by bit.

    Needs no service, and none may run on a data directory. What TO has already,
    and is the same, is not written again, so that a copy that was stopped goes
    on where it was; what only TO has, stays. Answers that are kept for an
    Idempotency-Key stay where they are.

    softkv copy data postgresql://user@host/softkv --verify
    """
    from service.commands.console import messages, output, progress, write_json
    from service.storage import CollectionDiff, CopySummary, StorageError, compare_collection, copy_collection

    if _place(source) == _place(target):
        raise Misused(f"{source} and {target} are one store: name another one to copy into")
    if isinstance(place := _place(source), Path) and not (place / "softkv.sqlite3").exists():
        raise CommandError(f"{source} has no store: name the data directory of a service")
    done, checked = list[CopySummary](), list[CollectionDiff]()
    try:
        with (
            closing(_opened(source)) as one,
            closing(_opened(target)) as two,
            one.reading() as reader,
            progress(messages()) as bar,
        ):
            held = {each.name: each.documents for each in reader.collections()}
            for name in collections or held:
                done.append(copy_collection(reader, two, name, _reported(bar, name, held.get(name))))
            for each in done if verify else []:
                report = _reported(bar, f"{each.name}, verified", each.documents)
                with two.reading() as there:
                    checked.append(compare_collection(reader, there, each.name, report))
    except StorageError as error:
        raise CommandError(str(error)) from None
    if as_json:
        write_json({"copied": [asdict(each) for each in done], "compared": [asdict(each) for each in checked]})
    else:
        for each in done:
            output().print(f"{each.name}: {each.documents:,} documents, {each.written:,} of them written")
        for found in checked:
            output().print(_verdict(found))
    if not all(found.same for found in checked):
        raise CommandError("what is there is not what was copied: see above, and copy again")


def _place(address: str) -> Path | str:
    """A directory; or the address of a database."""
    if address.startswith(("postgresql://", "postgres://")):
        return address
    return Path(address.removeprefix("sqlite:")).resolve()


def _opened(address: str) -> Store:
    from service.storage import SQLiteStore, open_shared

    place = _place(address)
    return SQLiteStore.open(place) if isinstance(place, Path) else open_shared(place)


def _reported(bar: Progress, name: str, total: int | None) -> Callable[[int], None]:
    task = bar.add_task(name, total=total)
    return lambda done: bar.update(task, completed=done)


def _verdict(found: CollectionDiff) -> str:
    if found.same:
        return f"{found.name}: the same, {found.digests[0]}"
    told = [f"{name} differs" for name in found.settings]
    for what, ids in (("missing", found.missing), ("not the same", found.other), ("only there", found.added)):
        if ids:
            told.append(f"{len(ids):,} {what}: {', '.join(ids[:SHOWN])}{' …' if len(ids) > SHOWN else ''}")
    return f"{found.name}: {'; '.join(told)}"
