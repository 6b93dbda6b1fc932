"""What is refused, as the errors that Haystack has for it, with what softkv said inside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from haystack import Document
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.document_stores.errors import DocumentStoreError, DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError

from softkv import Document as Row
from softkv.answers.answer import Answer
from softkv.answers.documents import Match
from softkv.errors import Conflict, Invalid, TooLarge
from softkv.filters import METADATA, Combination, Comparison, Filter
from softkv.integrations.retrieval import RetrievalOptions, document_text, key_vector_list

_DOCUMENTS_EXIST = "documents_exist"


@contextmanager
def as_filter_error() -> Iterator[None]:
    """Around what makes a filter."""
    try:
        yield
    except Invalid as error:
        raise FilterError(str(error)) from error


@contextmanager
def as_store_error() -> Iterator[None]:
    """Around the calls of a store; that the service cannot be reached, or lets nobody in, stays softkv's error."""
    try:
        yield
    except Conflict as error:
        raise (DuplicateDocumentError if error.code == _DOCUMENTS_EXIST else DocumentStoreError)(str(error)) from error
    except Invalid as error:
        of_filter = any(flaw.pointer.startswith("/filter") for flaw in error.errors)
        raise (FilterError if of_filter else DocumentStoreError)(str(error)) from error
    except TooLarge as error:
        raise DocumentStoreError(str(error)) from error


_CONNECTIVES = ("AND", "OR", "NOT")
_ORDERINGS = (">", ">=", "<", "<=")
_COMPARISONS = ("==", "!=", *_ORDERINGS, "in", "not in", "contains")
_META_PREFIX = "meta."
_DOCUMENT_FIELDS = {"id": "id", "content": "key"}
_UNSUPPORTED_FIELDS = ("blob", "embedding", "meta", "score", "sparse_embedding")


def convert_filter(filters: Mapping[str, Any] | None) -> Filter | None:
    """A filter of Haystack's; None where all documents pass.

    Raises:
        FilterError: it is none.
    """
    if not filters:
        return None
    with as_filter_error():
        return _convert(filters)


def require_filter(filters: Mapping[str, Any] | None, instead: str) -> Filter:
    """The same where documents are changed, and so an empty one is taken for a mistake.

    Args:
        instead: what to call for all documents.

    Raises:
        FilterError: it is none, or empty.
    """
    if (found := convert_filter(filters)) is None:
        raise FilterError(f"wanted a filter, got {filters!r}: {instead}")
    return found


def metadata_field(name: str) -> str:
    """A field of the metadata, written with "meta." or without, as the service knows it."""
    return METADATA + name.removeprefix(_META_PREFIX)


def _convert(given: Any) -> Filter:
    if not isinstance(given, Mapping):
        raise FilterError(f"wanted a filter as an object with field, operator and value, got {given!r}")
    if "field" in given:
        return _comparison(given)
    operator, conditions = _require_entry(given, "operator"), _require_entry(given, "conditions")
    if operator not in _CONNECTIVES:
        raise FilterError(f"wanted {', '.join(_CONNECTIVES)} to join conditions, got {operator!r}")
    if not isinstance(conditions, list):
        raise FilterError(f"conditions: wanted a list of filters, got {conditions!r}")
    return Combination(operator, tuple(map(_convert, conditions)))


def _comparison(given: Mapping[str, Any]) -> Filter:
    field, operator, value = _field(given["field"]), _require_entry(given, "operator"), _require_entry(given, "value")
    if operator not in _COMPARISONS:
        raise FilterError(f"wanted an operator of {', '.join(_COMPARISONS)}; got {operator!r}")
    if operator in ("in", "not in") and not isinstance(value, list):
        raise FilterError(f"{operator} on {given['field']} wants a list, not {value!r}")
    if operator in _ORDERINGS:
        if value is None:
            return Combination("OR", ())  # nothing comes before or after None
        if isinstance(value, str) and not _is_date(value):
            raise FilterError(
                f"{operator} on {given['field']} wants a number or a date as ISO 8601 has it, not {value!r}"
            )
    return Comparison(field, operator, value.isoformat() if isinstance(value, date) else value)


def _field(name: Any) -> str:
    """A field of a document; what Document has no attribute for is of the metadata, as everywhere in Haystack."""
    if not isinstance(name, str):
        raise FilterError(f"field: wanted a text, got {name!r}")
    if name in _UNSUPPORTED_FIELDS:
        raise FilterError(f"there is no comparing by {name!r}: filter by id, content or meta.…")
    return _DOCUMENT_FIELDS.get(name) or metadata_field(name)


def _require_entry(given: Mapping[str, Any], name: str) -> Any:
    if name not in given:
        raise FilterError(f"{name!r} is missing in {dict(given)!r}")
    return given[name]


def _is_date(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


# What has no field of its own in softkv is the document's value.
_VALUE_FIELDS = ("blob", "sparse_embedding")


def require_documents(documents: Any) -> list[Document]:
    """What was given to be written.

    Raises:
        ValueError: it is no list of documents.
    """
    if not isinstance(documents, Iterable) or isinstance(documents, str):
        raise ValueError(f"wanted a list of haystack.Document, got {type(documents).__name__}")
    found = list(documents)
    for place, each in enumerate(found):
        if not isinstance(each, Document):
            raise ValueError(f"documents/{place}: wanted a haystack.Document, got {type(each).__name__}")
    return found


def deduplicate(documents: Iterable[Document], policy: DuplicatePolicy) -> list[Document]:
    """The documents of a list as if they were written one after another.

    Raises:
        DuplicateDocumentError: an id comes twice, where that is a failure.
    """
    found: dict[str, Document] = {}
    for each in documents:
        if each.id not in found or policy is DuplicatePolicy.OVERWRITE:
            found[each.id] = each
        elif policy is not DuplicatePolicy.SKIP:
            raise DuplicateDocumentError(f"id {each.id!r} comes twice among these documents: write it once")
    return list(found.values())


def to_row(document: Document) -> Row:
    """A document on its way to the service: its text is the key, its embedding the key's vector."""
    fields: dict[str, Any] = {"metadata": document.meta}
    if document.content is not None:
        fields["key"] = document.content
    if document.embedding is not None:
        fields["key_vector"] = document.embedding
    kept = {name: each.to_dict() for name in _VALUE_FIELDS if (each := getattr(document, name)) is not None}
    if kept:
        fields["value"] = kept
    return Row(document.id, **fields)


def to_document(found: Row) -> Document:
    """A document that was read; one that others wrote has its value as content."""
    vector = None if found.key_vector is None else found.key_vector.tolist()
    return _build_document(found, meta=dict(found.metadata), embedding=vector)


def to_matched_document(asking: RetrievalOptions, answer: Answer, match: Match) -> Document:
    """A document that an answer names."""
    return _build_document(
        match,
        meta=asking.metadata(answer, match),
        embedding=key_vector_list(match),
        score=asking.score_of(match),
    )


def _build_document(found: Row | Match, **others: Any) -> Document:
    value = found.value
    kept = value if isinstance(value, dict) and value and value.keys() <= set(_VALUE_FIELDS) else {}
    if "blob" in kept:
        others["blob"] = ByteStream.from_dict(kept["blob"])
    if "sparse_embedding" in kept:
        others["sparse_embedding"] = SparseEmbedding.from_dict(kept["sparse_embedding"])
    return Document(id=found.id, content=found.key if kept or value is None else document_text(found), **others)
