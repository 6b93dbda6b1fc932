"""Terms of a bias: numbers that a document's metadata adds to its logit.

They are one of the terms of a question, which `retrieval/queries/terms` has, with full text and rerankers.
`bias.py` parses the terms that a caller sends, `logit_terms.py` evaluates them over the documents of one process, and
sums them exactly. A process that answers alone and a node of a cluster use the same code.
"""

from __future__ import annotations

from softkv_service.retrieval.terms.bias import (
    MAX_ADDEND,
    FilterTerm,
    Recency,
    Term,
    ValueWeights,
    clip_addends,
    format_bias,
    parse_bias,
)
from softkv_service.retrieval.terms.logit_terms import (
    EXPLAIN_CALL,
    ORIGINS_CALL,
    Explanation,
    LogitTerm,
    TermSum,
    evaluate_terms,
    find_documents,
    find_origins,
    sum_terms,
)
