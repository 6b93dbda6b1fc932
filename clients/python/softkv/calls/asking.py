"""Questions to a collection: attend, sweep, compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from softkv import filters
from softkv.answers.answer import Answer
from softkv.answers.comparison import Comparison, comparison
from softkv.answers.document import wire_fields
from softkv.answers.swept import Swept
from softkv.calls.call import Call, Plan
from softkv.calls.collections import Basis, Null, info
from softkv.calls.place import Known, Place
from softkv.calls.service import limit
from softkv.errors import Flaw
from softkv.filters import Where
from softkv.problems import flawed, misfit, refuse
from softkv.reply import Reply
from softkv.wire import checks
from softkv.wire.body import body, said
from softkv.wire.vectors import FORMAT, is_vector, outgoing, width

if TYPE_CHECKING:
    from softkv.wire.vectors import Vector

Normaliser: TypeAlias = Literal["softmax", "sparsemax", "entmax15", "one_hot"]
MatchField: TypeAlias = Literal["value", "key", "metadata", "output", "key_vector", "value_vector", "explanation"]
SweptField: TypeAlias = Literal["key", "value", "metadata", "key_vector", "value_vector"]


class How(TypedDict, total=False):
    """The arguments of `attend` besides its query, as they are written."""

    temperature: float | Literal["auto"] | None
    effective_documents: float | None
    top_k: int | None
    top_p: float | None
    where: Where | None
    normaliser: Normaliser | None
    null: Null | None
    max_error: float | None
    basis: Basis | None
    allow_missing: bool | None
    include: Sequence[MatchField] | None


def attend(
    place: Place,
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
    basis: Basis | None = None,
    allow_missing: bool | None = None,
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
        null: the similarity of "none of these", `False` for none, or "auto", "lenient", "strict".
        max_error: a bound asked of the certificate.
        basis: what may stand behind the certificate; the collection's if left out.
        allow_missing: whether to answer also where some documents cannot be asked now; then `coverage` says how many.
        include: what a match brings along; `"output"` is the blended value, of the whole answer.
    """
    refuse(
        chain(
            checks.temperature(temperature, auto=True),
            checks.number(effective_documents, "/effective_documents", least=1),
            checks.matches(top_k),
            checks.number(top_p, "/top_p", above=0, most=1),
            checks.number(max_error, "/max_error", above=0),
        )
    )
    options = said(
        temperature=temperature,
        effective_documents=effective_documents,
        top_k=top_k,
        top_p=top_p,
        filter=filters.wire(where),
        normaliser=normaliser,
        null=null,
        max_error=max_error,
        basis=basis,
        allow_missing=allow_missing,
        include=include,
        vector_format=FORMAT,
    )
    if isinstance(query, str) or (is_vector(query) and len(query)):
        return (yield from _one(place, query, options))
    return (yield from _many(place, query, options))


def _one(place: Place, query: Any, options: Mapping[str, Any]) -> Plan[Answer]:
    yield from _fitting(place, [query], lambda _: "/query")

    def parse(reply: Reply) -> Answer:
        return Answer(reply.json(), question=_text(query), request_id=reply.request_id)

    content = body({"query": _query(query, "/query"), **options})
    return (yield from Call("POST", f"{place.path}/attend", parse, content=content))


def _many(place: Place, queries: Any, options: Mapping[str, Any]) -> Plan[list[Answer]]:
    asked = _list(queries)
    if not asked:
        return []
    yield from _fitting(place, asked, lambda at: f"/queries/{at}")
    sent = [_query(each, f"/queries/{at}") for at, each in enumerate(asked)]
    most = 1 if len(asked) == 1 else (yield from limit(place.known, "queries"))
    answers: list[Answer] = []
    for begin in range(0, len(asked), most):
        texts = [_text(each) for each in asked[begin : begin + most]]

        def parse(reply: Reply, texts: Sequence[str | None] = texts) -> list[Answer]:
            results = reply.json()["results"]
            named = zip(results, texts, strict=True)
            return [Answer(each, question=text, request_id=reply.request_id) for each, text in named]

        content = body({"queries": sent[begin : begin + most], **options})
        answers += yield from Call("POST", f"{place.path}/attend", parse, content=content)
    return answers


def sweep(
    place: Place,
    query: str | Vector,
    temperatures: Iterable[float],
    *,
    top_k: int | None = None,
    null: Null | None = None,
    where: Where | None = None,
    include: Sequence[SweptField] | None = None,
) -> Plan[Swept]:
    """Ask one question at many temperatures, from one reading of the keys; `weights` is an array [T, top_k]."""
    if not isinstance(temperatures, Iterable):
        raise misfit("/temperatures", f"wanted a list of temperatures, got {temperatures!r}: write [{temperatures!r}]")
    asked = [float(each) for each in temperatures]
    flaws = chain.from_iterable(checks.temperature(each, f"/temperatures/{at}") for at, each in enumerate(asked))
    none = [] if asked else [Flaw("/temperatures", "wanted at least 1, got 0")]
    refuse([*none, *flaws, *checks.matches(top_k)])
    if not (isinstance(query, str) or is_vector(query)):
        raise misfit("/query", f"wanted one text or one vector, got {type(query).__name__}: sweep them one by one")
    yield from _fitting(place, [query], lambda _: "/query")

    def parse(reply: Reply) -> Swept:
        return Swept(reply.json(), question=_text(query), request_id=reply.request_id)

    options = said(top_k=top_k, null=null, filter=filters.wire(where), include=include, vector_format=FORMAT)
    content = body({"query": _query(query, "/query"), "temperatures": asked, **options})
    return (yield from Call("POST", f"{place.path}/sweep", parse, content=content))


def compare(
    place: Place,
    query: str,
    *,
    temperature: float | None = None,
    top_k: int | None = None,
    null: Null | None = None,
    where: Where | None = None,
) -> Call[Comparison]:
    """Ask in four ways: SQL's `=`, SQL's full text, the nearest documents, and attention."""
    return _compared(f"{place.path}/compare", query, temperature, top_k, null, filter=filters.wire(where))


def compare_rows(
    known: Known,
    query: str,
    rows: Iterable[Any],
    *,
    temperature: float | None = None,
    top_k: int | None = None,
    null: Null | None = None,
) -> Call[Comparison]:
    """Ask the same of rows that come with the question, each with a `key` and perhaps an `id` and a `value`."""
    sent = [each if isinstance(each, Mapping) else {"id": each.id, **wire_fields(each.fields)} for each in rows]
    return _compared("/v1/compare", query, temperature, top_k, null, rows=sent)


def _compared(
    path: str,
    query: str,
    temperature: float | None,
    top_k: int | None,
    null: Null | None,
    **others: Any,
) -> Call[Comparison]:
    refuse(chain(checks.temperature(temperature), checks.matches(top_k)))
    options = said(temperature=temperature, top_k=top_k, null=null, **others)
    return Call(
        "POST",
        path,
        lambda reply: comparison(reply.json(), query, reply.request_id),
        content=body({"query": query, **options}),
    )


def _list(queries: Any) -> list[Any]:
    """Several queries, from whatever holds them."""
    dimensions = getattr(queries, "ndim", None)
    if isinstance(queries, Mapping) or dimensions == 0 or (dimensions or 0) > 2:
        raise flawed("/query", "wanted a text, a vector, a list of these, or a matrix with a row a query")
    try:
        return list(queries.tolist() if dimensions == 1 else queries)
    except TypeError:
        raise flawed("/query", f"wanted a text, a vector or a list of these, got {type(queries).__name__}") from None


def _query(query: Any, pointer: str) -> Any:
    return query if isinstance(query, str) else outgoing(query, pointer)


def _text(query: Any) -> str | None:
    return query if isinstance(query, str) else None


def _fitting(place: Place, queries: Sequence[Any], pointer: Any) -> Plan[None]:
    """Refuse a vector that is not as wide as the keys, where it is known how wide these are.

    What is known may be of a collection that was dropped since and made anew: so it is asked for before that.
    """
    if not any(_unlike(place, queries)):
        return
    yield from info(place)
    refuse_width = next(_unlike(place, queries), None)
    if refuse_width is not None:
        at, wide = refuse_width
        keys = place.known.widths[place.name]
        raise flawed(
            pointer(at),
            f"query has width {wide}, the keys of {place.name!r} have width {keys}: encode both with the same model",
        )


def _unlike(place: Place, queries: Sequence[Any]) -> Iterator[tuple[int, int]]:
    known = place.known.widths.get(place.name)
    if known is None:
        return
    for at, query in enumerate(queries):
        if not isinstance(query, str) and is_vector(query) and width(query) != known:
            yield at, width(query)
