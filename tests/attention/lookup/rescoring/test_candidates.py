"""The listed rows to look up for a head of k, and lists that are too short to decide it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.kernels import kernels
from attention.lookup.rescoring.candidates import MIN_SCANNED_SQUARES, SCANNED_SQUARES_SHARE, Candidates, count_heavy

FOUND = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
"""Scanned; each can be off by 0.15."""


def listed(k, threshold=0.35, support=0.0):
    """Return the candidates of three questions; the tests use the middle one."""
    similarities = np.concatenate([[0.95, 0.3], FOUND, [0.2]])
    positions = np.concatenate([[7, 8], np.arange(6)[::-1] * 10, [9]])
    return Candidates(
        np.array([1, k, 1]),
        np.array([0.0, support, 0.0]),
        np.array([0, 2, 8, 9]),
        positions,
        similarities,
        np.array([0.0, threshold, 0.0]),
        np.array([0.01, 0.15, 0.01]),
    )


def heavies(similarities, starts, *arguments):
    counts = np.full(len(starts) - 1, -9)
    count_heavy(kernels(), similarities, starts, *arguments, 0, len(counts), counts)
    return counts.tolist()


def at_first(candidates, heavy, limit):
    return candidates.initial_counts(np.array([0, heavy, 0]), limit).tolist()


def deciding(candidates, known_values, limit):
    """Return the rows that the middle question needs; None without known values. The others know their best."""
    counts = candidates.decisive_counts(
        np.concatenate([[0.95], known_values, [0.2]]), np.array([1, len(known_values), 1]), limit
    )
    assert counts[[0, 2]].tolist() == [1, 1]
    return None if counts[1] < 0 else counts[1]


def test_the_first_lookups_are_the_heavy_ones_and_those_near_the_end_of_the_head():
    assert at_first(listed(1), 0, 100) == [1, 2, 1]  # 0.8 may be better than 0.9
    assert at_first(listed(1), 4, 100) == [1, 4, 1]
    assert at_first(listed(1), 4, 3) == [1, 3, 1]  # of the heavy ones no more than that
    assert at_first(listed(7), 4, 100) == [1, 0, 1]


def test_an_empty_list_has_no_lookups():
    nothing = Candidates(
        np.array([1]), np.zeros(1), np.zeros(2, dtype=np.int64), np.empty(0, np.int64), np.empty(0), *np.zeros((2, 1))
    )
    assert nothing.initial_counts(np.zeros(1, dtype=np.int64), 10).tolist() == [0]
    assert nothing.decisive_counts(np.empty(0), np.zeros(1, dtype=np.int64), 10).tolist() == [-1]
    assert heavies(np.empty(0), np.zeros(2, dtype=np.int64), np.ones(1), np.zeros(1), np.ones(1)) == [0]


@pytest.mark.parametrize(
    ("known_values", "count"),
    [
        ([0.9, 0.86], 2),  # 0.7 is 0.85 at most
        ([0.9, 0.8], 3),
        ([0.9, 0.8, 0.84], 3),
        ([0.9, 0.74], 4),  # 0.6 may be 0.75
        ([0.9, 0.6], 5),
        ([0.9, 0.56], 5),
        ([0.9, 0.49], None),  # and what was not even listed may be 0.5
        ([0.9, 0.49, 0.7], 4),  # which does not matter where another one is as good
        ([0.9], None),
    ],
)
def test_all_are_needed_that_may_be_as_good_as_the_kth_of_the_known(known_values, count):
    assert deciding(listed(2), known_values, 100) == count


def test_a_normaliser_that_reaches_further_needs_more():
    assert deciding(listed(1, support=0.2), [0.9], 100) == 4  # down to 0.7 in truth
    assert deciding(listed(1, support=0.45), [0.9], 100) is None


def test_more_than_a_query_may_look_up_does_not_decide():
    assert deciding(listed(1), [0.55], 2) == 6
    assert deciding(listed(1), [0.55], 1) is None


def test_known_rows_come_apart_from_the_others():
    result = listed(2).rescore(np.array([0.94, 0.9, 0.75, 0.8]), np.array([1, 3, -1]))
    head = result.of(1)
    np.testing.assert_array_equal(head.rows, [50, 40, 30])
    np.testing.assert_array_equal(head.similarities, [0.9, 0.75, 0.8])
    np.testing.assert_array_equal(head.candidate_rows, [20, 10, 0])
    np.testing.assert_array_equal(head.candidates, [0.6, 0.5, 0.4])
    assert (head.best, head.threshold, head.error) == (0.9, 0.35, 0.15)
    assert result.of(0).similarities.tolist() == [0.94]
    assert result.of(2) is None
    runs = result.runs([1])
    assert (runs.values.tolist(), runs.starts.tolist()) == ([0.9, 0.75, 0.8, 0.6, 0.5, 0.4], [0, 6])
    assert runs.counts.tolist() == [3]


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
