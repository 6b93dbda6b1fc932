"""Rows on their way in: refused if they are invalid; and the rows of a document."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.lookup import Rows
from softkv_attention.lookup.memory.rows import document_ranges, expand_ranges


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint64])
def test_numbers_may_be_integers_of_any_kind(kind):
    assert Rows(np.array([3, 1], dtype=kind), np.ones((2, 1))).numbers.dtype == np.int64
    assert len(Rows(np.array([]), np.ones((0, 4)))) == 0


def test_rows_are_checked():
    with pytest.raises(ShapeError, match="one row of at least one component"):
        Rows(np.arange(2), np.ones((3, 4)))
    with pytest.raises(ShapeError, match="list of integers"):
        Rows(np.ones(2), np.ones((2, 4)))
    with pytest.raises(ParameterError, match="finite in float32, row 1 is not: scale"):
        Rows(np.arange(2), np.array([[1.0], [1e39]]))
    with pytest.raises(ParameterError, match="comes twice"):
        Rows(np.array([4, 4]), np.ones((2, 1)))


@pytest.mark.parametrize(
    ("owners", "message"),
    [
        ([10, 11, 12, 9], "row 13 has the owner 9, which is not among these rows"),
        ([10, 12, 12, 13], "row 11 has the owner 12 and does not follow it"),
        ([10, 11, 10, 10], "row 12 has the owner 10 and does not follow it"),
        ([10, 10, 11, 13], "row 12 has the owner 11 and does not follow it"),
    ],
)
def test_an_owner_is_the_first_row_of_its_document(owners, message):
    with pytest.raises(ParameterError, match=message):
        Rows(np.arange(10, 14), np.ones((4, 1)), owners=np.array(owners))


def test_there_is_an_owner_for_each_row():
    with pytest.raises(ShapeError, match="owners must be one for each of the 2 numbers, got 1"):
        Rows(np.arange(2), np.ones((2, 1)), owners=np.array([0]))
    with pytest.raises(ShapeError, match="owners must be a list of integers"):
        Rows(np.arange(2), np.ones((2, 1)), owners=np.array([0.0, 0.0]))


def test_checked_rows_are_sorted_and_may_be_a_part_of_a_document():
    rows = Rows.without_checks(np.array([7, 4, 5]), np.array([[7.0], [4], [5]], np.float32), None, np.array([7, 3, 3]))
    assert (rows.numbers.tolist(), rows.owners.tolist(), rows.keys.ravel().tolist()) == (
        [4, 5, 7],
        [3, 3, 7],
        [4, 5, 7],
    )


SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=12)


def owners_of(sizes):
    """Return (numbers, owners) of documents with these numbers of rows; numbers start at 100."""
    first = 100 + np.cumsum([0, *sizes[:-1]])
    return np.arange(100, 100 + sum(sizes)), np.repeat(first, sizes)


@given(sizes=SIZES, data=st.data())
def test_ranges_hold_all_rows_of_a_document_that_passes(sizes, data):
    _, owners = owners_of(sizes)
    documents = np.array(data.draw(st.lists(st.sampled_from([1, 99, 999, *owners.tolist()]))), dtype=np.int64)
    dead = data.draw(st.sets(st.sampled_from(owners.tolist())))
    passes = ~np.isin(owners, list(dead))
    for allowed, gone in ((None, set()), (passes, dead)):
        first, last = document_ranges(owners, documents, allowed)
        for document, start, stop in zip(documents.tolist(), first, last, strict=True):
            expected = [] if document in gone else np.flatnonzero(owners == document).tolist()
            assert list(range(start, stop)) == expected
        rows = expand_ranges(first, last).tolist()
        assert rows == [position for start, stop in zip(first, last, strict=True) for position in range(start, stop)]
