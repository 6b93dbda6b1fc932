"""The best documents of an answer, which a reranker or late interaction reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from softkv_attention.lookup import Answer
from softkv_service.encoding import read_part
from softkv_service.retrieval.collections import Snapshot
from softkv_service.retrieval.queries.documents import StoredDocuments, choose_matches


class HeadText(NamedTuple):
    """A document among the best ones, as far as it is read.

    Attributes:
        text: the text of its best key, after the title of the document if the key is of a later part.
        title: the characters of that title.
        start: the position of what follows them in the document's key text.
        logit: the logit of the document, all keys together.
        key_row: the row number of this key.
    """

    text: str
    title: int
    start: int
    logit: float
    key_row: int

    def place(self, position: int) -> int:
        """Return the position of a character of the text in the document's key text."""
        return position if position < self.title else position - self.title + self.start


@dataclass(frozen=True)
class Head:
    """The best documents of an answer.

    Attributes:
        texts: these documents by their row numbers, without those that have no key text.
        following: the logit of the best document beyond them; minus infinity if there is none.
    """

    texts: Mapping[int, HeadText]
    following: float


def read_head(snapshot: Snapshot, answer: Answer, depth: int) -> Head:
    """Read the best documents of an answer, which lists at least one more; if several tie at the end, the id decides.

    Args:
        snapshot: the version of the collection that was asked.
        answer: the answer.
        depth: the number of documents to read.
    """
    logits = answer.logits + answer.log_weight_of_other_parts
    order = (-logits).argsort(kind="stable")
    listed = logits >= logits[order[min(depth, len(order)) - 1]] if len(order) else slice(0)
    columns = {
        name: getattr(answer, name)[listed] for name in ("numbers", "similarities", "logits", "weights", "parts")
    }
    matches = min(depth, len(columns["numbers"]))
    reader = StoredDocuments(snapshot, "texts")
    matching = choose_matches(replace(answer, matches=matches, **columns), reader)
    rows, total = columns["numbers"][matching], logits[listed][matching]
    documents = reader.documents(rows)
    best_keys = reader.find_best_keys(documents, rows, columns["parts"][matching])
    texts = dict[int, HeadText]()
    columns_of_rows = rows.tolist(), total.tolist(), columns["parts"][matching].tolist()
    for row, logit, part, document, best in zip(*columns_of_rows, documents, best_keys, strict=True):
        if isinstance(document, str) or document.key is None:
            continue
        if best is None or best.part is None or best.first is None:
            texts[row] = HeadText(document.key, 0, 0, logit, part)
        else:
            text, title = read_part(document.key, best.part, best.first)
            texts[row] = HeadText(text, title, best.part.start, logit, part)
    return Head(texts, float(logits[order[depth]]) if len(order) > depth else -math.inf)
