"""Terms: what changes the weights of documents. Each adds to their logits, see `term.py`.

`words.py` ranks texts, and `bias.py` reads metadata by the terms of `retrieval/terms`: their addends are known before
the lookup. `reranker.py` and `late.py` read the best documents of an answer first (`heads.py`). `choice.py` has the
terms of a question, `defaults.py` those that it has by default, and `sum.py` adds up those of a query.
"""

from __future__ import annotations

from softkv_service.retrieval.queries.terms.choice import choose_terms, terms_of
from softkv_service.retrieval.queries.terms.defaults import asks_with_late, find_late, keep_terms, read_terms
from softkv_service.retrieval.queries.terms.heads import Head, read_head
from softkv_service.retrieval.queries.terms.late import encode_words
from softkv_service.retrieval.queries.terms.reranker import most_documents, resolve_reranker
from softkv_service.retrieval.queries.terms.sum import NO_LOGIT_TERMS, LogitTerms, add_up_terms
from softkv_service.retrieval.queries.terms.term import HeadAddends, QueryTerm, ReadTerm
from softkv_service.retrieval.queries.terms.words import fits_full_text, parse_full_text_query
