"""Calls on documents: put, patch, get, find, count, update, delete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from softkv import filters, validation
from softkv.answers.documents import Document, encode_fields, parse_document
from softkv.answers.info import Written
from softkv.calls.call import WRITE_TIMEOUT, Call, CollectionRef, Page, Paging, Plan, ignore_content
from softkv.errors import NotFound
from softkv.filters import Where
from softkv.problems import Reply, invalid_value, raise_flaws, warn_caller
from softkv.wire import OMITTED, VECTOR_FORMAT, Instant, OmittedType, drop_omitted, encode_json

if TYPE_CHECKING:
    from softkv.wire import Vector

DocumentField: TypeAlias = Literal["key", "value", "metadata", "key_vector", "value_vector", "sent_value"]
OrderBy: TypeAlias = filters.Field | str | Mapping[str, Any]
"""A metadata field, or a mapping with the `field` and the `direction`, "ascending" or "descending"."""

_PAGE_SIZE = 1000
_DOCUMENT_NOT_FOUND = "document_not_found"


def put(
    collection: CollectionRef,
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
    expires: Instant | OmittedType | None = OMITTED,
) -> Call[Written]:
    """Write one document; replace a document that has the same id.

    Args:
        id: 1 to 256 characters.
        key: the text that queries are compared with.
        value: any JSON value; the key text if left out.
        metadata: a JSON object, whose fields filters can test.
        key_vector: the vector that queries are compared with; encoded from `key` if left out.
        key_vectors: several keys in place of `key_vector`.
        parts: for each of `key_vectors`, the part of the key text that it encodes.
        split: how to make several keys of a long text, as `{"tokens": 200, "overlap": 20}`.
        value_vector: the vector that an answer's output sums up.
        expires: the instant from which on the document is absent: a datetime with a zone, a text of RFC 3339,
            seconds since 1970, or a time from now on such as "30d". `None`: never. After the collection's
            `expire_after` if left out.

    Returns:
        A `Written` that says whether the text was truncated.

    Raises:
        Invalid: the id, a vector or a field is invalid.
        NotFound: the collection does not exist.

    Example:
        >>> collection.put("cats", "pets that purr", {"shelf": 3}, {"year": 1930})
    """
    validation.require_document_id(id)
    document = Document(
        id,
        key,
        value,
        metadata,
        key_vector=key_vector,
        key_vectors=key_vectors,
        parts=parts,
        split=split,
        value_vector=value_vector,
        expires=expires,
    )
    return _write_call("PUT", collection.document(id), encode_fields(document.fields))


def patch(
    collection: CollectionRef,
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
    expires: Instant | OmittedType | None = OMITTED,
) -> Call[Written]:
    """Change some fields of one document; fields that are left out stay unchanged.

    JSON objects are merged, and None removes a field. Vectors that depend on a changed text are encoded again.

    Args:
        id: the id of the document.
        key: a new key text.
        value: merged into the value if both are objects; otherwise replaces it.
        metadata: merged into the metadata.
        key_vector: a new key vector.
        key_vectors: new key vectors.
        parts: for each of `key_vectors`, the part of the key text that it encodes.
        split: how to split the new key text.
        value_vector: a new value vector.
        expires: the new instant of expiry; `None`: never.

    Returns:
        A `Written` that says whether the text was truncated.

    Raises:
        NotFound: the collection has no document with this id.
        Invalid: a field is invalid.

    Example:
        >>> collection.patch("cats", metadata={"year": 1931})
    """
    validation.require_document_id(id)
    fields = {"key": key, "value": value, "metadata": metadata, "key_vector": key_vector, "key_vectors": key_vectors}
    fields |= {"parts": parts, "split": split, "value_vector": value_vector, "expires": expires}
    changes = {name: field for name, field in fields.items() if field is not OMITTED}
    return _write_call("PATCH", collection.document(id), encode_fields(changes))


def get(collection: CollectionRef, id: str, *, include: Sequence[DocumentField] | None = None) -> Call[Document]:  # noqa: A002
    """Return one document.

    Args:
        id: the id of the document.
        include: the fields to return; key, value and metadata if left out, none if empty. With "sent_value" in place of
            "value" the document has a value only if one was sent.

    Returns:
        A `Document`.

    Raises:
        NotFound: the collection has no document with this id.

    Example:
        >>> collection.get("cats").metadata["year"]
    """
    validation.require_document_id(id)
    names = None if include is None else validation.require_list(include, "/include")
    # A URL cannot say an empty list: one field is read then, and left out.
    ignored = ["metadata"] if names == [] else []

    def parse(reply: Reply) -> Document:
        content = reply.json()
        return parse_document({name: content[name] for name in content if name not in ignored})

    query = [("include", name) for name in (*(names or ()), *ignored)]
    return Call("GET", collection.document(id), parse, (*query, ("vector_format", VECTOR_FORMAT)))


def get_many(
    collection: CollectionRef, ids: str | Iterable[str], *, include: Sequence[DocumentField] | None = None
) -> Plan[list[Document | None]]:
    """Return the documents with these ids, in the order of the ids.

    Args:
        ids: one id or any number of ids.
        include: the fields to return; key, value and metadata if left out.

    Returns:
        A list as long as `ids`, with None for each unknown id.

    Raises:
        Invalid: an id is invalid.

    Example:
        >>> [document is not None for document in collection.get_many(["cats", "unknown"])]
        [True, False]
    """
    id_list = to_id_list(ids)
    # Ids go in parts, so only the client knows the positions in the caller's list.
    raise_flaws(flaw for i, id_ in enumerate(id_list) for flaw in validation.check_document_id(id_, f"/ids/{i}"))
    documents: dict[str, Document] = {}
    for begin in range(0, len(id_list), _PAGE_SIZE):
        chunk = list(dict.fromkeys(id_list[begin : begin + _PAGE_SIZE]))
        page = yield from _page_call(collection, drop_omitted(ids=chunk, include=include, limit=len(chunk)))
        documents |= {document.id: document for document in page.items}
    return [documents.get(document) for document in id_list]


def remove(collection: CollectionRef, id: str) -> Call[None]:  # noqa: A002  # the wire's name
    """Delete one document; raise if it does not exist.

    Args:
        id: the id of the document.

    Raises:
        NotFound: the collection has no document with this id. `delete` ignores unknown ids.

    Example:
        >>> collection.remove("cats")
    """
    validation.require_document_id(id)
    return Call("DELETE", collection.document(id), ignore_content, idempotent=True, timeout=WRITE_TIMEOUT)


def find(
    collection: CollectionRef,
    *,
    where: Where | None = None,
    ids: str | Iterable[str] | None = None,
    include: Sequence[DocumentField] | None = None,
    order_by: OrderBy | None = None,
    page: int = _PAGE_SIZE,
) -> Paging[Document]:
    """List the documents that pass a filter, in order and fetched page by page.

    Args:
        where: a filter; all documents pass if left out.
        ids: return only documents with these ids; unknown ids are ignored.
        include: the fields to return; key, value and metadata if left out.
        order_by: the metadata field by which they are ordered, as `F.year`; descending as `"-year"` or
            `{"field": F.year, "direction": "descending"}`; by their ids if left out. Documents without a text, a number
            or a boolean in it come last.
        page: the number of documents per request.

    Returns:
        A `Pages` of `Document`; `AsyncPages` for `AsyncCollection`.

    Raises:
        Invalid: the filter, the order, an id or the page size is invalid.

    Example:
        >>> [document.id for document in collection.find(where=F.year < 1950, order_by=F.year)]
    """
    id_list = None if ids is None else to_id_list(ids)
    selection = drop_omitted(ids=id_list, filter=filters.encode_filter(where))
    order = None if order_by is None else _encode_order(order_by)

    def ask(cursor: str | None, limit: int) -> Call[Page[Document]]:
        options = drop_omitted(include=include, order_by=order, limit=limit, cursor=cursor)
        return _page_call(collection, selection | options)

    return Paging(ask, page, _count_call(collection, selection))


def _encode_order(order_by: OrderBy) -> dict[str, Any]:
    """Return an order in its JSON form; a text that begins with a minus is a descending one."""
    if isinstance(order_by, str) and order_by.startswith("-"):
        order_by = {"field": order_by[1:], "direction": "descending"}
    order: dict[str, Any] = filters.encode_field_option(order_by)
    return order


def count(collection: CollectionRef, *, where: Where | None = None) -> Call[int]:
    """Count the documents that pass a filter.

    Args:
        where: a filter; all documents pass if left out.

    Returns:
        The number of documents.

    Raises:
        Invalid: the filter is invalid.

    Example:
        >>> collection.count(where=F.year < 1950)
    """
    return _count_call(collection, drop_omitted(filter=filters.encode_filter(where)))


def exists(collection: CollectionRef, id: str) -> Plan[bool]:  # noqa: A002  # the wire's name
    """Return whether the collection has a document with this id.

    Args:
        id: the id of the document.

    Returns:
        True or False.

    Raises:
        NotFound: the collection itself does not exist.

    Example:
        >>> collection.exists("cats")
    """
    try:
        yield from get(collection, id, include=["metadata"])
    except NotFound as error:
        if error.code != _DOCUMENT_NOT_FOUND:
            raise
        return False
    return True


def delete(
    collection: CollectionRef, ids: str | Iterable[str] | None = None, *, where: Where | None = None
) -> Call[int]:
    """Delete documents by id, or all that pass a filter.

    Args:
        ids: one id or several; unknown ids are ignored.
        where: a filter, in place of ids.

    Returns:
        The number of deleted documents.

    Raises:
        Invalid: both ids and a filter were given, or neither.

    Example:
        >>> collection.delete(where=F.year < 1900)
    """
    return Call(
        "POST",
        f"{collection.documents}/delete",
        lambda reply: int(_content(reply)["deleted"]),
        content=encode_json(_encode_selection(ids, where)),
        idempotent=True,
        timeout=WRITE_TIMEOUT,
    )


def update(
    collection: CollectionRef,
    ids: str | Iterable[str] | None = None,
    *,
    where: Where | None = None,
    value: Any = OMITTED,
    metadata: Mapping[str, Any] | OmittedType | None = OMITTED,
    expires: Instant | OmittedType | None = OMITTED,
) -> Call[int]:
    """Merge one change into many documents, in one transaction.

    In metadata, and in objects of a value, None removes a field. Fields that are not named stay.

    Args:
        ids: one id or several; unknown ids are ignored.
        where: a filter, in place of ids.
        value: merged into each document's value.
        metadata: merged into each document's metadata.
        expires: the new instant of expiry; `None`: never.

    Returns:
        The number of changed documents.

    Raises:
        Invalid: both ids and a filter were given, or neither.

    Example:
        >>> collection.update(where=F.year == 1930, metadata={"era": "interwar"})
    """
    fields = {"value": value, "metadata": metadata, "expires": expires}
    changes = {name: change for name, change in fields.items() if change is not OMITTED}
    return Call(
        "POST",
        f"{collection.documents}/update",
        lambda reply: int(_content(reply)["updated"]),
        content=encode_json({**_encode_selection(ids, where), "patch": changes}),
        idempotent=True,
        timeout=WRITE_TIMEOUT,
    )


def parse_written(reply: Reply) -> Written:
    """Parse the result of a write."""
    content = reply.json()
    return Written(content["upserted"], content["truncated"], content.get("skipped", []), content.get("deleted", 0))


def _write_call(method: str, path: str, content: Mapping[str, Any]) -> Call[Written]:
    """Return the call that writes one document."""
    return Call(method, path, parse_written, content=encode_json(content), idempotent=True, timeout=WRITE_TIMEOUT)


def _page_call(collection: CollectionRef, request: Mapping[str, Any]) -> Call[Page[Document]]:
    """Return the call for one page of documents."""

    def parse(reply: Reply) -> Page[Document]:
        content = _content(reply)
        documents = [parse_document(item) for item in content["documents"]]
        return Page(documents, content["next_cursor"], content.get("warnings", ()))

    return Call(
        "POST", f"{collection.documents}/query", parse, content=encode_json({**request, "vector_format": VECTOR_FORMAT})
    )


def _count_call(collection: CollectionRef, selection: Mapping[str, Any]) -> Call[int]:
    """Return the call that counts the selected documents."""

    return Call(
        "POST",
        f"{collection.documents}/query",
        lambda reply: int(_content(reply)["count"]),
        content=encode_json({**selection, "limit": 0, "count": True}),
    )


def _content(reply: Reply) -> dict[str, Any]:
    """Return the answer, and show its warnings, such as a filter on a field that no document has."""
    content: dict[str, Any] = reply.json()
    for warning in content.get("warnings", ()):
        warn_caller(warning)
    return content


def _encode_selection(ids: str | Iterable[str] | None, where: Where | None) -> dict[str, Any]:
    """Return the request fields that select documents by ids or by a filter.

    Raises:
        Invalid: both were given, or neither.
    """
    if (ids is None) == (where is None):
        raise invalid_value("", "send exactly one of ids and filter")
    if where is not None:
        return {"filter": filters.encode_filter(where)}
    return {"ids": to_id_list(() if ids is None else ids)}


def to_id_list(ids: str | Iterable[str]) -> list[str]:
    """Return an id, or several ids, as a list."""
    return [ids] if isinstance(ids, str) else validation.require_list(ids, "/ids")
