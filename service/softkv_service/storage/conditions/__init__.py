"""Filters, searches and orders of documents, and which documents a caller sees; each store compiles them to SQL."""

from __future__ import annotations

from softkv_service.storage.conditions.column import Column, DistinctValues, Entries
from softkv_service.storage.conditions.condition import (
    MAX_COMPARED_FIELDS,
    MAX_DEPTH,
    MAX_OPERANDS,
    MEMBERSHIP,
    METADATA,
    ORDERING,
    Combination,
    Comparison,
    Condition,
    condition_digest,
    constant_result,
    parse_condition,
)
from softkv_service.storage.conditions.ordering import FIRST_KIND, LAST_KIND, Order, Position
from softkv_service.storage.conditions.search_terms import (
    FOLDED_CHARACTERS,
    INDEXED_CHARACTERS,
    SIGNS,
    Searched,
    SearchTerm,
    bigram_terms,
    fold_terms,
    indexed_text,
    parse_search,
    terms_of,
    with_bigrams,
)
from softkv_service.storage.conditions.visibility import ALL, Visibility
