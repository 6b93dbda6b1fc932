"""Which of some rows, in order of number, are keys of one document: each row says by whom it is owned."""

from __future__ import annotations

import numpy as np

from attention.dtypes import I64, Bools, Index

LONGEST_DOCUMENTS = 32
"""So many of the documents with most rows are known by name."""


def count_documents(numbers: I64, owners: I64, passes: Bools | None) -> int:
    """How many documents begin among these rows: rows that own themselves.

    Args:
        numbers, owners: int64[r].
        passes: bool[r], which of them count; None for all.
    """
    begins = owners == numbers
    return int(np.count_nonzero(begins if passes is None else begins & passes))


def longest_documents(numbers: I64, owners: I64, live: Bools | None) -> I64:
    """int64[l]: the documents with most rows here, one more than LONGEST, and all that begin elsewhere; ascending.

    Args:
        numbers, owners: int64[r], both ascending.
        live: bool[r], for all rows of a document alike; None where all do.
    """
    starts = np.flatnonzero(np.append(True, owners[1:] != owners[:-1]))
    counts = np.diff(starts, append=len(owners))
    if live is not None:
        counts[~live[starts]] = 0
    most = np.argsort(-counts, kind="stable")[: LONGEST_DOCUMENTS + 1]
    elsewhere = np.flatnonzero(owners[starts] != numbers[starts])
    return np.unique(owners[starts[np.concatenate([most, elsewhere])]])


def document_ranges(owners: I64, documents: I64, passes: Bools | None) -> tuple[Index, Index]:
    """Where the rows of each of the given documents int64[m] begin and end; nowhere where they do not pass.

    Args:
        owners: int64[r], ascending, at least one.
        documents: in any order.
        passes: bool[r], for all rows of a document alike; None where all do.
    """
    first = np.searchsorted(owners, documents)
    last = np.searchsorted(owners, documents, side="right")
    if passes is not None:
        last = np.where(passes[np.minimum(first, len(owners) - 1)], last, first)
    return first, last


def expand_ranges(first: Index, last: Index) -> Index:
    """int64[Σ (last − first)]: every position from each first on, up to its last, which is not included."""
    counts = last - first
    return np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
