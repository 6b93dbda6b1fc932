"""What is refused, as the error that LlamaIndex's stores raise, with what softkv said inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from llama_index.core.constants import DATA_KEY, TYPE_KEY
from llama_index.core.schema import BaseNode, MetadataMode, TextNode
from llama_index.core.storage.docstore.utils import json_to_doc
from llama_index.core.vector_stores import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from softkv import Document
from softkv.answers.documents import Match
from softkv.errors import Conflict, Invalid, TooLarge
from softkv.filters import METADATA, Combination, Comparison, Filter
from softkv.integrations.retrieval import EVIDENCE_FIELD, document_text


@contextmanager
def as_value_error() -> Iterator[None]:
    """Around calls; that the service cannot be reached, or lets nobody in, stays softkv's error."""
    try:
        yield
    except (Conflict, Invalid, TooLarge) as error:
        raise ValueError(str(error)) from error


REF_DOC_ID = f"{METADATA}ref_doc_id"
_COMPARISONS = {
    FilterOperator.EQ: "==",
    FilterOperator.NE: "!=",
    FilterOperator.GT: ">",
    FilterOperator.GTE: ">=",
    FilterOperator.LT: "<",
    FilterOperator.LTE: "<=",
    FilterOperator.IN: "in",
    FilterOperator.NIN: "not in",
    FilterOperator.CONTAINS: "contains",
}
_LIST_OPERATORS = {FilterOperator.ANY: "OR", FilterOperator.ALL: "AND"}
_TEXT_OPERATORS = (FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE)


def convert_filters(
    filters: MetadataFilters | None, *, node_ids: Sequence[str] | None = None, doc_ids: Sequence[str] | None = None
) -> Filter | None:
    """What all of these let pass; None where that is everything, as of empty lists, too.

    Raises:
        ValueError: a value is none that its operator takes.
    """
    with as_value_error():
        parts = [] if filters is None or not filters.filters else [_combine(filters)]
        if node_ids:
            parts.append(Comparison("id", "in", list(node_ids)))
        if doc_ids:
            parts.append(Comparison(REF_DOC_ID, "in", list(doc_ids)))
        return parts[0] if len(parts) == 1 else Combination("AND", tuple(parts)) if parts else None


def _combine(filters: MetadataFilters) -> Filter:
    conditions = tuple(
        _combine(each) if isinstance(each, MetadataFilters) else _comparison(each) for each in filters.filters
    )
    if filters.condition is FilterCondition.NOT:  # none of them, where softkv's NOT is: not all
        return Combination("NOT", (Combination("OR", conditions),))
    if filters.condition in (FilterCondition.AND, FilterCondition.OR, None):
        return Combination("OR" if filters.condition is FilterCondition.OR else "AND", conditions)
    raise ValueError(f"there is no joining filters by {filters.condition!r}: wanted and, or, not")


def _comparison(given: MetadataFilter) -> Filter:
    field, value = METADATA + given.key, given.value
    if given.operator in _COMPARISONS:
        return Comparison(field, _COMPARISONS[given.operator], value)
    if given.operator in _LIST_OPERATORS:
        return Combination(
            _LIST_OPERATORS[given.operator], tuple(_contains(field, each) for each in _require_list(given))
        )
    if given.operator in _TEXT_OPERATORS:
        if not isinstance(value, str):
            raise ValueError(f"{given.operator.value} on {given.key} wants a text, not {value!r}")
        return _contains(field, value, ignore_case=given.operator is FilterOperator.TEXT_MATCH_INSENSITIVE)
    if given.operator is FilterOperator.IS_EMPTY:
        nothing: tuple[Any, ...] = (None, "", [])
        return Combination("OR", tuple(Comparison(field, "==", each) for each in nothing))
    raise ValueError(f"there is no comparing by {given.operator!r}")


def _contains(field: str, value: Any, *, ignore_case: bool = False) -> Filter:
    return Comparison(field, "contains", value, ignore_case)


def _require_list(given: MetadataFilter) -> list[Any]:
    if not isinstance(given.value, list):
        raise ValueError(f"{given.operator.value} on {given.key} wants a list, not {given.value!r}")
    return given.value


_REF_DOC_ID = "ref_doc_id"


def to_row(node: Any, encoded: bool) -> Document:
    """A node on its way to the service: its key is what LlamaIndex would embed, its value all but its metadata.

    Args:
        encoded: whether the service makes vectors of texts.

    Raises:
        ValueError: there is nothing by which it could be found.
    """
    if not isinstance(node, BaseNode):
        raise ValueError(f"wanted nodes, got {type(node).__name__}")
    text = node.get_content(metadata_mode=MetadataMode.EMBED)
    if node.embedding is None and not (encoded and text):
        raise ValueError(
            f"node {node.node_id!r} has no embedding, and "
            + ("no text that could be encoded" if encoded else "the collection has no encoder: embed it first")
        )
    data = node.model_dump(mode="json") | {"class_name": node.class_name(), "embedding": None}
    metadata = data.pop("metadata", None) or {}
    fields: dict[str, Any] = {"value": {TYPE_KEY: node.get_type(), DATA_KEY: data}, "metadata": metadata}
    if node.ref_doc_id is not None:
        fields["metadata"] = {**metadata, _REF_DOC_ID: node.ref_doc_id}
    if text:
        fields["key"] = text
    if node.embedding is not None:
        fields["key_vector"] = node.embedding
    return Document(node.node_id, **fields)


def to_node(read: Document | Match, metadata: Mapping[str, Any], embedding: list[float] | None = None) -> BaseNode:
    """A node that was read; of a document that others wrote, one with its value as text, or its key."""
    value = read.value
    if isinstance(value, dict) and value.keys() == {TYPE_KEY, DATA_KEY}:
        found = json_to_doc({**value, DATA_KEY: {**value[DATA_KEY], "metadata": dict(metadata)}})
        if found.metadata.get(_REF_DOC_ID) == found.ref_doc_id:
            found.metadata.pop(_REF_DOC_ID, None)
    else:
        found = TextNode(id_=read.id, text=document_text(read), metadata=dict(metadata))
    if EVIDENCE_FIELD in found.metadata:  # which is for programs, and nothing for a model to read
        found.excluded_embed_metadata_keys = [*found.excluded_embed_metadata_keys, EVIDENCE_FIELD]
        found.excluded_llm_metadata_keys = [*found.excluded_llm_metadata_keys, EVIDENCE_FIELD]
    found.embedding = embedding
    return found
