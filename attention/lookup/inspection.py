"""What an answer's certificate is about, row by row; for tests and benchmarks, which hold it against float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attention.dtypes import F64, I64
from attention.lookup.drafts import drafted, wanted_by
from attention.lookup.memory.view import View
from attention.lookup.quantised import WIDTHS, shard_of
from attention.lookup.question import Question


def similarities_seen(view: View, questions: Sequence[Question]) -> tuple[I64, list[F64 | None]]:
    """(row numbers int64[n], float64[n] for each question): what each row was weighed by when they were asked together.

    None for a question that the exact path answers. Softmax of these over the question's temperature is the whole
    distribution of which an answer of the quantised path tells the head. Evidence and blended value are of it also
    where documents have several keys; their weights come from exact similarities beside its partition, see
    `bounds.weights.bound_exact_documents`.

    Args:
        questions: without masks; of one bias and temperature, or of none. With a bias it is logits that are seen, and
            their softmax at temperature 1.
    """
    part, bias = shard_of(view, questions[0]), questions[0].bias
    questions = [part.scan_question(question) for question in questions]
    queries = part.codes(wanted_by(part, questions, WIDTHS[0]))
    drafts = drafted(part, questions, WIDTHS[0])
    numbers, seen = [], []
    for segment in view.segments:
        codes = segment.block.codes
        assert codes is not None
        rows = codes.at(np.arange(segment.count), queries.codes.shape[1]).astype(np.float64)
        products = (queries.codes.astype(np.float64) @ rows.T) * codes.scales[: segment.count]
        addends = 0.0 if bias is None or not len(bias.scanned(segment)) else bias.scanned(segment).astype(np.float64)
        seen.append(products * queries.scales[:, None] + addends)
        numbers.append(segment.numbers)
    everything = np.concatenate(seen, axis=1)
    lives = np.concatenate([np.ones(s.count, dtype=np.bool_) if s.live is None else s.live for s in view.segments])
    found: list[F64 | None] = []
    for row, draft in zip(everything, drafts, strict=True):
        if draft is not None:
            row[draft.rescored.places] = draft.rescored.similarities
        found.append(None if draft is None else row[lives])
    return np.concatenate(numbers)[lives], found
