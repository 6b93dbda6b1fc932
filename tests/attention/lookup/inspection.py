"""The similarity by which the quantised path weighs each row, for tests and benchmarks of certificates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from softkv_attention.arrays import F64, I64
from softkv_attention.lookup.estimate import estimate_weights, request_scan
from softkv_attention.lookup.memory.view import View
from softkv_attention.lookup.quantised import scan_question, shard_of
from softkv_attention.lookup.question import Question
from softkv_attention.lookup.shards.local import LocalShard


def similarities_seen(view: View, questions: Sequence[Question]) -> tuple[I64, list[F64 | None]]:
    """Return the row numbers int64[n], and for each question the similarities float64[n] that weigh these rows.

    None for a question that the exact path answers. Softmax of them over the question's temperature is the whole
    distribution, of which an answer has only the head. Evidence and blended value come from it even if documents have
    several keys; the documents' weights then come from exact similarities and its partition, see
    `bounds.weights.bound_exact_documents`.

    Args:
        questions: without masks; with one bias and temperature, or without a bias. With a bias the similarities are
            logits at temperature 1.
    """
    part, bias = shard_of(view, questions[0]), questions[0].bias
    questions = [scan_question(part, question) for question in questions]
    assert isinstance(part, LocalShard)
    queries = part.codes(request_scan(part, questions, view.limits.scan_widths[0]))
    estimates = estimate_weights(part, questions, view.limits.scan_widths[0])
    numbers, seen = [], []
    for segment in view.segments:
        codes = segment.block.codes
        assert codes is not None
        rows = codes.at(np.arange(segment.count), queries.codes.shape[1]).astype(np.float64)
        products = (queries.codes.astype(np.float64) @ rows.T) * codes.scales[: segment.count]
        addends = (
            0.0
            if bias is None or not len(bias.scan_addends(segment))
            else bias.scan_addends(segment).astype(np.float64)
        )
        seen.append(products * queries.scales[:, None] + addends)
        numbers.append(segment.numbers)
    everything = np.concatenate(seen, axis=1)
    lives = np.concatenate([np.ones(s.count, dtype=np.bool_) if s.live is None else s.live for s in view.segments])
    similarities: list[F64 | None] = []
    for row, estimate in zip(everything, estimates, strict=True):
        if estimate is not None:
            row[estimate.rescored.rows] = estimate.rescored.similarities
        similarities.append(None if estimate is None else row[lives])
    return np.concatenate(numbers)[lives], similarities
