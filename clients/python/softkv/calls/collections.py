"""Calls on a collection as a whole: create, change, info, drop, and the fields of its metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from softkv import filters, validation
from softkv.answers.arrays import Projection, parse_projection
from softkv.answers.info import (
    CollectionInfo,
    FieldFacts,
    FieldValue,
    ProjectionInfo,
    ReEncoding,
    parse_collection_info,
    parse_field_facts,
    parse_projection_info,
)
from softkv.calls.call import WRITE_TIMEOUT, Call, CollectionRef, Page, Paging, Plan, ignore_content
from softkv.calls.options import encode_defaults
from softkv.errors import Conflict
from softkv.filters import Field, Where, metadata_field
from softkv.problems import Reply, invalid_value_at
from softkv.questions import Null
from softkv.wire import (
    OMITTED,
    VECTOR_FORMAT,
    OmittedType,
    drop_omitted,
    encode_json,
    encode_vector,
)

if TYPE_CHECKING:
    from softkv.wire import Matrix

Similarity: TypeAlias = Literal["cosine", "dot", "scaled_dot", "gaussian"]
_CREATED = 201


def create(
    collection: CollectionRef,
    *,
    similarity: Similarity | None = None,
    dimension: int | None = None,
    value_dimension: int | None = None,
    encoder: str | OmittedType | None = OMITTED,
    value_from: Literal["value", "key"] | None = None,
    temperature: float | None = None,
    null: Null | None = None,
    defaults: Mapping[str, Any] | None = None,
    expire_after: float | str | OmittedType | None = OMITTED,
    late: bool | None = None,
    exist_ok: bool = False,
) -> Plan[CollectionInfo]:
    """Create the collection.

    Settings that are left out are chosen by the service. docs/guide/python.md lists them.

    Args:
        similarity: how a query is compared with a key.
        dimension: the width of key vectors; the width of the first key if left out.
        value_dimension: the width of value vectors; the width of the first value vector if left out.
        encoder: the model that encodes texts; the service's model if left out, and `None` for a collection of vectors
            only.
        value_from: the text that value vectors are encoded from.
        temperature: the default temperature of queries.
        null: the default similarity of "none of these".
        defaults: options of queries that do not send their own, as {"top_k": 5}: `softkv.questions.Defaults` has all.
        expire_after: the time after which a new document expires: seconds, or a text such as "30d"; `None`: never.
        late: late interaction: whether the words of each key are kept, and read by questions without `rerank`. Left
            out: where the encoder is for it.
        exist_ok: accept an existing collection that has these settings, also one that an alias names.

    Returns:
        The `CollectionInfo` of the collection.

    Raises:
        Conflict: the collection exists, and `exist_ok` is False or its settings differ.
        Invalid: a setting is out of range.

    Example:
        >>> client.collection("library").create(exist_ok=True)
    """
    settings = drop_omitted(
        similarity=similarity, dimension=dimension, value_dimension=value_dimension, value_from=value_from
    )
    settings |= drop_omitted(temperature=temperature, null=null, defaults=encode_defaults(defaults), late=late)
    if encoder is not OMITTED:
        settings["encoder"] = encoder
    if expire_after is not OMITTED:
        settings["expire_after"] = expire_after

    def parse(reply: Reply) -> CollectionInfo:
        if reply.status != _CREATED and not exist_ok:
            raise Conflict(
                f"collection {collection.name!r} is there already: say exist_ok=True to take it as it is, "
                "or drop it first",
                code="collection_conflict",
                status=409,
                request_id=reply.request_id,
            )
        return _parse_info(collection, reply)

    call = Call("PUT", collection.path, parse, content=encode_json(settings), idempotent=True, timeout=WRITE_TIMEOUT)
    try:
        return (yield from call)
    except Conflict as error:
        if not exist_ok or error.code != "alias_conflict":
            raise
    existing = yield from info(collection)
    if differing := [name for name, setting in settings.items() if getattr(existing, name) != setting]:
        names = " and another ".join(differing)
        raise Conflict(
            f"{collection.name!r} is an alias of {existing.name!r}, which has another {names}: "
            "leave these settings out, or choose another name",
            code="collection_conflict",
            status=409,
        )
    return existing


def change(
    collection: CollectionRef,
    *,
    temperature: float | None = None,
    null: Null | None = None,
    calibration: OmittedType | None = OMITTED,
    projection: OmittedType | None = OMITTED,
    defaults: Mapping[str, Any] | OmittedType | None = OMITTED,
    expire_after: float | str | OmittedType | None = OMITTED,
    late: bool | None = None,
) -> Call[CollectionInfo]:
    """Change the collection's defaults for queries, or remove its calibration or projection.

    Args:
        temperature: the default temperature of queries.
        null: the default similarity of "none of these".
        calibration: `None` removes the calibration.
        projection: `None` removes the map of its queries, and the calibration with it.
        defaults: options of queries that do not send their own, in place of all defaults until now:
            `softkv.questions.Defaults` has all. `None` removes them.
        expire_after: the time after which documents written from now on expire; `None`: never.
        late: late interaction: whether the words of each key are kept, and read by questions without `rerank`. Those
            that are missing are made in the background; `False` deletes them.

    Returns:
        The `CollectionInfo` after the change.

    Raises:
        NotFound: the collection does not exist.
        Invalid: a setting is out of range.

    Example:
        >>> collection.change(temperature=0.05, defaults={"filter": F.draft != True, "top_k": 5})
    """
    if not (calibration is None or calibration is OMITTED):
        raise invalid_value_at(
            "/calibration",
            f"wanted None, which takes it away, got {type(calibration).__name__}: calibrate(…, apply=True) makes one",
        )
    content: dict[str, Any] = drop_omitted(temperature=temperature, null=null, late=late)
    if not (projection is None or projection is OMITTED):
        raise invalid_value_at(
            "/projection",
            f"wanted None, which takes it away, got {type(projection).__name__}: put_projection(…) stores one",
        )
    if calibration is None:
        content["calibration"] = None
    if projection is None:
        content["projection"] = None
    if defaults is not OMITTED:
        content["defaults"] = encode_defaults(defaults)
    if expire_after is not OMITTED:
        content["expire_after"] = expire_after
    return Call(
        "PATCH",
        collection.path,
        lambda reply: _parse_info(collection, reply),
        content=encode_json(content),
        idempotent=True,
        timeout=WRITE_TIMEOUT,
    )


def re_encode(
    collection: CollectionRef,
    encoder: str,
    *,
    temperature: float | None = None,
    null: Null | None = None,
    vectors: Literal["keep"] | None = None,
) -> Call[ReEncoding]:
    """Move the collection to another encoder, in the background, while it is read and written.

    Until all documents are done, answers have the vectors until now. From one instant on they have the other ones. A
    calibration does not survive. `re_encode` of `info()` says how far it is.

    Args:
        encoder: the name of the other encoder, see `client.encoders()`.
        temperature: the default temperature afterwards; that of the other encoder if left out.
        null: the default similarity of "none of these" afterwards.
        vectors: "keep" keeps vectors that no encoder can make from the texts. Without it, the call is refused if there
            are any.

    Returns:
        A `ReEncoding`.

    Raises:
        NotFound: the collection does not exist.
        Conflict: a job of the collection has not ended.
        Invalid: there is no such encoder, the collection has its vectors already, or vectors of callers are in the way.

    Example:
        >>> client.collection("library").re_encode("nomic")
    """
    return Call(
        "POST",
        f"{collection.path}/re-encode",
        lambda reply: ReEncoding.read(reply.json()),
        content=encode_json(drop_omitted(encoder=encoder, temperature=temperature, null=null, vectors=vectors)),
        idempotent=True,
        timeout=WRITE_TIMEOUT,
    )


def cancel_re_encoding(collection: CollectionRef) -> Call[ReEncoding]:
    """Cancel the move of the collection to another encoder; the collection stays as it is.

    Returns:
        The cancelled `ReEncoding`.

    Raises:
        NotFound: the collection does not exist, or was never re-encoded.
        Conflict: the job has ended.

    Example:
        >>> client.collection("library").cancel_re_encoding()
    """
    return Call(
        "DELETE",
        f"{collection.path}/re-encode",
        lambda reply: ReEncoding.read(reply.json()),
        idempotent=True,
        timeout=WRITE_TIMEOUT,
    )


def put_projection(
    collection: CollectionRef,
    down: Matrix,
    up: Matrix,
    *,
    encoder: str | None = None,
    trained: Mapping[str, Any] | None = None,
) -> Call[ProjectionInfo]:
    """Store the map q → q + (q·downᵀ)·up of all queries of the collection, in place of an older one.

    A calibration is dropped. `softkv train` makes such a map of labelled pairs.

    Args:
        down, up: [r, d] each, for keys of width d: the directions that are read from a query, and what each adds.
        encoder: the encoder that the collection must have; any if left out.
        trained: its quality on labelled pairs, with the fields of `TrainingReport`.

    Returns:
        A `ProjectionInfo`, whose `drops` says what the collection lost.

    Raises:
        NotFound: the collection does not exist.
        Conflict: the collection has another encoder, or was changed meanwhile.
        Invalid: the vectors do not fit each other or the keys.

    Example:
        >>> collection.put_projection(down, up)
    """
    vectors = {
        name: [
            encode_vector(vector, f"/{name}/{i}")
            for i, vector in enumerate(validation.require_list(matrix, f"/{name}"))
        ]
        for name, matrix in (("down", down), ("up", up))
    }

    def parse(reply: Reply) -> ProjectionInfo:
        stored = parse_projection_info(reply.json())
        assert stored is not None
        return stored

    return Call(
        "PUT",
        f"{collection.path}/projection",
        parse,
        content=encode_json(vectors | drop_omitted(encoder=encoder, trained=trained)),
        idempotent=True,
        timeout=WRITE_TIMEOUT,
    )


def projection(collection: CollectionRef) -> Call[Projection | None]:
    """Return the map of the collection's queries.

    Returns:
        A `Projection`, or `None` without one.

    Raises:
        NotFound: the collection does not exist.

    Example:
        >>> collection.projection().rank
    """

    def parse(reply: Reply) -> Projection | None:
        return parse_projection(reply.json()["projection"])

    return Call("GET", f"{collection.path}/projection", parse, (("vector_format", VECTOR_FORMAT),))


def info(collection: CollectionRef) -> Call[CollectionInfo]:
    """Return the collection's settings and its number of documents.

    Returns:
        A `CollectionInfo`.

    Raises:
        NotFound: the collection does not exist.

    Example:
        >>> collection.info().documents
    """
    return Call("GET", collection.path, lambda reply: _parse_info(collection, reply))


def drop(collection: CollectionRef) -> Call[None]:
    """Delete the collection and all of its documents.

    Raises:
        NotFound: the collection does not exist.

    Example:
        >>> client.collection("library").drop()
    """
    collection.cache.widths.pop(collection.name, None)
    return Call("DELETE", collection.path, ignore_content, idempotent=True, timeout=WRITE_TIMEOUT)


def _parse_info(collection: CollectionRef, reply: Reply) -> CollectionInfo:
    """Parse a collection's settings, and cache the width of its keys."""
    info = parse_collection_info(reply.json())
    if info.dimension is not None:
        collection.cache.widths[collection.name] = info.dimension
    else:
        collection.cache.widths.pop(collection.name, None)
    return info


T = TypeVar("T")
MAX_VALUES = 1000


def fields(
    collection: CollectionRef,
    fields: Sequence[Field | str] | None = None,
    *,
    where: Where | None = None,
    values: bool = False,
    limit: int | None = None,
) -> Plan[dict[str, FieldFacts]]:
    """Describe the metadata fields: types, number of documents, least and greatest value.

    Args:
        fields: the fields to describe, as `F.year` or `"metadata.year"`; all fields of the documents that pass if left
            out.
        where: a filter for the documents that are read.
        values: whether to return distinct values too, the most frequent first.
        limit: the number of values per field. `values(field)` lists all of them.

    Returns:
        A dict from field names to `FieldFacts`.

    Raises:
        Invalid: a field, the filter or the limit is invalid.

    Example:
        >>> collection.fields()["metadata.year"].max
    """
    names = None if fields is None else [metadata_field(field) for field in validation.require_list(fields, "/fields")]
    request = drop_omitted(fields=names, filter=filters.encode_filter(where), values=values or None, limit=limit)
    facts: dict[str, FieldFacts] = {}
    cursor: str | None = None
    while True:
        page = yield from _fields_page_call(collection, request | drop_omitted(cursor=cursor))
        facts |= page.items[0]
        if (cursor := page.next_cursor) is None:
            return facts


def values(collection: CollectionRef, field: Field | str, *, where: Where | None = None) -> Paging[FieldValue]:
    """List the distinct values of one metadata field, the most frequent first.

    Args:
        field: the field, as `F.year` or `"metadata.year"`.
        where: a filter for the documents that are read.

    Returns:
        A `Pages` of `FieldValue`, each with its number of documents.

    Raises:
        Invalid: the field or the filter is invalid.

    Example:
        >>> [(item.value, item.count) for item in collection.values(F.year)]
    """
    name = metadata_field(field)
    request = drop_omitted(fields=[name], filter=filters.encode_filter(where), values=True)

    def ask(cursor: str | None, page_size: int) -> Call[Page[FieldValue]]:
        def parse(reply: Reply) -> Page[FieldValue]:
            facts = parse_field_facts(reply.json()["fields"][name])
            return Page(facts.values or [], facts.next_cursor)

        return _fields_call(collection, request | drop_omitted(limit=page_size, cursor=cursor), parse)

    def distinct(reply: Reply) -> int:
        return int(reply.json()["fields"][name]["distinct"])

    return Paging(
        ask,
        MAX_VALUES,
        _fields_call(collection, drop_omitted(fields=[name], filter=filters.encode_filter(where)), distinct),
    )


def _fields_page_call(collection: CollectionRef, request: Mapping[str, Any]) -> Call[Page[dict[str, FieldFacts]]]:
    """Return the call for one page of described fields."""

    def parse(reply: Reply) -> Page[dict[str, FieldFacts]]:
        content = reply.json()
        return Page(
            [{name: parse_field_facts(facts) for name, facts in content["fields"].items()}], content["next_cursor"]
        )

    return _fields_call(collection, request, parse)


def _fields_call(collection: CollectionRef, request: Mapping[str, Any], parse: Callable[[Reply], T]) -> Call[T]:
    """Return the call that describes fields."""
    return Call("POST", f"{collection.documents}/fields", parse, content=encode_json(request))
