"""Profiles of questions that are drawn from a law which is known."""

from __future__ import annotations

import numpy as np

from softkv_service.retrieval.calibration import DocumentKeys, ProfileBuilder, Profiles

KEYS = 120


def drawn(n: int, seed: int, *, temperature: float = 0.06, words: bool = False, own: float = 0.05) -> Profiles:
    """Return questions, half with an answer, drawn by softmax at a temperature, so that the weights are the truth.

    With `words`, the logits of that softmax include 0.15·bm25.
    """
    random = np.random.default_rng(seed)
    profiling = ProfileBuilder(own, KEYS)
    documents = DocumentKeys.of(np.arange(KEYS))
    for i in range(n):
        similarities = random.normal(0.1, 0.1, KEYS)
        bm25 = random.gamma(1.0, 8.0, KEYS // 4) if words else np.empty(0)
        rows = np.sort(random.choice(KEYS, len(bm25), replace=False))
        logits = similarities / temperature
        logits[rows] += 0.15 * bm25
        weights = np.exp(logits - logits.max())
        right = [random.choice(KEYS, p=weights / weights.sum())] if i % 2 else []
        answers = np.array(right, dtype=np.int64)
        by_id = documents.by_id(similarities, answers, lambda some: [*map(str, some)])
        profiling.add(similarities, documents, (rows, bm25), answers, by_id)
    return profiling.build()
