"""LlamaIndex's filters as softkv's: every operator, every condition, nested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.vector_stores import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from softkv.filters import METADATA, Combination, Comparison, Filter
from softkv.llamaindex.refusing import as_value_error

REF_DOC_ID = f"{METADATA}ref_doc_id"
_SAME = {
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
_SEVERAL = {FilterOperator.ANY: "OR", FilterOperator.ALL: "AND"}
_TEXTS = (FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE)


def translated(
    filters: MetadataFilters | None, *, node_ids: Sequence[str] | None = None, doc_ids: Sequence[str] | None = None
) -> Filter | None:
    """What all of these let pass; None where that is everything, as of empty lists, too.

    Raises:
        ValueError: a value is none that its operator takes.
    """
    with as_value_error():
        parts = [] if filters is None or not filters.filters else [_joined(filters)]
        if node_ids:
            parts.append(Comparison("id", "in", list(node_ids)))
        if doc_ids:
            parts.append(Comparison(REF_DOC_ID, "in", list(doc_ids)))
        return parts[0] if len(parts) == 1 else Combination("AND", tuple(parts)) if parts else None


def _joined(filters: MetadataFilters) -> Filter:
    conditions = tuple(
        _joined(each) if isinstance(each, MetadataFilters) else _comparison(each) for each in filters.filters
    )
    if filters.condition is FilterCondition.NOT:  # none of them, where softkv's NOT is: not all
        return Combination("NOT", (Combination("OR", conditions),))
    if filters.condition in (FilterCondition.AND, FilterCondition.OR, None):
        return Combination("OR" if filters.condition is FilterCondition.OR else "AND", conditions)
    raise ValueError(f"there is no joining filters by {filters.condition!r}: wanted and, or, not")


def _comparison(given: MetadataFilter) -> Filter:
    field, value = METADATA + given.key, given.value
    if given.operator in _SAME:
        return Comparison(field, _SAME[given.operator], value)
    if given.operator in _SEVERAL:
        return Combination(_SEVERAL[given.operator], tuple(_contains(field, each) for each in _listed(given)))
    if given.operator in _TEXTS:
        if not isinstance(value, str):
            raise ValueError(f"{given.operator.value} on {given.key} wants a text, not {value!r}")
        return _contains(field, value, ignore_case=given.operator is FilterOperator.TEXT_MATCH_INSENSITIVE)
    if given.operator is FilterOperator.IS_EMPTY:
        nothing: tuple[Any, ...] = (None, "", [])
        return Combination("OR", tuple(Comparison(field, "==", each) for each in nothing))
    raise ValueError(f"there is no comparing by {given.operator!r}")


def _contains(field: str, value: Any, *, ignore_case: bool = False) -> Filter:
    return Comparison(field, "contains", value, ignore_case)


def _listed(given: MetadataFilter) -> list[Any]:
    if not isinstance(given.value, list):
        raise ValueError(f"{given.operator.value} on {given.key} wants a list, not {given.value!r}")
    return given.value
