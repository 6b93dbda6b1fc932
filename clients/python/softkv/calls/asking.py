"""Questions to a collection besides attend: sweep, compare, calibrate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from softkv import filters
from softkv.answers.calibration import Calibration
from softkv.answers.comparison import Comparison, comparison
from softkv.answers.document import Document, wire_fields
from softkv.answers.swept import Swept
from softkv.calls.call import WRITE_SECONDS, Call, Plan
from softkv.calls.collections import Null
from softkv.calls.place import Known, Place
from softkv.calls.queries import Bias, bias_on_wire, fitting, query_on_wire, text_of
from softkv.errors import Flaw
from softkv.filters import Where
from softkv.problems import misfit, refuse
from softkv.reply import Reply
from softkv.wire import checks
from softkv.wire.body import body, said
from softkv.wire.vectors import FORMAT, is_vector

if TYPE_CHECKING:
    from softkv.wire.vectors import Vector

SweptField: TypeAlias = Literal["key", "value", "metadata", "key_vector", "value_vector"]


def sweep(
    place: Place,
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
        raise misfit("/temperatures", f"wanted a list of temperatures, got {temperatures!r}: write [{temperatures!r}]")
    asked = checks.several(temperatures, "/temperatures")
    flaws = chain.from_iterable(
        checks.temperature(each, f"/temperatures/{at}", needed=True) for at, each in enumerate(asked)
    )
    none = [] if asked else [Flaw("/temperatures", "wanted at least 1, got 0")]
    refuse([*none, *flaws, *checks.matches(top_k), *checks.weight(full_text)])
    if not (isinstance(query, str) or is_vector(query)):
        raise misfit("/query", f"wanted one text or one vector, got {type(query).__name__}: sweep them one by one")
    yield from fitting(place, [query], lambda _: "/query")

    def parse(reply: Reply) -> Swept:
        return Swept(reply.json(), question=text_of(query), request_id=reply.request_id)

    added = said(full_text=full_text, bias=bias_on_wire(bias))
    options = said(top_k=top_k, null=null, filter=filters.wire(where), include=include, vector_format=FORMAT) | added
    content = body(
        {"query": query_on_wire(query, "/query"), "temperatures": [float(each) for each in asked], **options}
    )
    return (yield from Call("POST", f"{place.path}/sweep", parse, content=content))


def calibrate(place: Place, questions: Iterable[Mapping[str, Any]], *, apply: bool = False) -> Plan[Calibration]:
    """Fit to labelled questions how sure an answer may be; from 50 on, as docs/calibration.md tells.

    Args:
        questions: each a `query`, a text or a vector, and the `id` that answers it, or `ids`; `"id": None` where
            nothing does.
        apply: keep it, where it gains.
    """
    asked = checks.several(questions, "/questions")
    for at, each in enumerate(asked):
        if not isinstance(each, Mapping) or "query" not in each:
            raise misfit(f"/questions/{at}", 'wanted a question as {"query": …, "id": …}, "id": None for no answer')
    queries = [each["query"] for each in asked]
    yield from fitting(place, queries, lambda at: f"/questions/{at}/query")
    sent = [
        {**each, "query": query_on_wire(query, f"/questions/{at}/query")}
        for at, (each, query) in enumerate(zip(asked, queries, strict=True))
    ]

    def parse(reply: Reply) -> Calibration:
        return Calibration.read(reply.json())

    path, content = f"{place.path}/calibrate", body({"questions": sent, "apply": apply})
    # Applied twice, the second is judged against the first.
    return (yield from Call("POST", path, parse, content=content, repeatable=apply is False, timeout=WRITE_SECONDS))


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
    sent = []
    for at, each in enumerate(checks.several(rows, "/rows")):
        if not isinstance(each, Mapping | Document):
            raise misfit(f"/rows/{at}", f"wanted an object, got {checks.came(each)}")
        sent.append(each if isinstance(each, Mapping) else {"id": each.id, **wire_fields(each.fields)})
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
