"""What a document store does, as plans, which the store's methods wait for or await."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from haystack import Document
from haystack.document_stores.types import DuplicatePolicy

from softkv.calls import documents as calls
from softkv.calls import facts
from softkv.calls.call import Call, Plan
from softkv.calls.place import Place
from softkv.calls.upload import OnConflict
from softkv.filters import METADATA, Combination
from softkv.haystack import stored
from softkv.haystack.filters import metadata_name, required, translated
from softkv.haystack.refusing import as_store_error
from softkv.integrations.source import Source, gathered

P = ParamSpec("P")
T = TypeVar("T")
_EVERYTHING = Combination("AND", ())
_AT_ONCE = 1000
_MODES: dict[DuplicatePolicy, OnConflict] = {
    DuplicatePolicy.NONE: "fail",
    DuplicatePolicy.FAIL: "fail",
    DuplicatePolicy.SKIP: "skip",
    DuplicatePolicy.OVERWRITE: "replace",
}
# Haystack's words for the types of fields, each with the types that it takes; others are "keyword".
_TYPES = (
    ("boolean", {"boolean"}),
    ("int", {"integer"}),
    ("float", {"integer", "number"}),
    ("object", {"object"}),
)


class Shelf(Source):
    """The collection of a store, and whether its documents are read with their embeddings."""

    return_embedding: bool | None = None


def count_documents(source: Shelf, /) -> Plan[int]:
    """How many documents there are."""
    return _asked(source, calls.count)


def filter_documents(source: Shelf, /, filters: dict[str, Any] | None = None) -> Plan[list[Document]]:
    """The documents that pass, in the order of their ids.

    Raises:
        FilterError: the filter is none.
    """
    where = translated(filters)
    info = yield from source.info()
    wanted = info.encoder is None if source.return_embedding is None else source.return_embedding
    include: Any = ["key", "value", "metadata", *(["key_vector"] if wanted else [])]
    found = yield from _asked(
        source, lambda place: gathered(calls.find(place, where=where, include=include, page=_AT_ONCE))
    )
    return [stored.document(each) for each in found]


def write_documents(
    source: Shelf, /, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
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
    rows = [stored.row(each) for each in stored.distinct(stored.checked(documents), policy)]
    with as_store_error():
        written = yield from source.write(rows, _MODES[policy])
    return written.upserted


def delete_documents(source: Shelf, /, document_ids: list[str]) -> Plan[None]:
    """Delete the documents of these ids; unknown ones are silent."""
    for begin in range(0, len(document_ids), _AT_ONCE):
        yield from _asked(source, calls.delete, document_ids[begin : begin + _AT_ONCE])


def delete_all_documents(source: Shelf, /, recreate_collection: bool = False) -> Plan[None]:
    """Delete all documents.

    Args:
        recreate_collection: drop the collection and make it anew as the store's `settings` say, so that embeddings may
            be of another width.
    """
    if recreate_collection:
        with as_store_error():
            yield from source.made_anew()
    else:
        yield from _asked(source, calls.delete, where=_EVERYTHING)


def delete_by_filter(source: Shelf, /, filters: dict[str, Any]) -> Plan[int]:
    """Delete the documents that pass → how many there were.

    Raises:
        FilterError: the filter is none, or empty.
    """
    return _asked(source, calls.delete, where=required(filters, "delete_all_documents deletes all"))


def update_by_filter(source: Shelf, /, filters: dict[str, Any], meta: dict[str, Any]) -> Plan[int]:
    """Merge fields into the metadata of the documents that pass, of all at once → how many there were.

    Objects merge, and None removes a field.

    Raises:
        FilterError: the filter is none, or empty.
    """
    where = required(filters, "a filter that all documents pass is {'operator': 'AND', 'conditions': []}")
    return _asked(source, calls.update, where=where, metadata=meta)


def count_documents_by_filter(source: Shelf, /, filters: dict[str, Any]) -> Plan[int]:
    """How many documents pass."""
    return _asked(source, calls.count, where=translated(filters))


def count_unique_metadata_by_filter(
    source: Shelf, /, filters: dict[str, Any], metadata_fields: list[str]
) -> Plan[dict[str, int]]:
    """How many distinct values fields have among the documents that pass, by the fields' names without "meta."."""
    where, wanted = translated(filters), [metadata_name(each) for each in metadata_fields]
    found = yield from _asked(source, facts.fields, wanted, where=where)
    return {name.removeprefix(METADATA): found[name].distinct for name in wanted}


def get_metadata_fields_info(source: Shelf, /) -> Plan[dict[str, dict[str, str]]]:
    """The fields of the metadata with their types: int, float, boolean, object, or keyword; paths of objects too."""
    found = yield from _asked(source, facts.fields)
    return {name.removeprefix(METADATA): {"type": _type(each.types)} for name, each in found.items()}


def get_metadata_field_min_max(source: Shelf, /, metadata_field: str) -> Plan[dict[str, Any]]:
    """The least and the greatest value of a field: of its numbers, or where it has none of its texts; else None."""
    name = metadata_name(metadata_field)
    found = yield from _asked(source, facts.fields, [name])
    return {"min": found[name].min, "max": found[name].max}


def get_metadata_field_unique_values(
    source: Shelf,
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
    name, where = metadata_name(metadata_field), translated(filters)
    found = yield from _asked(source, lambda place: gathered(facts.values(place, name, where=where)))
    values = [each.value for each in found if each.value is not None]
    if search_term:
        values = [each for each in values if search_term.casefold() in str(each).casefold()]
    values.sort(key=lambda each: (str(each), type(each).__name__))
    return values[from_ : from_ + size], len(values)


def _asked(
    source: Shelf,
    /,
    build: Callable[Concatenate[Place, P], Call[T] | Plan[T]],
    *given: P.args,
    **named: P.kwargs,
) -> Plan[T]:
    """A call to the store's collection, which is made where it is not there."""
    with as_store_error():
        yield from source.info()
        return (yield from build(source.place, *given, **named))


def _type(types: list[str]) -> str:
    return next((word for word, all_of in _TYPES if set(types) <= all_of), "keyword")
