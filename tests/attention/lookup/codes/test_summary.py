"""Sums over rows are those of all of them, however they are batched, added up or sent; and name what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.lookup.codes import summary
from softkv_attention.lookup.codes.summary import KeySummary

SIMILARITIES = ("cosine", "dot", "scaled_dot", "gaussian")


@pytest.fixture
def keys():
    return np.random.default_rng(1).standard_normal((500, 12)).astype(np.float32)


def vectors(similarity, keys):
    """Return the vectors whose products are the similarities."""
    keys = keys.astype(np.float64)
    if similarity == "cosine":
        return keys / np.linalg.norm(keys, axis=1, keepdims=True)
    if similarity == "gaussian":
        return np.column_stack([keys, -0.5 * (keys**2).sum(axis=1)])
    return keys


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_sums_cover_all_rows_in_any_grouping(similarity, keys, monkeypatch):
    monkeypatch.setattr(summary, "BATCH_ROWS", 64)
    parts = [KeySummary.of(similarity, chunk, documents=len(chunk) // 2) for chunk in np.split(keys, [1, 200, 430])]
    output = KeySummary.empty(similarity, 12)
    for part in parts:
        output += part
    expected = vectors(similarity, keys)
    np.testing.assert_allclose(output.total, expected.sum(axis=0), rtol=1e-12, atol=1e-12)
    trace = float(np.trace(output.gram))
    np.testing.assert_allclose(output.gram, expected.T @ expected, rtol=2.0**-23, atol=2.0**-23 * trace)
    assert (output.n, output.documents, output.removed) == (500, 0 + 99 + 115 + 35, 0)
    longest = float(np.linalg.norm(keys.astype(np.float64), axis=1).max())
    assert output.key_norm == output.value_norm == pytest.approx(longest, rel=1e-8)
    assert output.key_norm >= longest


def test_values_of_their_own_have_a_length_of_their_own(keys):
    result = KeySummary.of("dot", keys, keys[:, :3] * 100)
    assert result.value_norm == pytest.approx(100 * np.linalg.norm(keys[:, :3].astype(float), axis=1).max(), rel=1e-6)
    assert result.documents == 500


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_a_message_brings_it_home(similarity, keys):
    sent = KeySummary.of(similarity, keys) + KeySummary.of(similarity, keys[:10])
    result = KeySummary.of_message(*sent.message())
    width = 13 if similarity == "gaussian" else 12
    assert sent.message()[1]["gram"].nbytes == 4 * width**2
    assert sent.message()[0] == result.message()[0]
    np.testing.assert_array_equal(sent.total, result.total)
    np.testing.assert_array_equal(sent.gram.astype(np.float32), result.gram)


def test_summaries_that_do_not_fit_are_refused(keys):
    one = KeySummary.of("dot", keys)
    with pytest.raises(ShapeError, match="summaries of one collection"):
        one + KeySummary.of("cosine", keys)
    with pytest.raises(ShapeError, match="summaries of one collection"):
        one + KeySummary.empty("dot", 13)
    with pytest.raises(ShapeError, match=r"got \(12,\) and None"):
        KeySummary.of("dot", keys[0])
    with pytest.raises(ShapeError, match=r"got \(500, 12\) and \(3, 12\)"):
        KeySummary.of("dot", keys, keys[:3])
    with pytest.raises(ParameterError, match="similarity must be one of"):
        KeySummary.of("hamming", keys)
