"""The listed rows to look up for a head of k, and lists that are too short to decide it."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.kernels import kernels
from attention.lookup.rescoring.candidates import MIN_SCANNED_SQUARES, SCANNED_SQUARES_SHARE, count_heavy


def heavies(similarities, starts, *arguments):
    counts = np.full(len(starts) - 1, -9)
    count_heavy(kernels(), similarities, starts, *arguments, 0, len(counts), counts)
    return counts.tolist()


@settings(deadline=None)
@given(
    similarities=st.lists(st.floats(-1, 1), min_size=1, max_size=30).map(lambda found: -np.sort(-np.array(found))),
    temperature=st.sampled_from([0.02, 0.3, 5.0, np.inf]),
    level=st.floats(-1, 1),
    summed=st.sampled_from([0.0, 1e-6, 1.0, 10.0, 1000.0]),
)
def test_heavy_are_as_many_as_leave_the_squares_of_the_others_few_beside_the_sum(
    similarities, temperature, level, summed
):
    squares = np.exp((similarities - similarities[0]) * (2 / temperature))
    few = SCANNED_SQUARES_SHARE * summed * np.exp(min((level - similarities[0]) * (2 / temperature), 0.0))
    few = max(few, MIN_SCANNED_SQUARES)
    count = counted(similarities, 1 / temperature, level, summed)
    assert squares[count:].sum() <= few * (1 + 1e-9)
    assert count == 0 or squares[count - 1 :].sum() > few * (1 - 1e-9)


def counted(similarities, inverse, level, summed):
    """Return `count_heavy` of one question beside another one."""
    together, starts = np.append(similarities, 0.5), np.array([0, len(similarities), len(similarities) + 1])
    actual = heavies(together, starts, np.array([inverse, 1.0]), np.array([level, 0.0]), np.array([summed, 0.0]))
    assert actual[1] == 1
    return actual[0]


def test_in_the_cold_only_the_best_are_heavy():
    assert counted(np.array([0.9, 0.9, 0.8]), 1e30, 0.5, 1.0) == 2
    assert counted(np.array([0.9, 0.9, 0.8]), 1e30, 0.5, 0.0) == 2
