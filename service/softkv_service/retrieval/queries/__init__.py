"""Queries: attend, sweep, compare, leave words out, aggregate, and trace the model.

A request becomes a `Plan` (`attend.py`). For each version of the collection that is asked, every query becomes a
`Question` of the lookup. Its filter becomes a mask. Its full-text ranks and metadata terms (`terms/`) become a bias.
A filter is evaluated on cached columns, and after a write only for new rows. SQL evaluates ids, fields too large for
memory, and filters of readers that are older than the cache.
"""

from __future__ import annotations

from softkv_service.retrieval.queries.arrays import MAX_LOGITS, Arrays, attend_over_arrays
from softkv_service.retrieval.queries.attend import attend_collection, read_query_heads
from softkv_service.retrieval.queries.compare import ComparisonResult, TimedSearch, compare_collection, compare_rows
from softkv_service.retrieval.queries.defaults import complete_question, format_defaults, read_defaults
from softkv_service.retrieval.queries.documents import BestKey, Document
from softkv_service.retrieval.queries.encoded import (
    Array,
    check_complete,
    check_queries,
    check_readable,
    check_texts,
    encode_queries,
)
from softkv_service.retrieval.queries.leave_one_out import MAX_WORDS, leave_words_out
from softkv_service.retrieval.queries.places import MAX_MATCHES, check_matches
from softkv_service.retrieval.queries.query_parts import MAX_REQUEST_PARTS, Query, QueryPart, WeightedSum, find_words
from softkv_service.retrieval.queries.readers import LOST_CALIBRATION, MAX_ANSWER_GROUPS, MAX_SENTENCES
from softkv_service.retrieval.queries.results import FullText, Match, Reading, Result
from softkv_service.retrieval.queries.sweep import sweep_collection
from softkv_service.retrieval.queries.terms import (
    HeadAddends,
    asks_with_late,
    fits_full_text,
    parse_full_text_query,
    resolve_reranker,
)
from softkv_service.retrieval.queries.trace import MAX_CHARACTERS, MAX_NUMBERS, MAX_TOKENS_WITHOUT_HEADS, trace_text
