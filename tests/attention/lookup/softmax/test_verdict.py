"""The verdict of weights: the rule, and when the bound on their error leaves no other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention.lookup import Evidence, Verdict


def evidence(null_weight: float, *, null: bool = True) -> Evidence:
    """Return the evidence that a verdict reads; its other numbers are arbitrary."""
    return Evidence(
        temperature=1.0,
        null_weight=null_weight,
        null_similarity=0.3 if null else None,
        log_partition=0.0,
        entropy=0.0,
        effective_documents=1.0,
    )


def rule(weights: np.ndarray, null_weight: float) -> str:
    """Return the verdict by the rule in the documentation."""
    if not len(weights) or null_weight >= 0.5:
        return "none"
    return "one" if weights.max() > 0.5 else "several"


@pytest.mark.parametrize(
    ("null_weight", "heaviest", "stands"),
    [
        (0.0, 1.0, "one"),
        (0.4, 0.51, "one"),
        (0.0, 0.5, "several"),
        (0.49, 0.5, "several"),
        (0.5, 0.5, "none"),
        (0.5, 0.1, "none"),
        (1.0, 0.0, "none"),
    ],
)
def test_a_half_decides(null_weight, heaviest, stands):
    assert Verdict.of(evidence(null_weight), heaviest, 0.0, documents=3).stands == stands


def test_without_documents_there_is_nothing():
    assert Verdict.of(evidence(0.0, null=False), 0.0, 0.0, documents=0) == Verdict("none", certain=True)
    assert Verdict.of(evidence(1.0), 0.0, 0.0, documents=0) == Verdict("none", certain=True)


def test_without_a_null_key_there_is_always_something():
    assert Verdict.of(evidence(0.0, null=False), 0.3, 0.19, documents=9) == Verdict("several", certain=True)
    assert Verdict.of(evidence(0.0, null=False), 0.8, 0.29, documents=9) == Verdict("one", certain=True)


@pytest.mark.parametrize(
    ("null_weight", "heaviest", "variation", "certain"),
    [
        (0.0, 0.6, 0.09, True),
        (0.0, 0.6, 0.1, False),  # the document may have a half
        (0.6, 0.4, 0.1, True),
        (0.6, 0.4, 0.11, False),
        (0.1, 0.4, 0.1, True),
        (0.1, 0.4, 0.11, False),  # the document may have more than a half
        (0.4, 0.1, 0.1, False),  # the null key may have a half
    ],
)
def test_a_weight_within_the_bound_of_a_half_leaves_the_verdict_open(null_weight, heaviest, variation, certain):
    assert Verdict.of(evidence(null_weight), heaviest, variation, documents=5).certain is certain


def test_a_heaviest_document_that_is_not_known_may_be_heavier():
    verdict = Verdict.of(evidence(0.1), 0.3, 0.0, documents=5)
    open_ = Verdict.of(evidence(0.1), 0.3, 0.0, documents=5, at_most=0.51)
    assert (verdict.stands, verdict.certain, open_.stands, open_.certain) == ("several", True, "several", False)


@given(
    seed=st.integers(0, 2**32 - 1),
    documents=st.integers(1, 6),
    null=st.booleans(),
    toward=st.floats(0, 1),
    sharpness=st.floats(0, 12),
)
def test_weights_within_the_bound_have_the_verdict_that_is_certain(seed, documents, null, toward, sharpness):
    """Two distributions and how far they are apart: a verdict of one that is certain is that of the other."""
    random = np.random.default_rng(seed)
    scores = sharpness * random.standard_normal((2, documents + null))
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights, other = shares / shares.sum(axis=1, keepdims=True)
    other = (1 - toward) * weights + toward * other
    variation = 0.5 * float(np.abs(weights - other).sum()) * (1 + 1e-9)
    null_weights = (float(weights[-1]), float(other[-1])) if null else (0.0, 0.0)
    result = Verdict.of(
        evidence(null_weights[0], null=null),
        float(weights[:documents].max()),
        variation,
        documents=documents,
    )
    assert result.stands == rule(weights[:documents], null_weights[0])
    if result.certain:
        assert rule(other[:documents], null_weights[1]) == result.stands
