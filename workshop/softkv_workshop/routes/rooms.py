"""Routes of rooms, the shared memory of a class: open and join a room, its rows, questions, guesses and events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import groupby
from typing import Annotated, Any

from fastapi import Header, Path, Request, Response

from softkv_service import addresses
from softkv_service.api.events import Event, Events, event_responses
from softkv_service.api.json import CompressedAnswer, JSONAnswer
from softkv_service.api.middleware.access import HOST, LOOPBACK, caller_of
from softkv_service.api.problems.table import ENCODING, MALFORMED, WITH_BODY, refusals
from softkv_service.api.routes.collections import shape_background
from softkv_service.api.routing import json_router, takes
from softkv_service.api.state import Running
from softkv_service.retrieval import InvalidContent, queries
from softkv_service.retrieval.collections import get_encoding_queue
from softkv_service.retrieval.documents import SentDocument
from softkv_service.retrieval.queries import ComparisonResult
from softkv_service.retrieval.question import CollectionQuestion
from softkv_workshop.rooms import Answer, Row, Share
from softkv_workshop.rooms import FirstRow as OpenedRow
from softkv_workshop.rooms import Room as OpenRoom
from softkv_workshop.schemas.rooms import (
    AskRequest,
    FirstRow,
    Guessed,
    GuessRequest,
    OpenedRoom,
    OpenRequest,
    Room,
    RoomChange,
    RoomCode,
    RoomId,
    RoomQuestion,
    RoomRow,
    RoomWords,
    RowBody,
    WordsRequest,
)
from softkv_workshop.state import Workshop


def join_address(request: Request, host: str, code: str) -> dict[str, Any]:
    """Return the address at which participants join a classroom's room, as a URL and as a QR code.

    Args:
        request: the request, which shows how the caller reaches the service.
        host: the address that the service listens on. A caller at a loopback address gets an address of the network
            instead, if the service listens there.
        code: the room's code.
    """
    address = f"{_origin(request, host)}{request.scope.get('root_path', '')}/room?code={code}"
    size, path = draw_qr_code(address)
    return {"address": address, "size": size, "path": path}


def draw_qr_code(text: str) -> tuple[int, str]:
    """Return the QR code of a text as the path of an SVG.

    Returns:
        The number of modules (squares) in a side, and the path, which draws the dark ones line by line.
    """
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
    """Return the origin under which the caller reaches the service.

    A page sends the scheme, because behind a proxy only the page knows it.
    """
    host_header = request.headers.get("host", "")
    scheme, _, origin_host = request.headers.get("origin", "").partition("://")
    _, port = request.scope.get("server") or (None, 0)
    match = HOST.fullmatch(host_header)
    if match is None:  # a request with a key may have any Host, even an invalid one
        host_header = f"{LOOPBACK}:{port}"
    if match is None or addresses.is_loopback(match["address"] or match["name"]):
        urls = [] if addresses.in_a_container() else addresses.network_urls(host, port)
        if urls:
            return urls[0]
    return f"{scheme if origin_host == host_header else request.scope['scheme']}://{host_header}"


CodeInPath = Annotated[RoomCode, Path(description="The room's code.")]
RowInPath = Annotated[RoomId, Path(description="The row's id.")]
Secret = Annotated[
    str | None,
    Header(
        alias="X-Room-Secret",
        description="The secret of the presenter, which opening the room returned; or that of the sender of a "
        "row, chosen by the sender.",
    ),
]
IN_A_ROOM = (*MALFORMED, "invalid_content", "room_not_found", "room_over")
EVENTS_EXAMPLE = 'event: row\ndata: {"id":"row-1","key":"cats","value":"They purr."}\nid: 7\n\n'

router = json_router("/v1/rooms", "rooms", "stateless", "nothing", "whole")


@router.post(
    "",
    response_model=OpenedRoom,
    responses=refusals(*WITH_BODY, "room_taken", "room_full", "rooms_full", "queue_full", "quota_exceeded"),
    response_description="The code of the room, the secret of the presenter, and the address for others.",
    summary="Open a room",
)
async def open_room(body: OpenRequest, request: Request, running: Running) -> Response:
    """Open a room: rows that a class shares, in memory only.

    They are deleted when the room is closed, after two hours without use, and when the service stops. The caller that
    opened it may open it again with its rows, under the same code if that is free. Every caller that knows the code may
    read it, send rows and guess.
    """
    room = Workshop.of(running).rooms.open(caller_of(request.scope), body.code, _rows(body.rows), hold=body.hold)
    opened = {"code": room.code, "secret": room.secret, "seconds_left": room.seconds_left}
    return JSONAnswer(opened | {"joining": join_address(request, running.host, room.code)})


@router.get(
    "/{code}",
    response_model=Room,
    responses=refusals(*IN_A_ROOM),
    response_description="The whole content of the room.",
    summary="Read a room",
)
async def get_room(code: CodeInPath, request: Request, running: Running, secret: Secret = None) -> Response:
    """Return the rows of a room, the question that is shown, and questions that wait.

    With the presenter's secret, also the rows that are held.
    """
    room = Workshop.of(running).rooms.find(code)
    return CompressedAnswer(room.public_state(for_presenter=room.is_presenter(secret)), request)


@router.patch(
    "/{code}",
    response_model=Room,
    responses=refusals(
        *WITH_BODY,
        "room_not_found",
        "room_over",
        "room_row_not_found",
        "question_over",
        "not_presenter",
        "forbidden",
        "host_refused",
        "nothing_to_read",
        *ENCODING,
    ),
    response_description="The whole content of the room after the change.",
    summary="Change a room",
)
async def patch_room(
    code: CodeInPath, body: RoomChange, request: Request, running: Running, secret: Secret = None
) -> Response:
    """Change what the presenter decides: hold or release rows, reveal the answer, show it at another temperature.

    Fields that are left out stay as they are. If one part is refused, nothing changes. All listeners get each change as
    an event: `hold`, `row`, `answer`, `temperature`.

    To reveal closes the guesses, and the rows answer as in `POST /v1/compare`, with the rows that the same call
    releases. Listeners compute the weights at another temperature from the similarities of the answer and from its
    `background`.
    """
    released, question, encoders = body.released or [], body.question, running.catalogue.encoders
    if question is not None and question.revealed:
        await get_encoding_queue(encoders)  # raises EncoderUnavailable without an encoder
    room = Workshop.of(running).rooms.find(code)
    room.require_presenter(secret)
    room.require_held(released)
    if question is not None and question.revealed:
        with room.revealing(question.number, released) as (shown, rows):
            options = CollectionQuestion(temperature=shown.temperature, top_k=len(rows))
            compared = await queries.compare_rows(encoders, _to_documents(rows), shown.query, options, "/question")
            room.release(released)  # refused if another call has released or removed a row meanwhile
            room.reveal(shown, _answer(compared), question.shown_temperature)
    else:
        if question is not None and question.shown_temperature is not None:
            room.show_temperature(question.number, question.shown_temperature)
        elif question is not None:
            room.require_question(question.number)
        room.release(released)
    if body.hold is not None:
        room.hold(body.hold)
    return CompressedAnswer(room.public_state(for_presenter=True), request)


@router.delete(
    "/{code}",
    status_code=204,
    responses=refusals(*IN_A_ROOM, "not_presenter", "forbidden", "host_refused"),
    response_description="The room is closed, and its content is deleted.",
    summary="Close a room",
)
async def close_room(code: CodeInPath, running: Running, secret: Secret = None) -> Response:
    """Close a room, for the presenter. All listeners get the event `over`."""
    room = Workshop.of(running).rooms.find(code)
    room.require_presenter(secret)
    Workshop.of(running).rooms.close(room)
    return Response(status_code=204)


@router.get(
    "/{code}/events",
    status_code=200,
    response_class=Events,
    dependencies=[takes("listen")],
    responses=refusals(*IN_A_ROOM, "listeners_full", "queue_full", "quota_exceeded") | event_responses(EVENTS_EXAMPLE),
    response_description="Events, as long as the room is open and the caller listens.",
    summary="Listen to a room",
)
async def hear_room(code: CodeInPath, request: Request, running: Running, secret: Secret = None) -> Response:
    """Send events of a room: first `room` with its whole content, then every change.

    These are `row` and `removed`, `waiting` (all questions that wait), `question`, `guesses`, `answer` (the question
    with its answer), `temperature`, `hold` (the switch), `here` (the number of listeners), and `over` at the end. After
    3 seconds without a change comes `here`, as a sign of life. With the presenter's secret comes `held`, too: all rows
    that wait for a release.

    A listener that reads too slowly is disconnected, and gets the whole room again if it reconnects. A service that
    stops sends `problem`.
    """
    room = Workshop.of(running).rooms.find(code)
    room.check_listeners()
    return Events(_events(room, room.is_presenter(secret)), request)


async def _events(room: OpenRoom, is_presenter: bool) -> AsyncGenerator[Event]:
    async with aclosing(room.listen(is_presenter=is_presenter)) as updates:
        async for update in updates:
            yield Event(update.name, update.data, str(update.version))


def _rows(rows: list[FirstRow]) -> list[OpenedRow]:
    rows_with_ids = [
        OpenedRow(row.id or str(i), row.key, row.value or row.key, row.by or "") for i, row in enumerate(rows, start=1)
    ]
    seen = set[str]()
    for i, (row_id, *_) in enumerate(rows_with_ids):
        if row_id in seen:
            raise InvalidContent.at(f"/rows/{i}/id", f"the id {row_id!r} is in this request twice: send each id once")
        seen.add(row_id)
    return rows_with_ids


rows_router = json_router("/v1/rooms/{code}/rows", "rooms", "stateless", "nothing", "whole")


@rows_router.put(
    "/{id}",
    response_model=RoomRow,
    responses=refusals(
        *WITH_BODY, "room_not_found", "room_over", "room_full", "not_presenter", "forbidden", "host_refused"
    ),
    response_description="The stored row.",
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
    """Add a row to a room under an id that the caller chooses. A row that was sent with the same secret is replaced.

    The presenter may replace any row. If the room holds new rows, it waits until the presenter releases it.
    """
    room = Workshop.of(running).rooms.find(code)
    return JSONAnswer(room.put(id, body.key, body.value or body.key, secret, caller_of(request.scope), body.by or ""))


@rows_router.delete(
    "",
    status_code=204,
    responses=refusals(*IN_A_ROOM, "not_presenter", "forbidden", "host_refused"),
    response_description="The rows are removed.",
    summary="Remove all rows from a room",
)
async def delete_room_rows(code: CodeInPath, running: Running, secret: Secret = None) -> Response:
    """Remove all rows of a room, for the presenter. All listeners get the room after that, as `room`."""
    Workshop.of(running).rooms.find(code).clear(secret)
    return Response(status_code=204)


@rows_router.delete(
    "/{id}",
    status_code=204,
    responses=refusals(*IN_A_ROOM, "room_row_not_found", "not_presenter", "forbidden", "host_refused"),
    response_description="The row is removed.",
    summary="Remove a row from a room",
)
async def delete_room_row(id: RowInPath, code: CodeInPath, running: Running, secret: Secret = None) -> Response:  # noqa: A002
    """Remove a row of a room: any row for the presenter, a row with the same secret for others."""
    Workshop.of(running).rooms.find(code).remove(id, secret)
    return Response(status_code=204)


questions_router = json_router("/v1/rooms/{code}", "rooms", "stateless", "nothing", "whole")


@questions_router.post(
    "/questions",
    response_model=RoomQuestion,
    responses=refusals(
        *WITH_BODY,
        "nothing_to_read",
        "room_not_found",
        "room_over",
        "room_full",
        "not_presenter",
        "forbidden",
        "host_refused",
    ),
    response_description="The question with its number.",
    summary="Ask a question in a room",
)
async def ask_room(
    code: CodeInPath, body: AskRequest, request: Request, running: Running, secret: Secret = None
) -> Response:
    """Ask a question in a room: with the presenter's secret it is shown to all at once, and guesses are open.

    It then replaces the question before it. Without the secret, the question waits until the presenter asks the same.
    """
    room = Workshop.of(running).rooms.find(code)
    if secret is not None:
        room.require_presenter(secret)
    await queries.check_readable(running.catalogue.encoders, body.query, "/query")
    if secret is None:
        return JSONAnswer(room.wait(body.query, caller_of(request.scope)))
    return JSONAnswer(room.ask(body.query, body.temperature, secret))


@questions_router.put(
    "/guesses/{id}",
    response_model=Guessed,
    responses=refusals(*WITH_BODY, "room_not_found", "room_over", "room_row_not_found", "question_over", "room_full"),
    response_description="The number of guesses.",
    summary="Guess the heaviest row",
)
async def put_guess(
    id: RowInPath,  # noqa: A002
    code: CodeInPath,
    body: GuessRequest,
    request: Request,
    running: Running,
) -> Response:
    """Record a participant's guess of which row will have the largest weight in the answer.

    The last guess of each id counts. Guesses are not shown; the answer later has the number of guesses of each row.
    """
    guesses = Workshop.of(running).rooms.find(code).guess(id, body.question, body.row, caller_of(request.scope))
    return JSONAnswer({"number": body.question, "guesses": guesses})


@questions_router.post(
    "/words",
    response_model=RoomWords,
    responses=refusals(
        *WITH_BODY, "room_not_found", "room_over", "room_row_not_found", "question_over", "nothing_to_read", *ENCODING
    ),
    response_description="The similarity of the row without each word.",
    summary="Leave words out of the question",
)
async def leave_words_out(code: CodeInPath, body: WordsRequest, running: Running) -> Response:
    """Return how similar a row is to the question without each of its words, one at a time.

    A word without which the similarity is lower has moved the row up, the others have moved it down. The answer to the
    question must be shown.
    """
    encoders = running.catalogue.encoders
    await get_encoding_queue(encoders)  # raises EncoderUnavailable without an encoder
    question, row = Workshop.of(running).rooms.find(code).find_row_of_answer(body.question, body.row)
    (document,) = _to_documents([row])
    explained = await queries.leave_words_out(encoders, document, question.query)
    words = [
        {"text": word.text, "start": word.start, "end": word.end, "similarity": word.similarity}
        for word in explained.words
    ]
    return JSONAnswer({"number": question.number, "row": row.id, "similarity": explained.similarity, "words": words})


def _to_documents(rows: Sequence[Row]) -> list[SentDocument]:
    return [SentDocument(row.id, row.key, row.value) for row in rows]


def _answer(compared: ComparisonResult) -> Answer:
    attention, evidence = compared.attention, compared.attention.answer.evidence
    return Answer(
        shares=[Share(match.id, match.weight, match.similarity) for match in attention.matches],
        temperature=attention.answer.temperature,
        null_weight=evidence.null_weight,
        null_similarity=evidence.null_similarity,
        verdict=attention.verdict.stands,
        verdict_certain=attention.verdict.certain,
        background=None if compared.standing is None else shape_background(compared.standing),
    )
