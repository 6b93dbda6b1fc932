"""The judge: what the weights, labels, a group and unknown words say, and when a bound leaves it open."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softkv_attention.lookup import FirstConfidence, GroupShare, Policy, Shares, Verdict, judge

BY_WEIGHT, UNREADABLE = Policy(), Policy(is_readable=False)


def rule(weights: np.ndarray, null_weight: float, policy: Policy = BY_WEIGHT) -> str:
    """Return the verdict by the rule in the documentation."""
    if not len(weights) or null_weight >= policy.none_from:
        return "none"
    return "one" if weights.max() > 0.5 and policy.is_readable else "several"


@pytest.mark.parametrize(
    ("null_weight", "heaviest", "variation", "documents", "stands", "certain"),
    [
        (0.4, 0.51, 0.0, 3, "one", True),
        (0.0, 0.5, 0.0, 3, "several", True),
        (0.49, 0.5, 0.0, 3, "several", True),
        (0.5, 0.5, 0.0, 3, "none", True),
        (1.0, 0.0, 0.0, 0, "none", True),
        (None, 0.0, 0.0, 0, "none", True),
        (None, 0.3, 0.19, 9, "several", True),  # without a null key there is always something
        (0.0, 0.6, 0.09, 5, "one", True),
        (0.0, 0.6, 0.1, 5, "one", False),  # the document may have a half
        (0.6, 0.4, 0.1, 5, "none", True),
        (0.6, 0.4, 0.11, 5, "none", False),
        (0.1, 0.4, 0.1, 5, "several", True),
        (0.1, 0.4, 0.11, 5, "several", False),  # the document may have more than a half
        (0.4, 0.1, 0.1, 5, "several", False),  # the null key may have a half
    ],
)
def test_a_half_decides_and_a_weight_within_the_bound_of_it_leaves_the_verdict_open(
    null_weight, heaviest, variation, documents, stands, certain
):
    assert judge(Shares(null_weight, heaviest, documents, variation)) == Verdict(stands, certain=certain)


def test_a_heaviest_document_that_is_not_known_may_be_heavier():
    verdict = judge(Shares(0.1, 0.3, 5, 0.0))
    open_ = judge(Shares(0.1, 0.3, 5, 0.0, at_most=0.51))
    assert (verdict.stands, verdict.certain, open_.stands, open_.certain) == ("several", True, "several", False)


@given(
    seed=st.integers(0, 2**32 - 1),
    documents=st.integers(1, 6),
    null=st.booleans(),
    toward=st.floats(0, 1),
    sharpness=st.floats(0, 12),
    policy=st.builds(Policy, none_from=st.floats(0.5, 1), is_readable=st.booleans()),
)
def test_weights_within_the_bound_have_the_verdict_that_is_certain(seed, documents, null, toward, sharpness, policy):
    """Two distributions and how far they are apart: a verdict of one that is certain is that of the other."""
    random = np.random.default_rng(seed)
    scores = sharpness * random.standard_normal((2, documents + null))
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights, other = shares / shares.sum(axis=1, keepdims=True)
    other = (1 - toward) * weights + toward * other
    variation = 0.5 * float(np.abs(weights - other).sum()) * (1 + 1e-9)
    null_weights = (float(weights[-1]), float(other[-1])) if null else (0.0, 0.0)
    heaviest = float(weights[:documents].max())
    result = judge(Shares(null_weights[0] if null else None, heaviest, documents, variation), policy)
    assert result.stands == rule(weights[:documents], null_weights[0], policy)
    if result.certain:
        assert rule(other[:documents], null_weights[1], policy) == result.stands


@pytest.mark.parametrize(
    ("null", "heaviest", "error", "verdict"),
    [
        (0.49, 0.5, 0.0, Verdict("several", certain=True)),
        (0.2, 0.8, 0.2, Verdict("several", certain=True)),
        (0.4, 0.6, 0.1, Verdict("several", certain=False)),
        (0.5, 0.5, 0.0, Verdict("none", certain=True)),
        (None, 0.9, 0.7, Verdict("several", certain=True)),
    ],
)
def test_unknown_words_never_single_out_a_document(null, heaviest, error, verdict):
    assert judge(Shares(null, heaviest, 3, error), UNREADABLE) == verdict


@pytest.mark.parametrize(
    ("null", "bounds", "verdict"),
    [
        (0.1, (0.7, 0.9), Verdict("one", certain=True)),
        (0.1, (0.5, 0.9), Verdict("one", certain=False)),
        (0.85, (0.7, 0.9), Verdict("one", certain=False)),
        (0.9, (0.7, 0.9), Verdict("none", certain=False)),
    ],
)
def test_a_required_confidence_stands_in_the_place_of_the_weight(null, bounds, verdict):
    policy = Policy(none_from=0.9, confidence=FirstConfidence(0.6, 0.8, bounds))
    assert judge(Shares(null, 0.1, 3, 0.05), policy) == verdict
    too_low = Policy(none_from=0.9, confidence=FirstConfidence(0.95, 0.8, bounds))
    assert judge(Shares(0.1, 0.9, 3, 0.05), too_low) == Verdict("several", certain=True)


@pytest.mark.parametrize(
    ("group", "verdict"),
    [
        (GroupShare(0.6, 0.05), Verdict("one", certain=True)),
        (GroupShare(0.6, 0.1), Verdict("one", certain=False)),
        (GroupShare(0.45, 0.1), Verdict("several", certain=False)),
        (GroupShare(0.4, 0.1), Verdict("several", certain=True)),
    ],
)
def test_a_group_with_more_than_half_stands_out_as_one_document(group, verdict):
    assert judge(Shares(0.1, 0.3, 5, 0.0), Policy(group=group)) == verdict
    assert judge(Shares(0.1, 0.3, 5, 0.0), Policy(group=group, is_readable=False)).stands == "several"
    assert judge(Shares(0.5, 0.3, 5, 0.0), Policy(group=group)).stands == "none"
