"""The lab: small models are trained while one listens, and then asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Literal
from urllib.parse import quote

from softkv import validation
from softkv.answers.classroom import (
    Decoded,
    GuessCount,
    Lab,
    OpenedRoom,
    Room,
    RoomQuestion,
    RoomRow,
    parse_decoded,
    parse_opened_room,
)
from softkv.answers.classroom import parse_lab as read_lab
from softkv.answers.classroom import parse_question as read_question
from softkv.answers.classroom import parse_room as read_room
from softkv.calls.call import WRITE_TIMEOUT, Call, EventHandler, Plan, ServiceCache, ignore_content, listen
from softkv.problems import raise_flaws
from softkv.wire import drop_omitted, encode_json


def lab(known: ServiceCache) -> Call[Lab]:
    """What is trained, and what was."""
    return Call("GET", "/v1/lab", lambda reply: read_lab(reply.json()))


def train(
    known: ServiceCache,
    task: Literal["copy", "reverse", "dates", "numbers", "pictures", "pairs"],
    heard: EventHandler,
    *,
    model: Literal["transformer", "gru", "lstm", "gru_attention", "lstm_attention"] | None = None,
    seconds: float | None = None,
    steps: int | None = None,
    seed: int | None = None,
    pairs: Sequence[Mapping[str, str]] | None = None,
) -> Plan[None]:
    """Train a small model; docs/lab.md tells of each argument, and of what is heard.

    Args:
        heard: is told the name and the data of each event, `trained` with the model's `id` at the end. Where it answers
            True the training ends.
    """
    request = drop_omitted(task=task, model=model, seconds=seconds, steps=steps, seed=seed)
    sent = None if pairs is None else [dict(pair) for pair in pairs]
    return listen("POST", "/v1/lab/train", heard, encode_json({**request, **drop_omitted(pairs=sent)}))


def decode(
    known: ServiceCache, model: str, source: str | None = None, *, picture: Sequence[Sequence[float]] | None = None
) -> Call[Decoded]:
    """What a trained model writes for a text or a picture, with the attention behind each token."""
    rows = None if picture is None else [[float(number) for number in row] for row in picture]
    content = encode_json(drop_omitted(model=model, source=source, picture=rows))
    return Call(
        "POST", "/v1/lab/decode", lambda reply: parse_decoded(reply.json()), content=content, timeout=WRITE_TIMEOUT
    )


_SECRET_HEADER = "X-Room-Secret"


def open_room(
    known: ServiceCache, *, code: str | None = None, rows: Iterable[Mapping[str, Any]] | None = None
) -> Call[OpenedRoom]:
    """Open a room; it lives in the service's memory until it is closed, or was not used for two hours.

    Args:
        code: four letters, where they are free; left out, new ones.
        rows: what it holds from the beginning: mappings with a `key`, and perhaps an `id` and a `value`.
    """
    content = encode_json(drop_omitted(code=code, rows=None if rows is None else [dict(row) for row in rows]))
    return Call("POST", "/v1/rooms", lambda reply: parse_opened_room(reply.json()), content=content, repeatable=False)


def room(known: ServiceCache, code: str) -> Call[Room]:
    """All that a room holds: its rows, the question that is shown, those that wait."""
    return Call("GET", _room_path(code), lambda reply: read_room(reply.json()))


def close_room(known: ServiceCache, code: str, secret: str) -> Call[None]:
    """End a room, and forget what it held."""
    return Call("DELETE", _room_path(code), ignore_content, more=_secret_headers(secret), repeatable=False)


def put_row(
    known: ServiceCache,
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
    content = encode_json(drop_omitted(key=key, value=value))
    return Call(
        "PUT",
        _room_path(code, "rows", id),
        lambda reply: RoomRow.read(reply.json()),
        content=content,
        more=_secret_headers(secret),
    )


def remove_row(known: ServiceCache, code: str, id: str, secret: str) -> Call[None]:  # noqa: A002
    """Take a row out of a room: who presents may remove any, others what they put there with that secret."""
    return Call("DELETE", _room_path(code, "rows", id), ignore_content, more=_secret_headers(secret), repeatable=False)


def remove_rows(known: ServiceCache, code: str, secret: str) -> Call[None]:
    """Take all rows out of a room, whoever put them there; for who presents."""
    return Call("DELETE", _room_path(code, "rows"), ignore_content, more=_secret_headers(secret), repeatable=False)


def ask(
    known: ServiceCache, code: str, query: str, *, temperature: float | None = None, secret: str | None = None
) -> Call[RoomQuestion]:
    """Ask in a room: with who presents' secret all see it and guess; else it waits until who presents asks the same."""
    raise_flaws(validation.check_temperature(temperature))
    content = encode_json(drop_omitted(query=query, temperature=temperature))
    return Call(
        "POST",
        _room_path(code, "questions"),
        lambda reply: read_question(reply.json()),
        content=content,
        more=_secret_headers(secret),
        repeatable=False,
    )


def guess(known: ServiceCache, code: str, id: str, question: int, row: str | None) -> Call[GuessCount]:  # noqa: A002
    """Guess which row will weigh most.

    Args:
        id: the guesser's own, shown to nobody; of one, the last guess counts.
        question: its number.
        row: its id; None for none of them.
    """
    content = encode_json({"question": question, "row": row})
    return Call("PUT", _room_path(code, "guesses", id), lambda reply: GuessCount.read(reply.json()), content=content)


def reveal(known: ServiceCache, code: str, question: int, secret: str) -> Call[RoomQuestion]:
    """Close the guesses, ask the rows, and show everybody the answer."""
    return Call(
        "POST",
        _room_path(code, "reveal"),
        lambda reply: read_question(reply.json()),
        content=encode_json({"question": question}),
        more=_secret_headers(secret),
        repeatable=False,
        timeout=WRITE_TIMEOUT,
    )


def hear_room(known: ServiceCache, code: str, heard: EventHandler) -> Plan[None]:
    """Listen to a room until it is over, or until `heard` answers True; docs/rooms.md names what is told.

    A service in this process tells everything at the end only.

    Args:
        heard: is told the name and the data of each event: first `room` with all that it holds, then every change.
    """
    return listen("GET", _room_path(code, "events"), heard)


def _secret_headers(secret: str | None) -> tuple[tuple[str, str], ...]:
    return () if secret is None else ((_SECRET_HEADER, secret),)


def _room_path(code: str, *below: str) -> str:
    return "/".join(chain(("/v1/rooms",), (quote(each, safe="") for each in (code, *below))))
