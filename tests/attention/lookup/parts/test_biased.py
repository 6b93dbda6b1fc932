"""Rows compared by logits: what a scan makes of them lies within its errors of the true ones, whatever a bias is."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup import Bias, Question
from attention.lookup.parts.biased import Biased

KS = [10, 10, 10]


@pytest.mark.parametrize("level", [0.0, -1e3, 1e6])
@pytest.mark.parametrize("temperature", [1e-3, 0.05, 1.0, 1e5])
@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot"])
def test_scanned_logits_lie_within_their_errors(running, clusters, in_pieces, oracle, similarity, temperature, level):
    keys, values, queries = clusters
    keys, values, vectors = keys[:3000], values[:3000], np.array(queries[:3])
    view = in_pieces(similarity, keys, values)
    addends = level + np.random.default_rng(1).standard_normal(3000) * 3
    part = Biased(view, None, Bias.of(view, np.arange(3000), addends), temperature)
    assert all(part.fits(query) for query in vectors)
    gathered = part.gather(vectors, KS, 128, 30, np.ones(3))
    for query, vector in enumerate(vectors):
        true = oracle(similarity, vector, keys) / temperature + addends
        own = slice(gathered.starts[query], gathered.starts[query + 1])
        places, scanned = gathered.places[own], gathered.similarities[own]
        numbers = part.numbers(places)
        assert (np.abs(scanned - true[numbers]) <= gathered.errors[query, 0]).all()
        rest = np.delete(true, numbers)
        assert rest.max() <= gathered.thresholds[query] + gathered.errors[query, 0]
        known = gathered.known_of(query)
        slack = part.slack(vector)
        assert all(abs(z - t) <= 2 * slack.at(z) for z, t in zip(known, true[numbers[: len(known)]], strict=True))
        best = float(true.max())
        mass = float(np.exp(gathered.levels[query] - best) * gathered.sums[query, 0])
        width = min(gathered.errors[query, 0], 100.0)  # beyond which nothing is said
        summed = float(np.exp(rest - best).sum())
        assert summed * np.exp(-width) * (1 - 1e-5) - 1e-35 <= mass <= summed * np.exp(width) * (1 + 1e-5) + 1e-35


def test_a_question_in_logits_is_one_at_temperature_1():
    question = Question(np.ones(3), 0.5, null=0.25, top_k=7).in_logits(100)
    assert (question.temperature, question.null, question.bias, question.top_k) == (1.0, 0.5, None, 7)
    assert Question(np.ones(3), 0.5, null=0.25).in_logits(100, 0.25).null == 0
