"""The bounds against distributions that were really moved, as far as the bound allows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.lookup import Memory, Question, Rows
from softkv_attention.lookup.bounds.similarities import Slack
from softkv_attention.lookup.bounds.weights import bound_bias_rounding, bound_exact_documents, bound_tail, bound_ties
from softkv_attention.lookup.quantised import quantised_answers
from softkv_attention.lookup.softmax.distribution import softmax
from tests.attention.lookup.inspection import similarities_seen
from tests.thorough import examples

SEEDS = st.integers(0, 2**32 - 1)


def apart(one, other):
    """Return the total variation over all documents and the null key."""
    nulls = abs(one.evidence.null_weight - other.evidence.null_weight)
    return (np.abs(one.weights - other.weights).sum() + nulls) / 2


@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
def test_one_query_s_bound_is_of_the_error_s_size(temperature):
    """The Gram matrix of the residuals brings the bound within ten times the true distance, over all documents."""
    random = np.random.default_rng(4)
    keys = random.standard_normal((3000, 64)).astype(np.float32)
    memory = Memory("cosine")
    view = memory.publish(add=Rows(np.arange(3000), keys))
    ratios = []
    for _ in range(11):
        query = random.standard_normal(64)
        results = quantised_answers(view, [Question(query, temperature, top_k=1, output=False)])[0]
        unit = keys.astype(np.float64) / np.linalg.norm(keys.astype(np.float64), axis=1, keepdims=True)
        true = unit @ (query / np.linalg.norm(query))
        (seen,) = similarities_seen(view, [Question(query, temperature, top_k=1, output=False)])[1]
        distance = apart(softmax(seen, None, temperature), softmax(true, None, temperature))
        assert distance <= results.certificate.total_variation
        ratios.append(results.certificate.total_variation / distance)
    assert np.median(ratios) < 10


@settings(deadline=None, max_examples=examples(300))
@given(
    seed=SEEDS,
    temperature=st.sampled_from([1e-3, 0.02, 0.1, 1.0, 10.0]),
    error=st.sampled_from([1e-6, 1e-3, 0.05, 0.5]),
    head=st.integers(1, 40),
    null=st.none() | st.floats(-1, 2),
    kind=st.sampled_from(["up", "down", "apart", "any"]),
    spread=st.sampled_from([0.01, 1.0]),
    some=st.integers(0, 30),
)
def test_rows_of_a_tail_that_are_counted_exactly(seed, temperature, error, head, null, kind, spread, some):
    """Documents of a few rows each are weighed by true masses beside a partition that is only an estimate."""
    random = np.random.default_rng(seed)
    true, owners = random.random(200) * spread, np.sort(random.integers(0, 30, 200))
    tail = np.argsort(true)[:-head]
    counted = np.isin(owners, random.choice(30, some, replace=False))
    noise = {
        "up": np.full(200, error),
        "down": np.full(200, -error),
        "apart": np.where(counted, error, -error),
        "any": random.uniform(-error, error, 200),
    }[kind]
    seen = true.copy()
    seen[tail] += noise[tail]
    top = max(true.max(), seen.max(), -9 if null is None else null)
    e, computed = (np.exp((similarities - top) / temperature) for similarities in (true, seen))
    nothing = 0.0 if null is None else float(np.exp((null - top) / temperature))
    whole, estimate = e.sum() + nothing, computed.sum() + nothing
    documents = np.bincount(owners[counted], e[counted], 30)
    share = documents.sum() / estimate
    share_of_all = computed.sum() / estimate
    answered = documents / estimate * (share_of_all / share if share > share_of_all else 1.0)
    rest, null_weight = 1 - nothing / estimate - answered.sum(), nothing / estimate
    assert rest >= -1e-12
    moved = (
        np.abs(answered - documents / whole).sum()
        + abs(null_weight - nothing / whole)
        + abs(rest - e[~counted].sum() / whole)
    ) / 2
    b = error / temperature
    assert moved <= -np.expm1(-b) + 1e-12
    assert moved <= np.abs(e - computed).sum() / estimate + 1e-12
    weight = computed[tail].sum() / estimate
    bound = bound_tail(error, temperature, float(np.log(weight)) if weight > 0 else -np.inf, 0.0)
    assert moved <= bound_exact_documents(bound) + 1e-12
    square = np.sqrt(((computed[tail] / estimate) ** 2).sum() * (noise[tail] ** 2).sum()) / temperature
    sharper = bound_tail(error, temperature, float(np.log(weight)) if weight > 0 else -np.inf, 0.0, float(square))
    assert moved <= bound_exact_documents(sharper) + 1e-12


def test_ties_shared_by_a_bias_are_certain_only_for_copies_without_neighbours():
    slack, similarities = Slack(1e-9, 0.0), np.array([0.5, 1.0, 1.0, 0.9])
    assert bound_ties(similarities, None, slack, alike=True) < 1e-13
    assert bound_ties(similarities, 0.9, slack, alike=True) < 1e-13
    assert bound_ties(similarities, None, slack, alike=False) == 1.0
    assert bound_ties(np.append(similarities, 1 - 1e-9), None, slack, alike=True) == 1.0
    assert bound_ties(similarities, 1.0, slack, alike=True) == 1.0
    assert bound_ties(similarities, 2.0, slack, alike=False) < 1e-13


def test_rounding_of_equal_biases_is_within_its_bound():
    addends = np.array([1e15 + 0.05, 1e15])  # equal in float64
    exact = 1 / (1 + math.exp(-0.05))
    assert addends[0] == addends[1]
    assert abs(exact - 0.5) <= bound_bias_rounding(addends) <= 1
    assert bound_bias_rounding(addends[:1]) == 0
