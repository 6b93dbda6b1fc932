"""`softkv access-log`: read the access log of a service, with its rotated files, and filter it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from softkv.commands.command_line import CommandError

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
AGE = re.compile(r"(\d{1,9})([smhdw])")
ACCEPTED = ("done", "replayed")
INVISIBLE = re.compile("[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
REFUSED = "refused"
"""The filter for every outcome that is a code of a refusal."""


def instant(text: str) -> datetime:
    """Return an instant of the command line: an age such as 90m or 7d, or a date with or without a time."""
    try:
        if match := AGE.fullmatch(text):
            return datetime.now(UTC) - timedelta(**{UNITS[match[2]]: int(match[1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"expected an age such as 90m or 7d, or a date such as 2026-11-26, got {text!r}"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def access_log(
    file: Annotated[
        Path, typer.Argument(help="The file of the access log.", envvar="SOFTKV_ACCESS_LOG", show_default=False)
    ],
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=instant,
            metavar="AGE|TIME",
            help="Only lines of the last 90m or 7d, or since a time in UTC.",
            show_default="all",
        ),
    ] = None,
    outcome: Annotated[
        str | None,
        typer.Option(
            help="Only this outcome: done, replayed, refused, or a code such as forbidden.", show_default="all"
        ),
    ] = None,
    follow: Annotated[bool, typer.Option(help="Go on with lines that are written later, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, for programs.")] = False,
) -> None:
    """Read the access log of a service: changes, and refusals by a key.

    The file is that of `softkv serve --access-log`; its rotated files are
    read, too. Lines that were torn by a crash are passed over and counted.
    This needs no running service.

    softkv access-log access.jsonl --since 7d --outcome refused
    """
    import orjson

    from softkv_service.api.access_log import Torn, read

    earliest = None if since is None else since.astimezone(UTC).isoformat(timespec="milliseconds")[:-6]

    def fits(entry: dict[str, Any]) -> bool:
        return (earliest is None or str(entry["at"]).removesuffix("Z") >= earliest) and (
            outcome is None or _has_outcome(entry, outcome)
        )

    torn = 0
    try:
        for entry in read(file, follow=follow):
            if isinstance(entry, Torn):
                torn += 1
                typer.echo(f"softkv: passed over a torn line: {entry.path}, line {entry.number}", err=True)
            elif not _is_entry(entry):
                torn += 1
                typer.echo("softkv: passed over a line that no service has written", err=True)
            elif fits(entry):
                typer.echo(_escape(orjson.dumps(entry).decode()) if as_json else _row(entry))
    except OSError as error:
        raise CommandError(f"the access log {file} cannot be read: {error.strerror or error}") from None
    except KeyboardInterrupt:
        if not follow:
            raise


def _is_entry(entry: dict[str, Any]) -> bool:
    """Return whether a line has the fields and types of the access log."""
    ids, count = entry.get("ids", []), entry.get("count", 0)
    return (
        all(isinstance(entry.get(field), str) for field in ("at", "outcome", "call"))
        and all(isinstance(entry.get(field), str | None) for field in ("key", "address", "collection", "alias"))
        and {"key", "address", "collection"} <= entry.keys()
        and isinstance(ids, list)
        and all(isinstance(one, str) for one in ids)
        and isinstance(count, int)
    )


def _escape(text: str) -> str:
    """Return JSON in which characters that move text on a screen, or end a line, are escaped."""
    return INVISIBLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _has_outcome(entry: dict[str, Any], outcome: str) -> bool:
    return entry["outcome"] not in (*ACCEPTED, "unfinished") if outcome == REFUSED else entry["outcome"] == outcome


def _row(entry: dict[str, Any]) -> str:
    """Return a line for people: when, the outcome, the key, its address, the call, and what it was about."""
    from softkv.commands.console import one_line

    documents = ", ".join(entry["ids"]) if "ids" in entry else ""
    count = entry.get("count")
    if not documents and count is not None:
        documents = f"{count:,} document{'' if count == 1 else 's'}"
    about = " ".join(part for part in (entry.get("alias"), entry["collection"], documents) if part)
    columns = ((entry["at"], 24), (entry["outcome"], 10), (entry["key"] or "-", 12), (entry["address"] or "-", 15))
    start = "  ".join(one_line(text).ljust(width) for text, width in columns)
    return f"{start}  {one_line(entry['call']).ljust(18)}  {one_line(about)}".rstrip()
