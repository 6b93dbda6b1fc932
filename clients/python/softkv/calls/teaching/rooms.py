"""Rooms: a class's shared memory, by its code; who presents has the secret that opening it was answered with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any
from urllib.parse import quote

from softkv.answers.rooms import Guessed, OpenedRoom, Room, RoomQuestion, RoomRow, opened
from softkv.answers.rooms import question as read_question
from softkv.answers.rooms import room as read_room
from softkv.calls.call import WRITE_SECONDS, Call, Plan, nothing
from softkv.calls.place import Known
from softkv.calls.teaching.hearing import Heard, hear
from softkv.problems import refuse
from softkv.wire import checks
from softkv.wire.body import body, said

_SECRET = "X-Room-Secret"


def open_room(
    known: Known, *, code: str | None = None, rows: Iterable[Mapping[str, Any]] | None = None
) -> Call[OpenedRoom]:
    """Open a room; it lives in the service's memory until it is closed, or was not used for two hours.

    Args:
        code: four letters, where they are free; left out, new ones.
        rows: what it holds from the beginning: mappings with a `key`, and perhaps an `id` and a `value`.
    """
    content = body(said(code=code, rows=None if rows is None else [dict(row) for row in rows]))
    return Call("POST", "/v1/rooms", lambda reply: opened(reply.json()), content=content, repeatable=False)


def room(known: Known, code: str) -> Call[Room]:
    """All that a room holds: its rows, the question that is shown, those that wait."""
    return Call("GET", _path(code), lambda reply: read_room(reply.json()))


def close_room(known: Known, code: str, secret: str) -> Call[None]:
    """End a room, and forget what it held."""
    return Call("DELETE", _path(code), nothing, more=_with(secret), repeatable=False)


def put_row(
    known: Known,
    code: str,
    id: str,  # noqa: A002
    key: str,
    *,
    value: str | None = None,
    secret: str | None = None,
) -> Call[RoomRow]:
    """Put a row into a room.

    Args:
        id: of your own choice: 1 to 64 letters, digits, dashes or underscores.
        value: the key, if left out.
        secret: a word of your own, with which the row can be replaced and removed later; or who presents'.
    """
    content = body(said(key=key, value=value))
    return Call(
        "PUT", _path(code, "rows", id), lambda reply: RoomRow.read(reply.json()), content=content, more=_with(secret)
    )


def remove_row(known: Known, code: str, id: str, secret: str) -> Call[None]:  # noqa: A002
    """Take a row out of a room: who presents may remove any, others what they put there with that secret."""
    return Call("DELETE", _path(code, "rows", id), nothing, more=_with(secret), repeatable=False)


def remove_rows(known: Known, code: str, secret: str) -> Call[None]:
    """Take all rows out of a room, whoever put them there; for who presents."""
    return Call("DELETE", _path(code, "rows"), nothing, more=_with(secret), repeatable=False)


def ask(
    known: Known, code: str, query: str, *, temperature: float | None = None, secret: str | None = None
) -> Call[RoomQuestion]:
    """Ask in a room: with who presents' secret all see it and guess; else it waits until who presents asks the same."""
    refuse(checks.temperature(temperature))
    content = body(said(query=query, temperature=temperature))
    return Call(
        "POST",
        _path(code, "questions"),
        lambda reply: read_question(reply.json()),
        content=content,
        more=_with(secret),
        repeatable=False,
    )


def guess(known: Known, code: str, id: str, question: int, row: str | None) -> Call[Guessed]:  # noqa: A002
    """Guess which row will weigh most.

    Args:
        id: the guesser's own, shown to nobody; of one, the last guess counts.
        question: its number.
        row: its id; None for none of them.
    """
    content = body({"question": question, "row": row})
    return Call("PUT", _path(code, "guesses", id), lambda reply: Guessed.read(reply.json()), content=content)


def reveal(known: Known, code: str, question: int, secret: str) -> Call[RoomQuestion]:
    """Close the guesses, ask the rows, and show everybody the answer."""
    return Call(
        "POST",
        _path(code, "reveal"),
        lambda reply: read_question(reply.json()),
        content=body({"question": question}),
        more=_with(secret),
        repeatable=False,
        timeout=WRITE_SECONDS,
    )


def hear_room(known: Known, code: str, heard: Heard) -> Plan[None]:
    """Listen to a room until it is over, or until `heard` answers True; docs/rooms.md names what is told.

    A service in this process tells everything at the end only.

    Args:
        heard: is told the name and the data of each event: first `room` with all that it holds, then every change.
    """
    return hear("GET", _path(code, "events"), heard)


def _with(secret: str | None) -> tuple[tuple[str, str], ...]:
    return () if secret is None else ((_SECRET, secret),)


def _path(code: str, *below: str) -> str:
    return "/".join(chain(("/v1/rooms",), (quote(each, safe="") for each in (code, *below))))
