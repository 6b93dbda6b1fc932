"""Facts on the fields of the metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from softkv import filters
from softkv.answers.info import FieldFacts, FieldValue, field_facts
from softkv.calls.call import Call, Plan
from softkv.calls.paging import Page, Paging
from softkv.calls.place import Place
from softkv.filters import Field, Where, field_name
from softkv.problems import refuse
from softkv.reply import Reply
from softkv.wire import checks
from softkv.wire.body import body, said

T = TypeVar("T")
MOST_VALUES = 1000


def fields(
    place: Place,
    fields: Sequence[Field | str] | None = None,
    *,
    where: Where | None = None,
    values: bool = False,
    limit: int | None = None,
) -> Plan[dict[str, FieldFacts]]:
    """What can be filtered by: of each field its types, how many documents have it, its least and greatest value.

    Args:
        fields: only these, as `F.year` or `"metadata.year"`; left out, all that a document which passes has.
        values: the values too, those of most documents first.
        limit: how many of them a field; `values(field)` goes through all of them.
    """
    refuse(checks.number(limit, "/limit", least=1, most=MOST_VALUES))
    names = None if fields is None else [field_name(each) for each in checks.several(fields, "/fields")]
    request = said(fields=names, filter=filters.wire(where), values=values or None, limit=limit)
    found: dict[str, FieldFacts] = {}
    cursor: str | None = None
    while True:
        page = yield from _ask(place, request | said(cursor=cursor))
        found |= page.items[0]
        if (cursor := page.next_cursor) is None:
            return found


def values(place: Place, field: Field | str, *, where: Where | None = None) -> Paging[FieldValue]:
    """The distinct values of one field, with how many documents have each, those of most documents first."""
    name = field_name(field)
    request = said(fields=[name], filter=filters.wire(where), values=True)

    def ask(cursor: str | None, at_once: int) -> Call[Page[FieldValue]]:
        def parse(reply: Reply) -> Page[FieldValue]:
            facts = field_facts(reply.json()["fields"][name])
            return Page(facts.values or [], facts.next_cursor)

        return _call(place, request | said(limit=at_once, cursor=cursor), parse)

    def distinct(reply: Reply) -> int:
        return int(reply.json()["fields"][name]["distinct"])

    return Paging(ask, MOST_VALUES, _call(place, said(fields=[name], filter=filters.wire(where)), distinct))


def _ask(place: Place, request: Mapping[str, Any]) -> Call[Page[dict[str, FieldFacts]]]:
    def parse(reply: Reply) -> Page[dict[str, FieldFacts]]:
        content = reply.json()
        return Page([{name: field_facts(each) for name, each in content["fields"].items()}], content["next_cursor"])

    return _call(place, request, parse)


def _call(place: Place, request: Mapping[str, Any], parse: Callable[[Reply], T]) -> Call[T]:
    return Call("POST", f"{place.documents}/fields", parse, content=body(request))
