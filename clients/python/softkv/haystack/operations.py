"""What a document store does, as plans, which the store's methods wait for or await."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from haystack import Document
from haystack.document_stores.types import DuplicatePolicy

from softkv.calls import collections
from softkv.calls import documents as calls
from softkv.calls.call import Call, CollectionRef, Plan
from softkv.calls.writing import OnConflict
from softkv.filters import METADATA, Combination
from softkv.haystack import conversion
from softkv.haystack.conversion import as_store_error, convert_filter, metadata_field, require_filter
from softkv.integrations.connection import CollectionSource, collect_pages

P = ParamSpec("P")
T = TypeVar("T")
_MATCH_ALL = Combination("AND", ())
_BATCH_ROWS = 1000
_CONFLICT_MODES: dict[DuplicatePolicy, OnConflict] = {
    DuplicatePolicy.NONE: "fail",
    DuplicatePolicy.FAIL: "fail",
    DuplicatePolicy.SKIP: "skip",
    DuplicatePolicy.OVERWRITE: "replace",
}
# Haystack's words for the types of fields, each with the types that it takes; others are "keyword".
_FIELD_TYPES = (
    ("boolean", {"boolean"}),
    ("int", {"integer"}),
    ("float", {"integer", "number"}),
    ("object", {"object"}),
)


class DocumentSource(CollectionSource):
    """The collection of a store, and whether its documents are read with their embeddings."""

    return_embedding: bool | None = None


def count_documents(source: DocumentSource, /) -> Plan[int]:
    """How many documents there are."""
    return _call_collection(source, calls.count)


def filter_documents(source: DocumentSource, /, filters: dict[str, Any] | None = None) -> Plan[list[Document]]:
    """The documents that pass, in the order of their ids.

    Raises:
        FilterError: the filter is none.
    """
    where = convert_filter(filters)
    info = yield from source.info()
    wanted = info.encoder is None if source.return_embedding is None else source.return_embedding
    include: Any = ["key", "value", "metadata", *(["key_vector"] if wanted else [])]
    found = yield from _call_collection(
        source, lambda place: collect_pages(calls.find(place, where=where, include=include, page=_BATCH_ROWS))
    )
    return [conversion.to_document(each) for each in found]


def write_documents(
    source: DocumentSource, /, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
) -> Plan[int]:
    """Write documents, a thousand at a time, of which all are written or none → how many were.

    A document's content is its key, encoded by the service where it brings no embedding and the collection has an
    encoder; without one it is stored, filtered and counted, and never found by a question.

    Args:
        policy: what becomes of a document whose id is taken; NONE is FAIL.

    Raises:
        DuplicateDocumentError: an id is taken, with NONE and FAIL.
        DocumentStoreError: a document is refused.
        ValueError: these are no documents.
    """
    if not isinstance(policy, DuplicatePolicy):
        raise ValueError(f"policy: wanted a DuplicatePolicy, got {policy!r}")
    rows = [conversion.to_row(each) for each in conversion.deduplicate(conversion.require_documents(documents), policy)]
    with as_store_error():
        written = yield from source.write(rows, _CONFLICT_MODES[policy])
    return written.upserted


def delete_documents(source: DocumentSource, /, document_ids: list[str]) -> Plan[None]:
    """Delete the documents of these ids; unknown ones are silent."""
    for begin in range(0, len(document_ids), _BATCH_ROWS):
        yield from _call_collection(source, calls.delete, document_ids[begin : begin + _BATCH_ROWS])


def delete_all_documents(source: DocumentSource, /, recreate_collection: bool = False) -> Plan[None]:
    """Delete all documents.

    Args:
        recreate_collection: drop the collection and make it anew as the store's `settings` say, so that embeddings may
            be of another width.
    """
    if recreate_collection:
        with as_store_error():
            yield from source.made_anew()
    else:
        yield from _call_collection(source, calls.delete, where=_MATCH_ALL)


def delete_by_filter(source: DocumentSource, /, filters: dict[str, Any]) -> Plan[int]:
    """Delete the documents that pass → how many there were.

    Raises:
        FilterError: the filter is none, or empty.
    """
    return _call_collection(source, calls.delete, where=require_filter(filters, "delete_all_documents deletes all"))


def update_by_filter(source: DocumentSource, /, filters: dict[str, Any], meta: dict[str, Any]) -> Plan[int]:
    """Merge fields into the metadata of the documents that pass, of all at once → how many there were.

    Objects merge, and None removes a field.

    Raises:
        FilterError: the filter is none, or empty.
    """
    where = require_filter(filters, "a filter that all documents pass is {'operator': 'AND', 'conditions': []}")
    return _call_collection(source, calls.update, where=where, metadata=meta)


def count_documents_by_filter(source: DocumentSource, /, filters: dict[str, Any]) -> Plan[int]:
    """How many documents pass."""
    return _call_collection(source, calls.count, where=convert_filter(filters))


def count_unique_metadata_by_filter(
    source: DocumentSource, /, filters: dict[str, Any], metadata_fields: list[str]
) -> Plan[dict[str, int]]:
    """How many distinct values fields have among the documents that pass, by the fields' names without "meta."."""
    where, wanted = convert_filter(filters), [metadata_field(each) for each in metadata_fields]
    found = yield from _call_collection(source, collections.fields, wanted, where=where)
    return {name.removeprefix(METADATA): found[name].distinct for name in wanted}


def get_metadata_fields_info(source: DocumentSource, /) -> Plan[dict[str, dict[str, str]]]:
    """The fields of the metadata with their types: int, float, boolean, object, or keyword; paths of objects too."""
    found = yield from _call_collection(source, collections.fields)
    return {name.removeprefix(METADATA): {"type": _field_type(each.types)} for name, each in found.items()}


def get_metadata_field_min_max(source: DocumentSource, /, metadata_field: str) -> Plan[dict[str, Any]]:
    """The least and the greatest value of a field: of its numbers, or where it has none of its texts; else None."""
    name = metadata_field(metadata_field)
    found = yield from _call_collection(source, collections.fields, [name])
    return {"min": found[name].min, "max": found[name].max}


def get_metadata_field_unique_values(
    source: DocumentSource,
    /,
    metadata_field: str,
    search_term: str | None = None,
    from_: int = 0,
    size: int = 10,
    filters: dict[str, Any] | None = None,
) -> Plan[tuple[list[Any], int]]:
    """Some of the distinct values of a field, and how many there are; those of a list each by itself.

    Args:
        metadata_field: with "meta." or without.
        search_term: only values that have it as a part, whatever its case.
        from_: how many to leave out.
        size: how many at most.
        filters: only values of documents that pass.
    """
    name, where = metadata_field(metadata_field), convert_filter(filters)
    found = yield from _call_collection(
        source, lambda place: collect_pages(collections.values(place, name, where=where))
    )
    values = [each.value for each in found if each.value is not None]
    if search_term:
        values = [each for each in values if search_term.casefold() in str(each).casefold()]
    values.sort(key=lambda each: (str(each), type(each).__name__))
    return values[from_ : from_ + size], len(values)


def _call_collection(
    source: DocumentSource,
    /,
    build: Callable[Concatenate[CollectionRef, P], Call[T] | Plan[T]],
    *given: P.args,
    **named: P.kwargs,
) -> Plan[T]:
    """A call to the store's collection, which is made where it is not there."""
    with as_store_error():
        yield from source.info()
        return (yield from build(source.place, *given, **named))


def _field_type(types: list[str]) -> str:
    return next((word for word, all_of in _FIELD_TYPES if set(types) <= all_of), "keyword")
