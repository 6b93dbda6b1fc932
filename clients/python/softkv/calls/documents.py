"""Single documents and lists of them: written, changed, read, found, deleted."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from softkv import filters
from softkv.answers.document import Document, document, wire_fields
from softkv.answers.info import Written
from softkv.calls.call import WRITE_SECONDS, Call, Plan, nothing
from softkv.calls.paging import Page, Paging
from softkv.calls.place import Place
from softkv.errors import NotFound
from softkv.filters import Where
from softkv.problems import flawed, refuse
from softkv.reply import Reply
from softkv.wire import checks
from softkv.wire.body import OMITTED, LeftOut, body, said
from softkv.wire.vectors import FORMAT

if TYPE_CHECKING:
    from softkv.wire.vectors import Vector

DocumentField: TypeAlias = Literal["key", "value", "metadata", "key_vector", "value_vector", "sent_value"]
_PAGE = 1000
_GONE = "document_not_found"


def put(
    place: Place,
    id: str,  # noqa: A002  # the wire's name
    key: str | LeftOut | None = OMITTED,
    value: Any = OMITTED,
    metadata: Mapping[str, Any] | LeftOut = OMITTED,
    *,
    key_vector: Vector | LeftOut = OMITTED,
    key_vectors: Sequence[Vector] | LeftOut = OMITTED,
    parts: Sequence[Mapping[str, int]] | LeftOut = OMITTED,
    split: Mapping[str, int] | LeftOut = OMITTED,
    value_vector: Vector | LeftOut = OMITTED,
) -> Call[Written]:
    """Write one document, in place of what has its id; the arguments are those of `Document`."""
    checks.id_in_path(id)
    given = Document(
        id,
        key,
        value,
        metadata,
        key_vector=key_vector,
        key_vectors=key_vectors,
        parts=parts,
        split=split,
        value_vector=value_vector,
    )
    return _write("PUT", place.document(id), wire_fields(given.fields))


def patch(
    place: Place,
    id: str,  # noqa: A002  # the wire's name
    *,
    key: str | LeftOut | None = OMITTED,
    value: Any = OMITTED,
    metadata: Mapping[str, Any] | LeftOut | None = OMITTED,
    key_vector: Vector | LeftOut | None = OMITTED,
    key_vectors: Sequence[Vector] | LeftOut | None = OMITTED,
    parts: Sequence[Mapping[str, int]] | LeftOut | None = OMITTED,
    split: Mapping[str, int] | LeftOut | None = OMITTED,
    value_vector: Vector | LeftOut | None = OMITTED,
) -> Call[Written]:
    """Change what is given of one document: objects merge, None removes; what depends on a new text is encoded anew.

    Raises:
        NotFound: there is no document of this id.
    """
    checks.id_in_path(id)
    given = {"key": key, "value": value, "metadata": metadata, "key_vector": key_vector, "key_vectors": key_vectors}
    given |= {"parts": parts, "split": split, "value_vector": value_vector}
    changes = {name: each for name, each in given.items() if each is not OMITTED}
    return _write("PATCH", place.document(id), wire_fields(changes))


def get(place: Place, id: str, *, include: Sequence[DocumentField] | None = None) -> Call[Document]:  # noqa: A002
    """One document, with its key, value and metadata unless `include` says what.

    With "sent_value" in place of "value" it has a value only if one was sent.

    Raises:
        NotFound: there is no document of this id.
    """
    checks.id_in_path(id)
    query = [("include", name) for name in ([] if include is None else checks.several(include, "/include"))]
    return Call("GET", place.document(id), lambda reply: document(reply.json()), (*query, ("vector_format", FORMAT)))


def get_many(
    place: Place, ids: str | Iterable[str], *, include: Sequence[DocumentField] | None = None
) -> Plan[list[Document | None]]:
    """The documents of these ids, in this order; None where there is none."""
    asked = _listed(ids)
    found: dict[str, Document] = {}
    for begin in range(0, len(asked), _PAGE):
        part = list(dict.fromkeys(asked[begin : begin + _PAGE]))
        page = yield from _page(place, said(ids=part, include=include, limit=len(part)))
        found |= {each.id: each for each in page.items}
    return [found.get(each) for each in asked]


def remove(place: Place, id: str) -> Call[None]:  # noqa: A002  # the wire's name
    """Delete one document.

    Raises:
        NotFound: there is no document of this id; `delete` is silent then.
    """
    checks.id_in_path(id)
    return Call("DELETE", place.document(id), nothing, once=True, timeout=WRITE_SECONDS)


def find(
    place: Place,
    *,
    where: Where | None = None,
    ids: str | Iterable[str] | None = None,
    include: Sequence[DocumentField] | None = None,
    page: int = _PAGE,
) -> Paging[Document]:
    """The documents that pass, in the order of their ids, one after another over all pages.

    Args:
        ids: only these; unknown ones are silent.
        page: how many come at a time.
    """
    asked = None if ids is None else _listed(ids)
    refuse([*checks.number(page, "/limit", least=1, most=checks.MOST_ON_A_PAGE)])
    which = said(ids=asked, filter=filters.wire(where))

    def ask(cursor: str | None, at_once: int) -> Call[Page[Document]]:
        return _page(place, which | said(include=include, limit=at_once, cursor=cursor))

    return Paging(ask, page, _count(place, which))


def count(place: Place, *, where: Where | None = None) -> Call[int]:
    """How many documents pass."""
    return _count(place, said(filter=filters.wire(where)))


def exists(place: Place, id: str) -> Plan[bool]:  # noqa: A002  # the wire's name
    """Whether there is a document of this id."""
    try:
        yield from get(place, id, include=["metadata"])
    except NotFound as error:
        if error.code != _GONE:
            raise
        return False
    return True


def delete(place: Place, ids: str | Iterable[str] | None = None, *, where: Where | None = None) -> Call[int]:
    """Delete the documents of these ids, or all that pass → how many there were; unknown ids are silent."""
    return Call(
        "POST",
        f"{place.documents}/delete",
        lambda reply: int(reply.json()["deleted"]),
        content=body(_which(ids, where)),
        once=True,
        timeout=WRITE_SECONDS,
    )


def update(
    place: Place,
    ids: str | Iterable[str] | None = None,
    *,
    where: Where | None = None,
    value: Any = OMITTED,
    metadata: Mapping[str, Any] | LeftOut | None = OMITTED,
) -> Call[int]:
    """Merge one change into the documents of these ids, or all that pass, at once → how many there were.

    In metadata, and in objects of a value, None removes a field; what is not named stays.
    """
    patch = {name: each for name, each in (("value", value), ("metadata", metadata)) if each is not OMITTED}
    return Call(
        "POST",
        f"{place.documents}/update",
        lambda reply: int(reply.json()["updated"]),
        content=body({**_which(ids, where), "patch": patch}),
        once=True,
        timeout=WRITE_SECONDS,
    )


def written(reply: Reply) -> Written:
    """What a write did."""
    content = reply.json()
    return Written(content["upserted"], content["truncated"], content.get("skipped", []))


def _write(method: str, path: str, content: Mapping[str, Any]) -> Call[Written]:
    return Call(method, path, written, content=body(content), once=True, timeout=WRITE_SECONDS)


def _page(place: Place, request: Mapping[str, Any]) -> Call[Page[Document]]:
    def parse(reply: Reply) -> Page[Document]:
        content = reply.json()
        _warn(content)
        return Page([document(each) for each in content["documents"]], content["next_cursor"])

    return Call("POST", f"{place.documents}/query", parse, content=body({**request, "vector_format": FORMAT}))


def _count(place: Place, which: Mapping[str, Any]) -> Call[int]:
    def parse(reply: Reply) -> int:
        content = reply.json()
        _warn(content)
        return int(content["count"])

    return Call("POST", f"{place.documents}/query", parse, content=body({**which, "limit": 0, "count": True}))


def _warn(content: Mapping[str, Any]) -> None:
    """Show why a filter passes nothing, where it asks for a field that no document has."""
    for warning in content.get("warnings", ()):
        warnings.warn(warning, stacklevel=2)


def _which(ids: str | Iterable[str] | None, where: Where | None) -> dict[str, Any]:
    if (ids is None) == (where is None):
        raise flawed("", "send exactly one of ids and filter")
    if where is not None:
        return {"filter": filters.wire(where)}
    return {"ids": _listed(() if ids is None else ids)}


def _listed(ids: str | Iterable[str]) -> list[str]:
    """Some ids, or one."""
    asked = [ids] if isinstance(ids, str) else checks.several(ids, "/ids")
    refuse(checks.document_ids(asked))
    return asked
