"""Questions in a room: asked, guessed, and answered by attention over its rows."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request, Response

from service.api.json import JSONAnswer
from service.api.middleware.access import caller_of
from service.api.problems.refusals import ENCODING, WITH_BODY, refusals
from service.api.routes.rooms.rooms import CodeInPath, RowInPath, Secret
from service.api.routing import json_router
from service.api.state import Running
from service.retrieval import queries
from service.retrieval.collections import get_encoding_queue
from service.retrieval.documents import SentDocument
from service.retrieval.queries import ComparisonResult, Options
from service.rooms import Answer, Row, Share
from service.schemas.rooms.question import AskRequest, Guessed, GuessRequest, RevealRequest, RoomQuestion

router = json_router("/v1/rooms/{code}", "rooms", "stateless", "nothing")


@router.post(
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
        room.presents(secret)
    await queries.check_readable(running.catalogue.encoder, body.query, "/query")
    if secret is None:
        return JSONAnswer(room.wait(body.query, caller_of(request.scope)))
    return JSONAnswer(room.ask(body.query, body.temperature, secret))


@router.put(
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


@router.post(
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
