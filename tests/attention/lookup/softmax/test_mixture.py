"""A head known row by row and a tail known by sums make the same distribution as all rows together."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.lookup.softmax.evidence import NullKey
from softkv_attention.lookup.softmax.mixture import TailSums, mix

TEMPERATURES = np.array([2.0, 0.3, 0.05, 0.004])


def _parts(seed):
    similarities = np.sort(np.random.default_rng(seed).random(300))[::-1]
    head, listed, low, lower = np.split(similarities, [7, 40, 150])
    thresholds = np.array([low[0] + 0.01, lower[0]])
    logits = [
        [(part - threshold) / t for part, threshold in zip((low, lower), thresholds, strict=True)] for t in TEMPERATURES
    ]
    sums = [[(np.exp(x).sum(), (np.exp(x) * x).sum(), np.exp(2 * x).sum()) for x in row] for row in logits]
    return similarities, head, listed, TailSums(thresholds, np.array(sums))


@pytest.mark.parametrize("null", [None, 0.2, 1.3])
def test_parts_weigh_as_much_as_all_rows_together(null):
    similarities, head, listed, tail_sums = _parts(1)
    nulls = [None if null is None else NullKey(null)] * len(TEMPERATURES)
    for mixed, temperature in zip(mix(head, listed, tail_sums, nulls, TEMPERATURES), TEMPERATURES, strict=True):
        logits = np.append(similarities, -np.inf if null is None else null) / temperature
        weights = np.exp(logits - np.logaddexp.reduce(logits))
        documents = weights[:-1] / weights[:-1].sum()
        positive = documents[documents > 0]
        assert mixed.known == pytest.approx(weights[:7], rel=1e-12)
        assert mixed.candidates == pytest.approx(weights[7:40], rel=1e-12)
        assert mixed.evidence.null_weight == pytest.approx(weights[-1], rel=1e-12)
        assert mixed.evidence.log_partition == pytest.approx(np.logaddexp.reduce(logits), rel=1e-12)
        assert mixed.evidence.entropy == pytest.approx(-(positive * np.log(positive)).sum(), rel=1e-10)
        assert mixed.tail == pytest.approx(weights[7:-1].sum(), rel=1e-12)
        assert mixed.log_tail == pytest.approx(np.log(weights[7:-1].sum()), abs=1e-10)
        assert mixed.tail_square == pytest.approx((weights[7:-1] ** 2).sum(), rel=1e-12)
        assert mixed.summed_square == pytest.approx((weights[40:-1] ** 2).sum(), rel=1e-12)


def test_a_tail_too_light_for_a_float_keeps_its_logarithm():
    head, listed = np.array([1.0]), np.array([0.0, -0.5])
    tail_sums = TailSums(np.array([-1.0]), np.array([[(3.0, -1.0, 2.0)]]))
    (mixed,) = mix(head, listed, tail_sums, [None], np.array([1e-3]))
    assert mixed.tail < 1e-320
    assert mixed.log_tail == pytest.approx(-1000.0, rel=1e-12)
