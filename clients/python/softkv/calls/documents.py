"""Single documents and lists of them: written, changed, read, found, deleted."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from softkv import filters, validation
from softkv.answers.documents import Document, encode_fields, parse_document
from softkv.answers.info import Written
from softkv.calls.call import WRITE_TIMEOUT, Call, CollectionRef, Page, Paging, Plan, ignore_content
from softkv.errors import NotFound
from softkv.filters import Where
from softkv.problems import Reply, invalid_value, raise_flaws
from softkv.wire import OMITTED, VECTOR_FORMAT, OmittedType, drop_omitted, encode_json

if TYPE_CHECKING:
    from softkv.wire import Vector

DocumentField: TypeAlias = Literal["key", "value", "metadata", "key_vector", "value_vector", "sent_value"]
_PAGE_SIZE = 1000
_DOCUMENT_NOT_FOUND = "document_not_found"


def put(
    place: CollectionRef,
    id: str,  # noqa: A002  # the wire's name
    key: str | OmittedType | None = OMITTED,
    value: Any = OMITTED,
    metadata: Mapping[str, Any] | OmittedType = OMITTED,
    *,
    key_vector: Vector | OmittedType = OMITTED,
    key_vectors: Sequence[Vector] | OmittedType = OMITTED,
    parts: Sequence[Mapping[str, int]] | OmittedType = OMITTED,
    split: Mapping[str, int] | OmittedType = OMITTED,
    value_vector: Vector | OmittedType = OMITTED,
) -> Call[Written]:
    """Write one document, in place of what has its id; the arguments are those of `Document`."""
    validation.require_document_id(id)
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
    return _write_call("PUT", place.document(id), encode_fields(given.fields))


def patch(
    place: CollectionRef,
    id: str,  # noqa: A002  # the wire's name
    *,
    key: str | OmittedType | None = OMITTED,
    value: Any = OMITTED,
    metadata: Mapping[str, Any] | OmittedType | None = OMITTED,
    key_vector: Vector | OmittedType | None = OMITTED,
    key_vectors: Sequence[Vector] | OmittedType | None = OMITTED,
    parts: Sequence[Mapping[str, int]] | OmittedType | None = OMITTED,
    split: Mapping[str, int] | OmittedType | None = OMITTED,
    value_vector: Vector | OmittedType | None = OMITTED,
) -> Call[Written]:
    """Change what is given of one document: objects merge, None removes; what depends on a new text is encoded anew.

    Raises:
        NotFound: there is no document of this id.
    """
    validation.require_document_id(id)
    given = {"key": key, "value": value, "metadata": metadata, "key_vector": key_vector, "key_vectors": key_vectors}
    given |= {"parts": parts, "split": split, "value_vector": value_vector}
    changes = {name: each for name, each in given.items() if each is not OMITTED}
    return _write_call("PATCH", place.document(id), encode_fields(changes))


def get(place: CollectionRef, id: str, *, include: Sequence[DocumentField] | None = None) -> Call[Document]:  # noqa: A002
    """One document, with its key, value and metadata unless `include` says what.

    With "sent_value" in place of "value" it has a value only if one was sent.

    Raises:
        NotFound: there is no document of this id.
    """
    validation.require_document_id(id)
    query = [("include", name) for name in ([] if include is None else validation.require_list(include, "/include"))]
    return Call(
        "GET",
        place.document(id),
        lambda reply: parse_document(reply.json()),
        (*query, ("vector_format", VECTOR_FORMAT)),
    )


def get_many(
    place: CollectionRef, ids: str | Iterable[str], *, include: Sequence[DocumentField] | None = None
) -> Plan[list[Document | None]]:
    """The documents of these ids, in this order; None where there is none."""
    asked = _to_id_list(ids)
    found: dict[str, Document] = {}
    for begin in range(0, len(asked), _PAGE_SIZE):
        part = list(dict.fromkeys(asked[begin : begin + _PAGE_SIZE]))
        page = yield from _page_call(place, drop_omitted(ids=part, include=include, limit=len(part)))
        found |= {each.id: each for each in page.items}
    return [found.get(each) for each in asked]


def remove(place: CollectionRef, id: str) -> Call[None]:  # noqa: A002  # the wire's name
    """Delete one document.

    Raises:
        NotFound: there is no document of this id; `delete` is silent then.
    """
    validation.require_document_id(id)
    return Call("DELETE", place.document(id), ignore_content, once=True, timeout=WRITE_TIMEOUT)


def find(
    place: CollectionRef,
    *,
    where: Where | None = None,
    ids: str | Iterable[str] | None = None,
    include: Sequence[DocumentField] | None = None,
    page: int = _PAGE_SIZE,
) -> Paging[Document]:
    """The documents that pass, in the order of their ids, one after another over all pages.

    Args:
        ids: only these; unknown ones are silent.
        page: how many come at a time.
    """
    asked = None if ids is None else _to_id_list(ids)
    raise_flaws([*validation.check_number(page, "/limit", least=1, most=validation.MAX_PAGE_SIZE)])
    which = drop_omitted(ids=asked, filter=filters.encode_filter(where))

    def ask(cursor: str | None, at_once: int) -> Call[Page[Document]]:
        return _page_call(place, which | drop_omitted(include=include, limit=at_once, cursor=cursor))

    return Paging(ask, page, _count_call(place, which))


def count(place: CollectionRef, *, where: Where | None = None) -> Call[int]:
    """How many documents pass."""
    return _count_call(place, drop_omitted(filter=filters.encode_filter(where)))


def exists(place: CollectionRef, id: str) -> Plan[bool]:  # noqa: A002  # the wire's name
    """Whether there is a document of this id."""
    try:
        yield from get(place, id, include=["metadata"])
    except NotFound as error:
        if error.code != _DOCUMENT_NOT_FOUND:
            raise
        return False
    return True


def delete(place: CollectionRef, ids: str | Iterable[str] | None = None, *, where: Where | None = None) -> Call[int]:
    """Delete the documents of these ids, or all that pass → how many there were; unknown ids are silent."""
    return Call(
        "POST",
        f"{place.documents}/delete",
        lambda reply: int(reply.json()["deleted"]),
        content=encode_json(_encode_selection(ids, where)),
        once=True,
        timeout=WRITE_TIMEOUT,
    )


def update(
    place: CollectionRef,
    ids: str | Iterable[str] | None = None,
    *,
    where: Where | None = None,
    value: Any = OMITTED,
    metadata: Mapping[str, Any] | OmittedType | None = OMITTED,
) -> Call[int]:
    """Merge one change into the documents of these ids, or all that pass, at once → how many there were.

    In metadata, and in objects of a value, None removes a field; what is not named stays.
    """
    patch = {name: each for name, each in (("value", value), ("metadata", metadata)) if each is not OMITTED}
    return Call(
        "POST",
        f"{place.documents}/update",
        lambda reply: int(reply.json()["updated"]),
        content=encode_json({**_encode_selection(ids, where), "patch": patch}),
        once=True,
        timeout=WRITE_TIMEOUT,
    )


def parse_written(reply: Reply) -> Written:
    """What a write did."""
    content = reply.json()
    return Written(content["upserted"], content["truncated"], content.get("skipped", []))


def _write_call(method: str, path: str, content: Mapping[str, Any]) -> Call[Written]:
    return Call(method, path, parse_written, content=encode_json(content), once=True, timeout=WRITE_TIMEOUT)


def _page_call(place: CollectionRef, request: Mapping[str, Any]) -> Call[Page[Document]]:
    def parse(reply: Reply) -> Page[Document]:
        content = reply.json()
        _show_warnings(content)
        return Page([parse_document(each) for each in content["documents"]], content["next_cursor"])

    return Call(
        "POST", f"{place.documents}/query", parse, content=encode_json({**request, "vector_format": VECTOR_FORMAT})
    )


def _count_call(place: CollectionRef, which: Mapping[str, Any]) -> Call[int]:
    def parse(reply: Reply) -> int:
        content = reply.json()
        _show_warnings(content)
        return int(content["count"])

    return Call("POST", f"{place.documents}/query", parse, content=encode_json({**which, "limit": 0, "count": True}))


def _show_warnings(content: Mapping[str, Any]) -> None:
    """Show why a filter passes nothing, where it asks for a field that no document has."""
    for warning in content.get("warnings", ()):
        warnings.warn(warning, stacklevel=2)


def _encode_selection(ids: str | Iterable[str] | None, where: Where | None) -> dict[str, Any]:
    if (ids is None) == (where is None):
        raise invalid_value("", "send exactly one of ids and filter")
    if where is not None:
        return {"filter": filters.encode_filter(where)}
    return {"ids": _to_id_list(() if ids is None else ids)}


def _to_id_list(ids: str | Iterable[str]) -> list[str]:
    """Some ids, or one."""
    asked = [ids] if isinstance(ids, str) else validation.require_list(ids, "/ids")
    raise_flaws(validation.check_document_ids(asked))
    return asked
