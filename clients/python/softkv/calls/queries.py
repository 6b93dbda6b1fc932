"""Queries to a collection: attend, sweep, compare and calibrate."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    SupportsIndex,
    TypeAlias,
    TypedDict,
    TypeVar,
    Unpack,
    get_type_hints,
)

from softkv import filters, validation
from softkv.answers.answer import Answer, Comparison, Swept, parse_comparison
from softkv.answers.calibration import Calibration, LabelSource
from softkv.answers.documents import Document, encode_fields
from softkv.calls.call import WRITE_TIMEOUT, Call, CollectionRef, Plan, ServiceCache
from softkv.calls.options import IgnoredDefaults, encode_bias, null_fields
from softkv.calls.service import get_limit
from softkv.filters import Field, Where, encode_field_option
from softkv.problems import Reply, invalid_value, invalid_value_at, unexpected_argument
from softkv.questions import (
    Bias,
    Compare,
    FullTextFactor,
    GroupBy,
    MatchField,
    Normaliser,
    Null,
    Question,
    Sweep,
    SweptField,
    TemperatureOrAuto,
)
from softkv.record import fields_of
from softkv.validation import is_list_like
from softkv.wire import VECTOR_FORMAT, drop_omitted, encode_json, encode_vector, is_vector

if TYPE_CHECKING:
    from softkv.wire import Vector


QueryParts: TypeAlias = Sequence[Mapping[str, Any]]
"""A weighted sum as a query: each part has one of `text`, `id` and `vector`, and a `weight` (1 if left out)."""


class AttendOptions(TypedDict, total=False):
    """The types in Python of the keyword arguments of `attend` besides its query.

    What they mean, and their ranges, is in `softkv.questions.Question`.
    """

    temperature: TemperatureOrAuto | None
    effective_documents: float | None
    top_k: int | None
    top_p: float | None
    where: Where | None
    normaliser: Normaliser | None
    null: Null | None
    max_error: float | None
    full_text: FullTextFactor | None
    bias: Bias | None
    rerank: Mapping[str, Any] | None
    min_confidence: float | None
    diversity: float | None
    allow_missing: bool | None
    read: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
    group_by: Field | str | Mapping[str, Any] | None
    include: Sequence[MatchField] | None
    ignore_defaults: IgnoredDefaults


_TYPES = get_type_hints(AttendOptions)
_SENT = {"where": "filter"}
"""The options with another name in JSON."""
_MATCHES, _MATCHES_OF_A_SET = 10, 1000
"""The most matches of a query without `top_k`; of a set with `top_p`."""
ATTEND_OPTIONS = _TYPES.keys()
"""The names of the options of `attend`."""


def _describe_options() -> Iterator[str]:
    """Yield the lines of a docstring about the fields of a question: in Python, None is as left out, and not null."""
    names = {sent: name for name, sent in _SENT.items()}
    for field in fields_of(Question):
        name = names.get(field.name, field.name)
        if name in _TYPES:
            words = re.sub(r" None: [^.]*\.", "", field.words)
            yield from textwrap.wrap(f"{name}: {words}{field.limits}", 112, subsequent_indent="    ")


B = TypeVar("B", bound=Callable[..., Any])


def _with_options(build: B) -> B:
    """Give a function with arguments `**options` the signature and the docstring that name each option."""
    signature = inspect.signature(build)
    *parameters, _ = signature.parameters.values()
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if name == "ignore_defaults" else None,
            annotation=annotation,
        )
        for name, annotation in _TYPES.items()
    ]
    build.__signature__ = signature.replace(parameters=[*parameters, *options])  # type: ignore[attr-defined]
    if build.__doc__:  # python -OO removes docstrings
        build.__doc__ = build.__doc__.replace("options: `Question`.", "\n        ".join(_describe_options()))
    return build


@_with_options
def attend(collection: CollectionRef, query: Any, **options: Unpack[AttendOptions]) -> Plan[Answer | list[Answer]]:
    """Compare one query, or several, with the keys of a collection, and return the documents with the largest weights.

    Every document that passes the filter gets a weight. The weights, with that of "none of these", sum to one.
    docs/guide/asking.md explains each argument.

    Args:
        query: a text or a vector for one answer; or a list of parts, as [{"text": "cats"}, {"id": "a", "weight": -1}],
            whose weighted sum is the query. A list of queries, or a matrix [m, d], gives a list of answers in the same
            order; a list of any length is sent in several requests.
        options: `Question`.
        ignore_defaults: True to ask without the defaults of the collection, or the names of those to leave out, as
            ["filter", "rerank"]; "rerank" also stands for late interaction.

    Returns:
        An `Answer`, or a list of answers if a list of queries was sent.

    Raises:
        Invalid: an argument is out of range, or a vector's width differs from the keys'.
        NotFound: the collection does not exist.
        TypeError: there is no such option.

    Example:
        >>> answer = client.collection("library").attend("pets that purr", top_k=3)
        >>> answer.best.value if answer.best else "not found"
        >>> collection.attend("pets that purr", where=F.year >= 1930, group_by=F.shelf)
    """
    fields = _encode_options(options)
    if isinstance(query, str) or is_parts(query) or (is_vector(query) and len(query)):
        return (yield from _attend_one(collection, query, fields))
    return (yield from _attend_many(collection, query, fields))


def _encode_read(read: Any) -> Any:
    return list(map(encode_field_option, read)) if is_list_like(read) else encode_field_option(read)


_ENCODERS: Mapping[str, Callable[[Any], Any]] = {
    "where": filters.encode_filter,
    "bias": encode_bias,
    "read": _encode_read,
    "group_by": encode_field_option,
}
"""The functions that make the JSON of options with another form in Python."""


def _encode_options(options: AttendOptions) -> dict[str, Any]:
    """Return the options of a query as fields of the request.

    Raises:
        Invalid: a filter, a field or a term of a bias is invalid.
        TypeError: there is no such option.
    """
    values: Mapping[str, Any] = options
    for name in values:
        if name not in _TYPES:
            raise unexpected_argument("attend", name)
    sent = {name: value for name, value in drop_omitted(**values).items() if name != "ignore_defaults"}
    encoded = {name: encode(sent[name]) for name, encode in _ENCODERS.items() if name in sent}
    fields = {_SENT.get(name, name): encoded.get(name, value) for name, value in sent.items()}
    fields["vector_format"] = VECTOR_FORMAT
    if ignored := values.get("ignore_defaults"):
        fields |= null_fields(ignored, fields)
    return fields


def _attend_one(collection: CollectionRef, query: Any, options: Mapping[str, Any]) -> Call[Answer]:
    """Return the call that answers one query."""
    question = query_text(query)

    def parse(reply: Reply) -> Answer:
        return Answer(reply.json(), request_id=reply.request_id, question=question)

    content = encode_json({"query": encode_query(query, "/query"), **options})
    return Call("POST", f"{collection.path}/attend", parse, content=content)


def _attend_many(collection: CollectionRef, queries: Any, options: Mapping[str, Any]) -> Plan[list[Answer]]:
    """Send queries in requests as large as the service allows; return their answers in order."""
    query_list = list_queries(queries)
    if not query_list:
        return []
    encoded = [encode_query(query, f"/queries/{index}") for index, query in enumerate(query_list)]
    batch_size = 1
    if len(query_list) > 1:
        per_request, matches = (yield from get_limit(collection.cache, "queries")), _count_matches(options)
        if "answer_matches" in (collection.cache.limits or {}):  # older services have no such limit
            per_request = min(
                per_request, (yield from get_limit(collection.cache, "answer_matches")) // max(1, matches)
            )
        if parts := max((len(query) for query in query_list if is_parts(query)), default=0):
            per_request = min(per_request, (yield from get_limit(collection.cache, "request_parts")) // parts)
        if options.get("group_by") and "answer_groups" in (collection.cache.limits or {}):
            groups = options["group_by"].get("groups", GroupBy.groups)
            documents = options["group_by"].get("documents", GroupBy.documents)
            for name, size in (("answer_groups", groups), ("answer_matches", groups * documents)):
                per_request = min(per_request, (yield from get_limit(collection.cache, name)) // max(1, size))
        batch_size = max(1, per_request)
    answers: list[Answer] = []
    for begin in range(0, len(query_list), batch_size):
        texts = [query_text(query) for query in query_list[begin : begin + batch_size]]

        def parse(reply: Reply, texts: Sequence[str | None] = texts) -> list[Answer]:
            answer = reply.json()
            shared = drop_omitted(collection=answer.get("collection"), applied=answer.get("applied"))
            return [
                Answer(result | shared, question=text, request_id=reply.request_id)
                for result, text in zip(answer["results"], texts, strict=True)
            ]

        content = encode_json({"queries": encoded[begin : begin + batch_size], **options})
        answers += yield from Call("POST", f"{collection.path}/attend", parse, content=content)
    return answers


def _count_matches(options: Mapping[str, Any]) -> int:
    """Return the most matches that the answer to one query has, without the defaults of the collection."""
    top_k = options.get("top_k")
    top_k = int(top_k) if isinstance(top_k, SupportsIndex) else None  # the service refuses other types
    if options.get("diversity") is not None:
        return min(max(10 * (_MATCHES if top_k is None else top_k), 100), 1000)  # the documents that it compares
    if top_k is not None:
        return top_k
    return _MATCHES_OF_A_SET if options.get("top_p") is not None else _MATCHES


def sweep(
    collection: CollectionRef,
    query: str | Vector | QueryParts,
    temperatures: Iterable[float],
    *,
    top_k: int | None = None,
    null: Null | None = None,
    where: Where | None = None,
    full_text: FullTextFactor | None = None,
    bias: Bias | None = None,
    include: Sequence[SweptField] | None = None,
    ignore_defaults: IgnoredDefaults = False,
) -> Call[Swept]:
    """Return the weights of documents for one query at several temperatures. The service reads the keys only once.

    Args:
        query: one text, one vector, or one list of parts.
        temperatures: at least one; each 0, or from 1e-30 on.
        top_k: how many documents to return; the collection's default or 10 if left out.
        null: the similarity of "none of these", as for `attend`.
        where: a filter for the documents that may be attended to.
        full_text: the factor of the full-text rank, or the factor with a text of its own, as for `attend`.
        bias: further terms of the logits, as for `attend`.
        include: the fields of each match.
        ignore_defaults: True to ask without the defaults of the collection, or the names of those to leave out.

    Returns:
        A `Swept`, whose `weights` have the shape [T, top_k].

    Raises:
        Invalid: a temperature or another argument is out of range.

    Example:
        >>> collection.sweep("pets that purr", [0.01, 0.1, 1.0]).weights.shape
    """
    if not isinstance(temperatures, Iterable):
        raise invalid_value_at(
            "/temperatures", f"wanted a list of temperatures, got {temperatures!r}: write [{temperatures!r}]"
        )
    values = validation.require_list(temperatures, "/temperatures")
    if not (isinstance(query, str) or is_vector(query) or is_parts(query)):
        raise invalid_value_at(
            "/query", f"wanted one text or one vector, got {type(query).__name__}: sweep them one by one"
        )

    def parse(reply: Reply) -> Swept:
        return Swept(reply.json(), question=query_text(query), request_id=reply.request_id)

    terms = drop_omitted(full_text=full_text, bias=encode_bias(bias))
    options = (
        drop_omitted(
            top_k=top_k, null=null, filter=filters.encode_filter(where), include=include, vector_format=VECTOR_FORMAT
        )
        | terms
    )
    options |= null_fields(ignore_defaults, options, Sweep)
    content = encode_json({"query": encode_query(query, "/query"), "temperatures": values, **options})
    return Call("POST", f"{collection.path}/sweep", parse, content=content)


def calibrate(
    collection: CollectionRef,
    questions: Iterable[Mapping[str, Any]] | None = None,
    *,
    source: LabelSource = "labels",
    apply: bool = False,
    rerank: Mapping[str, Any] | None = None,
) -> Call[Calibration]:
    """Fit confidence, null level and full-text factor to labelled questions.

    At least 30 questions are needed; docs/guide/calibration.md explains the result.

    Args:
        questions: mappings with a `query` (text or vector) and the `id`, or `ids`, of its answer; `"id": None` for no
            answer. Only for the source "labels".
        source: the origin of the questions: "labels" if they are in `questions`, "feedback" for those that follow from
            `give_feedback`.
        apply: store the calibration in the collection if it improves on the current one.
        rerank: a reranker whose weight is fitted too, as {"model": "marco", "depth": 50}; every query is then a text.
            None: late interaction if the collection has it and every query is a text, otherwise none.

    Returns:
        A `Calibration` with the fitted values, and the losses before and after.

    Raises:
        Invalid: a question lacks its query, or there are too few questions.

    Example:
        >>> result = collection.calibrate([{"query": "purring pets", "id": "cats"}, ...])
        >>> print(result.explain())
    """
    labelled = [] if questions is None else validation.require_list(questions, "/questions")
    for index, question in enumerate(labelled):
        if not isinstance(question, Mapping) or "query" not in question:
            raise invalid_value_at(
                f"/questions/{index}", 'wanted a question as {"query": …, "id": …}, "id": None for no answer'
            )
    queries = [question["query"] for question in labelled]
    encoded = [
        {**question, "query": encode_query(query, f"/questions/{index}/query")}
        for index, (question, query) in enumerate(zip(labelled, queries, strict=True))
    ]

    def parse(reply: Reply) -> Calibration:
        return Calibration.read(reply.json())

    path = f"{collection.path}/calibrate"
    fields: dict[str, Any] = {"from": source, "apply": apply} | ({} if rerank is None else {"rerank": rerank})
    content = encode_json(fields if questions is None else fields | {"questions": encoded})
    # A repeated call with `apply` would be compared with the calibration that the first one stored.
    return Call("POST", path, parse, content=content, repeatable=apply is False, timeout=WRITE_TIMEOUT)


def compare(
    collection: CollectionRef,
    query: str | QueryParts,
    *,
    temperature: float | None = None,
    top_k: int | None = None,
    null: Null | None = None,
    where: Where | None = None,
    ignore_defaults: IgnoredDefaults = False,
) -> Call[Comparison]:
    """Run one query by SQL equality, SQL full text, nearest documents and attention.

    Args:
        query: one text, or one list of parts; SQL looks for the texts of those with a positive weight.
        temperature: 0, or from 1e-30 on; the collection's default if left out.
        top_k: how many documents each method returns; the collection's default or 10 if left out.
        null: the similarity of "none of these", as for `attend`.
        where: a filter for the documents that may be found.
        ignore_defaults: True to ask without the defaults of the collection, which are `filter` and `top_k` here; or the
            names of those to leave out.

    Returns:
        A `Comparison` with the four results.

    Raises:
        Invalid: an argument is out of range.

    Example:
        >>> collection.compare("pets that purr").attention.best
    """
    options = drop_omitted(top_k=top_k, filter=filters.encode_filter(where))
    ignored = null_fields(ignore_defaults, options, Compare)
    return _compare_call(f"{collection.path}/compare", query, temperature, top_k, null, {**options, **ignored})


def compare_rows(
    cache: ServiceCache,
    query: str | QueryParts,
    rows: Iterable[Any],
    *,
    temperature: float | None = None,
    top_k: int | None = None,
    null: Null | None = None,
) -> Call[Comparison]:
    """Run one query by four methods over rows that are sent with it.

    Args:
        query: one text, or one list of parts, which may name the rows by their ids.
        rows: documents or mappings, each with a `key` and optionally an `id` and a `value`. They are not stored.
        temperature: 0, or from 1e-30 on; the default of the service's encoder if left out.
        top_k: how many rows each method returns.
        null: the similarity of "none of these", as for `attend`.

    Returns:
        A `Comparison` with the four results.

    Raises:
        Invalid: a row is not an object, or an argument is out of range.

    Example:
        >>> client.compare("pets that purr", [{"key": "cats"}, {"key": "tax law"}])
    """
    encoded = []
    for index, row in enumerate(validation.require_list(rows, "/rows")):
        if not isinstance(row, Mapping | Document):
            raise invalid_value_at(f"/rows/{index}", f"wanted an object, got {validation.describe_value(row)}")
        encoded.append(row if isinstance(row, Mapping) else {"id": row.id, **encode_fields(row.fields)})
    return _compare_call("/v1/compare", query, temperature, top_k, null, {"rows": encoded})


def _compare_call(
    path: str,
    query: str | QueryParts,
    temperature: float | None,
    top_k: int | None,
    null: Null | None,
    fields: Mapping[str, Any],
) -> Call[Comparison]:
    """Return the call that answers one query by four methods."""
    options = {**fields, **drop_omitted(temperature=temperature, top_k=top_k, null=null)}
    return Call(
        "POST",
        path,
        lambda reply: parse_comparison(reply.json(), query_text(query), reply.request_id),
        content=encode_json({"query": encode_query(query, "/query") if is_parts(query) else query, **options}),
    )


def list_queries(queries: Any) -> list[Any]:
    """Return several queries as a list, with one text or vector for each.

    Raises:
        Invalid: the argument is a mapping, a scalar, or an array of more than two dimensions.
    """
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
    """Return a query as the service's JSON has it: a text unchanged, and a vector encoded, also in a part.

    Args:
        query: a text, a vector or a list of parts.
        pointer: the position of the query in the request, for errors.
    """
    if is_parts(query):
        return [_encode_part(part, f"{pointer}/{index}") for index, part in enumerate(query)]
    return query if isinstance(query, str) else encode_vector(query, pointer)


def is_parts(query: Any) -> bool:
    """Return whether a query is a list of parts, of which the first is a mapping."""
    return isinstance(query, list | tuple) and len(query) > 0 and isinstance(query[0], Mapping)


def _encode_part(part: Any, pointer: str) -> Any:
    """Return a part of a query as the service's JSON has it; the service checks all but its vector."""
    if not isinstance(part, Mapping) or part.get("vector") is None:
        return part
    return {**part, "vector": encode_vector(part["vector"], f"{pointer}/vector")}


def query_text(query: Any) -> str | None:
    """Return the query if it is a text; None if it is a vector or a list of parts."""
    return query if isinstance(query, str) else None
