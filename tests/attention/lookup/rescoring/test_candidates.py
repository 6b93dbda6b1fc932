"""The number of candidates: listed rows whose weight is large enough to compute them again."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.kernels import kernels
from softkv_attention.lookup.rescoring.candidates import MIN_SCANNED_SQUARES, SCANNED_SQUARES_SHARE, count_heavy


@settings(deadline=None)
@given(
    similarities=st.lists(st.floats(-1, 1), min_size=1, max_size=30).map(lambda found: -np.sort(-np.array(found))),
    temperature=st.sampled_from([1e-30, 0.02, 0.3, 5.0, np.inf]),
    level=st.floats(-1, 1),
    summed=st.sampled_from([0.0, 1e-6, 1.0, 10.0, 1000.0]),
)
def test_heavy_are_as_many_as_leave_the_squares_of_the_others_few_beside_the_sum(
    similarities, temperature, level, summed
):
    together, starts = np.append(similarities, 0.5), np.array([0, len(similarities), len(similarities) + 1])
    counts, sums = np.full(2, -9), (np.array([level, 0.0]), np.array([summed, 0.0]))
    count_heavy(kernels(), together, starts, np.array([1 / temperature, 1.0]), *sums, 0, 2, counts)
    squares = np.exp((similarities - similarities[0]) * (2 / temperature))
    few = SCANNED_SQUARES_SHARE * summed * np.exp(min((level - similarities[0]) * (2 / temperature), 0.0))
    few = max(few, MIN_SCANNED_SQUARES)
    count, of_the_other = counts.tolist()
    assert of_the_other == 1
    assert squares[count:].sum() <= few * (1 + 1e-9)
    assert count == 0 or squares[count - 1 :].sum() > few * (1 - 1e-9)
