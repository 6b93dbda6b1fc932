"""Routes of the soft lookup in a collection, at one temperature or at several, and of attention on arrays in the
request.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from fastapi import Request, Response

from softkv.answers.answer import AttendAnswer, AttendAnswers, SweepAnswer
from softkv.answers.arrays import Attended
from softkv_attention.lookup import Evidence, Verdict
from softkv_service.api.body import wait_if_heavy
from softkv_service.api.document_json import required_detail, shape_fields, shape_matches, shape_warnings
from softkv_service.api.json import ArraysAnswer, JSONAnswer, pick
from softkv_service.api.problems.table import ANSWERING, WITH_BODY, refusals
from softkv_service.api.routing import collection_behind, json_router
from softkv_service.api.state import NameInPath, Running, instant_of
from softkv_service.retrieval import InvalidContent
from softkv_service.retrieval.calibration import Rerank
from softkv_service.retrieval.collections import Collection
from softkv_service.retrieval.documents import decode_cursor, encode_cursor
from softkv_service.retrieval.options import (
    DEFAULT_TOP_K,
    MAX_SET_SIZE,
    Aggregation,
    Grouping,
    Options,
    ValueRange,
    get_diverse_head,
)
from softkv_service.retrieval.queries import (
    Arrays,
    FullText,
    Query,
    QueryPart,
    Result,
    WeightedSum,
    apply_defaults,
    attend_collection,
    attend_over_arrays,
    sweep_collection,
)
from softkv_service.scheduling import ARRAYS, BODIES
from softkv_service.schemas.attend import MAX_ANSWER_GROUPS, AttendRequest, GroupBy, Read, SweepRequest
from softkv_service.schemas.attention import AttentionRequest
from softkv_service.schemas.terms import Rerank as RerankOptions
from softkv_service.schemas.vector import write_vector
from softkv_service.schemas.wire import MAX_MATCHES, MAX_PAGE, MAX_QUERIES, MAX_SWEPT_WEIGHTS, Wire

# The fields with the same name in the request and in the options of the lookup.
OPTIONS = (AttendRequest.model_fields.keys() & Options.__dataclass_fields__) - {"read", "group_by", "rerank"}
MANY_MATCHES = 1000

router = json_router("/v1/collections", "attend", "lookup", "collection", "filtered")


@router.post(
    "/{name}/attend",
    response_model=AttendAnswer | AttendAnswers,
    responses=refusals(*WITH_BODY, *ANSWERING, "values_pending"),
    response_description="An answer to `query`, or `results` for `queries`.",
    summary="Attend over every document of a collection",
)
async def attend(name: NameInPath, body: AttendRequest, request: Request, running: Running) -> Response:
    """Return a weight for every document of the collection, the blended value, and the evidence for the answer.

    The weights sum to one, with that of the null key. The evidence shows how well the collection matches the query.
    """
    started, collection = time.perf_counter(), running.catalogue.collection(name)
    sent, pointers = _queries(body)
    queries = [parse_query(query) for query in sent]
    body, applied = with_defaults(body, collection, queries)
    _check_matches(body, len(queries))
    options = Options(
        **{name: getattr(body, name) for name in OPTIONS},
        now=None if body.filter is None and body.bias is None else instant_of(request),
        explained="explanation" in body.include,
        output="output" in body.include,
        highlight="highlight" in body.include,
        read=_aggregations(body.read),
        group_by=_grouping(body.group_by, len(queries)),
        defaults=frozenset(applied),
        rerank=None
        if body.rerank is None
        else Rerank(body.rerank.model, body.rerank.documents_read, body.rerank.weight),
        reads=required_detail(body.include),
    )
    if body.top_k is not None:
        await wait_if_heavy(request.scope, len(queries) * body.top_k, MANY_MATCHES)
    results = await attend_collection(collection, queries, options, pointers)
    took_ms, alias_field = (time.perf_counter() - started) * 1e3, collection_behind(request)
    shared = shape_applied(applied) | alias_field

    def shape_answers() -> Any:
        answers = list[dict[str, Any]]()
        for result in results:
            answer = shape_result(result, body.include, body.vector_format, took_ms)
            answers.append(answer | _shape_read(body.read, result) | _shape_groups(result, body))
            result.matches.clear()  # frees the matches here, possibly in a thread, because that takes time
        return ({"results": answers} if body.queries is not None else answers[0]) | shared

    many = sum(map(_count_matches, results)) > MANY_MATCHES
    return JSONAnswer(await BODIES.run(shape_answers) if many else shape_answers())


def _count_matches(result: Result) -> int:
    of_groups = () if result.group_by is None else result.group_by.groups
    return len(result.matches) + sum(len(group.matches) for group in of_groups)


def _aggregations(read: Read | Sequence[Read] | None) -> list[Aggregation]:
    if read is None:
        return []
    pairs = [("/read", read)] if isinstance(read, Read) else [(f"/read/{i}", one) for i, one in enumerate(read)]
    return [Aggregation(one.field, one.how, one.quantiles, pointer) for pointer, one in pairs]


def _grouping(sent: GroupBy | None, queries: int) -> Grouping | None:
    """Return how documents are grouped; None for no groups.

    Raises:
        InvalidContent: a range is invalid, or the answers to all queries may have too many groups or matches.
    """
    if sent is None:
        return None
    if queries * sent.groups > MAX_ANSWER_GROUPS:
        raise InvalidContent.at(
            "/group_by/groups",
            f"{queries} queries came, with up to {sent.groups} groups each, and an answer holds {MAX_ANSWER_GROUPS} in "
            "all: send fewer queries, or fewer groups",
        )
    if queries * sent.groups * sent.documents > MAX_MATCHES:
        raise InvalidContent.at(
            "/group_by/documents",
            f"{queries} queries came, with up to {sent.groups} groups of {sent.documents} documents each, and an "
            f"answer holds {MAX_MATCHES} documents of groups in all: send fewer queries, groups or documents",
        )
    after = _group_after(sent.cursor, queries)
    ranges = [ValueRange(low, high, f"/group_by/ranges/{i}") for i, (low, high) in enumerate(sent.ranges or ())]
    return Grouping(sent.field, sent.groups, sent.documents, ranges or None, after)


def _group_after(cursor: str | None, queries: int = 1) -> int:
    """Return how many groups the pages before a cursor listed.

    Raises:
        InvalidContent: the cursor is not one that this API returned, or came with several queries.
    """
    if cursor is None:
        return 0
    if queries > 1:
        raise InvalidContent.at("/group_by/cursor", "a cursor is of one query: send query, or leave cursor out")
    after = decode_cursor(cursor, "/group_by/cursor") or ""
    if not (after.isascii() and after.isdigit() and len(after) <= 5 and 0 < int(after) <= MAX_PAGE):
        raise InvalidContent.at("/group_by/cursor", "the cursor is not one of ours: send next_cursor as it came")
    return int(after)


def _shape_groups(result: Result, body: AttendRequest) -> dict[str, Any]:
    """Return the field with the groups of an answer; empty without `group_by`."""
    if body.group_by is None or result.group_by is None:
        return {}
    groups = [
        {
            **pick(group, "value", "weight", "documents"),
            "matches": shape_matches(group.matches, result.answer, body.include, body.vector_format),
        }
        for group in result.group_by.groups
    ]
    fields = pick(result.group_by, "rest_weight", "error")
    last = _group_after(body.group_by.cursor) + len(groups)
    fields["next_cursor"] = encode_cursor(str(last)) if result.group_by.more and last <= MAX_PAGE else None
    return {"group_by": {"field": body.group_by.field, "groups": groups, **fields}}


def _shape_read(read: Read | Sequence[Read] | None, result: Result) -> dict[str, Any]:
    """Return the field with what was read: one result for one field, a list for a list; empty without `read`."""
    if read is None:
        return {}
    return {"read": result.read[0] if isinstance(read, Read) else result.read}


Body = TypeVar("Body", bound=Wire)


def parse_query(sent: Any) -> Query:
    """Return a query as it was sent, a text or a vector [d], or the weighted sum that a list of parts stands for."""
    if not isinstance(sent, list):
        query: Query = sent
        return query
    return WeightedSum([QueryPart(part.weight, part.text, part.id, part.vector) for part in sent])


def with_defaults(body: Body, collection: Collection, queries: Sequence[Query]) -> tuple[Body, Mapping[str, Any]]:
    """Return a question with what the collection settles that it does not override, and the defaults among this.

    Args:
        body: the question as it was sent.
        collection: the collection.
        queries: the queries in it.

    Raises:
        InvalidContent: its filter is too large together with the default.
    """
    settings = collection.record.settings
    if settings.defaults is None and not settings.late:
        return body, {}
    sent = {name: getattr(body, name) for name in body.model_fields_set}
    effect = apply_defaults(collection, sent, type(body).model_fields.keys(), queries)
    options = dict(effect.options)
    if "rerank" in options:
        options["rerank"] = RerankOptions.model_validate(options["rerank"])
    return body.model_copy(update=options), effect.applied


def shape_applied(applied: Mapping[str, Any]) -> dict[str, Any]:
    """Return the field with the defaults of the collection that an answer has; empty without any."""
    return {"applied": applied} if applied else {}


def _queries(body: AttendRequest) -> tuple[list[Any], list[str]]:
    if (body.query is None) == (body.queries is None):
        raise InvalidContent.at("", "send exactly one of query and queries")
    if body.queries is None:
        return [body.query], ["/query"]
    if len(body.queries) > MAX_QUERIES:
        raise InvalidContent.at(
            "/queries",
            f"{len(body.queries)} queries came, this service takes {MAX_QUERIES} in one request: send them in parts",
        )
    return body.queries, [f"/queries/{i}" for i in range(len(body.queries))]


def _check_matches(body: AttendRequest, queries: int) -> None:
    """Raise InvalidContent if the answers to all queries together may have more matches than one answer holds."""
    top_k = body.top_k
    if top_k is None:
        top_k = MAX_SET_SIZE if body.top_p is not None else DEFAULT_TOP_K
    looks_at = top_k if body.diversity is None else get_diverse_head(top_k)
    if queries > 1 and queries * looks_at > MAX_MATCHES:
        shown = "matches each" if body.diversity is None else "documents each for their matches"
        raise InvalidContent.at(
            "/queries",
            f"{queries} queries came, with up to {looks_at} {shown}, and an answer holds {MAX_MATCHES} in all: send "
            f"the queries in parts of {max(1, MAX_MATCHES // looks_at)}, or a smaller top_k",
        )


def shape_result(result: Result, include: Sequence[str], vector_format: str, took_ms: float) -> dict[str, Any]:
    """Return the JSON of a query's result, with the requested fields.

    Args:
        result: the result.
        include: the names of the fields of each match.
        vector_format: "numbers" or "base64".
        took_ms: how long the query took.
    """
    lookup, warnings = result.answer, shape_warnings(result.warnings)
    answer: dict[str, Any] = {
        "matches": shape_matches(result.matches, lookup, include, vector_format),
        "rest_weight": result.rest_weight,
        "complete": lookup.complete,
    }
    if result.output is not None:
        answer["output"] = write_vector(result.output, vector_format)
    answer["reason"] = result.reason
    answer["evidence"] = shape_evidence(lookup.evidence, result.verdict, alike=result.alike)
    answer["certificate"] = pick(lookup.certificate, "method", "total_variation", "output_error")
    if result.reranked is not None:
        answer["certificate"]["reranked"] = result.reranked
    if result.coverage is not None:
        answer["coverage"] = pick(result.coverage, "documents", "total", "max_missing_weight")
    answer |= unknown_tokens(result.unknown_tokens) | full_text(result.full_text)
    answer |= {"temperature": lookup.evidence.temperature, "documents": lookup.documents, "keys": lookup.keys}
    return answer | warnings | {"took_ms": took_ms}


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

SWEEP_OPTIONS = SweepRequest.model_fields.keys() & Options.__dataclass_fields__  # with the same name in both
HEAVY_WEIGHTS = 1 << 17


@sweep_router.post(
    "/{name}/sweep",
    response_model=SweepAnswer,
    responses=refusals(*WITH_BODY, *ANSWERING, "values_pending"),
    response_description="The most similar documents, and the weight of each at each temperature.",
    summary="Attend at many temperatures",
)
async def sweep(name: NameInPath, body: SweepRequest, request: Request, running: Running) -> Response:
    """Answer a query at several temperatures from a single scan of the keys.

    The best documents are the same at each temperature; their weights differ.
    """
    started, collection = time.perf_counter(), running.catalogue.collection(name)
    query = parse_query(body.query)
    body, applied = with_defaults(body, collection, [query])
    weights = len(body.temperatures) * (DEFAULT_TOP_K if body.top_k is None else body.top_k)
    if weights > MAX_SWEPT_WEIGHTS:
        raise InvalidContent.at(
            "/temperatures",
            f"{weights} weights would come, a temperature times a match each, and an answer holds {MAX_SWEPT_WEIGHTS}: "
            "send fewer temperatures, or a smaller top_k",
        )
    await wait_if_heavy(request.scope, weights, HEAVY_WEIGHTS)
    options = Options(
        **{name: getattr(body, name) for name in SWEEP_OPTIONS},
        now=instant_of(request),
        reads=required_detail(body.include, least="texts"),
    )
    swept = await sweep_collection(collection, query, body.temperatures, options)
    documents, best_keys = [match.document for match in swept.matches], [match.spoke for match in swept.matches]
    fields = shape_fields(documents, best_keys, body.include, body.vector_format)
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
