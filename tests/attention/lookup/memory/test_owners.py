"""The rows of one document, found in ascending owners."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention.lookup.memory import rows as owners_module
from attention.lookup.memory.rows import count_documents, document_ranges, expand_ranges, longest_documents

SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=12)


def owners_of(sizes):
    """Return (numbers, owners) of documents with these numbers of rows; numbers start at 100."""
    first = 100 + np.cumsum([0, *sizes[:-1]])
    return np.arange(100, 100 + sum(sizes)), np.repeat(first, sizes)


@given(sizes=SIZES, data=st.data())
def test_a_document_begins_with_the_row_that_owns_itself(sizes, data):
    numbers, owners = owners_of(sizes)
    passing = np.repeat(data.draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes))), sizes)
    assert count_documents(numbers, owners, None) == len(sizes)
    assert count_documents(numbers, owners, passing) == len(set(owners[passing].tolist()))


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


@pytest.mark.parametrize("limit", [1, 3])
@given(sizes=SIZES, cut=st.integers(0, 5), data=st.data())
def test_the_longest_are_one_more_than_are_kept_and_what_begins_elsewhere(limit, sizes, cut, data):
    numbers, owners = (owner[min(cut, sizes[0] - 1) :] for owner in owners_of(sizes))
    dead = data.draw(st.sets(st.sampled_from(owners.tolist())))
    live = ~np.isin(owners, list(dead))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owners_module, "LONGEST_DOCUMENTS", limit)
        documents = longest_documents(numbers, owners, live)
    assert documents.tolist() == sorted(set(documents.tolist()))
    counts = {document: int((owners == document).sum()) * (document not in dead) for document in set(owners.tolist())}
    rest = [count for document, count in counts.items() if document not in documents]
    assert len(rest) <= max(len(counts) - limit - 1, 0)
    assert sum(counts[document] >= max(rest, default=0) for document in documents.tolist()) >= min(
        limit + 1, len(counts)
    )
    assert owners[0] == numbers[0] or owners[0] in documents
