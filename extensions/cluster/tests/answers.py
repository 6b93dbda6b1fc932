"""Comparison of answers with those of one process that has all keys."""

from __future__ import annotations

import numpy as np

from softkv_attention.lookup import Answer, Coverage


def check_equal(actual: Answer, expected: Answer) -> None:
    """Check that the head of an answer is bit-equal, and its weights and output are within both certificates."""
    np.testing.assert_array_equal(actual.numbers, expected.numbers)
    np.testing.assert_array_equal(actual.similarities, expected.similarities)
    assert (actual.documents, actual.keys) == (expected.documents, expected.keys)
    bound = actual.certificate.total_variation + expected.certificate.total_variation
    assert np.abs(actual.weights - expected.weights).sum() / 2 <= bound + 1e-15
    error = actual.certificate.output_error + expected.certificate.output_error
    assert np.linalg.norm(actual.output - expected.output) <= error


def check_covered(covered: Answer, coverage: Coverage, whole: Answer) -> None:
    """Check that what an answer without some rows says is true of all rows.

    Args:
        whole: the answer from all rows, with all documents in its head.
    """
    assert coverage.documents < coverage.total
    by_number = dict(zip(whole.numbers.tolist(), whole.weights.tolist(), strict=True))
    weights = np.array([by_number[number] for number in covered.numbers.tolist()])
    missing = whole.weights.sum() - weights.sum()
    assert coverage.min_missing_weight - 1e-12 <= missing <= coverage.max_missing_weight + 1e-12
    apart = (np.abs(weights - covered.weights).sum() + abs(covered.null_weight - whole.null_weight) + missing) / 2
    assert apart <= covered.certificate.total_variation + whole.certificate.total_variation + 1e-12
    error = covered.certificate.output_error + whole.certificate.output_error
    if covered.documents:  # without any row, the width of the output is unknown
        assert np.linalg.norm(covered.output - whole.output) <= error
