"""Calls for lessons: about rooms that a class shares, and about the small models that the lab trains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Literal
from urllib.parse import quote

from softkv.answers.classroom import (
    Decoded,
    GuessCount,
    Lab,
    OpenedRoom,
    Room,
    RoomQuestion,
    RoomRow,
    RoomWords,
    parse_decoded,
    parse_opened_room,
    parse_released,
    parse_words,
)
from softkv.answers.classroom import parse_lab as read_lab
from softkv.answers.classroom import parse_question as read_question
from softkv.answers.classroom import parse_room as read_room
from softkv.calls.call import WRITE_TIMEOUT, Call, EventHandler, Plan, ServiceCache, ignore_content, listen
from softkv.wire import drop_omitted, encode_json


def lab(cache: ServiceCache) -> Call[Lab]:
    """Return the lab's state and its trained models.

    Returns:
        A `Lab`.

    Example:
        >>> [model.accuracy for model in client.lab().models]
    """
    return Call("GET", "/v1/lab", lambda reply: read_lab(reply.json()))


def train(
    cache: ServiceCache,
    task: Literal["copy", "reverse", "dates", "numbers", "translation", "pictures", "pairs"],
    heard: EventHandler,
    *,
    model: Literal["transformer", "gru", "lstm", "gru_attention", "lstm_attention"] | None = None,
    seconds: float | None = None,
    steps: int | None = None,
    seed: int | None = None,
    pairs: Sequence[Mapping[str, str]] | None = None,
) -> Plan[None]:
    """Train a small model in the service; workshop/docs/teach/lab.md explains each argument and event.

    Args:
        task: what the model learns.
        heard: called with the name and the data of each event; the last one is `trained` with the model's `id`. It
            returns True to stop the training.
        model: the architecture.
        seconds: the longest training time.
        steps: the largest number of training steps.
        seed: the seed of the random numbers.
        pairs: the examples of the task "pairs".

    Raises:
        Conflict: another model is being trained.

    Example:
        >>> client.train("dates", lambda name, data: print(name, data))
    """
    request = drop_omitted(task=task, model=model, seconds=seconds, steps=steps, seed=seed)
    pair_list = None if pairs is None else [dict(pair) for pair in pairs]
    return listen("POST", "/v1/lab/train", heard, encode_json({**request, **drop_omitted(pairs=pair_list)}))


def decode(
    cache: ServiceCache, model: str, source: str | None = None, *, picture: Sequence[Sequence[float]] | None = None
) -> Call[Decoded]:
    """Decode a text or a picture with a trained model, and return the attention of each output token.

    Args:
        model: the id of a trained model.
        source: the input text.
        picture: the input picture, as rows of numbers.

    Returns:
        A `Decoded`.

    Raises:
        NotFound: the lab has no such model.

    Example:
        >>> client.decode("m-0123abcd", "3 March 2014").text
    """
    rows = None if picture is None else [[float(number) for number in row] for row in picture]
    content = encode_json(drop_omitted(model=model, source=source, picture=rows))
    return Call(
        "POST", "/v1/lab/decode", lambda reply: parse_decoded(reply.json()), content=content, timeout=WRITE_TIMEOUT
    )


_SECRET_HEADER = "X-Room-Secret"


def open_room(
    cache: ServiceCache,
    *,
    code: str | None = None,
    rows: Iterable[Mapping[str, Any]] | None = None,
    hold: bool | None = None,
) -> Call[OpenedRoom]:
    """Open a room; the service keeps it in memory until it is closed or unused for two hours.

    Args:
        code: four letters; a new code if left out.
        rows: the first rows: mappings with a `key`, and optionally an `id`, a `value` and a name `by`.
        hold: True if new rows and questions wait until the presenter releases them.

    Returns:
        An `OpenedRoom` with the code and the presenter's secret.

    Raises:
        Conflict: a room with this code is open.
        Busy: too many rooms are open.

    Example:
        >>> opened = client.open_room(rows=[{"key": "pets that purr"}])
    """
    first_rows = None if rows is None else [dict(row) for row in rows]
    content = encode_json(drop_omitted(code=code, rows=first_rows, hold=hold))
    return Call("POST", "/v1/rooms", lambda reply: parse_opened_room(reply.json()), content=content, repeatable=False)


def room(cache: ServiceCache, code: str, *, secret: str | None = None) -> Call[Room]:
    """Return a room's rows, its current question and the waiting questions.

    Args:
        code: the code of the room.
        secret: the secret of the presenter, for the rows that are held.

    Returns:
        A `Room`.

    Raises:
        NotFound: no such room is open.

    Example:
        >>> client.room("MATH").rows
    """
    return Call("GET", _room_path(code), lambda reply: read_room(reply.json()), extra_headers=_secret_headers(secret))


def close_room(cache: ServiceCache, code: str, secret: str) -> Call[None]:
    """Close a room and delete its content.

    Args:
        code: the code of the room.
        secret: the secret of the presenter.

    Raises:
        Forbidden: the secret is wrong.

    Example:
        >>> client.close_room(opened.code, opened.secret)
    """
    return Call("DELETE", _room_path(code), ignore_content, extra_headers=_secret_headers(secret), repeatable=False)


def put_row(
    cache: ServiceCache,
    code: str,
    id: str,  # noqa: A002
    key: str,
    *,
    value: str | None = None,
    by: str | None = None,
    secret: str | None = None,
) -> Call[RoomRow]:
    """Put a row into a room.

    If the room holds new rows, it waits until the presenter releases it: the result's `held` is then True.

    Args:
        code: the code of the room.
        id: chosen by the caller: 1 to 64 letters, digits, dashes or underscores.
        key: the text that queries are compared with.
        value: the key if left out.
        by: the name of the sender, which is shown with the row.
        secret: protects the row: replacing or removing it later needs the same secret, or the secret of the presenter.

    Returns:
        The `RoomRow`.

    Raises:
        Forbidden: the row exists with another secret.
        TooLarge: the room is full.

    Example:
        >>> client.put_room_row("MATH", "anna-1", "pets that purr", secret="mine")
    """
    content = encode_json(drop_omitted(key=key, value=value, by=by))
    return Call(
        "PUT",
        _room_path(code, "rows", id),
        lambda reply: RoomRow.read(reply.json()),
        content=content,
        extra_headers=_secret_headers(secret),
    )


def remove_row(cache: ServiceCache, code: str, id: str, secret: str) -> Call[None]:  # noqa: A002
    """Remove a row from a room.

    Args:
        code: the code of the room.
        id: the id of the row.
        secret: the one that the row was put with, or the secret of the presenter.

    Raises:
        Forbidden: the secret is wrong.

    Example:
        >>> client.remove_room_row("MATH", "anna-1", "mine")
    """
    return Call(
        "DELETE", _room_path(code, "rows", id), ignore_content, extra_headers=_secret_headers(secret), repeatable=False
    )


def remove_rows(cache: ServiceCache, code: str, secret: str) -> Call[None]:
    """Remove all rows from a room.

    Args:
        code: the code of the room.
        secret: the secret of the presenter.

    Raises:
        Forbidden: the secret is wrong.

    Example:
        >>> client.remove_room_rows(opened.code, opened.secret)
    """
    return Call(
        "DELETE", _room_path(code, "rows"), ignore_content, extra_headers=_secret_headers(secret), repeatable=False
    )


def hold(cache: ServiceCache, code: str, hold: bool, secret: str) -> Call[None]:
    """Hold new rows and questions from now on, or no more; what waits already goes on waiting.

    Args:
        code: the code of the room.
        hold: whether they wait until the presenter releases them.
        secret: the secret of the presenter.

    Raises:
        Forbidden: the secret is wrong.

    Example:
        >>> client.hold_room(opened.code, True, opened.secret)
    """
    content = encode_json({"hold": hold})
    return Call("PUT", _room_path(code, "hold"), ignore_content, content=content, extra_headers=_secret_headers(secret))


def release(cache: ServiceCache, code: str, secret: str, *, rows: Iterable[str] | None = None) -> Call[list[RoomRow]]:
    """Show rows that wait to everyone in the room.

    Args:
        code: the code of the room.
        secret: the secret of the presenter.
        rows: the ids of the rows; all that wait if left out.

    Returns:
        A `RoomRow` for each.

    Raises:
        Forbidden: the secret is wrong.
        NotFound: no row with one of the ids waits.

    Example:
        >>> [row.key for row in client.release_room_rows(opened.code, opened.secret)]
    """
    return Call(
        "POST",
        _room_path(code, "release"),
        lambda reply: parse_released(reply.json()),
        content=encode_json(drop_omitted(rows=None if rows is None else list(rows))),
        extra_headers=_secret_headers(secret),
        repeatable=False,
    )


def ask(
    cache: ServiceCache, code: str, query: str, *, temperature: float | None = None, secret: str | None = None
) -> Call[RoomQuestion]:
    """Ask a question in a room.

    With the presenter's secret, everyone in the room sees it and can guess. Otherwise it waits until the presenter asks
    the same question.

    Args:
        code: the code of the room.
        query: the text of the question.
        temperature: 0, or from 1e-30 on.
        secret: the secret of the presenter.

    Returns:
        A `RoomQuestion`.

    Raises:
        Invalid: the temperature is out of range.

    Example:
        >>> client.ask_room(opened.code, "purring pets", secret=opened.secret).number
    """
    content = encode_json(drop_omitted(query=query, temperature=temperature))
    return Call(
        "POST",
        _room_path(code, "questions"),
        lambda reply: read_question(reply.json()),
        content=content,
        extra_headers=_secret_headers(secret),
        repeatable=False,
    )


def guess(cache: ServiceCache, code: str, id: str, question: int, row: str | None) -> Call[GuessCount]:  # noqa: A002
    """Guess which row will have the largest weight.

    Args:
        code: the code of the room.
        id: the guesser's own id, which is not shown. A later guess with the same id replaces the earlier one.
        question: the number of the question.
        row: the id of a row; None for "none of these".

    Returns:
        A `GuessCount`.

    Raises:
        Conflict: the guesses of this question are closed.

    Example:
        >>> client.guess("MATH", "anna", 1, "anna-1").guesses
    """
    content = encode_json({"question": question, "row": row})
    return Call("PUT", _room_path(code, "guesses", id), lambda reply: GuessCount.read(reply.json()), content=content)


def reveal(cache: ServiceCache, code: str, question: int, secret: str) -> Call[RoomQuestion]:
    """Close the guesses, compute the answer and show it to everyone in the room.

    Args:
        code: the code of the room.
        question: the number of the question.
        secret: the secret of the presenter.

    Returns:
        The `RoomQuestion` with its answer.

    Raises:
        Forbidden: the secret is wrong.

    Example:
        >>> client.reveal(opened.code, 1, opened.secret).answer.verdict
    """
    return Call(
        "POST",
        _room_path(code, "reveal"),
        lambda reply: read_question(reply.json()),
        content=encode_json({"question": question}),
        extra_headers=_secret_headers(secret),
        repeatable=False,
        timeout=WRITE_TIMEOUT,
    )


def show_temperature(cache: ServiceCache, code: str, question: int, temperature: float, secret: str) -> Call[None]:
    """Show everyone in the room the answer at another temperature.

    Args:
        code: the code of the room.
        question: the number of the question, whose answer is shown.
        temperature: 0, or from 1e-30 on.
        secret: the secret of the presenter.

    Raises:
        Forbidden: the secret is wrong.
        Conflict: the answer is not shown yet.

    Example:
        >>> client.show_room_temperature(opened.code, 1, 0.5, opened.secret)
    """
    return Call(
        "PUT",
        _room_path(code, "temperature"),
        ignore_content,
        content=encode_json({"question": question, "temperature": temperature}),
        extra_headers=_secret_headers(secret),
    )


def words(cache: ServiceCache, code: str, question: int, *, row: str | None = None) -> Call[RoomWords]:
    """Return how similar a row is to an answered question without each of its words.

    Args:
        code: the code of the room.
        question: the number of the question.
        row: the id of the row; the heaviest row of the answer if left out.

    Returns:
        A `RoomWords`.

    Raises:
        Conflict: the answer is not shown yet.
        NotFound: the answer has no such row.

    Example:
        >>> [(word.text, word.similarity) for word in client.room_words("MATH", 1).words]
    """
    content = encode_json(drop_omitted(question=question, row=row))
    return Call(
        "POST",
        _room_path(code, "words"),
        lambda reply: parse_words(reply.json()),
        content=content,
        timeout=WRITE_TIMEOUT,
    )


def hear_room(cache: ServiceCache, code: str, heard: EventHandler, *, secret: str | None = None) -> Plan[None]:
    """Listen to a room until it closes, or until `heard` returns True.

    workshop/docs/teach/rooms.md lists the events. If the service runs in the same process, all arrive at the end.

    Args:
        code: the code of the room.
        heard: called with the name and the data of each event: first `room` with the whole content, then each change.
        secret: the secret of the presenter, for the rows that are held.

    Raises:
        NotFound: no such room is open.

    Example:
        >>> client.hear_room("MATH", lambda name, data: print(name))
    """
    return listen("GET", _room_path(code, "events"), heard, extra_headers=_secret_headers(secret))


def _secret_headers(secret: str | None) -> tuple[tuple[str, str], ...]:
    """Return the header with a participant's secret for a classroom's room; empty without a secret."""
    return () if secret is None else ((_SECRET_HEADER, secret),)


def _room_path(code: str, *below: str) -> str:
    """Return the path of a room, or of something in it."""
    return "/".join(chain(("/v1/rooms",), (quote(part, safe="") for part in (code, *below))))
