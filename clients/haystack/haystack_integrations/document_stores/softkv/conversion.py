"""Conversion between Haystack and softkv: filters, documents and errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
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
from softkv.integrations import Retrieval, document_text, key_vector_list

_DOCUMENTS_EXIST = "documents_exist"


@contextmanager
def as_filter_error() -> Iterator[None]:
    """Convert Invalid to FilterError within the block."""
    try:
        yield
    except Invalid as error:
        raise FilterError(str(error)) from error


@contextmanager
def as_store_error() -> Iterator[None]:
    """Convert refusals to Haystack's store errors within the block. Connection and key errors pass unchanged."""
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
_MEMBERSHIPS = {"==": "in", "!=": "not in", "in": "in", "not in": "not in"}
"""The operators for which a date is its text, or another date of the same instant, with those of several values."""
_COMPARISONS = (*_MEMBERSHIPS, *_ORDERINGS, "contains")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([Tt ]|$)", re.ASCII)
_META_PREFIX = "meta."
_DOCUMENT_FIELDS = {"id": "id", "content": "key"}
_UNSUPPORTED_FIELDS = ("blob", "embedding", "meta", "score", "sparse_embedding")


def convert_filter(filters: Mapping[str, Any] | None) -> Filter | None:
    """Convert Haystack's filter to one of softkv. Return None if all documents pass.

    Raises:
        FilterError: the filter is invalid.
    """
    if not filters:
        return None
    with as_filter_error():
        return _convert(filters)


def require_filter(filters: Mapping[str, Any] | None, advice: str) -> Filter:
    """Convert Haystack's filter for an operation that changes documents. An empty filter is an error.

    Args:
        advice: how to change all documents instead, for the error's message.

    Raises:
        FilterError: the filter is invalid or empty.
    """
    if (condition := convert_filter(filters)) is None:
        raise FilterError(f"wanted a filter, got {filters!r}: {advice}")
    return condition


def to_metadata_name(name: str) -> str:
    """Return the service's name of a metadata field, which may begin with "meta."."""
    return METADATA + name.removeprefix(_META_PREFIX)


def _convert(condition: Any) -> Filter:
    if not isinstance(condition, Mapping):
        raise FilterError(f"wanted a filter as an object with field, operator and value, got {condition!r}")
    if "field" in condition:
        return _comparison(condition)
    operator, conditions = _require_entry(condition, "operator"), _require_entry(condition, "conditions")
    if operator not in _CONNECTIVES:
        raise FilterError(f"wanted {', '.join(_CONNECTIVES)} to join conditions, got {operator!r}")
    if not isinstance(conditions, list):
        raise FilterError(f"conditions: wanted a list of filters, got {conditions!r}")
    return Combination(operator, tuple(map(_convert, conditions)))


def _comparison(condition: Mapping[str, Any]) -> Filter:
    field, operator, value = (
        _field(condition["field"]),
        _require_entry(condition, "operator"),
        _require_entry(condition, "value"),
    )
    if operator not in _COMPARISONS:
        raise FilterError(f"wanted an operator of {', '.join(_COMPARISONS)}; got {operator!r}")
    if operator in ("in", "not in") and not isinstance(value, list):
        raise FilterError(f"{operator} on {condition['field']} wants a list, not {value!r}")
    if operator in _ORDERINGS:
        if value is None:
            return Combination("OR", ())  # nothing comes before or after None
        if isinstance(value, str) and not _is_date(value):
            raise FilterError(
                f"{operator} on {condition['field']} wants a number or a date as ISO 8601 has it, not {value!r}"
            )
        if isinstance(value, str):
            return Comparison(field, operator, datetime.fromisoformat(value))
    if operator in _MEMBERSHIPS and field.startswith(METADATA):
        values = value if isinstance(value, list) else [value]
        instants = [instant for item in values if (instant := _instant(item)) is not None]
        if instants:
            return Comparison(field, _MEMBERSHIPS[operator], [*values, *instants])
    return Comparison(field, operator, value)


def _field(name: Any) -> str:
    """Return the service's name of a field. A name that is not an attribute of Document is a metadata field."""
    if not isinstance(name, str):
        raise FilterError(f"field: wanted a text, got {name!r}")
    if name in _UNSUPPORTED_FIELDS:
        raise FilterError(f"cannot filter by {name!r}: filter by id, content or meta.…")
    return _DOCUMENT_FIELDS.get(name) or to_metadata_name(name)


def _require_entry(condition: Mapping[str, Any], name: str) -> Any:
    if name not in condition:
        raise FilterError(f"{name!r} is missing in {dict(condition)!r}")
    return condition[name]


def _instant(value: Any) -> datetime | None:
    """Return the instant of a text that Haystack takes for a date where it compares for equality, or None."""
    if not isinstance(value, str) or not _DATE.match(value):
        return None
    try:
        instant = datetime.fromisoformat(value)
        (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # no date, or none of the years 1 to 9999 in UTC
        return None
    return instant


def _is_date(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


# Fields without a counterpart in softkv are stored in the document's value.
_VALUE_FIELDS = ("blob", "sparse_embedding")


def require_documents(documents: Any) -> list[Document]:
    """Return the argument of a write as a list, after checking that it is a list of documents.

    Raises:
        ValueError: not a list of documents.
    """
    if not isinstance(documents, Iterable) or isinstance(documents, str):
        raise ValueError(f"wanted a list of haystack.Document, got {type(documents).__name__}")
    items = list(documents)
    for index, item in enumerate(items):
        if not isinstance(item, Document):
            raise ValueError(f"documents/{index}: wanted a haystack.Document, got {type(item).__name__}")
    return items


def deduplicate(documents: Iterable[Document], policy: DuplicatePolicy) -> list[Document]:
    """Return documents with distinct ids, as if they were written one after another.

    Raises:
        DuplicateDocumentError: an id occurs twice, and the policy forbids that.
    """
    by_id: dict[str, Document] = {}
    for document in documents:
        if document.id not in by_id or policy is DuplicatePolicy.OVERWRITE:
            by_id[document.id] = document
        elif policy is not DuplicatePolicy.SKIP:
            raise DuplicateDocumentError(f"id {document.id!r} comes twice among these documents: write it once")
    return list(by_id.values())


def to_row(document: Document) -> Row:
    """Convert Haystack's document to one of softkv: its content becomes the key, its embedding the key vector."""
    fields: dict[str, Any] = {"metadata": document.meta}
    if document.content is not None:
        fields["key"] = document.content
    if document.embedding is not None:
        fields["key_vector"] = document.embedding
    value_fields = {name: field.to_dict() for name in _VALUE_FIELDS if (field := getattr(document, name)) is not None}
    if value_fields:
        fields["value"] = value_fields
    return Row(document.id, **fields)


def to_document(row: Row) -> Document:
    """Convert a stored document to Haystack's. If another program wrote it, its content is the stored value."""
    vector = None if row.key_vector is None else row.key_vector.tolist()
    return _build_document(row, meta=dict(row.metadata), embedding=vector)


def to_matched_document(retrieval: Retrieval, answer: Answer, match: Match) -> Document:
    """Convert a match to a Haystack document, with its score and the metadata that the options request."""
    return _build_document(
        match,
        meta=retrieval.metadata(answer, match),
        embedding=key_vector_list(match),
        score=retrieval.score_of(match),
    )


def _build_document(source: Row | Match, **fields: Any) -> Document:
    value = source.value
    value_fields = value if isinstance(value, dict) and value and value.keys() <= set(_VALUE_FIELDS) else {}
    if "blob" in value_fields:
        fields["blob"] = ByteStream.from_dict(value_fields["blob"])
    if "sparse_embedding" in value_fields:
        fields["sparse_embedding"] = SparseEmbedding.from_dict(value_fields["sparse_embedding"])
    return Document(
        id=source.id, content=source.key if value_fields or value is None else document_text(source), **fields
    )
