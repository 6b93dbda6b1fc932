"""Rows of many cases in one array: each case keeps its own."""

from __future__ import annotations

import numpy as np

from attention.lookup.softmax.mixture import RaggedRows

RUNS = RaggedRows(np.arange(10.0), np.array([0, 4, 5, 10]), np.array([3, 1, 2]))


def lists(runs):
    return [tuple(value.tolist() for value in runs.of(runs.values, case)) for case in range(len(runs.counts))]


def test_each_case_has_known_rows_and_others_behind_them():
    assert lists(RUNS) == [([0, 1, 2], [3]), ([4], []), ([5, 6], [7, 8, 9])]


def test_some_of_the_cases_are_as_they_were_among_all():
    assert lists(RUNS.select([0, 2])) == [lists(RUNS)[0], lists(RUNS)[2]]
    assert lists(RUNS.select([1])) == [lists(RUNS)[1]]
    assert RUNS.select([0, 1, 2]) is RUNS
