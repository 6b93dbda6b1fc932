"""Conversion between LlamaIndex and softkv: filters, nodes and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from llama_index.core.constants import DATA_KEY, TYPE_KEY
from llama_index.core.schema import BaseNode, MetadataMode, RelatedNodeInfo, TextNode
from llama_index.core.storage.docstore.utils import json_to_doc
from llama_index.core.vector_stores import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from softkv import Document
from softkv.answers.documents import Match
from softkv.errors import Conflict, Invalid, TooLarge
from softkv.filters import METADATA, Combination, Comparison, Filter
from softkv.integrations import EVIDENCE_FIELD, document_text


@contextmanager
def as_value_error() -> Iterator[None]:
    """Convert refusals to ValueError within the block; connection and key errors pass unchanged."""
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
    """Return one filter for the nodes that pass `filters` and have one of these ids; None if every node passes.

    No node has one of an empty list of ids.

    Raises:
        ValueError: a value does not suit its operator.
    """
    with as_value_error():
        parts = [] if filters is None or not filters.filters else [_combine(filters)]
        if node_ids is not None:
            parts.append(Comparison("id", "in", list(node_ids)))
        if doc_ids is not None:
            parts.append(Comparison(REF_DOC_ID, "in", list(doc_ids)))
        return parts[0] if len(parts) == 1 else Combination("AND", tuple(parts)) if parts else None


def _combine(filters: MetadataFilters) -> Filter:
    conditions = tuple(
        _combine(filter_) if isinstance(filter_, MetadataFilters) else _comparison(filter_)
        for filter_ in filters.filters
    )
    if filters.condition is FilterCondition.NOT:  # not any of them; softkv's NOT means not all
        return Combination("NOT", (Combination("OR", conditions),))
    if filters.condition in (FilterCondition.AND, FilterCondition.OR, None):
        return Combination("OR" if filters.condition is FilterCondition.OR else "AND", conditions)
    raise ValueError(f"expected the condition and, or, or not, got {filters.condition!r}")


def _comparison(condition: MetadataFilter) -> Filter:
    field, value = METADATA + condition.key, condition.value
    if condition.operator in _COMPARISONS:
        return Comparison(field, _COMPARISONS[condition.operator], value)
    if condition.operator in _LIST_OPERATORS:
        return Combination(
            _LIST_OPERATORS[condition.operator], tuple(_contains(field, item) for item in _require_list(condition))
        )
    if condition.operator in _TEXT_OPERATORS:
        if not isinstance(value, str):
            raise ValueError(f"{condition.operator.value} on {condition.key} wants a text, not {value!r}")
        return _contains(field, value, ignore_case=condition.operator is FilterOperator.TEXT_MATCH_INSENSITIVE)
    if condition.operator is FilterOperator.IS_EMPTY:
        empty_values: tuple[Any, ...] = (None, "", [])
        return Combination("OR", tuple(Comparison(field, "==", item) for item in empty_values))
    raise ValueError(f"the operator {condition.operator!r} is not supported")


def _contains(field: str, value: Any, *, ignore_case: bool = False) -> Filter:
    return Comparison(field, "contains", value, ignore_case)


def _require_list(condition: MetadataFilter) -> list[Any]:
    if not isinstance(condition.value, list):
        raise ValueError(f"{condition.operator.value} on {condition.key} wants a list, not {condition.value!r}")
    return condition.value


_REF_DOC_ID = "ref_doc_id"


def to_row(node: Any, has_encoder: bool) -> Document:
    """Convert a node to a document: its key is the text that LlamaIndex embeds, its value everything but the metadata.

    Args:
        has_encoder: whether the collection encodes texts.

    Raises:
        ValueError: the node has neither an embedding nor a text that can be encoded.
    """
    if not isinstance(node, BaseNode):
        raise ValueError(f"wanted nodes, got {type(node).__name__}")
    text = node.get_content(metadata_mode=MetadataMode.EMBED)
    if node.embedding is None and not (has_encoder and text):
        raise ValueError(
            f"node {node.node_id!r} has no embedding, and "
            + ("no text that could be encoded" if has_encoder else "the collection has no encoder: embed it first")
        )
    fields: dict[str, Any] = {"value": {TYPE_KEY: node.get_type(), DATA_KEY: _dump(node)}, "metadata": node.metadata}
    if node.ref_doc_id is not None:
        fields["metadata"] = {**node.metadata, _REF_DOC_ID: node.ref_doc_id}
    if text:
        fields["key"] = text
    if node.embedding is not None:
        fields["key_vector"] = node.embedding
    return Document(node.node_id, **fields)


def _dump(node: BaseNode) -> dict[str, Any]:
    """Return the fields of a node without its metadata and embedding.

    Metadata, also of related nodes, is left to the client, which converts or refuses what pydantic makes another value
    of: NaN becomes null, and NaT a text.
    """
    data = node.model_copy(update={"metadata": {}, "relationships": {}}).model_dump(mode="json")
    del data["metadata"]
    relationships = {
        kind.value: list(map(_dump_related, related)) if isinstance(related, list) else _dump_related(related)
        for kind, related in node.relationships.items()
    }
    return data | {"class_name": node.class_name(), "embedding": None, "relationships": relationships}


def _dump_related(related: RelatedNodeInfo) -> dict[str, Any]:
    return {**related.model_copy(update={"metadata": {}}).model_dump(mode="json"), "metadata": related.metadata}


def to_node(document: Document | Match, metadata: Mapping[str, Any], embedding: list[float] | None = None) -> BaseNode:
    """Convert a document to a node.

    If another program wrote the document, it becomes a text node with its value or key.
    """
    value = document.value
    if isinstance(value, dict) and value.keys() == {TYPE_KEY, DATA_KEY}:
        node = json_to_doc({**value, DATA_KEY: {**value[DATA_KEY], "metadata": dict(metadata)}})
        if node.metadata.get(_REF_DOC_ID) == node.ref_doc_id:
            node.metadata.pop(_REF_DOC_ID, None)
    else:
        node = TextNode(id_=document.id, text=document_text(document), metadata=dict(metadata))
    if EVIDENCE_FIELD in node.metadata:  # which is for programs, and nothing for a model to read
        node.excluded_embed_metadata_keys = [*node.excluded_embed_metadata_keys, EVIDENCE_FIELD]
        node.excluded_llm_metadata_keys = [*node.excluded_llm_metadata_keys, EVIDENCE_FIELD]
    node.embedding = embedding
    return node
