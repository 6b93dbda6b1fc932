"""Which listed rows have to be looked up for a head of k, and when a list does not say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention.lookup.bounds.quantisation import QuantisationError
from attention.lookup.head.candidates import LITTLE, Candidates, heavy

FOUND = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
"""Scanned; each can be off by 0.15."""


def listed(k, threshold=0.35, support=0.0):
    return Candidates(k, support, np.arange(6)[::-1] * 10, FOUND, threshold, QuantisationError(0.15, 1.0, 0.0))


def test_first_are_the_heavy_ones_and_those_near_the_last_of_the_head():
    assert listed(1).at_first(0, 100) == 2  # 0.8 may be better than 0.9
    assert listed(1).at_first(4, 100) == 4
    assert listed(1).at_first(4, 3) == 3  # of the heavy ones no more than that
    assert listed(7).at_first(4, 100) == 0


@pytest.mark.parametrize(
    ("known", "count"),
    [
        ([0.9, 0.86], 2),  # 0.7 is 0.85 at most
        ([0.9, 0.8], 3),
        ([0.9, 0.8, 0.84], 3),
        ([0.9, 0.74], 4),  # 0.6 may be 0.75
        ([0.9, 0.6], 5),
        ([0.9, 0.56], 5),
        ([0.9, 0.49], None),  # and what was not even listed may be 0.5
        ([0.9], None),
    ],
)
def test_all_are_needed_that_may_be_as_good_as_the_kth_of_the_known(known, count):
    assert listed(2).deciding(np.array(known), 100) == count


def test_a_normaliser_that_reaches_further_needs_more():
    assert listed(1, support=0.2).deciding(np.array([0.9]), 100) == 4  # down to 0.7 in truth
    assert listed(1, support=0.45).deciding(np.array([0.9]), 100) is None


def test_more_than_a_query_may_look_up_does_not_decide():
    assert listed(1).deciding(np.array([0.55]), 2) == 6
    assert listed(1).deciding(np.array([0.55]), 1) is None


def test_known_rows_come_apart_from_the_others_in_order_of_place():
    head = listed(2).split(np.array([0.9, 0.75, 0.8]))
    np.testing.assert_array_equal(head.places, [30, 40, 50])
    np.testing.assert_array_equal(head.similarities, [0.8, 0.75, 0.9])
    np.testing.assert_array_equal(head.candidate_places, [20, 10, 0])
    np.testing.assert_array_equal(head.candidates, [0.6, 0.5, 0.4])


@given(
    similarities=st.lists(st.floats(-1, 1), max_size=30).map(lambda found: -np.sort(-np.array(found))),
    temperature=st.sampled_from([0.02, 0.3, 5.0, np.inf]),
    level=st.floats(-1, 1),
    summed=st.sampled_from([0.0, 1e-6, 1.0, 10.0, 1000.0]),
)
def test_heavy_are_as_many_as_leave_the_squares_of_the_others_few_beside_the_sum(
    similarities, temperature, level, summed
):
    best = max(similarities, default=0.0)
    squares = np.exp((similarities - best) * (2 / temperature))
    few = LITTLE * summed * np.exp(min((level - best) * (2 / temperature), 0.0))
    count = heavy(similarities, 1 / temperature, level, summed)
    assert squares[count:].sum() <= few * (1 + 1e-9)
    assert count == 0 or squares[count - 1 :].sum() > few * (1 - 1e-9)


def test_in_the_cold_only_the_best_are_heavy():
    assert heavy(np.array([0.9, 0.9, 0.8]), 1e30, 0.5, 1.0) == 2
    assert heavy(np.array([0.9, 0.9, 0.8]), 1e30, 0.5, 0.0) == 2
