"""Rows of a room: sent by whoever is in it, removed by who presents."""

from __future__ import annotations

from fastapi import Request, Response

from service.api.json import JSONAnswer
from service.api.middleware.access import caller_of
from service.api.problems.refusals import WITH_BODY, refusals
from service.api.routes.rooms.rooms import IN_A_ROOM, CodeInPath, RowInPath, Secret
from service.api.routing import json_router
from service.api.state import Running
from service.schemas.rooms.room import RoomRow, RowBody

router = json_router("/v1/rooms/{code}/rows", "rooms", "stateless", "nothing")


@router.put(
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


@router.delete(
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


@router.delete(
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
