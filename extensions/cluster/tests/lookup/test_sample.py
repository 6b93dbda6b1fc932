"""A sample of keys says where lists open."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.lookup.scan import NO_THRESHOLD
from softkv_cluster.lookup import SampleKeys

RANDOM = np.random.default_rng(5)
KEYS = RANDOM.standard_normal((40_000, 12)).astype(np.float32)


@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot", "gaussian"])
def test_about_the_wanted_number_of_rows_lie_above_the_threshold(similarity):
    queries = RANDOM.standard_normal((20, 12))
    sample = SampleKeys(similarity, KEYS[::5])
    thresholds = sample.thresholds(queries, len(KEYS), 400)
    keys = KEYS.astype(np.float64)
    products = queries @ keys.T
    similarities = {
        "cosine": products / np.linalg.norm(keys, axis=1) / np.linalg.norm(queries, axis=1)[:, None],
        "dot": products,
        "scaled_dot": products / np.sqrt(12),
        "gaussian": -((keys[None] - queries[:, None]) ** 2).sum(axis=2) / 2,
    }[similarity]
    above = (similarities >= thresholds[:, None]).sum(axis=1)
    assert 300 < np.median(above) < 500
    assert above.min() > 150
    assert thresholds.dtype == np.float32


def test_a_small_sample_lists_all_rows():
    sample = SampleKeys("cosine", KEYS[:12])
    assert (sample.thresholds(KEYS[:3].astype(np.float64), 12, 400) == NO_THRESHOLD).all()
