"""Attending from one query or many to a collection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, Unpack

from softkv import filters, validation
from softkv.answers.answer import Answer, Comparison, Swept, parse_comparison
from softkv.answers.documents import Document, encode_fields
from softkv.answers.info import Calibration
from softkv.calls.call import WRITE_TIMEOUT, Call, CollectionRef, EventHandler, EventStream, Plan, ServiceCache, listen
from softkv.calls.collections import Null, info
from softkv.calls.service import get_limit
from softkv.errors import Flaw
from softkv.filters import Where
from softkv.problems import Reply, invalid_value, invalid_value_at, problem_error, raise_flaws
from softkv.validation import is_list_like
from softkv.wire import VECTOR_FORMAT, drop_omitted, encode_json, encode_vector, is_vector, vector_width

if TYPE_CHECKING:
    from softkv.wire import Vector


Normaliser: TypeAlias = Literal["softmax", "sparsemax", "entmax15", "one_hot"]
MatchField: TypeAlias = Literal["value", "key", "metadata", "output", "key_vector", "value_vector", "explanation"]


class AttendOptions(TypedDict, total=False):
    """The arguments of `attend` besides its query, as they are written."""

    temperature: float | Literal["auto"] | None
    effective_documents: float | None
    top_k: int | None
    top_p: float | None
    where: Where | None
    normaliser: Normaliser | None
    null: Null | None
    max_error: float | None
    full_text: float | Literal["auto"] | None
    bias: Bias | None
    min_confidence: float | None
    conformal: float | None
    allow_missing: bool | None
    read: Mapping[str, Any] | None
    include: Sequence[MatchField] | None


def attend(
    place: CollectionRef,
    query: Any,
    *,
    temperature: float | Literal["auto"] | None = None,
    effective_documents: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    where: Where | None = None,
    normaliser: Normaliser | None = None,
    null: Null | None = None,
    max_error: float | None = None,
    full_text: float | Literal["auto"] | None = None,
    bias: Bias | None = None,
    min_confidence: float | None = None,
    conformal: float | None = None,
    allow_missing: bool | None = None,
    read: Mapping[str, Any] | None = None,
    include: Sequence[MatchField] | None = None,
) -> Plan[Answer | list[Answer]]:
    """Give every document that passes its weight; docs/asking.md tells of each argument.

    Args:
        query: a text or a vector, for one answer; a list of them, or a matrix, for a list of answers in this order.
            A list of any length goes to the service in parts.
        temperature: 0, or from 1e-30 on; `"auto"` for the one at which the answer rests on `effective_documents`.
        top_k: how many documents to name, 10 if left out.
        top_p: name the fewest that hold this share of the documents' weight.
        where: which documents may be attended to, as `F.year >= 1930`.
        null: the similarity of "none of these", `False` for none, or "auto", "lenient", "strict",
            "calibrated".
        max_error: a bound asked of the certificate.
        full_text: what the words of a text weigh: so many times its rank in full text is added to a document's logit;
            "auto" is what the collection was calibrated to.
        bias: what else is added, a term or a list, as `{"field": "metadata.year", "half_life": 10}`.
        min_confidence: of a calibrated collection, how sure the first match must be for the verdict "one".
        conformal: of a calibrated collection, name the set that the right one is in with this chance.
        allow_missing: whether to answer also where some documents cannot be asked now; then `coverage` says how many.
        read: a field to read over all documents, as `{"field": "metadata.year", "as": "mean"}`.
        include: what a match brings along; `"output"` is the blended value, of the whole answer.
    """
    options = _encode_options(
        temperature=temperature,
        effective_documents=effective_documents,
        top_k=top_k,
        top_p=top_p,
        where=where,
        normaliser=normaliser,
        null=null,
        max_error=max_error,
        full_text=full_text,
        bias=bias,
        min_confidence=min_confidence,
        conformal=conformal,
        allow_missing=allow_missing,
        read=read,
        include=include,
    )
    if isinstance(query, str) or (is_vector(query) and len(query)):
        return (yield from _attend_one(place, query, options))
    return (yield from _attend_many(place, query, options))


def attend_stream(place: CollectionRef, query: Any, **how: Unpack[AttendOptions]) -> EventStream[Answer]:
    """The same of one query, as answers while it is computed: of growing parts of a large collection, at last of all.

    The parts have `coverage`, and a certificate that is true of all documents; the last is what `attend` answers, and
    `final`: docs/streaming.md tells of them. The arguments are those of `attend`, but for `read`,
    `allow_missing`, `min_confidence` and `conformal`, and for the temperature "auto".
    """
    content = encode_json({"query": encode_query(query, "/query"), "stream": True, **_encode_options(**how)})

    def hear_it(heard: EventHandler) -> Plan[None]:
        yield from check_query_widths(place, [query], lambda _: "/query")
        yield from listen("POST", f"{place.path}/attend", heard, content)

    def answer(name: str, data: Any) -> Answer:
        if name == "problem":
            raise problem_error(data, Reply(data["status"], {}, b"", place.path))
        return Answer(data, question=query_text(query), final=name == "answer")

    return EventStream(hear_it, answer)


def _encode_options(**how: Unpack[AttendOptions]) -> dict[str, Any]:
    """The fields of a request besides its query.

    Raises:
        Invalid: one of them is out of its range.
    """
    get: Any = how.get
    raise_flaws(
        chain(
            validation.check_temperature(get("temperature"), auto=True),
            validation.check_number(get("effective_documents"), "/effective_documents", least=1),
            validation.check_top_k(get("top_k")),
            validation.check_number(get("top_p"), "/top_p", above=0, most=1),
            validation.check_number(get("max_error"), "/max_error", above=0),
            validation.check_text_weight(get("full_text")),
            validation.check_number(get("min_confidence"), "/min_confidence", least=0, most=1),
            validation.check_number(get("conformal"), "/conformal", least=0.5, most=0.99),
        )
    )
    fields: dict[str, Any] = {name: each for name, each in how.items() if name not in ("where", "bias")}
    return drop_omitted(
        **fields, bias=encode_bias(get("bias")), filter=filters.encode_filter(get("where")), vector_format=VECTOR_FORMAT
    )


def _attend_one(place: CollectionRef, query: Any, options: Mapping[str, Any]) -> Plan[Answer]:
    yield from check_query_widths(place, [query], lambda _: "/query")
    least = options.get("min_confidence")

    def parse(reply: Reply) -> Answer:
        return Answer(reply.json(), question=query_text(query), request_id=reply.request_id, min_confidence=least)

    content = encode_json({"query": encode_query(query, "/query"), **options})
    return (yield from Call("POST", f"{place.path}/attend", parse, content=content))


def _attend_many(place: CollectionRef, queries: Any, options: Mapping[str, Any]) -> Plan[list[Answer]]:
    asked = list_queries(queries)
    if not asked:
        return []
    yield from check_query_widths(place, asked, lambda at: f"/queries/{at}")
    sent = [encode_query(each, f"/queries/{at}") for at, each in enumerate(asked)]
    most = 1 if len(asked) == 1 else (yield from get_limit(place.known, "queries"))
    answers: list[Answer] = []
    least = options.get("min_confidence")
    for begin in range(0, len(asked), most):
        texts = [query_text(each) for each in asked[begin : begin + most]]

        def parse(reply: Reply, texts: Sequence[str | None] = texts) -> list[Answer]:
            results = reply.json()["results"]
            named = zip(results, texts, strict=True)
            return [
                Answer(each, question=text, request_id=reply.request_id, min_confidence=least) for each, text in named
            ]

        content = encode_json({"queries": sent[begin : begin + most], **options})
        answers += yield from Call("POST", f"{place.path}/attend", parse, content=content)
    return answers


SweptField: TypeAlias = Literal["key", "value", "metadata", "key_vector", "value_vector"]


def sweep(
    place: CollectionRef,
    query: str | Vector,
    temperatures: Iterable[float],
    *,
    top_k: int | None = None,
    null: Null | None = None,
    where: Where | None = None,
    full_text: float | Literal["auto"] | None = None,
    bias: Bias | None = None,
    include: Sequence[SweptField] | None = None,
) -> Plan[Swept]:
    """Ask one question at many temperatures, from one reading of the keys; `weights` is an array [T, top_k]."""
    if not isinstance(temperatures, Iterable):
        raise invalid_value_at(
            "/temperatures", f"wanted a list of temperatures, got {temperatures!r}: write [{temperatures!r}]"
        )
    asked = validation.require_list(temperatures, "/temperatures")
    flaws = chain.from_iterable(
        validation.check_temperature(each, f"/temperatures/{at}", needed=True) for at, each in enumerate(asked)
    )
    none = [] if asked else [Flaw("/temperatures", "wanted at least 1, got 0")]
    raise_flaws([*none, *flaws, *validation.check_top_k(top_k), *validation.check_text_weight(full_text)])
    if not (isinstance(query, str) or is_vector(query)):
        raise invalid_value_at(
            "/query", f"wanted one text or one vector, got {type(query).__name__}: sweep them one by one"
        )
    yield from check_query_widths(place, [query], lambda _: "/query")

    def parse(reply: Reply) -> Swept:
        return Swept(reply.json(), question=query_text(query), request_id=reply.request_id)

    added = drop_omitted(full_text=full_text, bias=encode_bias(bias))
    options = (
        drop_omitted(
            top_k=top_k, null=null, filter=filters.encode_filter(where), include=include, vector_format=VECTOR_FORMAT
        )
        | added
    )
    content = encode_json(
        {"query": encode_query(query, "/query"), "temperatures": [float(each) for each in asked], **options}
    )
    return (yield from Call("POST", f"{place.path}/sweep", parse, content=content))


def calibrate(
    place: CollectionRef, questions: Iterable[Mapping[str, Any]], *, apply: bool = False
) -> Plan[Calibration]:
    """Fit to labelled questions how sure an answer may be; from 50 on, as docs/calibration.md tells.

    Args:
        questions: each a `query`, a text or a vector, and the `id` that answers it, or `ids`; `"id": None` where
            nothing does.
        apply: keep it, where it gains.
    """
    asked = validation.require_list(questions, "/questions")
    for at, each in enumerate(asked):
        if not isinstance(each, Mapping) or "query" not in each:
            raise invalid_value_at(
                f"/questions/{at}", 'wanted a question as {"query": …, "id": …}, "id": None for no answer'
            )
    queries = [each["query"] for each in asked]
    yield from check_query_widths(place, queries, lambda at: f"/questions/{at}/query")
    sent = [
        {**each, "query": encode_query(query, f"/questions/{at}/query")}
        for at, (each, query) in enumerate(zip(asked, queries, strict=True))
    ]

    def parse(reply: Reply) -> Calibration:
        return Calibration.read(reply.json())

    path, content = f"{place.path}/calibrate", encode_json({"questions": sent, "apply": apply})
    # Applied twice, the second is judged against the first.
    return (yield from Call("POST", path, parse, content=content, repeatable=apply is False, timeout=WRITE_TIMEOUT))


def compare(
    place: CollectionRef,
    query: str,
    *,
    temperature: float | None = None,
    top_k: int | None = None,
    null: Null | None = None,
    where: Where | None = None,
) -> Call[Comparison]:
    """Ask in four ways: SQL's `=`, SQL's full text, the nearest documents, and attention."""
    return _compare_call(f"{place.path}/compare", query, temperature, top_k, null, filter=filters.encode_filter(where))


def compare_rows(
    known: ServiceCache,
    query: str,
    rows: Iterable[Any],
    *,
    temperature: float | None = None,
    top_k: int | None = None,
    null: Null | None = None,
) -> Call[Comparison]:
    """Ask the same of rows that come with the question, each with a `key` and perhaps an `id` and a `value`."""
    sent = []
    for at, each in enumerate(validation.require_list(rows, "/rows")):
        if not isinstance(each, Mapping | Document):
            raise invalid_value_at(f"/rows/{at}", f"wanted an object, got {validation.describe_value(each)}")
        sent.append(each if isinstance(each, Mapping) else {"id": each.id, **encode_fields(each.fields)})
    return _compare_call("/v1/compare", query, temperature, top_k, null, rows=sent)


def _compare_call(
    path: str,
    query: str,
    temperature: float | None,
    top_k: int | None,
    null: Null | None,
    **others: Any,
) -> Call[Comparison]:
    raise_flaws(chain(validation.check_temperature(temperature), validation.check_top_k(top_k)))
    options = drop_omitted(temperature=temperature, top_k=top_k, null=null, **others)
    return Call(
        "POST",
        path,
        lambda reply: parse_comparison(reply.json(), query, reply.request_id),
        content=encode_json({"query": query, **options}),
    )


Bias: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""A term of a bias as the service reads it, where a `filter` may be written as `F.year >= 1990`, or a list of them."""


def list_queries(queries: Any) -> list[Any]:
    """Several queries, from whatever holds them."""
    dimensions = getattr(queries, "ndim", None)
    if isinstance(queries, Mapping) or dimensions == 0 or (dimensions or 0) > 2:
        raise invalid_value("/query", "wanted a text, a vector, a list of these, or a matrix with a row a query")
    try:
        return list(queries.tolist() if dimensions == 1 else queries)
    except TypeError:
        raise invalid_value(
            "/query", f"wanted a text, a vector or a list of these, got {type(queries).__name__}"
        ) from None


def encode_query(query: Any, pointer: str) -> Any:
    """A text as it is, a vector as it is sent."""
    return query if isinstance(query, str) else encode_vector(query, pointer)


def encode_bias(bias: Bias | None) -> Any:
    """Terms as they are sent.

    Raises:
        Invalid: one of them is no object, or its filter is none.
    """
    if bias is None:
        return None
    if is_list_like(bias):
        return [_encode_term(each, f"/bias/{at}") for at, each in enumerate(bias)]
    return _encode_term(bias, "/bias")


def _encode_term(term: Any, pointer: str) -> dict[str, Any]:
    if isinstance(term, filters.Filter | filters.Field):
        a_term = '{"filter": F.year > 1990, "addend": 1}, or {"field": "metadata.year", "half_life": 10}'
        raise invalid_value_at(pointer, f"wanted a term such as {a_term}, got a {type(term).__name__.lower()} alone")
    if not isinstance(term, Mapping):
        raise invalid_value(pointer, "a term of a bias is an object: send one, or a list of them")
    return {
        name: filters.encode_filter(each, f"{pointer}/filter") if name == "filter" else each
        for name, each in term.items()
    }


def query_text(query: Any) -> str | None:
    """The text that was asked; None of a vector."""
    return query if isinstance(query, str) else None


def check_query_widths(place: CollectionRef, queries: Sequence[Any], pointer: Any) -> Plan[None]:
    """Refuse a vector that is not as wide as the keys, where it is known how wide these are.

    What is known may be of a collection that was dropped since and made anew: so it is asked for before that.
    """
    if not any(_mismatched_widths(place, queries)):
        return
    yield from info(place)
    refuse_width = next(_mismatched_widths(place, queries), None)
    if refuse_width is not None:
        at, wide = refuse_width
        keys = place.known.widths[place.name]
        raise invalid_value(
            pointer(at),
            f"query has width {wide}, the keys of {place.name!r} have width {keys}: encode both with the same model",
        )


def _mismatched_widths(place: CollectionRef, queries: Sequence[Any]) -> Iterator[tuple[int, int]]:
    known = place.known.widths.get(place.name)
    if known is None:
        return
    for at, query in enumerate(queries):
        if not isinstance(query, str) and is_vector(query) and vector_width(query) != known:
            yield at, vector_width(query)
