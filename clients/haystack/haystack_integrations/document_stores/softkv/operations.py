"""Operations of the document store as plans, run by its blocking and asynchronous methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from haystack import Document
from haystack.document_stores.types import DuplicatePolicy

from haystack_integrations.document_stores.softkv import conversion
from haystack_integrations.document_stores.softkv.conversion import (
    as_store_error,
    convert_filter,
    require_filter,
    to_metadata_name,
)
from softkv.calls import collections
from softkv.calls import documents as calls
from softkv.calls.call import Call, CollectionRef, Plan
from softkv.calls.writing import OnConflict
from softkv.filters import METADATA, Comparison
from softkv.integrations import CollectionSource, collect_pages

P = ParamSpec("P")
T = TypeVar("T")
_EVERY_DOCUMENT = Comparison("id", "!=", "")
_BATCH_ROWS = 1000
_CONFLICT_MODES: dict[DuplicatePolicy, OnConflict] = {
    DuplicatePolicy.NONE: "fail",
    DuplicatePolicy.FAIL: "fail",
    DuplicatePolicy.SKIP: "skip",
    DuplicatePolicy.OVERWRITE: "replace",
}
# Haystack's names of field types with the JSON types that they cover; all others are "keyword".
_FIELD_TYPES = (
    ("boolean", {"boolean"}),
    ("int", {"integer"}),
    ("float", {"integer", "number"}),
    ("object", {"object"}),
)


class DocumentSource(CollectionSource):
    """The collection of a document store, and whether its documents are read with their embeddings."""

    return_embedding: bool | None = None


def count_documents(source: DocumentSource, /) -> Plan[int]:
    """Return the number of documents."""
    return _call_collection(source, calls.count)


def filter_documents(source: DocumentSource, /, filters: dict[str, Any] | None = None) -> Plan[list[Document]]:
    """Return the documents that pass the filters, ordered by id.

    Raises:
        FilterError: the filter is invalid.
    """
    where = convert_filter(filters)
    info = yield from source.info()
    with_vectors = info.encoder is None if source.return_embedding is None else source.return_embedding
    include: Any = ["key", "value", "metadata", *(["key_vector"] if with_vectors else [])]
    documents = yield from _call_collection(
        source, lambda collection: collect_pages(calls.find(collection, where=where, include=include, page=_BATCH_ROWS))
    )
    return [conversion.to_document(document) for document in documents]


def write_documents(
    source: DocumentSource, /, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
) -> Plan[int]:
    """Write documents in transactions of 1,000; return how many were written, even if one replaced another.

    The content of a document is its key. The service encodes it if the document has no embedding and the collection has
    an encoder. Without an encoder the document is stored, filtered and counted, but never retrieved.

    Args:
        policy: what to do with a document whose id exists; NONE means FAIL.

    Raises:
        DuplicateDocumentError: an id exists, with NONE and FAIL.
        DocumentStoreError: a document is refused.
        ValueError: not a list of documents.
    """
    if not isinstance(policy, DuplicatePolicy):
        raise ValueError(f"policy: wanted a DuplicatePolicy, got {policy!r}")
    items = conversion.require_documents(documents)
    rows = [conversion.to_row(document) for document in conversion.deduplicate(items, policy)]
    with as_store_error():
        written = yield from source.write(rows, _CONFLICT_MODES[policy])
    return len(items) if policy is DuplicatePolicy.OVERWRITE else written.upserted


def delete_documents(source: DocumentSource, /, document_ids: list[str]) -> Plan[None]:
    """Delete the documents with these ids; unknown ids are ignored."""
    for begin in range(0, len(document_ids), _BATCH_ROWS):
        yield from _call_collection(source, calls.delete, document_ids[begin : begin + _BATCH_ROWS])


def delete_all_documents(source: DocumentSource, /, recreate_collection: bool = False) -> Plan[None]:
    """Delete all documents of the collection.

    Args:
        recreate_collection: drop the collection and create it again with the store's `settings`, so that embeddings may
            have another width.
    """
    if recreate_collection:
        with as_store_error():
            yield from source.recreate()
    else:
        yield from _call_collection(source, calls.delete, where=_EVERY_DOCUMENT)


def delete_by_filter(source: DocumentSource, /, filters: dict[str, Any]) -> Plan[int]:
    """Delete the documents that pass the filters; return their number.

    Raises:
        FilterError: the filter is invalid or empty.
    """
    return _call_collection(source, calls.delete, where=require_filter(filters, "delete_all_documents deletes all"))


def update_by_filter(source: DocumentSource, /, filters: dict[str, Any], meta: dict[str, Any]) -> Plan[int]:
    """Merge fields into the metadata of the documents that pass the filters, in one transaction; return their number.

    Objects merge, and None removes a field.

    Raises:
        FilterError: the filter is invalid or empty.
    """
    where = require_filter(filters, "a filter that all documents pass is {'operator': 'AND', 'conditions': []}")
    return _call_collection(source, calls.update, where=where, metadata=meta)


def count_documents_by_filter(source: DocumentSource, /, filters: dict[str, Any]) -> Plan[int]:
    """Return the number of documents that pass the filters."""
    return _call_collection(source, calls.count, where=convert_filter(filters))


def count_unique_metadata_by_filter(
    source: DocumentSource, /, filters: dict[str, Any], metadata_fields: list[str]
) -> Plan[dict[str, int]]:
    """Return the number of distinct values of fields, among the documents that pass, by field name without "meta."."""
    where, names = convert_filter(filters), [to_metadata_name(field) for field in metadata_fields]
    facts = yield from _call_collection(source, collections.fields, names, where=where)
    return {name.removeprefix(METADATA): facts[name].distinct for name in names}


def get_metadata_fields_info(source: DocumentSource, /) -> Plan[dict[str, dict[str, str]]]:
    """Return the metadata fields, including paths of objects, with Haystack's types."""
    facts = yield from _call_collection(source, collections.fields)
    return {name.removeprefix(METADATA): {"type": _field_type(field.types)} for name, field in facts.items()}


def get_metadata_field_min_max(source: DocumentSource, /, metadata_field: str) -> Plan[dict[str, Any]]:
    """Return the least and the greatest number of a field.

    Without numbers, return its first and last text; without texts, None.
    """
    name = to_metadata_name(metadata_field)
    facts = yield from _call_collection(source, collections.fields, [name])
    return {"min": facts[name].min, "max": facts[name].max}


def get_metadata_field_unique_values(
    source: DocumentSource,
    /,
    metadata_field: str,
    search_term: str | None = None,
    from_: int = 0,
    size: int = 10,
    filters: dict[str, Any] | None = None,
) -> Plan[tuple[list[Any], int]]:
    """Return distinct values of a field, and their total number. Items of a list count separately.

    Args:
        metadata_field: with or without "meta.".
        search_term: return only values that contain it, ignoring case.
        from_: how many values to skip.
        size: the largest number of values.
        filters: read only documents that pass.
    """
    name, where = to_metadata_name(metadata_field), convert_filter(filters)
    facts = yield from _call_collection(
        source, lambda collection: collect_pages(collections.values(collection, name, where=where))
    )
    values = [value.value for value in facts if value.value is not None]
    if search_term:
        values = [value for value in values if search_term.casefold() in str(value).casefold()]
    values.sort(key=lambda value: (str(value), type(value).__name__))
    return values[from_ : from_ + size], len(values)


def _call_collection(
    source: DocumentSource,
    /,
    build: Callable[Concatenate[CollectionRef, P], Call[T] | Plan[T]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Plan[T]:
    """Run a call on the store's collection; create the collection if it does not exist."""
    with as_store_error():
        yield from source.info()
        return (yield from build(source.place, *args, **kwargs))


def _field_type(types: Sequence[str]) -> str:
    """Return Haystack's name of a field's type."""
    return next((word for word, all_of in _FIELD_TYPES if set(types) <= all_of), "keyword")
