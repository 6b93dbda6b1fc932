"""Rows by document: sums, best keys and logarithms of sums, whatever order the rows stand in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention.lookup.rescoring.ranking import DocumentGrouping, log_weight_of_other_parts

ROWS = st.lists(
    st.tuples(st.sampled_from([2, 3, 5, 8, 13]), st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0])), min_size=1, max_size=40
)


@given(rows=ROWS, ascending=st.booleans())
def test_a_document_s_rows_are_taken_together(rows, ascending):
    if ascending:
        rows = sorted(rows, key=lambda row: row[0])
    owners, values = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    grouping = DocumentGrouping(owners)
    documents = sorted(set(owners.tolist()))
    assert grouping.numbers.tolist() == documents
    np.testing.assert_array_equal(grouping.numbers[grouping.index], owners)
    for position, document in enumerate(documents):
        own_values = values[owners == document]
        assert grouping.counts[position] == len(own_values)
        assert grouping.sums(values)[position] == pytest.approx(math.fsum(own_values), abs=1e-15)
        assert grouping.best(values)[position] == own_values.max()
        assert (
            grouping.best_rows(values)[position]
            == np.flatnonzero((owners == document) & (values == own_values.max()))[0]
        )
        assert grouping.log_sums(values)[position] == pytest.approx(math.log(math.fsum(np.exp(own_values))), abs=1e-14)


def test_of_no_rows_there_are_no_documents():
    grouping, nothing = DocumentGrouping(np.empty(0, np.int64)), np.empty(0)
    arrays = [
        grouping.numbers,
        grouping.counts,
        grouping.index,
        grouping.sums(nothing),
        grouping.best(nothing),
        grouping.best_rows(nothing),
        grouping.log_sums(nothing),
        log_weight_of_other_parts(grouping, nothing, 1.0),
        log_weight_of_other_parts(grouping, nothing, 0.0),
    ]
    assert [len(array) for array in arrays] == [0] * len(arrays)


def test_logarithms_of_sums_neither_overflow_nor_vanish():
    grouping = DocumentGrouping(np.array([1, 1, 1, 2, 2, 3]))
    logits = np.array([1e5, 1e5, -1e5, -1e5, -1e5, -1e300])
    np.testing.assert_allclose(grouping.log_sums(logits), [1e5 + np.log(2), -1e5 + np.log(2), -1e300])


@pytest.mark.parametrize("temperature", [1e-30, 1e-3, 0.1, 5.0, np.inf])
def test_log_parts_are_what_the_other_keys_add_to_the_best(temperature):
    grouping, similarities = (
        DocumentGrouping(np.array([7, 7, 7, 8, 9, 9])),
        np.array([0.5, 0.4, 0.5, 0.9, -0.3, -0.30001]),
    )
    parts = log_weight_of_other_parts(grouping, similarities, temperature)
    for position, similarities_of_document in enumerate((similarities[:3], similarities[3:4], similarities[4:])):
        expected = math.log(
            sum(
                math.exp((similarity - similarities_of_document.max()) / temperature)
                for similarity in similarities_of_document
            )
        )
        assert parts[position] == pytest.approx(expected, abs=1e-15)


def test_at_temperature_0_only_keys_that_tie_for_the_best_of_all_count():
    grouping, similarities = DocumentGrouping(np.array([7, 7, 7, 8, 9, 9])), np.array([0.9, 0.4, 0.9, 0.9, 0.3, 0.3])
    np.testing.assert_allclose(log_weight_of_other_parts(grouping, similarities, 0.0), [np.log(2), 0, 0])


def test_documents_of_equal_rows_add_up_to_equal_sums_wherever_they_stand():
    random = np.random.default_rng(0)
    own_values = random.random(1001)
    owners = np.repeat([1, 2, 3, 4], [1001, 7, 1001, 1001])
    values = np.concatenate([own_values, random.random(7), own_values, own_values])
    sums = DocumentGrouping(owners).sums(values)
    assert sums[0] == sums[2] == sums[3]
