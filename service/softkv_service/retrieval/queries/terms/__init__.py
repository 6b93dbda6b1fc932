"""Terms: what changes the weights of documents. Each adds to their logits.

`words.py` ranks texts, and a bias reads metadata (`softkv_service.retrieval.terms`): their addends are known before the
lookup. `reranker.py` and `late.py` read the best documents of an answer (`heads.py`), and add to these. `builder.py`
joins the terms of a query.
"""

from __future__ import annotations

from softkv_service.retrieval.queries.terms.builder import (
    LogitTerms,
    ReadTerm,
    TermsBuilder,
    add_reranked,
    build_terms,
    join_reranked,
    prepare_terms,
)
from softkv_service.retrieval.queries.terms.heads import Head
from softkv_service.retrieval.queries.terms.late import compute_late_term
from softkv_service.retrieval.queries.terms.reranker import (
    DEFAULT_DEPTH,
    MAX_RERANK_QUERY,
    check_rerank,
    compute_rerank_term,
    most_documents,
    read_head,
    resolve_rerank,
    resolve_reranked_null,
)
from softkv_service.retrieval.queries.terms.words import (
    check_sums,
    fits_full_text,
    parse_full_text_query,
    resolve_words,
)
