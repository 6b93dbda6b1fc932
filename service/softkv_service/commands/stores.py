"""Whole stores, without a service: `softkv restore` makes one of a backup, `copy` copies between two."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from softkv.commands.command_line import AsJSON, CommandError, Misused, existing_file
from softkv_service.commands.serve import read_settings

if TYPE_CHECKING:
    from rich.progress import Progress

    from softkv_service.storage import CollectionDiff, CopySummary, Store
    from softkv_service.storage.records import AliasRecord

SHOWN_IDS = 5


def restore(
    file: Annotated[
        Path,
        typer.Argument(
            help="A file of `softkv backup`; - is standard input.",
            parser=existing_file,
            metavar="FILE",
            show_default=False,
        ),
    ],
    data_dir: Annotated[
        Path | None,
        typer.Option(help="The directory to create; it may exist, but without a store.", show_default="data"),
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Restore a backup into a new data directory.

    This needs no running service. A directory that has a store already stays
    as it is. If the backup is incomplete or its checksum is wrong, nothing is
    written.

    softkv restore monday.softkv --data-dir data
    """
    from softkv.commands.console import messages, output, write_json
    from softkv_service.storage import restore
    from softkv_service.storage.errors import StorageError

    # A loopback host: nothing listens here, so the settings need no keys.
    options = {"host": "127.0.0.1", "data_dir": data_dir}
    settings = read_settings({name: value for name, value in options.items() if value is not None})
    try:
        with messages().status(f"restoring {file}"):
            if file.name == "-":
                head = restore(sys.stdin.buffer, settings.data_dir)
            else:
                with file.open("rb") as source:
                    head = restore(source, settings.data_dir)
    except StorageError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{file} could not be restored ({error.strerror}): nothing was written") from None
    if as_json:
        write_json({"data_dir": str(settings.data_dir), "made": head.made, "bytes": head.length})
        return
    output().print(f"{settings.data_dir}: {head.length:,} bytes, as of {head.made}")


def copy(
    source: Annotated[
        str,
        typer.Argument(
            help="The store to read: a data directory, or postgresql://….", metavar="FROM", show_default=False
        ),
    ],
    target: Annotated[
        str, typer.Argument(help="The store to write, created if missing.", metavar="TO", show_default=False)
    ],
    collections: Annotated[
        list[str] | None,
        typer.Option(
            "--collection",
            "-c",
            help="Copy only the collection of this name or alias; repeat the option for more.",
            show_default="all",
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Compare every document with its source afterwards; exit with 1 if one is missing or different.",
        ),
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Copy collections from one store into another, vectors bit by bit.

    This needs no service, and no service may run on either data directory.
    Documents that TO already has are not written again, so run the command
    again to resume it. Documents that only TO has stay. The aliases of the
    collections are copied with them, and moved if TO has them. Answers stored
    for an Idempotency-Key are not copied. To copy from a running service, make
    a backup first.

    softkv copy data postgresql://user@host/softkv --verify
    """
    from softkv.commands.console import messages, output, progress, write_json
    from softkv_service.storage.errors import StorageError

    if _parse_address(source) == _parse_address(target):
        raise Misused(f"{source} and {target} are one store: name another one to copy into")
    if isinstance(directory := _parse_address(source), Path) and not (directory / "softkv.sqlite3").exists():
        raise CommandError(f"{source} has no store: name the data directory of a service")
    try:
        with progress(messages()) as bar:
            outcome = _copy(source, target, collections, verify, bar)
    except StorageError as error:
        raise CommandError(str(error)) from None
    if as_json:
        write_json(
            {
                "copied": [asdict(summary) for summary in outcome.copied],
                "aliases": [record._asdict() for record in outcome.aliases],
                "compared": [asdict(diff) for diff in outcome.compared],
            }
        )
    else:
        for line in outcome.describe():
            output().print(line)
    if not all(diff.same for diff in outcome.compared):
        raise CommandError("the copy differs from its source: see above, and copy again")


class _Outcome(NamedTuple):
    """The result of a copy, with its differences from the source if these were looked for."""

    copied: Sequence[CopySummary]
    aliases: Sequence[AliasRecord]
    compared: Sequence[CollectionDiff]

    def describe(self) -> Iterator[str]:
        """Yield a line for each collection, each alias and each comparison."""
        for summary in self.copied:
            yield f"{summary.name}: wrote {summary.written:,} of {summary.documents:,} documents"
        for record in self.aliases:
            yield f"{record.alias}: an alias of {record.collection}"
        yield from map(_describe, self.compared)


def _copy(source: str, target: str, collections: Sequence[str] | None, verify: bool, bar: Progress) -> _Outcome:
    """Copy collections, their aliases and the measurements of encoders, and compare them if asked to."""
    from softkv_service.storage import compare_collection, copy_aliases, copy_collection, copy_encoder_measurements

    copied: list[CopySummary] = []
    compared: list[CollectionDiff] = []
    with (
        closing(_open_store(source)) as source_store,
        closing(_open_store(target)) as target_store,
        source_store.reading() as reader,
    ):
        totals = {record.name: record.documents for record in reader.collections()}
        targets = dict(reader.aliases())
        for name in dict.fromkeys(targets.get(name, name) for name in collections or totals):
            report = _add_task(bar, name, totals.get(name))
            copied.append(copy_collection(reader, target_store, name, report))
        copy_encoder_measurements(source_store, target_store)
        aliases = copy_aliases(reader, target_store, [summary.name for summary in copied])
        for summary in copied if verify else []:
            report = _add_task(bar, f"{summary.name}, verified", summary.documents)
            with target_store.reading() as target_reader:
                compared.append(compare_collection(reader, target_reader, summary.name, report))
    return _Outcome(copied, aliases, compared)


def _parse_address(address: str) -> Path | str:
    """Return the address of a store: a directory as a path, and the address of a database unchanged."""
    if address.startswith(("postgresql://", "postgres://")):
        return address
    return Path(address.removeprefix("sqlite:")).expanduser().resolve()


def _open_store(address: str) -> Store:
    from softkv_service.storage import SQLiteStore, open_shared

    location = _parse_address(address)
    return SQLiteStore.open(location) if isinstance(location, Path) else open_shared(location)


def _add_task(bar: Progress, name: str, total: int | None) -> Callable[[int], None]:
    task = bar.add_task(name, total=total)
    return lambda done: bar.update(task, completed=done)


def _describe(diff: CollectionDiff) -> str:
    if diff.same:
        return f"{diff.name}: the same, {diff.digests[0]}"
    differences = [f"{name} differs" for name in diff.settings]
    for kind, ids in (("missing", diff.missing), ("not the same", diff.other), ("only there", diff.added)):
        if ids:
            differences.append(
                f"{len(ids):,} {kind}: {', '.join(ids[:SHOWN_IDS])}{' …' if len(ids) > SHOWN_IDS else ''}"
            )
    return f"{diff.name}: {'; '.join(differences)}"
