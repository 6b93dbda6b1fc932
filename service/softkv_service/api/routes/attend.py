"""Routes of the soft lookup in a collection, at one temperature or at several, and of attention on arrays in the
request.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import Body, Request, Response

from softkv.answers.answer import AttendAnswer, AttendAnswers, SweepAnswer
from softkv.answers.arrays import Attended
from softkv.questions import Question, Sweep
from softkv_attention.lookup import Evidence, Verdict
from softkv_service.api.body import wait_if_heavy
from softkv_service.api.document_json import shape_fields, shape_matches, shape_warnings
from softkv_service.api.json import ArraysAnswer, JSONAnswer, pick
from softkv_service.api.problems.table import ANSWERING, WITH_BODY, refusals
from softkv_service.api.routing import json_router
from softkv_service.api.state import NameInPath, Running, collection_behind, instant_of
from softkv_service.retrieval import InvalidContent
from softkv_service.retrieval.queries import (
    Arrays,
    FullText,
    Query,
    QueryPart,
    Result,
    WeightedSum,
    attend_collection,
    attend_over_arrays,
    check_matches,
    complete_question,
    sweep_collection,
)
from softkv_service.retrieval.question import DEFAULT_TOP_K
from softkv_service.scheduling import ARRAYS, BODIES
from softkv_service.schemas.attention import AttentionRequest
from softkv_service.schemas.requests import AsRecord
from softkv_service.schemas.vector import write_vector
from softkv_service.schemas.wire import MAX_QUERIES, MAX_SWEPT_WEIGHTS

QuestionBody = Annotated[Question, AsRecord(), Body()]
SweepBody = Annotated[Sweep, AsRecord(), Body()]
MANY_MATCHES = 1000

router = json_router("/v1/collections", "attend", "lookup", "collection", "filtered")


@router.post(
    "/{name}/attend",
    response_model=AttendAnswer | AttendAnswers,
    responses=refusals(*WITH_BODY, *ANSWERING, "values_pending"),
    response_description="An answer to `query`, or `results` for `queries`.",
    summary="Attend over every document of a collection",
)
async def attend(name: NameInPath, body: QuestionBody, request: Request, running: Running) -> Response:
    """Return a weight for every document of the collection, the blended value, and the evidence for the answer.

    The weights sum to one, with that of the null key. The evidence shows how well the collection matches the query.
    """
    started, (sent, pointers) = time.perf_counter(), _queries(body)
    queries = [parse_query(query) for query in sent]
    collection, alias_field = running.catalogue.collection(name), collection_behind(request)
    question, applied = complete_question(collection, body, queries, instant_of(request))
    if len(queries) > 1:
        check_matches(question, len(queries))
    if question.top_k is not None:
        await wait_if_heavy(request.scope, len(queries) * question.top_k, MANY_MATCHES)
    results = await attend_collection(collection, queries, question, pointers)
    took_ms = (time.perf_counter() - started) * 1e3
    shared = shape_applied(applied) | alias_field

    def shape_answers() -> Any:
        answers = list[dict[str, Any]]()
        for result in results:
            answers.append(shape_result(result, question.fields, question.vector_format, took_ms))
            result.matches.clear()  # frees the matches here, possibly in a thread, because that takes time
        return ({"results": answers} if body.queries is not None else answers[0]) | shared

    many = sum(map(_count_matches, results)) > MANY_MATCHES
    return JSONAnswer(await BODIES.run(shape_answers) if many else shape_answers())


def _count_matches(result: Result) -> int:
    return len(result.matches) + sum(len(reading.matches) for reading in result.readings)


def parse_query(sent: Any) -> Query:
    """Return a query as it was sent, a text or a vector [d], or the weighted sum that a list of parts stands for."""
    if not isinstance(sent, list):
        query: Query = sent
        return query
    return WeightedSum([QueryPart(part.weight, part.text, part.id, part.vector) for part in sent])


def shape_applied(applied: Mapping[str, Any]) -> dict[str, Any]:
    """Return the field with the defaults of the collection that an answer has; empty without any."""
    return {"applied": applied} if applied else {}


def _queries(question: Question) -> tuple[Sequence[Any], list[str]]:
    if (question.query is None) == (question.queries is None):
        raise InvalidContent.at("", "send exactly one of query and queries")
    if question.queries is None:
        return [question.query], ["/query"]
    if len(question.queries) > MAX_QUERIES:
        raise InvalidContent.at(
            "/queries",
            f"{len(question.queries)} queries came, this service takes {MAX_QUERIES} in one request: "
            "send them in parts",
        )
    return question.queries, [f"/queries/{i}" for i in range(len(question.queries))]


def shape_result(result: Result, include: Sequence[str], vector_format: str, took_ms: float) -> dict[str, Any]:
    """Return the JSON of a query's result, with the requested fields.

    Args:
        result: the result.
        include: the names of the fields of each match.
        vector_format: "numbers" or "base64".
        took_ms: how long the query took.
    """
    lookup, words = result.answer, unknown_tokens(result.unknown_tokens) | full_text(result.full_text)
    evidence = shape_evidence(lookup.evidence, result.verdict, alike=result.alike)
    certificate = pick(lookup.certificate, "method", "total_variation", "output_error")
    shape = partial(shape_matches, lookup=lookup, include=include, vector_format=vector_format)
    answer: dict[str, Any] = {
        "matches": shape(result.matches),
        "rest_weight": result.rest_weight,
        "complete": lookup.complete,
    }
    if result.output is not None:
        answer["output"] = write_vector(result.output, vector_format)
    answer["reason"] = result.reason
    answer["evidence"], answer["certificate"] = evidence, certificate
    if result.reranked is not None:
        answer["certificate"]["reranked"] = result.reranked
    if result.coverage is not None:
        answer["coverage"] = pick(result.coverage, "documents", "total", "max_missing_weight")
    answer |= words
    answer |= {"temperature": lookup.evidence.temperature, "documents": lookup.documents, "keys": lookup.keys}
    answer |= shape_warnings(result.warnings) | {"took_ms": took_ms}
    for reading in result.readings:
        answer |= reading.shape(shape)
    return answer


def unknown_tokens(count: int | None) -> dict[str, Any]:
    """Return the field with the number of tokens that the encoder does not know; empty for a query that is a vector."""
    return {} if count is None else {"unknown_tokens": count}


def full_text(added: FullText | None) -> dict[str, Any]:
    """Return the field with the effect of the query's words; empty without `full_text` in the request."""
    return {} if added is None else {"full_text": added}


def shape_evidence(measures: Evidence, verdict: Verdict, *, alike: bool) -> dict[str, Any]:
    """Return the JSON of the measures of how well the collection covers a query, and of the verdict on them."""
    return {
        "verdict": verdict.stands,
        "verdict_certain": verdict.certain,
        "alike": alike,
        **pick(measures, "null_weight", "null_similarity", "log_partition", "entropy", "effective_documents"),
    }


sweep_router = json_router("/v1/collections", "attend", "lookup", "collection", "filtered")

HEAVY_WEIGHTS = 1 << 17


@sweep_router.post(
    "/{name}/sweep",
    response_model=SweepAnswer,
    responses=refusals(*WITH_BODY, *ANSWERING, "values_pending"),
    response_description="The most similar documents, and the weight of each at each temperature.",
    summary="Attend at many temperatures",
)
async def sweep(name: NameInPath, body: SweepBody, request: Request, running: Running) -> Response:
    """Answer a query at several temperatures from a single scan of the keys.

    The best documents are the same at each temperature; their weights differ.
    """
    started, collection = time.perf_counter(), running.catalogue.collection(name)
    query = parse_query(body.query)
    question, applied = complete_question(collection, body, [query], instant_of(request))
    weights = len(body.temperatures) * (DEFAULT_TOP_K if question.top_k is None else question.top_k)
    if weights > MAX_SWEPT_WEIGHTS:
        raise InvalidContent.at(
            "/temperatures",
            f"{weights} weights would come, a temperature times a match each, and an answer holds {MAX_SWEPT_WEIGHTS}: "
            "send fewer temperatures, or a smaller top_k",
        )
    await wait_if_heavy(request.scope, weights, HEAVY_WEIGHTS)
    swept = await sweep_collection(collection, query, body.temperatures, question)
    documents, best_keys = [match.document for match in swept.matches], [match.spoke for match in swept.matches]
    fields = shape_fields(documents, best_keys, question.fields, body.vector_format)
    return JSONAnswer(
        {
            "matches": [
                {"id": match.document.id, "similarity": match.similarity, **content}
                for match, content in zip(swept.matches, fields, strict=True)
            ],
            "temperatures": [
                {
                    "temperature": step.evidence.temperature,
                    **pick(step, "weights", "rest_weight"),
                    "evidence": shape_evidence(step.evidence, step.verdict, alike=step.alike),
                }
                for step in swept.temperatures
            ],
            **unknown_tokens(swept.unknown_tokens),
            **full_text(swept.full_text),
            **pick(swept, "documents", "keys"),
            **shape_warnings(swept.warnings),
            **shape_applied(applied),
            **collection_behind(request),
            "took_ms": (time.perf_counter() - started) * 1e3,
        }
    )


arrays_router = json_router("/v1", "attend", "stateless", "nothing", "nothing")

HEAVY_PAIRS = 1 << 18  # numbers of query times numbers of key: no fewer than logits


@arrays_router.post(
    "/attend",
    response_model=Attended,
    responses=refusals(*WITH_BODY, "too_much"),
    response_description="The output, and its intermediate results.",
    summary="Attend over arrays of the request",
)
async def attend_arrays(body: AttentionRequest, request: Request) -> Response:
    """Apply the attention of the library to nested lists; nothing is stored.

    At most 4,000,000 logits in one request.
    """
    arrays = Arrays(
        **{field: getattr(body, field) for field in ("query", "key", "value", "mask", "bias", "null", "similarity")},
        temperature=body.temperature,
        normaliser=body.normaliser,
        parameters=None if body.parameters is None else dict(body.parameters),
        projections=None if body.projections is None else dict(body.projections),
        hopfield_steps=body.hopfield_steps,
        intermediates=body.intermediates,
    )
    await wait_if_heavy(request.scope, body.query.size * body.key.size, HEAVY_PAIRS)
    attention = await ARRAYS.run(attend_over_arrays, arrays)
    attended = attention.attended
    answer: dict[str, Any] = {
        "output": attention.output,
        **{name: getattr(attended, name) for name in body.include},
        **pick(attended, "log_partition", "null_weight"),
    }
    if body.intermediates:
        answer["intermediates"] = attention.intermediates
    return ArraysAnswer(await BODIES.run(_write_arrays, answer, body.vector_format))


def _write_arrays(array: Any, vector_format: str) -> Any:
    if isinstance(array, dict):
        return {name: _write_arrays(inner, vector_format) for name, inner in array.items()}
    return None if array is None else write_vector(array, vector_format)
