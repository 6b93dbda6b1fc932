"""Rooms, the shared memory of a class: opening and joining one, its rows, questions, guesses and events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import groupby
from typing import Annotated, Any

from fastapi import Header, Path, Request, Response

from service import networks
from service.api.events import Event, Events, event_responses
from service.api.json import CompressedAnswer, JSONAnswer
from service.api.middleware.access import HOST, LOOPBACK, caller_of
from service.api.problems.table import ENCODING, MALFORMED, WITH_BODY, refusals
from service.api.routing import json_router, takes
from service.api.state import Running
from service.retrieval import InvalidContent, queries
from service.retrieval.collections import get_encoding_queue
from service.retrieval.documents import SentDocument
from service.retrieval.queries import ComparisonResult, Options
from service.rooms import Answer, Row, Share
from service.rooms import Room as OpenRoom
from service.schemas.rooms import (
    AskRequest,
    FirstRow,
    Guessed,
    GuessRequest,
    OpenedRoom,
    OpenRequest,
    RevealRequest,
    Room,
    RoomCode,
    RoomId,
    RoomQuestion,
    RoomRow,
    RowBody,
)


def joining(request: Request, host: str, code: str) -> dict[str, Any]:
    """The address of a room's page, with the modules of its QR code.

    Args:
        host: what the service listens on. Who calls it by a loopback address gets one of its network, if it has one.
    """
    address = f"{_origin(request, host)}/room?code={code}"
    size, path = drawn(address)
    return {"address": address, "size": size, "path": path}


def drawn(text: str) -> tuple[int, str]:
    """A QR code of a text → modules of its side, and its dark ones as the path of an SVG, line by line."""
    import segno

    rows = [list(map(bool, row)) for row in segno.make(text, error="m", micro=False).matrix_iter(border=4)]
    runs = []
    for y, row in enumerate(rows):
        x = 0
        for dark, run in groupby(row):
            length = len(list(run))
            if dark:
                runs.append(f"M{x} {y}h{length}v1h-{length}z")
            x += length
    return len(rows), "".join(runs)


def _origin(request: Request, host: str) -> str:
    """What the caller calls the service; a page says it with its scheme, which behind a proxy only the page knows."""
    own = request.headers.get("host", "")
    scheme, _, said = request.headers.get("origin", "").partition("://")
    _, port = request.scope.get("server") or (None, 0)
    named = HOST.fullmatch(own)
    if named is None:  # a request with a key may have any Host, and this one may hold more than a host
        own = f"{LOOPBACK}:{port}"
    if named is None or networks.is_loopback(named["address"] or named["name"]):
        others = [] if networks.in_a_container() else networks.network_urls(host, port)
        if others:
            return others[0]
    return f"{scheme if said == own else request.scope['scheme']}://{own}"


CodeInPath = Annotated[RoomCode, Path(description="The room's code.")]
RowInPath = Annotated[RoomId, Path(description="The row's id.")]
Secret = Annotated[
    str | None,
    Header(
        alias="X-Room-Secret",
        description="Of who presents, as opening the room was answered; or of a row's sender, who made it up.",
    ),
]
IN_A_ROOM = (*MALFORMED, "invalid_content", "room_not_found")
EVENTS_EXAMPLE = 'event: row\ndata: {"id":"row-1","key":"cats","value":"They purr."}\nid: 7\n\n'

router = json_router("/v1/rooms", "rooms", "stateless", "nothing")


@router.post(
    "",
    response_model=OpenedRoom,
    responses=refusals(*WITH_BODY, "room_taken", "room_full", "rooms_full", "queue_full"),
    response_description="Its code, the secret of who presents, and how others come in.",
    summary="Open a room",
)
async def open_room(body: OpenRequest, request: Request, running: Running) -> Response:
    """Rows that a class shares, in memory only: they are gone when the room is closed, when nobody has used it for two
    hours, and when the service ends. Whoever opened it may open it again with the rows, under the same code where that
    is free. Whoever knows the code may read it, send rows and guess.
    """
    room = running.rooms.open(caller_of(request.scope), body.code, _rows(body.rows))
    told = {"code": room.code, "secret": room.secret, "seconds_left": room.seconds_left}
    return JSONAnswer(told | {"joining": joining(request, running.host, room.code)})


@router.get(
    "/{code}",
    response_model=Room,
    responses=refusals(*IN_A_ROOM),
    response_description="All that it holds.",
    summary="A room",
)
async def get_room(code: CodeInPath, request: Request, running: Running) -> Response:
    """Its rows, the question that is shown, and questions that wait."""
    return CompressedAnswer(running.rooms.find(code).public_state(), request)


@router.delete(
    "/{code}",
    status_code=204,
    responses=refusals(*IN_A_ROOM, "not_presenter", "host_refused"),
    response_description="It is closed, and what it held is gone.",
    summary="Close a room",
)
async def close_room(code: CodeInPath, running: Running, secret: Secret = None) -> Response:
    """For who presents: everybody who listens is told that it is over."""
    room = running.rooms.find(code)
    room.require_presenter(secret)
    running.rooms.close(room)
    return Response(status_code=204)


@router.get(
    "/{code}/events",
    status_code=200,
    response_class=Events,
    dependencies=[takes("listen")],
    responses=refusals(*IN_A_ROOM, "listeners_full", "queue_full") | event_responses(EVENTS_EXAMPLE),
    response_description="Events, for as long as the room is open and the caller listens.",
    summary="Listen to a room",
)
async def hear_room(code: CodeInPath, request: Request, running: Running) -> Response:
    """First `room`, all that it holds; then every change: `row` and `removed`, `waiting` (all questions that wait),
    `question`, `guesses`, `answer` (the question with its answer), `here` (how many listen), and `over` at the end. Who
    takes them too slowly is let go, and hears all of it again by coming back; a service that stops says `problem`.
    """
    room = running.rooms.find(code)
    room.check_listeners()
    return Events(_events(room), request.app.state.shutdown)


async def _events(room: OpenRoom) -> AsyncGenerator[Event]:
    async with aclosing(room.listen()) as updates:
        async for update in updates:
            yield Event(update.name, update.data, str(update.version))


def _rows(rows: list[FirstRow]) -> list[tuple[str, str, str]]:
    named = [(row.id or str(i), row.key, row.value or row.key) for i, row in enumerate(rows, start=1)]
    seen = set[str]()
    for i, (row_id, *_) in enumerate(named):
        if row_id in seen:
            raise InvalidContent.at(f"/rows/{i}/id", f"the id {row_id!r} is in this request twice: send each id once")
        seen.add(row_id)
    return named


rows_router = json_router("/v1/rooms/{code}/rows", "rooms", "stateless", "nothing")


@rows_router.put(
    "/{id}",
    response_model=RoomRow,
    responses=refusals(*WITH_BODY, "room_not_found", "room_full", "not_presenter", "host_refused"),
    response_description="The row as the room has it.",
    summary="Put a row into a room",
)
async def put_room_row(
    id: RowInPath,  # noqa: A002
    code: CodeInPath,
    body: RowBody,
    request: Request,
    running: Running,
    secret: Secret = None,
) -> Response:
    """New under an id of your own, or in place of one that came with the same secret; who presents may replace any."""
    room = running.rooms.find(code)
    return JSONAnswer(room.put(id, body.key, body.value or body.key, secret, caller_of(request.scope)))


@rows_router.delete(
    "",
    status_code=204,
    responses=refusals(*IN_A_ROOM, "not_presenter", "host_refused"),
    response_description="They are gone.",
    summary="Remove all rows from a room",
)
async def delete_room_rows(code: CodeInPath, running: Running, secret: Secret = None) -> Response:
    """For who presents: everybody who listens is told the room as it is then, as `room`."""
    running.rooms.find(code).clear(secret)
    return Response(status_code=204)


@rows_router.delete(
    "/{id}",
    status_code=204,
    responses=refusals(*IN_A_ROOM, "room_row_not_found", "not_presenter", "host_refused"),
    response_description="It is gone.",
    summary="Remove a row from a room",
)
async def delete_room_row(id: RowInPath, code: CodeInPath, running: Running, secret: Secret = None) -> Response:  # noqa: A002
    """For who presents, of any row; for others, of one that came with the same secret."""
    running.rooms.find(code).remove(id, secret)
    return Response(status_code=204)


questions_router = json_router("/v1/rooms/{code}", "rooms", "stateless", "nothing")


@questions_router.post(
    "/questions",
    response_model=RoomQuestion,
    responses=refusals(*WITH_BODY, "nothing_to_read", "room_not_found", "room_full", "not_presenter", "host_refused"),
    response_description="The question with its number.",
    summary="Ask in a room",
)
async def ask_room(
    code: CodeInPath, body: AskRequest, request: Request, running: Running, secret: Secret = None
) -> Response:
    """With the secret of who presents it is shown to all at once, in place of the one before, and guesses are taken;
    else it waits until who presents asks the same.
    """
    room = running.rooms.find(code)
    if secret is not None:
        room.require_presenter(secret)
    await queries.check_readable(running.catalogue.encoder, body.query, "/query")
    if secret is None:
        return JSONAnswer(room.wait(body.query, caller_of(request.scope)))
    return JSONAnswer(room.ask(body.query, body.temperature, secret))


@questions_router.put(
    "/guesses/{id}",
    response_model=Guessed,
    responses=refusals(*WITH_BODY, "room_not_found", "room_row_not_found", "question_over", "room_full"),
    response_description="How many have guessed.",
    summary="Guess which row will win",
)
async def put_guess(
    id: RowInPath,  # noqa: A002
    code: CodeInPath,
    body: GuessRequest,
    request: Request,
    running: Running,
) -> Response:
    """One guess an id, which is the guesser's own and shown to nobody; the last one counts. What was guessed is told
    with the answer, and only how often.
    """
    guesses = running.rooms.find(code).guess(id, body.question, body.row, caller_of(request.scope))
    return JSONAnswer({"number": body.question, "guesses": guesses})


@questions_router.post(
    "/reveal",
    response_model=RoomQuestion,
    responses=refusals(
        *WITH_BODY, "room_not_found", "not_presenter", "host_refused", "question_over", "nothing_to_read", *ENCODING
    ),
    response_description="The question with its answer, as everybody is told.",
    summary="Show whose row won",
)
async def reveal_answer(code: CodeInPath, body: RevealRequest, running: Running, secret: Secret = None) -> Response:
    """For who presents: guesses are closed, the rows are asked as by `POST /v1/compare`, and all are told what each row
    weighs and how often it was guessed.
    """
    encoder = running.catalogue.encoder
    await get_encoding_queue(encoder)  # raises where there is no encoder
    room = running.rooms.find(code)
    with room.revealing(body.question, secret) as (question, rows):
        options = Options(temperature=question.temperature, top_k=len(rows), output=False)
        compared = await queries.compare_rows(encoder, _sent(rows), question.query, options, "/question")
        return JSONAnswer(room.reveal(question, _answer(compared)))


def _sent(rows: Sequence[Row]) -> list[SentDocument]:
    return [SentDocument(row.id, row.key, row.value) for row in rows]


def _answer(compared: ComparisonResult) -> Answer:
    found, evidence = compared.attention, compared.attention.answer.evidence
    return Answer(
        shares=[Share(match.id, match.weight, match.similarity) for match in found.matches],
        temperature=found.answer.temperature,
        null_weight=evidence.null_weight,
        null_similarity=evidence.null_similarity,
        verdict=found.verdict.stands,
        verdict_certain=found.verdict.certain,
    )
