"""Rooms: opened, looked at, listened to, closed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import Header, Path, Request, Response

from service.api.events import Event, Events, described
from service.api.json import CompressedAnswer, JSONAnswer
from service.api.middleware.access import caller_of
from service.api.problems.refusals import MALFORMED, WITH_BODY, refusals
from service.api.routes.rooms.joining import joining
from service.api.routing import json_router, takes
from service.api.state import Running
from service.retrieval import InvalidContent
from service.rooms import Room as OpenRoom
from service.schemas.rooms.names import RoomCode, RoomId
from service.schemas.rooms.room import FirstRow, OpenedRoom, OpenRequest, Room

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
    return CompressedAnswer(running.rooms.find(code).told(), request)


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
    room.presents(secret)
    running.rooms.close(room)
    return Response(status_code=204)


@router.get(
    "/{code}/events",
    status_code=200,
    response_class=Events,
    dependencies=[takes("listen")],
    responses=refusals(*IN_A_ROOM, "listeners_full", "queue_full") | described(EVENTS_EXAMPLE),
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
    return Events(_events(room), request.app.state.draining)


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
