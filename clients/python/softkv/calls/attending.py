"""Attending from one query or many to a collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Literal, TypeAlias, TypedDict, Unpack

from softkv import filters
from softkv.answers.answer import Answer
from softkv.calls.call import Call, Plan
from softkv.calls.collections import Null
from softkv.calls.place import Place
from softkv.calls.queries import Bias, bias_on_wire, fitting, listed, query_on_wire, text_of
from softkv.calls.service import limit
from softkv.calls.teaching.hearing import Heard, Stream, hear
from softkv.filters import Where
from softkv.problems import of_problem, refuse
from softkv.reply import Reply
from softkv.wire import checks
from softkv.wire.body import body, said
from softkv.wire.vectors import FORMAT, is_vector

Normaliser: TypeAlias = Literal["softmax", "sparsemax", "entmax15", "one_hot"]
MatchField: TypeAlias = Literal["value", "key", "metadata", "output", "key_vector", "value_vector", "explanation"]


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
    full_text: float | Literal["auto"] | None
    bias: Bias | None
    min_confidence: float | None
    conformal: float | None
    allow_missing: bool | None
    read: Mapping[str, Any] | None
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
    options = _options(
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
        return (yield from _one(place, query, options))
    return (yield from _many(place, query, options))


def attend_stream(place: Place, query: Any, **how: Unpack[How]) -> Stream[Answer]:
    """The same of one query, as answers while it is computed: of growing parts of a large collection, at last of all.

    The parts have `coverage`, and a certificate that is true of all documents; the last is what `attend` answers, and
    `final`: docs/streaming.md tells of them. The arguments are those of `attend`, but for `read`,
    `allow_missing`, `min_confidence` and `conformal`, and for the temperature "auto".
    """
    content = body({"query": query_on_wire(query, "/query"), "stream": True, **_options(**how)})

    def hear_it(heard: Heard) -> Plan[None]:
        yield from fitting(place, [query], lambda _: "/query")
        yield from hear("POST", f"{place.path}/attend", heard, content)

    def answer(name: str, data: Any) -> Answer:
        if name == "problem":
            raise of_problem(data, Reply(data["status"], {}, b"", place.path))
        return Answer(data, question=text_of(query), final=name == "answer")

    return Stream(hear_it, answer)


def _options(**how: Unpack[How]) -> dict[str, Any]:
    """The fields of a request besides its query.

    Raises:
        Invalid: one of them is out of its range.
    """
    get: Any = how.get
    refuse(
        chain(
            checks.temperature(get("temperature"), auto=True),
            checks.number(get("effective_documents"), "/effective_documents", least=1),
            checks.matches(get("top_k")),
            checks.number(get("top_p"), "/top_p", above=0, most=1),
            checks.number(get("max_error"), "/max_error", above=0),
            checks.weight(get("full_text")),
            checks.number(get("min_confidence"), "/min_confidence", least=0, most=1),
            checks.number(get("conformal"), "/conformal", least=0.5, most=0.99),
        )
    )
    fields: dict[str, Any] = {name: each for name, each in how.items() if name not in ("where", "bias")}
    return said(**fields, bias=bias_on_wire(get("bias")), filter=filters.wire(get("where")), vector_format=FORMAT)


def _one(place: Place, query: Any, options: Mapping[str, Any]) -> Plan[Answer]:
    yield from fitting(place, [query], lambda _: "/query")
    least = options.get("min_confidence")

    def parse(reply: Reply) -> Answer:
        return Answer(reply.json(), question=text_of(query), request_id=reply.request_id, min_confidence=least)

    content = body({"query": query_on_wire(query, "/query"), **options})
    return (yield from Call("POST", f"{place.path}/attend", parse, content=content))


def _many(place: Place, queries: Any, options: Mapping[str, Any]) -> Plan[list[Answer]]:
    asked = listed(queries)
    if not asked:
        return []
    yield from fitting(place, asked, lambda at: f"/queries/{at}")
    sent = [query_on_wire(each, f"/queries/{at}") for at, each in enumerate(asked)]
    most = 1 if len(asked) == 1 else (yield from limit(place.known, "queries"))
    answers: list[Answer] = []
    least = options.get("min_confidence")
    for begin in range(0, len(asked), most):
        texts = [text_of(each) for each in asked[begin : begin + most]]

        def parse(reply: Reply, texts: Sequence[str | None] = texts) -> list[Answer]:
            results = reply.json()["results"]
            named = zip(results, texts, strict=True)
            return [
                Answer(each, question=text, request_id=reply.request_id, min_confidence=least) for each, text in named
            ]

        content = body({"queries": sent[begin : begin + most], **options})
        answers += yield from Call("POST", f"{place.path}/attend", parse, content=content)
    return answers
